package fake

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/slipway/slipway/compute"
)

// disks are the volumes and snapshots of a Driver: their sizes, and the
// instances that have them.
type disks struct {
	volumes   map[string]int64
	snapshots map[string]int64
	attached  map[string]string // volume -> instance id
}

var _ compute.Disks = (*Driver)(nil)

func (d *Driver) lockDisks() func() {
	unlock := d.lock()
	if d.disks.volumes == nil {
		d.disks = disks{map[string]int64{}, map[string]int64{}, map[string]string{}}
	}
	return unlock
}

// Volumes has them, unless Config says otherwise.
func (d *Driver) Volumes() error { return d.Config.NoVolumes }

// CreateVolume keeps a volume's size.
func (d *Driver) CreateVolume(ctx context.Context, v compute.Volume) error {
	if d.Config.CreateVolume != nil {
		return d.Config.CreateVolume(ctx, v)
	}
	defer d.lockDisks()()
	return d.createVolume(v)
}

func (d *Driver) createVolume(v compute.Volume) error {
	if _, ok := d.disks.snapshots[v.Snapshot]; v.Snapshot != "" && !ok {
		return fmt.Errorf("fake: snapshot %s: %w", v.Snapshot, compute.ErrGone)
	}
	d.disks.volumes[v.ID] = max(d.disks.volumes[v.ID], v.Bytes)
	return nil
}

// GrowVolume keeps the new size.
func (d *Driver) GrowVolume(ctx context.Context, id string, bytes int64) error {
	if d.Config.GrowVolume != nil {
		return d.Config.GrowVolume(ctx, id, bytes)
	}
	defer d.lockDisks()()
	if _, ok := d.disks.volumes[id]; !ok {
		return fmt.Errorf("fake: grow %s: %w", id, compute.ErrGone)
	}
	d.disks.volumes[id] = bytes
	return nil
}

// DeleteVolume forgets a volume.
func (d *Driver) DeleteVolume(_ context.Context, id string) error {
	defer d.lockDisks()()
	if _, used := d.disks.attached[id]; used {
		return fmt.Errorf("fake: delete %s: %w", id, compute.ErrInUse)
	}
	delete(d.disks.volumes, id)
	return nil
}

// StatVolume tells a volume's size.
func (d *Driver) StatVolume(_ context.Context, id string) (compute.VolumeStatus, error) {
	defer d.lockDisks()()
	size, ok := d.disks.volumes[id]
	if !ok {
		return compute.VolumeStatus{}, fmt.Errorf("fake: volume %s: %w", id, compute.ErrGone)
	}
	_, used := d.disks.attached[id]
	return compute.VolumeStatus{Bytes: size, Attached: used}, nil
}

// AttachVolume notes who has a volume.
func (d *Driver) AttachVolume(ctx context.Context, h compute.Handle, a compute.Attachment) error {
	if d.Config.AttachVolume != nil {
		return d.Config.AttachVolume(ctx, h, a)
	}
	return d.RealAttachVolume(ctx, h, a)
}

// RealAttachVolume is AttachVolume as it is without a replacement.
func (d *Driver) RealAttachVolume(_ context.Context, h compute.Handle, a compute.Attachment) error {
	defer d.lockDisks()()
	if in, ok := d.instances[h.ID]; !ok || in.status.State != compute.Running {
		return fmt.Errorf("fake: attach to %s: %w", h.ID, compute.ErrGone)
	}
	return d.attach(h.ID, a.Volume)
}

func (d *Driver) attach(instance, volume string) error {
	if _, ok := d.disks.volumes[volume]; !ok {
		return fmt.Errorf("fake: volume %s: %w", volume, compute.ErrGone)
	}
	if other, used := d.disks.attached[volume]; used && other != instance {
		return fmt.Errorf("fake: %s has %s: %w", other, volume, compute.ErrInUse)
	}
	d.disks.attached[volume] = instance
	return nil
}

// DetachVolume takes it away.
func (d *Driver) DetachVolume(ctx context.Context, h compute.Handle, a compute.Attachment, force bool) error {
	if d.Config.DetachVolume != nil {
		return d.Config.DetachVolume(ctx, h, a, force)
	}
	return d.RealDetachVolume(ctx, h, a, force)
}

// RealDetachVolume is DetachVolume as it is without a replacement.
func (d *Driver) RealDetachVolume(_ context.Context, h compute.Handle, a compute.Attachment, _ bool) error {
	defer d.lockDisks()()
	if d.disks.attached[a.Volume] == h.ID {
		delete(d.disks.attached, a.Volume)
	}
	return nil
}

// CreateSnapshot keeps the volume's size.
func (d *Driver) CreateSnapshot(_ context.Context, id, volume string) error {
	defer d.lockDisks()()
	size, ok := d.disks.volumes[volume]
	if !ok {
		return fmt.Errorf("fake: volume %s: %w", volume, compute.ErrGone)
	}
	d.disks.snapshots[id] = size
	return nil
}

// CreateSnapshots keeps the sizes of all, or of none.
func (d *Driver) CreateSnapshots(ctx context.Context, list []compute.SnapshotOf) error {
	defer d.lockDisks()()
	for _, s := range list {
		if _, ok := d.disks.volumes[s.Volume]; !ok {
			return fmt.Errorf("fake: volume %s: %w", s.Volume, compute.ErrGone)
		}
	}
	for _, s := range list {
		d.disks.snapshots[s.ID] = d.disks.volumes[s.Volume]
	}
	return nil
}

// CopySnapshot keeps the size again.
func (d *Driver) CopySnapshot(_ context.Context, id, from string) error {
	defer d.lockDisks()()
	size, ok := d.disks.snapshots[from]
	if !ok {
		return fmt.Errorf("fake: snapshot %s: %w", from, compute.ErrGone)
	}
	d.disks.snapshots[id] = size
	return nil
}

// ImportSnapshot reads the archive and keeps the size.
func (d *Driver) ImportSnapshot(_ context.Context, id string, bytes int64, archive io.Reader) error {
	if _, err := io.Copy(io.Discard, archive); err != nil {
		return err
	}
	defer d.lockDisks()()
	d.disks.snapshots[id] = bytes
	return nil
}

// DeleteSnapshot forgets it.
func (d *Driver) DeleteSnapshot(_ context.Context, id string) error {
	defer d.lockDisks()()
	delete(d.disks.snapshots, id)
	return nil
}

// ListDisks has all volumes and snapshots.
func (d *Driver) ListDisks(context.Context) (volumes, snapshots []string, err error) {
	defer d.lockDisks()()
	return slices.Sorted(maps.Keys(d.disks.volumes)), slices.Sorted(maps.Keys(d.disks.snapshots)), nil
}

// plug gives an instance that starts what its spec names.
func (d *Driver) plug(spec compute.Spec) error {
	if d.Config.NoVolumes != nil {
		return nil
	}
	if spec.Root.ID != "" {
		if err := d.createVolume(spec.Root); err != nil {
			return err
		}
		if err := d.attach(spec.ID, spec.Root.ID); err != nil {
			return err
		}
	}
	for _, a := range spec.Volumes {
		if err := d.attach(spec.ID, a.Volume); err != nil {
			return err
		}
	}
	return nil
}

// unplug takes all volumes of an instance that stops.
func (d *Driver) unplug(id string) {
	maps.DeleteFunc(d.disks.attached, func(_, instance string) bool { return instance == id })
}
