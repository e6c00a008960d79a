package sandbox

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/disk"
	"github.com/slipway/slipway/compute/keeper"
)

// device is a name of a device: one element below /dev.
var device = regexp.MustCompile(`^/dev/[a-z][a-z0-9]{1,14}$`)

// AttachVolume mounts a volume in an instance, at the device's name.
func (d *Driver) AttachVolume(ctx context.Context, h compute.Handle, a compute.Attachment) error {
	return d.withVolume(ctx, h, a, "attach", func(in *keeper.Instance) error {
		rec := in.Record()
		if slices.Contains(rec.Spec.Volumes, a) {
			return nil // a repeated call: it was mounted before it was recorded
		}
		if other := d.user(a.Volume); other != nil {
			return fmt.Errorf("%s has it: %w", other.ID, compute.ErrInUse)
		}
		base, ok := baseOf(in)
		if !ok || !rec.Process.Alive() {
			return fmt.Errorf("the instance does not run: %w", compute.ErrGone)
		}
		if err := d.mountIn(rec.Process.PID, base, a, ""); err != nil {
			return err
		}
		return in.Change(func(r *keeper.Record) { r.Spec.Volumes = append(slices.Clone(r.Spec.Volumes), a) })
	})
}

// DetachVolume unmounts it, once no process of the instance uses it; by force it
// ends those that do.
func (d *Driver) DetachVolume(ctx context.Context, h compute.Handle, a compute.Attachment, force bool) error {
	return d.withVolume(ctx, h, a, "detach", func(in *keeper.Instance) error {
		rec := in.Record()
		if rec.Process.Alive() && slices.Contains(rec.Spec.Volumes, a) {
			if err := d.unmountIn(ctx, rec.Process.PID, a, force); err != nil {
				return err
			}
		}
		return in.Change(func(r *keeper.Record) {
			r.Spec.Volumes = slices.DeleteFunc(slices.Clone(r.Spec.Volumes), func(b compute.Attachment) bool { return a == b })
		})
	})
}

// withVolume holds an instance and a volume while do acts on both.
func (d *Driver) withVolume(ctx context.Context, h compute.Handle, a compute.Attachment, verb string, do func(*keeper.Instance) error) error {
	err := d.usable(a.Volume)
	if err == nil && !device.MatchString(a.Device) {
		err = fmt.Errorf("%q is not the name of a device", a.Device)
	}
	if err != nil {
		return fmt.Errorf("sandbox: %s %s: %w", verb, a.Volume, err)
	}
	in, release, err := d.Take(ctx, h)
	if err != nil {
		return fmt.Errorf("sandbox: %s %s: %w", verb, a.Volume, err)
	}
	defer release()
	leave, err := d.volumes.hold(ctx, a.Volume)
	if err != nil {
		return err
	}
	defer leave()
	if err := do(in); err != nil {
		return fmt.Errorf("sandbox: %s %s: %w", verb, a.Volume, err)
	}
	return nil
}

// mountIn mounts a volume in the namespaces of an instance's first process. root
// is where the instance's root stands there: "/new" before it has become the
// root. What an earlier, interrupted call mounted counts.
func (d *Driver) mountIn(pid int, base uint32, a compute.Attachment, root string) error {
	idmap, err := idmapFD(base)
	if err != nil {
		return err
	}
	defer unix.Close(idmap)
	m, err := d.open(a.Volume)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Map(idmap); err != nil {
		return err
	}
	return inside(pid, func() error {
		at := root + a.Device
		if err := unix.Mkdir(at, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("make %s: %w", a.Device, err)
		}
		fd, err := openPlain(at)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if same, err := sameFiles(fd, m); same || err != nil {
			return err
		}
		if err := unix.MoveMount(m.Fd(), "", fd, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
			return fmt.Errorf("mount at %s: %w", a.Device, err)
		}
		return nil
	})
}

// openPlain opens a directory without following what the instance put there.
func openPlain(at string) (int, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, at, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path.Base(at), err)
	}
	return fd, nil
}

// sameFiles reports whether the directory is the volume's root.
func sameFiles(fd int, m *disk.Mount) (bool, error) {
	var here, volume unix.Stat_t
	err := errors.Join(unix.Fstat(fd, &here), unix.Fstat(m.Root(), &volume))
	return err == nil && here.Dev == volume.Dev && here.Ino == volume.Ino, err
}

// patience is how long a detachment waits for a process to leave the volume.
const patience = 3 * time.Second

// unmountIn unmounts a volume in an instance, and waits until the kernel has
// written all of it.
func (d *Driver) unmountIn(ctx context.Context, pid int, a compute.Attachment, force bool) error {
	deadline := time.Now().Add(patience)
	for {
		if force {
			if err := d.endUsers(pid, a.Volume); err != nil {
				return err
			}
		}
		err := d.tryUnmount(pid, a)
		if err == nil {
			if attached, err := disk.Attached(d.volumePath(a.Volume)); !attached || err != nil {
				return err
			}
		} else if !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("unmount %s: %w", a.Device, err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("files of it are open: %w", compute.ErrInUse)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// tryUnmount unmounts the volume where it still stands at its device: the
// instance's owner may have unmounted it, as on EC2.
func (d *Driver) tryUnmount(pid int, a compute.Attachment) error {
	if attached, err := disk.Attached(d.volumePath(a.Volume)); !attached || err != nil {
		return err
	}
	return inside(pid, func() error {
		fd, err := openPlain(a.Device)
		if err != nil {
			return nil //nolint:nilerr // nothing is mounted at what is not there
		}
		var st, dev unix.Stat_t
		err = errors.Join(unix.Fstat(fd, &st), unix.Stat("/dev", &dev))
		unix.Close(fd)
		if err != nil || st.Dev == dev.Dev {
			return err
		}
		if err := unix.Unmount(a.Device, unix.UMOUNT_NOFOLLOW); err != nil {
			return err
		}
		_ = unix.Rmdir(a.Device)
		return nil
	})
}

// inside runs fn in the mount namespace of a process, on a thread that nobody
// uses afterwards.
func inside(pid int, fn func() error) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("mount namespace of process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	return onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		if err := unix.Setns(fd, unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("enter the instance's mounts: %w", err)
		}
		unix.Umask(0)
		return fn()
	})
}
