package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
)

// freezer stops an enclosure's program: all of its processes but the first one, which
// has to see that Slipway ends. It is a group of cgroup v2's, whose frozen processes
// die when they are killed, as those of v1's freezer do not. Hosts with v1's
// controllers have that hierarchy beside them.
//
// A program is born outside: its processes are brought in when it is first frozen, and
// those that they start are born in.
type freezer struct {
	dir    string
	top    string // the group that all processes of a host are born in
	of     string // the group of all processes of the enclosure, or of those outside
	within string // the pid namespace of the enclosure
	first  int

	mu    sync.Mutex
	state *os.File // cgroup.freeze; nil once closed
}

// freezeTries bounds how often is looked for processes that were started meanwhile.
const freezeTries = 20

// program is the group in which an enclosure's program freezes; "" where none can.
func (c cgroups) program(id string) string {
	switch {
	case c.unified == "":
		return ""
	case c.v2:
		return filepath.Join(c.unified, id, "program")
	}
	return filepath.Join(c.unified, id)
}

// enclosed are all groups of an enclosure; what is in another comes first.
func (c cgroups) enclosed(id string) []string {
	if at := c.program(id); at != "" {
		return append([]string{at}, c.folders(id)...)
	}
	return c.folders(id)
}

// freezer makes the group of an enclosure's program, whose groups are there; nil
// where the host has none that freeze.
func (c cgroups) freezer(id string, first int) (*freezer, error) {
	f := &freezer{dir: c.program(id), top: filepath.Dir(c.unified), of: c.parents["pids"], first: first}
	if f.dir == "" {
		return nil, nil
	}
	if c.v2 {
		f.of = c.unified
	}
	f.of = filepath.Join(f.of, id)
	var err error
	if f.within, err = pidNamespace(first); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return nil, err
	}
	f.state, err = os.OpenFile(filepath.Join(f.dir, "cgroup.freeze"), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) { // before Linux 5.2
		return nil, nil
	}
	return f, err
}

// pidNamespace names the namespace that a process is in.
func pidNamespace(pid int) (string, error) {
	return os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/pid")
}

func (f *freezer) set(state string) error {
	if f.state == nil {
		return os.ErrClosed
	}
	_, err := f.state.WriteAt([]byte(state), 0)
	return err
}

// freeze stops the program, or leaves it as it is.
func (f *freezer) freeze() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.set("1"); err != nil {
		return err
	}
	err := f.bringIn()
	if err != nil {
		err = errors.Join(err, f.set("0"))
	}
	return err
}

// thaw has the program go on.
func (f *freezer) thaw() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.set("0")
}

// bringIn moves what is outside into the group, where it freezes.
func (f *freezer) bringIn() error {
	for range freezeTries {
		in, err := groupProcesses(f.dir) // first: what is born meanwhile is seen outside, and moved once more
		if err != nil {
			return err
		}
		all, err := groupProcesses(f.of)
		if err != nil {
			return err
		}
		outside := slices.DeleteFunc(all, func(pid int) bool { return pid == f.first || slices.Contains(in, pid) })
		if len(outside) == 0 {
			return nil
		}
		for _, pid := range outside {
			if err := f.move(pid); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("the program starts processes faster than they can be frozen: %w", compute.ErrInUse)
}

// move brings a process in. A number may come to stand for another process at any
// time, which must not be stopped: it is looked at before, and after.
func (f *freezer) move(pid int) error {
	if within, err := pidNamespace(pid); err != nil || within != f.within {
		return nil // it has ended
	}
	err := write(filepath.Join(f.dir, "cgroup.procs"), strconv.Itoa(pid))
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	if within, err := pidNamespace(pid); err == nil && within != f.within {
		return write(filepath.Join(f.top, "cgroup.procs"), strconv.Itoa(pid))
	}
	return nil
}

// groupProcesses are the processes of a group.
func groupProcesses(dir string) (pids []int, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for line := range strings.Lines(string(b)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// close lets go of the group, which its processes' end empties.
func (f *freezer) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != nil {
		_ = f.state.Close()
		f.state = nil
	}
}

// Freeze stops the program's processes.
func (e *enclosure) Freeze() error {
	if e.freezer == nil {
		return fmt.Errorf("sandbox: freeze %s: this host has no cgroup v2 that freezes: %w", e.id, compute.ErrUnsupported)
	}
	if err := e.freezer.freeze(); err != nil {
		return fmt.Errorf("sandbox: freeze %s: %w", e.id, err)
	}
	return nil
}

// Thaw has them go on.
func (e *enclosure) Thaw() error {
	if e.freezer == nil {
		return nil
	}
	if err := e.freezer.thaw(); err != nil {
		return fmt.Errorf("sandbox: thaw %s: %w", e.id, err)
	}
	return nil
}
