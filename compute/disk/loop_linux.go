package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// configuring orders the search for a file's loop device and its making: two
// devices over one file would know nothing of each other's writes.
var configuring sync.Mutex

const (
	getFree       = 0x4C82 // LOOP_CTL_GET_FREE
	loopMajor     = 7
	configureTrys = 64
)

// loop opens the loop device of an image, the one that it has or a new one. The
// device is let go when neither a mount nor a descriptor is left.
func loop(image *os.File, name string, readOnly bool) (*os.File, error) {
	configuring.Lock()
	defer configuring.Unlock()
	if dev, err := find(image); dev != nil || err != nil {
		return dev, err
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	defer control.Close()
	cfg := unix.LoopConfig{Fd: uint32(image.Fd())}
	cfg.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	copy(cfg.Info.File_name[:63], name)
	mode := os.O_RDWR
	if readOnly {
		cfg.Info.Flags |= unix.LO_FLAGS_READ_ONLY
		mode = os.O_RDONLY
	}
	for range configureTrys {
		n, err := unix.IoctlRetInt(int(control.Fd()), getFree)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		dev, err := openDevice(n, mode)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(dev.Fd()), &cfg)
		if err == nil {
			return dev, nil
		}
		_ = dev.Close()
		if !errors.Is(err, unix.EBUSY) { // another process was faster
			return nil, fmt.Errorf("set up %s: %w", dev.Name(), err)
		}
	}
	return nil, fmt.Errorf("set up a loop device: %w", unix.EBUSY)
}

// openDevice opens a loop device. Where /dev is not the kernel's own, as in a
// container, it makes the node first.
func openDevice(n, mode int) (*os.File, error) {
	path := "/dev/loop" + strconv.Itoa(n)
	dev, err := os.OpenFile(path, mode, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err := unix.Mknod(path, unix.S_IFBLK|0o600, int(unix.Mkdev(loopMajor, uint32(n)))); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make %s: %w", path, err)
		}
		dev, err = os.OpenFile(path, mode, 0)
	}
	return dev, err
}

// find opens the loop device that has the image, nil where there is none.
func find(image *os.File) (*os.File, error) {
	var want unix.Stat_t
	if err := unix.Fstat(int(image.Fd()), &want); err != nil {
		return nil, err
	}
	busy, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	for _, path := range busy {
		number := strings.TrimPrefix(strings.Split(path, "/")[3], "loop")
		n, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		dev, err := openDevice(n, os.O_RDONLY)
		if err != nil {
			continue // it was let go meanwhile
		}
		info, err := unix.IoctlLoopGetStatus64(int(dev.Fd()))
		if err == nil && info.Inode == want.Ino && info.Device == want.Dev {
			return dev, nil
		}
		_ = dev.Close()
	}
	return nil, nil
}

// Attached reports whether an image is still mounted somewhere.
func Attached(path string) (bool, error) {
	image, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer image.Close()
	configuring.Lock()
	defer configuring.Unlock()
	dev, err := find(image)
	if dev != nil {
		_ = dev.Close()
	}
	return dev != nil, err
}
