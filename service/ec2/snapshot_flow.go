package ec2

import (
	"context"
	"errors"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// The workflows of a snapshot.
const (
	flowSnapshot     = "ec2.snapshot-create"
	flowDropSnapshot = "ec2.snapshot-delete"
)

func (s *Service) registerSnapshots(e *workflow.Engine) {
	workflow.Register(e, flowSnapshot, s.snapshotFlow)
	workflow.Register(e, flowSnapshots, s.snapshotsFlow)
	workflow.Register(e, flowDropSnapshot, s.dropSnapshotFlow)
}

// snapshotFlow makes a snapshot on the host: of a volume, or as a copy.
func (s *Service) snapshotFlow(f *workflow.Flow, p volumeChange) error {
	_, err := workflow.Step(f, "copy", func(ctx context.Context, _ string) (struct{}, error) { return struct{}{}, s.makeSnapshot(ctx, p) }, fewTries...)
	if errors.Is(err, workflow.ErrInterrupted) {
		return err
	}
	if err != nil {
		s.log.Error("ec2: cannot make a snapshot", "snapshot", p.ID, "error", err)
	}
	return s.snapshotEnds(f, p, err)
}

// makeSnapshot acts on the driver for a record that is there.
func (s *Service) makeSnapshot(ctx context.Context, p volumeChange) error {
	unlock, err := s.locks.lock(ctx, p.ID)
	if err != nil {
		return err
	}
	defer unlock()
	snap, err := s.storedSnapshot(ctx, p)
	if err != nil || snap == nil {
		return err
	}
	d, err := s.disks()
	if err != nil {
		return err
	}
	if snap.From != "" {
		return final(d.CopySnapshot(ctx, snap.ID, snap.From))
	}
	return final(d.CreateSnapshot(ctx, snap.ID, snap.Volume))
}

// storedSnapshot is the record for a workflow, nil where it was deleted.
func (s *Service) storedSnapshot(ctx context.Context, p volumeChange) (snap *snapshot, err error) {
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		snap, err = snapshots.kept.Get(tx, snapshots.key(p.Scope, p.ID))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return snap, err
}

// snapshotEnds records what became of a snapshot.
func (s *Service) snapshotEnds(f *workflow.Flow, p volumeChange, cause error) error {
	_, err := workflow.Tx(f, "copied", func(tx store.Tx) (struct{}, error) {
		snap, err := snapshots.kept.Get(tx, snapshots.key(p.Scope, p.ID))
		if errors.Is(err, store.ErrNotFound) {
			return struct{}{}, nil
		}
		if err != nil {
			return struct{}{}, err
		}
		snap.State, snap.Ended = snapshotCompleted, s.now()
		if cause != nil {
			snap.State, snap.Message = snapshotError, cause.Error()
		}
		return struct{}{}, snapshots.put(tx, snap.Scope, snap)
	})
	return err
}

// dropSnapshotFlow removes a snapshot from the host, whose record is gone.
func (s *Service) dropSnapshotFlow(f *workflow.Flow, p volumeChange) error {
	_, err := workflow.Step(f, "delete", func(ctx context.Context, _ string) (struct{}, error) {
		unlock, err := s.locks.lock(ctx, p.ID)
		if err != nil {
			return struct{}{}, err
		}
		defer unlock()
		d, err := s.disks()
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, d.DeleteSnapshot(ctx, p.ID)
	})
	return err
}
