package sandbox

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
)

// Show mounts folders in the enclosure. Their owners are nobody in there, so what
// every user may read can be read.
func (e *enclosure) Show(_ context.Context, folders []compute.Folder) error {
	mounts := make([]int, 0, len(folders))
	defer func() {
		for _, fd := range mounts {
			_ = unix.Close(fd)
		}
	}()
	var places []string
	for _, f := range folders {
		if len(f.From) == 0 {
			continue
		}
		fd, err := detached(f.From)
		if err != nil {
			return fmt.Errorf("sandbox: show %s: %w", f.At, err)
		}
		mounts, places = append(mounts, fd), append(places, f.At)
	}
	return inside(e.PID(), func() error {
		for i, fd := range mounts {
			if err := attachAt(fd, places[i]); err != nil {
				return fmt.Errorf("sandbox: show %s: %w", places[i], err)
			}
		}
		return nil
	})
}

func attachAt(fd int, at string) error {
	place, err := openPlain(at)
	if err != nil {
		return err
	}
	defer unix.Close(place)
	return unix.MoveMount(fd, "", place, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

const shown = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV

// detached is a mount of folders, the last on top, that stands in no tree yet.
func detached(folders []string) (int, error) {
	if len(folders) == 1 {
		return cloned(folders[0])
	}
	var layers []string
	for _, dir := range slices.Backward(folders) {
		fd, err := cloned(dir)
		if err != nil {
			return -1, err
		}
		defer unix.Close(fd)
		layers = append(layers, "/proc/self/fd/"+strconv.Itoa(fd))
	}
	ctx, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(ctx)
	for name, value := range map[string]string{"lowerdir": strings.Join(layers, ":"), "index": "off", "metacopy": "off"} {
		if err := unix.FsconfigSetString(ctx, name, value); err != nil {
			return -1, fmt.Errorf("overlay of %d folders: %s: %w", len(layers), name, err)
		}
	}
	if err := unix.FsconfigCreate(ctx); err != nil {
		return -1, fmt.Errorf("overlay of %d folders: %w", len(layers), err)
	}
	return unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, shown)
}

// cloned is a read-only mount of a folder.
func cloned(dir string) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("clone %s: %w", dir, err)
	}
	attr := unix.MountAttr{Attr_set: shown}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("make %s read-only: %w", dir, err)
	}
	return fd, nil
}
