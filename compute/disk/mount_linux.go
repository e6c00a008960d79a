package disk

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mount is a mounted image that stands in no tree yet. Close lets go of it;
// where it was attached, the attached one stays.
type Mount struct {
	fd     int
	device *os.File // the loop device
	root   *os.File // the file system's root
}

// Open mounts an image. Several mounts of one image show the same files. name
// is what the loop device is listed under.
func Open(path, name string, readOnly bool) (*Mount, error) {
	mode := os.O_RDWR
	if readOnly {
		mode = os.O_RDONLY
	}
	image, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	dev, err := loop(image, name, readOnly)
	if err != nil {
		return nil, fmt.Errorf("loop device of %s: %w", path, err)
	}
	fd, err := mount(dev.Name(), readOnly)
	if err != nil {
		_ = dev.Close()
		return nil, fmt.Errorf("mount %s: %w", path, err)
	}
	m := &Mount{fd: fd, device: dev}
	if m.root, err = os.Open(m.Path()); err != nil {
		return nil, errors.Join(err, unix.Close(fd), dev.Close())
	}
	return m, nil
}

// mount is the file system of a device. Blocks of removed files go back to the
// host; what mkfs left for later stays undone, or every volume would grow.
func mount(device string, readOnly bool) (int, error) {
	ctx, err := unix.Fsopen("ext4", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(ctx)
	flags := []string{"discard", "noinit_itable"}
	if readOnly {
		flags = []string{"ro"}
	}
	for _, flag := range flags {
		if err := unix.FsconfigSetFlag(ctx, flag); err != nil {
			return -1, fmt.Errorf("option %s: %w", flag, err)
		}
	}
	if err := unix.FsconfigSetString(ctx, "source", device); err != nil {
		return -1, err
	}
	if err := unix.FsconfigCreate(ctx); err != nil {
		return -1, err
	}
	attrs := unix.MOUNT_ATTR_NODEV
	if readOnly {
		attrs |= unix.MOUNT_ATTR_RDONLY
	}
	return unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, attrs)
}

// Close lets go of the mount.
func (m *Mount) Close() error {
	return errors.Join(m.root.Close(), unix.Close(m.fd), m.device.Close())
}

// Path is where this process reaches the files.
func (m *Mount) Path() string { return "/proc/self/fd/" + strconv.Itoa(m.fd) }

// Map gives the files to the ids of a user namespace. It is for a mount that
// was not attached yet.
func (m *Mount) Map(userns int) error {
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns)}
	if err := unix.MountSetattr(m.fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return fmt.Errorf("map ids: %w", err)
	}
	return nil
}

// Fd is the mount's own descriptor, for the mount calls that take one.
func (m *Mount) Fd() int { return m.fd }

// Root is the descriptor of the file system's root.
func (m *Mount) Root() int { return int(m.root.Fd()) }

// Attach places the mount at a path of the calling thread's mount namespace.
func (m *Mount) Attach(at string) error {
	if err := unix.MoveMount(m.fd, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach at %s: %w", at, err)
	}
	return nil
}

// The ioctls of file systems (linux/fs.h, fs/ext4/ext4.h).
const (
	fiFreeze   = 0xC0045877
	fiThaw     = 0xC0045878
	ext4Resize = 0x40086610 // EXT4_IOC_RESIZE_FS
	loopSize   = 0x4C07     // LOOP_SET_CAPACITY
)

// Freeze holds back all writes, with what was written on disk. It is no error
// where a process that was killed has left it so.
func (m *Mount) Freeze() error {
	if err := unix.IoctlSetInt(int(m.root.Fd()), fiFreeze, 0); err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("freeze: %w", err)
	}
	return nil
}

// Thaw ends a Freeze.
func (m *Mount) Thaw() error {
	if err := unix.IoctlSetInt(int(m.root.Fd()), fiThaw, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("thaw: %w", err)
	}
	return nil
}

// Sync writes all that was written to the image.
func (m *Mount) Sync() error { return unix.Syncfs(int(m.root.Fd())) }

// Grow makes a mounted image, and the file system in it, as large as size. The
// kernel wants CAP_SYS_RESOURCE for that: ErrUnsupported without.
func (m *Mount) Grow(path string, size int64) error {
	if err := CanGrowMounted(); err != nil {
		return err
	}
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st.Size() < size {
		if err := os.Truncate(path, size); err != nil {
			return err
		}
	}
	if err := unix.IoctlSetInt(int(m.device.Fd()), loopSize, 0); err != nil {
		return fmt.Errorf("grow %s: %w", m.device.Name(), err)
	}
	blocks := uint64(size) / blockSize
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, m.root.Fd(), ext4Resize, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return fmt.Errorf("grow the file system: %w", errno)
	}
	return nil
}

// canGrow reports whether this process has CAP_SYS_RESOURCE in effect.
func canGrow() bool {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}

// CanGrowMounted says whether Mount.Grow works on this host.
func CanGrowMounted() error {
	if canGrow() {
		return nil
	}
	return fmt.Errorf("%w: growing a mounted one needs the capability CAP_SYS_RESOURCE", ErrUnsupported)
}
