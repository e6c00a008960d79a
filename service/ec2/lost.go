package ec2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/store"
)

// A data folder can come to a host that has not all of its disks: restored from a
// backup, moved, or damaged. Records then say so.

// lookForLost is how often the loop looks for disks that are gone.
const lookForLost = time.Minute

// loseDisks puts free volumes and complete snapshots whose disks are not on the
// host into the state "error". Those of instances go with these.
func (s *Service) loseDisks(ctx context.Context) error {
	d, ok := s.cfg.Driver.(compute.Disks)
	if !ok || d.Volumes() != nil || s.now().Sub(s.watch.looked) < lookForLost {
		return nil
	}
	s.watch.looked = s.now()
	// The records come first: what they say is there by now, or its record changes.
	var free []*volume
	var complete []*snapshot
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		free, complete = nil, nil
		for e, err := range volumes.kept.Scan(tx, "") {
			if err != nil {
				return err
			}
			if e.Value.State == volumeAvailable {
				free = append(free, e.Value)
			}
		}
		for e, err := range snapshots.kept.Scan(tx, "") {
			if err != nil {
				return err
			}
			if e.Value.State == snapshotCompleted {
				complete = append(complete, e.Value)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	haveVolumes, haveSnapshots, err := d.ListDisks(ctx)
	if err != nil {
		return fmt.Errorf("list the host's disks: %w", err)
	}
	free, complete = missingOf(free, haveVolumes, volumes.id), missingOf(complete, haveSnapshots, snapshots.id)
	if len(free)+len(complete) == 0 {
		return nil
	}
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		for _, v := range free {
			if err := s.loseVolume(tx, v); err != nil {
				return err
			}
		}
		for _, v := range complete {
			if err := s.loseSnapshot(tx, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// missingOf are those of a list that the host does not have.
func missingOf[T any](list []*T, have []string, id func(*T) string) []*T {
	there := make(map[string]bool, len(have))
	for _, h := range have {
		there[h] = true
	}
	var out []*T
	for _, v := range list {
		if !there[id(v)] {
			out = append(out, v)
		}
	}
	return out
}

func (s *Service) loseVolume(tx store.Tx, seen *volume) error {
	v, err := currentVolume(tx, volumeChange{seen.Scope, seen.ID, seen.Generation})
	if err != nil || v == nil || v.State != seen.State {
		return err
	}
	s.log.Error("ec2: a volume is not on the host any more", "volume", v.ID)
	v.State = volumeError
	return volumes.put(tx, v.Scope, v)
}

func (s *Service) loseSnapshot(tx store.Tx, seen *snapshot) error {
	v, err := snapshots.kept.Get(tx, snapshots.key(seen.Scope, seen.ID))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.log.Error("ec2: a snapshot is not on the host any more", "snapshot", v.ID)
	v.State, v.Message = snapshotError, "Its data is not on the host any more."
	return snapshots.put(tx, v.Scope, v)
}
