//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/boot"
	"github.com/slipway/slipway/compute/keeper"
	"github.com/slipway/slipway/compute/proc"
)

var _ compute.Enclosures = (*Driver)(nil)

// enclosures is the folder with a folder for each enclosure.
const enclosures = "enclosures"

// enclosureMark names the variable by which an enclosure's processes are found,
// where the first process was killed.
const enclosureMark = "SLIPWAY_ENCLOSURE_DIR="

// enclosure is a process tree in a folder. It keeps what runs there apart by
// convention only: as the driver's instances, it has the host's files.
type enclosure struct {
	*keeper.Enclosed
	dir      string
	listener net.Listener

	mu    sync.Mutex
	shown map[string]string

	once sync.Once
	err  error
}

// Enclose makes a process tree that waits for its program.
func (d *Driver) Enclose(ctx context.Context, spec compute.EnclosureSpec) (compute.Enclosure, error) {
	e, err := d.enclose(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("process: enclose %s: %w", spec.ID, err)
	}
	return e, nil
}

func (d *Driver) enclose(ctx context.Context, spec compute.EnclosureSpec) (*enclosure, error) {
	if err := d.CheckID(spec.ID); err != nil {
		return nil, err
	}
	e := &enclosure{dir: d.Path(enclosures, spec.ID), shown: map[string]string{}}
	if err := os.MkdirAll(filepath.Join(e.dir, "tmp"), 0o700); err != nil {
		return nil, err
	}
	var err error
	if e.Enclosed, err = keeper.OpenEnclosed(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(e.dir))
	}
	pid, err := syscall.ForkExec(d.slipway, []string{"slipway", "agent", "enclosure"}, &syscall.ProcAttr{
		Dir: e.dir, Env: []string{enclosureMark + e.dir, boot.NoCollection, "GOMAXPROCS=1"}, Files: e.Files(), Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		e.Discard()
		return nil, errors.Join(fmt.Errorf("first process: %w", err), os.RemoveAll(e.dir))
	}
	if err := d.Enclosed(e.Enclosed, pid); err != nil {
		return nil, errors.Join(err, os.RemoveAll(e.dir))
	}
	e.listener, err = net.Listen("tcp4", "127.0.0.1:0")
	if err == nil {
		err = e.Converse(ctx, boot.Config{
			Kind: boot.Process, ID: spec.ID, Root: e.dir, BySession: d.system.bySession, Mark: e.mark(d.system),
		})
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *enclosure) mark(s system) string {
	if s.bySession && s.marks {
		return enclosureMark + e.dir
	}
	return ""
}

// Show notes where the folders are; those that are to be one are linked together.
func (e *enclosure) Show(_ context.Context, folders []compute.Folder) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range folders {
		switch len(f.From) {
		case 0:
		case 1:
			e.shown[f.At] = f.From[0]
		default:
			to := filepath.Join(e.dir, "merged"+strings.ReplaceAll(f.At, "/", "-"))
			for _, from := range f.From {
				if err := merge(from, to); err != nil {
					return fmt.Errorf("process: show %s: %w", f.At, err)
				}
			}
			e.shown[f.At] = to
		}
	}
	return nil
}

// merge links the files below from to their places below to.
func merge(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		if entry.IsDir() {
			return os.MkdirAll(at, 0o755)
		}
		if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return os.Symlink(path, at)
	})
}

// Path is where a folder is on this host.
func (e *enclosure) Path(at string) string {
	if at == "/tmp" {
		return filepath.Join(e.dir, "tmp")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for place, dir := range e.shown {
		if rest, ok := strings.CutPrefix(at, place); ok && (rest == "" || rest[0] == '/') {
			return dir + rest
		}
	}
	return at
}

// Run starts the program.
func (e *enclosure) Run(_ context.Context, p compute.Program) error {
	return e.Enclosed.Run(boot.Program{
		Args: p.Args, Dir: p.Dir, Environment: append([]string{enclosureMark + e.dir}, p.Environment...), Memory: p.Limits.Memory,
	})
}

func (e *enclosure) Listener() net.Listener { return e.listener }

// Freeze is not to be had: signals can stop a tree only process by process, and each
// process sees it.
func (e *enclosure) Freeze() error {
	return fmt.Errorf("process: freeze: %w", compute.ErrUnsupported)
}

// Thaw has nothing to thaw.
func (e *enclosure) Thaw() error { return nil }

// Memory is the sum over the processes: nothing here counts for a tree as a whole.
func (e *enclosure) Memory() int64 { return treeMemory(e.PID()) }

// enclosureGrace is how long the first process has to kill the others.
const enclosureGrace = 3 * time.Second

// Close ends the tree and removes its folder.
func (e *enclosure) Close() error {
	e.once.Do(func() {
		if e.listener != nil {
			_ = e.listener.Close()
		}
		if clean := e.Stop(enclosureGrace); !clean {
			sweepEnclosures(enclosureMark + e.dir)
		}
		e.err = errors.Join(e.Output().Close(), os.RemoveAll(e.dir))
	})
	return e.err
}

// sweepEnclosures kills what has a variable that begins so.
func sweepEnclosures(mark string) {
	for range 3 { // what forks meanwhile is found the next time
		found := false
		table, err := proc.Table()
		if err != nil {
			return
		}
		for _, p := range table {
			if p.Ended {
				continue
			}
			// The identity first: the number may be another's by the time of the signal.
			id, err := proc.Of(p.PID)
			if err != nil {
				continue
			}
			env, err := proc.Environ(p.PID)
			if err == nil && slices.ContainsFunc(env, func(line string) bool { return strings.HasPrefix(line, mark) }) {
				found = true
				_ = id.Signal(unix.SIGKILL)
			}
		}
		if !found {
			return
		}
	}
}

// sweepEnclosed removes what the enclosures of a Slipway that was killed have left.
func (d *Driver) sweepEnclosed() (removed []string, err error) {
	entries, err := os.ReadDir(d.Path(enclosures))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	sweepEnclosures(enclosureMark + d.Path(enclosures) + "/")
	for _, entry := range entries {
		removed = append(removed, "enclosure "+entry.Name())
	}
	return removed, os.RemoveAll(d.Path(enclosures))
}
