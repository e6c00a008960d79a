package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/disk"
	"github.com/slipway/slipway/compute/keeper"
)

var _ compute.Disks = (*Driver)(nil)

// defaultRoot is the size of a root file system that nobody sized.
const defaultRoot = 8 * disk.GiB

// volumes are the driver's files with file systems: volumes, snapshots, and
// templates, one for each size, of which new volumes are copies.
type volumes struct {
	unsupported error // why this host has none

	mu    sync.Mutex
	locks map[string]*volumeLock
}

type volumeLock struct {
	held  chan struct{}
	users int
}

// hold waits for other operations on a volume or snapshot to end.
func (v *volumes) hold(ctx context.Context, id string) (func(), error) {
	v.mu.Lock()
	if v.locks == nil {
		v.locks = map[string]*volumeLock{}
	}
	l := v.locks[id]
	if l == nil {
		l = &volumeLock{held: make(chan struct{}, 1)}
		v.locks[id] = l
	}
	l.users++
	v.mu.Unlock()
	leave := func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(v.locks, id)
		}
	}
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// Volumes says why this host has no volumes.
func (d *Driver) Volumes() error { return d.volumes.unsupported }

// setUpVolumes makes the folders and thaws what a killed Slipway left frozen.
func (d *Driver) setUpVolumes() error {
	if d.volumes.unsupported = disk.Supported(); d.volumes.unsupported != nil {
		d.Log().Warn("instances' disks are not limited, and there are no volumes", "error", d.volumes.unsupported)
		return nil
	}
	for _, dir := range []string{"volumes", "snapshots", "templates"} {
		if err := os.MkdirAll(d.Path(dir), 0o700); err != nil {
			return err
		}
		half, err := filepath.Glob(d.Path(dir, "*.tmp"))
		if err != nil {
			return err
		}
		for _, path := range half {
			if err := disk.Remove(path); err != nil {
				return err
			}
		}
	}
	return d.thaw()
}

func (d *Driver) thaw() error {
	ids, err := d.imagesIn("volumes")
	if err != nil {
		return err
	}
	for _, id := range ids {
		attached, err := disk.Attached(d.volumePath(id))
		if err != nil {
			return err
		}
		if !attached {
			continue
		}
		m, err := d.open(id)
		if err == nil {
			err = errors.Join(m.Thaw(), m.Close())
		}
		if err != nil {
			d.Log().Error("cannot look at a volume", "volume", id, "error", err)
		}
	}
	return nil
}

func (d *Driver) volumePath(id string) string   { return d.Path("volumes", id) }
func (d *Driver) snapshotPath(id string) string { return d.Path("snapshots", id) }

// open mounts a volume for this process.
func (d *Driver) open(id string) (*disk.Mount, error) {
	return disk.Open(d.volumePath(id), d.label(id), false)
}

// label is what loop devices are listed under, on the whole host.
func (d *Driver) label(id string) string { return "slipway-" + d.tag + "/" + id }

// usable refuses what cannot be, and ids that are no names of files.
func (d *Driver) usable(ids ...string) error {
	if err := d.volumes.unsupported; err != nil {
		return fmt.Errorf("%w: %w", compute.ErrUnsupported, err)
	}
	for _, id := range ids {
		if err := d.CheckID(id); err != nil {
			return err
		}
	}
	return nil
}

// CreateVolume makes a volume, empty or as a copy of a snapshot.
func (d *Driver) CreateVolume(ctx context.Context, v compute.Volume) error {
	if err := d.usable(v.ID); err != nil {
		return fmt.Errorf("sandbox: create %s: %w", v.ID, err)
	}
	release, err := d.volumes.hold(ctx, v.ID)
	if err != nil {
		return err
	}
	defer release()
	if err := d.createVolume(ctx, v, disk.AtOnce); err != nil {
		return fmt.Errorf("sandbox: create %s: %w", v.ID, err)
	}
	return nil
}

func (d *Driver) createVolume(ctx context.Context, v compute.Volume, sync disk.Durability) error {
	path := d.volumePath(v.ID)
	_, err := disk.Size(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = d.newVolume(ctx, path, v, sync)
	}
	if err != nil || v.Snapshot == "" {
		return err
	}
	size, err := disk.Size(path)
	if err != nil || size >= v.Bytes {
		return err
	}
	return disk.Grow(ctx, path, v.Bytes)
}

func (d *Driver) newVolume(ctx context.Context, path string, v compute.Volume, sync disk.Durability) error {
	if err := disk.Room(d.dir); errors.Is(err, disk.ErrNoSpace) {
		return fmt.Errorf("%w: %w", compute.ErrFull, err)
	} else if err != nil {
		return err
	}
	if v.Snapshot != "" {
		if err := d.usable(v.Snapshot); err != nil {
			return err
		}
		return missing(disk.Copy(ctx, path, d.snapshotPath(v.Snapshot), sync), "snapshot "+v.Snapshot)
	}
	size := v.Bytes
	if size == 0 {
		size = defaultRoot
	}
	template, err := d.template(ctx, size)
	if err != nil {
		return err
	}
	return disk.Copy(ctx, path, template, sync)
}

// template is an empty volume of a size, formatted the first time.
func (d *Driver) template(ctx context.Context, size int64) (string, error) {
	name := strconv.FormatInt(size, 10)
	path := d.Path("templates", name)
	release, err := d.volumes.hold(ctx, "template-"+name)
	if err != nil {
		return "", err
	}
	defer release()
	if _, err := disk.Size(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	return path, disk.Format(ctx, path, size)
}

// GrowVolume makes a volume larger.
func (d *Driver) GrowVolume(ctx context.Context, id string, bytes int64) error {
	if err := d.usable(id); err != nil {
		return fmt.Errorf("sandbox: grow %s: %w", id, err)
	}
	release, err := d.volumes.hold(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	if err := d.growVolume(ctx, id, bytes); err != nil {
		return fmt.Errorf("sandbox: grow %s: %w", id, err)
	}
	return nil
}

func (d *Driver) growVolume(ctx context.Context, id string, bytes int64) error {
	path := d.volumePath(id)
	attached, err := disk.Attached(path)
	if err != nil {
		return err
	}
	if !attached {
		err := disk.Grow(ctx, path, bytes)
		if errors.Is(err, fs.ErrNotExist) {
			return compute.ErrGone
		}
		return err
	}
	m, err := d.open(id)
	if err != nil {
		return err
	}
	err = errors.Join(m.Grow(path, bytes), m.Close())
	if errors.Is(err, disk.ErrUnsupported) {
		return fmt.Errorf("%w: %w", compute.ErrUnsupported, err)
	}
	return err
}

// DeleteVolume removes a volume that no instance has.
func (d *Driver) DeleteVolume(ctx context.Context, id string) error {
	if err := d.usable(id); err != nil {
		return fmt.Errorf("sandbox: delete %s: %w", id, err)
	}
	release, err := d.volumes.hold(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	if in := d.user(id); in != nil {
		return fmt.Errorf("sandbox: delete %s, which %s has: %w", id, in.ID, compute.ErrInUse)
	}
	return disk.Remove(d.volumePath(id))
}

// user is the running instance that has a volume, nil where none has.
func (d *Driver) user(id string) *keeper.Instance {
	for _, in := range d.All() {
		rec := in.Record()
		if !rec.Process.Alive() {
			continue
		}
		if rootOf(rec, in.ID) == id {
			return in
		}
		for _, a := range rec.Spec.Volumes {
			if a.Volume == id {
				return in
			}
		}
	}
	return nil
}

// rootOf is the root volume of an instance.
func rootOf(rec keeper.Record, id string) string {
	if rec.Spec.Root.ID != "" {
		return rec.Spec.Root.ID
	}
	return ownRoot(id)
}

// StatVolume looks at a volume.
func (d *Driver) StatVolume(_ context.Context, id string) (compute.VolumeStatus, error) {
	if err := d.usable(id); err != nil {
		return compute.VolumeStatus{}, fmt.Errorf("sandbox: look at %s: %w", id, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(d.volumePath(id), &st); errors.Is(err, unix.ENOENT) {
		return compute.VolumeStatus{}, fmt.Errorf("sandbox: volume %s: %w", id, compute.ErrGone)
	} else if err != nil {
		return compute.VolumeStatus{}, fmt.Errorf("sandbox: look at %s: %w", id, err)
	}
	attached, err := disk.Attached(d.volumePath(id))
	return compute.VolumeStatus{Bytes: st.Size, Used: st.Blocks * 512, Attached: attached}, err
}

// ListDisks is the volumes and snapshots of this data folder.
func (d *Driver) ListDisks(context.Context) (volumes, snapshots []string, err error) {
	volumes, err1 := d.imagesIn("volumes")
	snapshots, err2 := d.imagesIn("snapshots")
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, fmt.Errorf("sandbox: list volumes: %w", err)
	}
	return volumes, snapshots, nil
}

func (d *Driver) imagesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(d.Path(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".tmp") {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}
