package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// view is what was found below the host's /usr, as instances see it: root in an
// instance owns what root of the host owns there, and would read all of it.
type view struct {
	hidden []string  // what not every user of the host may read, in order
	dirs   []seenDir // all directories that are shown
	at     time.Time // when looking began
}

// seenDir is a directory with the time of its last change: of its entries, or of
// its own mode.
type seenDir struct {
	name    string // below the top
	changed unix.Timespec
}

// tick is more than the kernel's clock for files advances by at a time. What
// changed less than that before it was looked at may change again unseen.
const tick = 50 * time.Millisecond

// lookers is how many threads look at directories: on a cold disk they wait.
const lookers = 8

// openImage opens a folder as an instance gets it: without what is mounted below
// it, and with what such a mount hides.
func openImage(top string) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, top, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("clone %s: %w", top, err)
	}
	return fd, nil
}

// lookAt goes through a whole folder.
func lookAt(top string) (view, error) {
	root, err := openImage(top)
	if err != nil {
		return view{}, err
	}
	defer unix.Close(root)
	l := &looker{root: root, began: time.Now(), waiting: []string{"."}, pending: 1}
	l.more.L = &l.mu
	var all sync.WaitGroup
	for range lookers {
		all.Go(l.work)
	}
	all.Wait()
	slices.Sort(l.hidden)
	return view{hidden: l.hidden, dirs: l.dirs, at: l.began}, l.err
}

// looker shares the directories that are still to be looked at among threads.
type looker struct {
	root  int
	began time.Time

	mu      sync.Mutex
	more    sync.Cond
	waiting []string
	pending int // waiting, or being looked at
	hidden  []string
	dirs    []seenDir
	err     error
}

func (l *looker) work() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for len(l.waiting) == 0 && l.pending > 0 && l.err == nil {
			l.more.Wait()
		}
		if l.pending == 0 || l.err != nil {
			return
		}
		name := l.waiting[len(l.waiting)-1]
		l.waiting = l.waiting[:len(l.waiting)-1]
		l.mu.Unlock()
		seen, below, hidden, err := l.look(name)
		l.mu.Lock()
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) { // else it was replaced meanwhile
			l.err = errors.Join(l.err, fmt.Errorf("look at %s: %w", name, err))
		}
		l.dirs = append(l.dirs, seen...)
		l.hidden = append(l.hidden, hidden...)
		l.waiting = append(l.waiting, below...)
		l.pending += len(below) - 1
		l.more.Broadcast()
	}
}

// look reads one directory. Its own time is taken first: what changes while it
// is read is found to have changed.
func (l *looker) look(name string) (seen []seenDir, below, hidden []string, err error) {
	fd, err := unix.Openat(l.root, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, nil, nil, err
	}
	if time.Unix(st.Ctim.Unix()).After(l.began.Add(-tick)) {
		st.Ctim = unix.Timespec{}
	}
	seen = []seenDir{{name, st.Ctim}}
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			continue
		}
		if err := unix.Fstatat(fd, e.Name(), &st, unix.AT_SYMLINK_NOFOLLOW); errors.Is(err, unix.ENOENT) {
			continue
		} else if err != nil {
			return nil, nil, nil, err
		}
		at := path.Join(name, e.Name())
		isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
		switch {
		case st.Mode&0o004 == 0 || isDir && st.Mode&0o001 == 0:
			hidden = append(hidden, at)
		case isDir:
			below = append(below, at)
		}
	}
	return seen, below, hidden, nil
}

// stale reports whether files came, went or were replaced since the view was
// taken, or directories changed their mode. Files that changed theirs are not
// seen by this: lookAt does.
func (v view) stale(top string) (bool, error) {
	root, err := openImage(top)
	if err != nil {
		return false, err
	}
	defer unix.Close(root)
	const parts = 4
	var all sync.WaitGroup
	var found [parts]bool
	for i := range parts {
		all.Go(func() {
			for _, d := range v.dirs[len(v.dirs)*i/parts : len(v.dirs)*(i+1)/parts] {
				var st unix.Stat_t
				if unix.Fstatat(root, d.name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Ctim != d.changed {
					found[i] = true
					return
				}
			}
		})
	}
	all.Wait()
	return slices.Contains(found[:], true), nil
}

// writeHidden covers what is hidden in the layer above /usr, as overlayfs covers
// removed files. It is a directory's place, too: an instance can make its own
// there.
func writeHidden(usr string, hidden []string) error {
	root, err := openImage("/usr")
	if err != nil {
		return err
	}
	defer unix.Close(root)
	for _, rel := range hidden {
		if err := copyParents("/proc/self/fd/"+strconv.Itoa(root), usr, rel); errors.Is(err, fs.ErrNotExist) {
			continue // it was removed meanwhile
		} else if err != nil {
			return err
		}
		if err := unix.Mknod(filepath.Join(usr, rel), unix.S_IFCHR, 0); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// copyParents makes the directories of a file as the host has them: what is on
// top says how a merged directory looks.
func copyParents(from, usr, rel string) error {
	dir := filepath.Dir(rel)
	if dir == "." {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(usr, dir)); err == nil {
		return nil
	}
	if err := copyParents(from, usr, dir); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(from+"/"+dir, &st); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(usr, dir), 0o755); err != nil {
		return err
	}
	if err := os.Chown(filepath.Join(usr, dir), int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	return unix.Chmod(filepath.Join(usr, dir), st.Mode&0o7777)
}
