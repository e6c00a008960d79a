package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/disk"
)

// CreateSnapshots copies several volumes as they are at one moment: all of them are
// frozen before the first is copied.
func (d *Driver) CreateSnapshots(ctx context.Context, list []compute.SnapshotOf) error {
	if err := d.createSnapshots(ctx, list); err != nil {
		return fmt.Errorf("sandbox: snapshots: %w", err)
	}
	return nil
}

func (d *Driver) createSnapshots(ctx context.Context, list []compute.SnapshotOf) error {
	// In the order of CreateSnapshot, snapshots before volumes, so that nobody waits
	// for another in a circle.
	var ids, volumes []string
	for _, s := range list {
		if err := d.usable(s.ID, s.Volume); err != nil {
			return err
		}
		ids, volumes = append(ids, s.ID), append(volumes, s.Volume)
	}
	slices.Sort(ids)
	slices.Sort(volumes)
	for _, id := range slices.Concat(slices.Compact(ids), slices.Compact(volumes)) {
		release, err := d.volumes.hold(ctx, id)
		if err != nil {
			return err
		}
		defer release()
	}
	done := 0
	for _, s := range list {
		if _, err := disk.Size(d.snapshotPath(s.ID)); err == nil {
			done++
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if done == len(list) {
		return nil
	}
	if err := disk.Room(d.dir); err != nil {
		return full(err)
	}
	// What an interrupted call made is of another moment.
	if err := d.removeSnapshots(list); err != nil {
		return err
	}
	if err := d.copyFrozen(ctx, list); err != nil {
		return errors.Join(err, d.removeSnapshots(list))
	}
	return nil
}

func (d *Driver) removeSnapshots(list []compute.SnapshotOf) error {
	var errs []error
	for _, s := range list {
		errs = append(errs, disk.Remove(d.snapshotPath(s.ID)))
	}
	return errors.Join(errs...)
}

// copyFrozen copies volumes of which none is written to meanwhile.
func (d *Driver) copyFrozen(ctx context.Context, list []compute.SnapshotOf) (err error) {
	for _, s := range list {
		attached, err := disk.Attached(d.volumePath(s.Volume))
		if err != nil {
			return err
		}
		if !attached {
			continue
		}
		m, err := d.open(s.Volume)
		if err != nil {
			return missing(err, "volume "+s.Volume)
		}
		// Thawed whatever happens, when the last is copied.
		defer func() { err = errors.Join(err, m.Thaw(), m.Close()) }()
		if err := m.Freeze(); err != nil {
			return err
		}
	}
	for _, s := range list {
		if err := disk.Copy(ctx, d.snapshotPath(s.ID), d.volumePath(s.Volume), disk.AtOnce); err != nil {
			return missing(err, "volume "+s.Volume)
		}
	}
	return nil
}
