//go:build linux || darwin

// Package keeper is what compute drivers on this host keep of their instances:
// a folder each, with a record of its first process by which another driver on
// the same folder finds it again. It may import compute and what is below it. A
// Keeper owns the process watcher and the queue of events; Close ends both.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/boot"
	"github.com/slipway/slipway/compute/proc"
)

// Keeper keeps the instances of one driver on one data folder.
type Keeper struct {
	name    string // the driver's
	dir     string // absolute
	log     *slog.Logger
	watcher *proc.Watcher
	events  *compute.Events

	// OnExit, where it is set, is called when an instance ended unasked, before
	// the event goes out.
	OnExit func(*Instance)

	mu        sync.Mutex
	instances map[string]*Instance
}

// validID keeps ids usable as names of folders and groups.
var validID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`) })

// Open opens the folder. Adopt then finds what is in it.
func Open(driver, dir string, log *slog.Logger) (*Keeper, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{name: driver, dir: dir, log: log, instances: map[string]*Instance{}}
	if err := os.MkdirAll(k.Path("instances"), 0o700); err != nil {
		return nil, err
	}
	if k.watcher, err = proc.NewWatcher(); err != nil {
		return nil, err
	}
	k.events = compute.NewEvents()
	return k, nil
}

// Path is a place in the driver's folder.
func (k *Keeper) Path(elem ...string) string {
	return filepath.Join(append([]string{k.dir}, elem...)...)
}

// Log is the driver's.
func (k *Keeper) Log() *slog.Logger { return k.log }

// Name is the driver's name.
func (k *Keeper) Name() string { return k.name }

// Events tells of instances that ended unasked.
func (k *Keeper) Events() <-chan compute.Event { return k.events.Chan() }

// Close ends the keeper's goroutines; instances go on. It is safe to call twice.
func (k *Keeper) Close() error {
	k.watcher.Close()
	k.events.Close()
	return nil
}

// Adopt finds the instances that an earlier driver left, and watches those that run.
func (k *Keeper) Adopt() error {
	ids, err := k.onDisk()
	if err != nil {
		return err
	}
	for _, id := range ids {
		in := k.Instance(id)
		in.read()
		if in.Record().Process.Alive() {
			k.watch(in)
		}
	}
	return os.RemoveAll(k.Path("trash")) // what an interrupted Terminate left
}

// onDisk is the ids of all instances that have a folder.
func (k *Keeper) onDisk() ([]string, error) {
	entries, err := os.ReadDir(k.Path("instances"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if validID().MatchString(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// Instance is the one object of an id, whether the instance exists or not.
func (k *Keeper) Instance(id string) *Instance {
	k.mu.Lock()
	defer k.mu.Unlock()
	in, ok := k.instances[id]
	if !ok {
		in = &Instance{ID: id, Dir: k.Path("instances", id), op: make(chan struct{}, 1)}
		k.instances[id] = in
	}
	return in
}

// known is the object of an id without keeping one for an id that nobody uses.
func (k *Keeper) known(id string) *Instance {
	k.mu.Lock()
	defer k.mu.Unlock()
	if in, ok := k.instances[id]; ok {
		return in
	}
	return &Instance{ID: id, Dir: k.Path("instances", id)}
}

// Hold waits for other operations on the instance of an id to end, and holds it.
func (k *Keeper) Hold(ctx context.Context, id string) (*Instance, func(), error) {
	for {
		in := k.Instance(id)
		release, err := in.Hold(ctx)
		if err != nil {
			return nil, nil, err
		}
		if k.Instance(id) == in {
			return in, release, nil
		}
		release() // the operation before was its removal
	}
}

// FirstProcess is the host's number of the instance's first process; 0 where
// none runs.
func (k *Keeper) FirstProcess(id string) int {
	if p := k.known(id).Record().Process; p.Alive() {
		return p.PID
	}
	return 0
}

// All is every object that there is, by id.
func (k *Keeper) All() []*Instance {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]*Instance, 0, len(k.instances))
	for _, in := range k.instances {
		all = append(all, in)
	}
	slices.SortFunc(all, func(a, b *Instance) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return all
}

// Handle is what callers store.
func (k *Keeper) Handle(id string) compute.Handle {
	return compute.Handle{Driver: k.name, Version: 1, ID: id}
}

// Check refuses a handle that this driver cannot have made.
func (k *Keeper) Check(h compute.Handle) error {
	if h.Driver != k.name || h.Version != 1 {
		return fmt.Errorf("handle of driver %q version %d: %w", h.Driver, h.Version, compute.ErrUnsupported)
	}
	return k.CheckID(h.ID)
}

// CheckID refuses an id that is no name of a file.
func (k *Keeper) CheckID(id string) error {
	if !validID().MatchString(id) {
		return fmt.Errorf("%q is not an id", id)
	}
	return nil
}

// Take finds an instance that exists and holds it.
func (k *Keeper) Take(ctx context.Context, h compute.Handle) (*Instance, func(), error) {
	if err := k.Check(h); err != nil {
		return nil, nil, err
	}
	in, release, err := k.Hold(ctx, h.ID)
	if err != nil {
		return nil, nil, err
	}
	if !in.Exists() {
		k.Forget(in)
		release()
		return nil, nil, fmt.Errorf("%s: %w", h.ID, compute.ErrGone)
	}
	return in, release, nil
}

// List finds every instance of this data folder.
func (k *Keeper) List(context.Context) ([]compute.Handle, error) {
	ids, err := k.onDisk()
	if err != nil {
		return nil, fmt.Errorf("%s: list: %w", k.name, err)
	}
	hs := make([]compute.Handle, len(ids))
	for i, id := range ids {
		hs[i] = k.Handle(id)
	}
	return hs, nil
}

// Describe looks at the host.
func (k *Keeper) Describe(_ context.Context, h compute.Handle) (compute.Status, error) {
	if err := k.Check(h); err != nil {
		return compute.Status{}, fmt.Errorf("%s: describe: %w", k.name, err)
	}
	in := k.known(h.ID)
	if !in.Exists() {
		return compute.Status{State: compute.Gone}, nil
	}
	rec := in.Record()
	if rec.Process.Alive() {
		return compute.Status{State: compute.Running, Address: rec.Spec.Address}, nil
	}
	return compute.Status{State: compute.Stopped, Address: rec.Spec.Address, Reason: rec.Reason, Exit: rec.Exit, Restored: rec.Restored}, nil
}

// Console returns the last 64 KiB of the console.
func (k *Keeper) Console(_ context.Context, h compute.Handle) ([]byte, error) {
	if err := k.Check(h); err != nil {
		return nil, fmt.Errorf("%s: console: %w", k.name, err)
	}
	f, err := os.Open(k.known(h.ID).File("console"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: console of %s: %w", k.name, h.ID, compute.ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: console: %w", k.name, err)
	}
	defer f.Close()
	return boot.ReadRing(f)
}

// Busy is the instance other than id that runs with spec's address, or nil.
func (k *Keeper) Busy(spec compute.Spec) *Instance {
	for _, other := range k.All() {
		if other.ID == spec.ID {
			continue
		}
		if rec := other.Record(); rec.Spec.Address == spec.Address && rec.Process.Alive() {
			return other
		}
	}
	return nil
}

// Elsewhere reports whether an instance other than in has the elastic address:
// while it moves, two have it for a moment.
func (k *Keeper) Elsewhere(in *Instance, ip netip.Addr) bool {
	for _, other := range k.All() {
		if other != in && other.Record().Has(ip) {
			return true
		}
	}
	return false
}

// Discard removes the folder of an instance that the caller holds. It is renamed
// first, so that what an interrupted removal leaves is never taken for an instance.
func (k *Keeper) Discard(in *Instance) error {
	if err := os.MkdirAll(k.Path("trash"), 0o700); err != nil {
		return err
	}
	doomed, err := os.MkdirTemp(k.Path("trash"), in.ID+"-")
	if err != nil {
		return err
	}
	if err := os.Rename(in.Dir, filepath.Join(doomed, "instance")); err != nil {
		return err
	}
	in.mu.Lock()
	in.rec, in.asked = Record{}, false
	in.mu.Unlock()
	return os.RemoveAll(doomed)
}

// Forget drops the object of an instance that is gone and that the caller holds;
// whoever waits to hold it takes a new one.
func (k *Keeper) Forget(in *Instance) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.instances[in.ID] == in {
		delete(k.instances, in.ID)
	}
}
