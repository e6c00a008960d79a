package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/boot"
	"github.com/slipway/slipway/compute/proc"
)

// Driver runs instances in namespaces of this host.
type Driver struct {
	dir     string // absolute
	slipway string // absolute
	tag     string // 6 digits that tell this data folder's things on the host from others'
	log     *slog.Logger
	base    string // folder below dir with the skeleton of root file systems
	cgroups cgroups
	net     *network
	watcher *proc.Watcher
	events  *compute.Events

	mu        sync.Mutex
	instances map[string]*instance
	owners    map[uint32]string // first host uid of a range -> instance id
}

var (
	_ compute.Driver           = (*Driver)(nil)
	_ compute.MetadataListener = (*Driver)(nil)
)

// New opens the driver on its folder, sets up the host's side (bridge, cgroup
// parent), and finds the instances that run there.
func New(cfg Config) (compute.Driver, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("sandbox: needs root: %w", compute.ErrUnsupported)
	}
	d := &Driver{log: cfg.Logger, instances: map[string]*instance{}, owners: map[uint32]string{}}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if d.dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if d.slipway, err = filepath.Abs(cfg.Slipway); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if st, err := os.Stat(d.slipway); err != nil || !st.Mode().IsRegular() {
		return nil, fmt.Errorf("sandbox: %s is not the slipway binary (%v)", d.slipway, err)
	}
	d.tag = arn.Hash(d.dir)[:6]
	if err := os.MkdirAll(d.path("instances"), 0o700); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if err := d.setUp(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return d, nil
}

// setUp makes the host's side of the driver and adopts its instances.
func (d *Driver) setUp() (err error) {
	if d.base, err = d.makeBase(); err != nil {
		return fmt.Errorf("skeleton of root file systems: %w", err)
	}
	if d.cgroups, err = openCgroups("slipway-" + d.tag); err != nil {
		return fmt.Errorf("cgroups: %w", err)
	}
	if d.net, err = openNetwork(d.path("network.json"), d.tag, d.log); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if d.watcher, err = proc.NewWatcher(); err != nil {
		return err
	}
	d.events = compute.NewEvents()
	if err = d.adopt(); err != nil {
		_ = d.Close()
		return fmt.Errorf("find instances: %w", err)
	}
	return nil
}

func (d *Driver) path(elem ...string) string {
	return filepath.Join(append([]string{d.dir}, elem...)...)
}

// Name is "sandbox".
func (d *Driver) Name() string { return Name }

// Network is the address ranges that this driver took on the host.
func (d *Driver) Network() compute.Network { return d.net.offer() }

// Events tells of instances that ended unasked.
func (d *Driver) Events() <-chan compute.Event { return d.events.Chan() }

// Close ends the driver's goroutines; instances go on. It is safe to call twice.
func (d *Driver) Close() error {
	d.watcher.Close()
	d.events.Close()
	return nil
}

// adopt finds the instances of a driver that was here before.
func (d *Driver) adopt() error {
	ids, err := d.onDisk()
	if err != nil {
		return err
	}
	for _, id := range ids {
		in := d.instance(id)
		in.read()
		if in.base != 0 {
			d.owners[in.base] = id
		}
		if in.rec.Process.Alive() {
			d.watch(in)
		}
	}
	return nil
}

// onDisk is the ids of all instances that have a folder.
func (d *Driver) onDisk() ([]string, error) {
	entries, err := os.ReadDir(d.path("instances"))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if validID.MatchString(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// List finds every instance of this data folder.
func (d *Driver) List(context.Context) ([]compute.Handle, error) {
	ids, err := d.onDisk()
	if err != nil {
		return nil, fmt.Errorf("sandbox: list: %w", err)
	}
	hs := make([]compute.Handle, len(ids))
	for i, id := range ids {
		hs[i] = handle(id)
	}
	return hs, nil
}

func handle(id string) compute.Handle {
	return compute.Handle{Driver: Name, Version: 1, ID: id}
}

// check refuses a handle that this driver cannot have made.
func check(h compute.Handle) error {
	if h.Driver != Name || h.Version != 1 {
		return fmt.Errorf("handle of driver %q version %d: %w", h.Driver, h.Version, compute.ErrUnsupported)
	}
	if !validID.MatchString(h.ID) {
		return fmt.Errorf("%q is not an instance id", h.ID)
	}
	return nil
}

// Describe looks at the host.
func (d *Driver) Describe(_ context.Context, h compute.Handle) (compute.Status, error) {
	if err := check(h); err != nil {
		return compute.Status{}, fmt.Errorf("sandbox: describe: %w", err)
	}
	in := d.instance(h.ID)
	if !in.exists() {
		return compute.Status{State: compute.Gone}, nil
	}
	rec := in.snapshot()
	st := compute.Status{State: compute.Stopped, Address: rec.Spec.Address, Reason: rec.Reason, Exit: rec.Exit}
	if rec.Process.Alive() {
		st = compute.Status{State: compute.Running, Address: rec.Spec.Address}
	}
	return st, nil
}

// Console returns the last 64 KiB of the console.
func (d *Driver) Console(_ context.Context, h compute.Handle) ([]byte, error) {
	if err := check(h); err != nil {
		return nil, fmt.Errorf("sandbox: console: %w", err)
	}
	f, err := os.Open(d.instance(h.ID).file("console"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("sandbox: console of %s: %w", h.ID, compute.ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("sandbox: console: %w", err)
	}
	defer f.Close()
	return boot.ReadRing(f)
}

// watch notices the end of the instance's first process.
func (d *Driver) watch(in *instance) {
	id := in.rec.Process
	exited := make(chan struct{})
	in.mu.Lock()
	in.exited = exited
	in.mu.Unlock()
	err := d.watcher.Watch(id, func(e proc.Exit) {
		d.ended(in, id, e)
		close(exited)
	})
	if err != nil {
		if !errors.Is(err, os.ErrProcessDone) {
			d.log.Error("cannot watch an instance", "instance", in.id, "error", err)
		}
		close(exited)
	}
}

func (d *Driver) ended(in *instance, id proc.Identity, e proc.Exit) {
	in.mu.Lock()
	asked := in.asked
	if in.rec.Process == id {
		in.rec.Exit, in.rec.Reason = e.Code(), e.Reason()
		if asked {
			in.rec.Reason = ""
		}
	}
	in.mu.Unlock()
	if !asked {
		in.save()
		d.log.Info("instance ended unasked", "instance", in.id, "reason", e.Reason())
		d.events.Post(in.id)
	}
}

// kill ends a child that was never handed out, and reaps it.
func kill(pid int) {
	_ = unix.Kill(pid, unix.SIGKILL)
	for {
		var st unix.WaitStatus
		_, err := unix.Wait4(pid, &st, 0, nil)
		if errors.Is(err, unix.EINTR) || (err == nil && !st.Exited() && !st.Signaled()) {
			continue // a traced child reports its stop first
		}
		return
	}
}
