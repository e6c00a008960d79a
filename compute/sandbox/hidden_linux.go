package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// hiddenFiles lists what is below the host's /usr and not every user of the host
// may read: root in an instance owns what root of the host owns there, and would.
// The host's files are looked at once in the life of this process.
var hiddenFiles = sync.OnceValues(func() ([]string, error) { return hiddenIn("/usr") })

func hiddenIn(top string) ([]string, error) {
	var hidden []string
	var device uint64
	err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if e.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil //nolint:nilerr // it was removed meanwhile
		}
		dev := info.Sys().(*syscall.Stat_t).Dev
		if path == top {
			device = dev
			return nil
		}
		if dev != device && e.IsDir() {
			return fs.SkipDir // another file system's mount is not in the image
		}
		need := fs.FileMode(0o004)
		if e.IsDir() {
			need = 0o005
		}
		if info.Mode().Perm()&need == need {
			return nil
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		hidden = append(hidden, rel)
		if e.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	return hidden, err
}

// writeHidden covers them in the layer above /usr, as overlayfs covers removed
// files. It is a directory's place, too: an instance can make its own there.
func writeHidden(usr string) error {
	hidden, err := hiddenFiles()
	if err != nil {
		return err
	}
	for _, rel := range hidden {
		at := filepath.Join(usr, rel)
		if err := copyParents(usr, rel); err != nil {
			return err
		}
		if err := unix.Mknod(at, unix.S_IFCHR, 0); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// copyParents makes the directories of a file as the host has them: what is on
// top says how a merged directory looks.
func copyParents(usr, rel string) error {
	dir := filepath.Dir(rel)
	if dir == "." {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(usr, dir)); err == nil {
		return nil
	}
	if err := copyParents(usr, dir); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join("/usr", dir))
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	if err := os.Mkdir(filepath.Join(usr, dir), 0o755); err != nil {
		return err
	}
	if err := os.Chown(filepath.Join(usr, dir), int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	return unix.Chmod(filepath.Join(usr, dir), st.Mode&0o7777)
}
