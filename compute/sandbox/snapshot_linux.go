package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/disk"
)

// CreateSnapshot copies a volume, in use or not, as it is at one moment.
func (d *Driver) CreateSnapshot(ctx context.Context, id, volume string) error {
	return d.newSnapshot(ctx, id, func(path string) error { return d.copyLive(ctx, volume, path, disk.AtOnce) })
}

// CopyVolume copies a volume, in use or not, to a file.
func (d *Driver) CopyVolume(ctx context.Context, id, path string) error {
	if err := d.copyLive(ctx, id, path, disk.Lazily); err != nil {
		return fmt.Errorf("sandbox: copy %s: %w", id, err)
	}
	return nil
}

func (d *Driver) copyLive(ctx context.Context, volume, path string, safe disk.Durability) error {
	if err := d.usable(volume); err != nil {
		return err
	}
	leave, err := d.volumes.hold(ctx, volume)
	if err != nil {
		return err
	}
	defer leave()
	return missing(disk.CopyLive(ctx, path, d.volumePath(volume), d.label(volume), safe), "volume "+volume)
}

// CopyVolume copies a volume of a driver's folder on which no driver is open.
func CopyVolume(ctx context.Context, dir, id, path string) error {
	label := "slipway-" + tagOf(dir) + "/" + id
	return missing(disk.CopyLive(ctx, path, filepath.Join(dir, "volumes", id), label, disk.Lazily), "volume "+id)
}

// CopySnapshot copies a snapshot.
func (d *Driver) CopySnapshot(ctx context.Context, id, from string) error {
	return d.newSnapshot(ctx, id, func(path string) error {
		if err := d.usable(from); err != nil {
			return err
		}
		return missing(disk.Copy(ctx, path, d.snapshotPath(from), disk.AtOnce), "snapshot "+from)
	})
}

// ImportSnapshot unpacks an archive into a new file system.
func (d *Driver) ImportSnapshot(ctx context.Context, id string, bytes int64, archive io.Reader) error {
	return d.newSnapshot(ctx, id, func(path string) error {
		tmp := path + ".import.tmp"
		err := disk.Format(ctx, tmp, bytes)
		if err == nil {
			err = d.unpack(ctx, tmp, id, archive)
		}
		if err == nil {
			err = full(disk.Copy(ctx, path, tmp, disk.AtOnce))
		}
		return errors.Join(err, disk.Remove(tmp))
	})
}

// unpack writes an archive into the folder of an image that instances get as
// their root.
func (d *Driver) unpack(ctx context.Context, path, id string, archive io.Reader) error {
	m, err := disk.Open(path, d.label(id), false)
	if err != nil {
		return err
	}
	err = onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		unix.Umask(0)
		if err := os.Mkdir(m.Path()+"/image", 0o755); err != nil {
			return err
		}
		return unpack(ctx, m.Path()+"/image", archive, func() error { return full(disk.Room(d.dir)) })
	})
	return errors.Join(err, m.Sync(), m.Freeze(), m.Thaw(), m.Close())
}

// newSnapshot makes a snapshot that is not there.
func (d *Driver) newSnapshot(ctx context.Context, id string, write func(path string) error) error {
	err := d.usable(id)
	if err != nil {
		return fmt.Errorf("sandbox: snapshot %s: %w", id, err)
	}
	release, err := d.volumes.hold(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	path := d.snapshotPath(id)
	if _, err := disk.Size(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := disk.Room(d.dir); errors.Is(err, disk.ErrNoSpace) {
		return fmt.Errorf("sandbox: snapshot %s: %w: %w", id, compute.ErrFull, err)
	} else if err != nil {
		return err
	}
	if err := write(path); err != nil {
		return fmt.Errorf("sandbox: snapshot %s: %w", id, err)
	}
	return nil
}

// missing says that what was to be copied is not on this host, or has no room.
func missing(err error, what string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", what, compute.ErrGone)
	}
	return full(err)
}

// full says that the host has no room.
func full(err error) error {
	if errors.Is(err, disk.ErrNoSpace) || errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("%w: %w", compute.ErrFull, err)
	}
	return err
}

// DeleteSnapshot removes a snapshot; an instance that has it as its image keeps
// the file until it ends.
func (d *Driver) DeleteSnapshot(ctx context.Context, id string) error {
	if err := d.usable(id); err != nil {
		return fmt.Errorf("sandbox: delete %s: %w", id, err)
	}
	release, err := d.volumes.hold(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	return disk.Remove(d.snapshotPath(id))
}
