package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/boot"
	"github.com/slipway/slipway/compute/proc"
)

// readyTimeout bounds the wait for a first process that hangs.
const readyTimeout = 30 * time.Second

// Launch makes and starts an instance; the same id again is the same instance.
func (d *Driver) Launch(ctx context.Context, spec compute.Spec) (compute.Handle, error) {
	h := handle(spec.ID)
	if err := check(h); err != nil {
		return h, fmt.Errorf("sandbox: launch: %w", err)
	}
	if spec.Image != "" && spec.Image != "builtin" {
		return h, fmt.Errorf("sandbox: launch %s: image %q: %w", spec.ID, spec.Image, compute.ErrUnsupported)
	}
	in := d.instance(spec.ID)
	release, err := in.hold(ctx)
	if err != nil {
		return h, fmt.Errorf("sandbox: launch %s: %w", spec.ID, err)
	}
	defer release()
	if err := d.start(ctx, in, spec); err != nil {
		return h, fmt.Errorf("sandbox: launch %s: %w", spec.ID, err)
	}
	return h, nil
}

// Start starts a stopped instance on its kept files.
func (d *Driver) Start(ctx context.Context, spec compute.Spec, h compute.Handle) (compute.Handle, error) {
	in, release, err := d.take(ctx, h)
	if err != nil {
		return h, fmt.Errorf("sandbox: start: %w", err)
	}
	defer release()
	spec.ID = h.ID
	if err := d.start(ctx, in, spec); err != nil {
		return h, fmt.Errorf("sandbox: start %s: %w", h.ID, err)
	}
	return h, nil
}

// take finds an instance that exists and holds it.
func (d *Driver) take(ctx context.Context, h compute.Handle) (*instance, func(), error) {
	if err := check(h); err != nil {
		return nil, nil, err
	}
	in := d.instance(h.ID)
	release, err := in.hold(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !in.exists() {
		release()
		return nil, nil, fmt.Errorf("%s: %w", h.ID, compute.ErrGone)
	}
	return in, release, nil
}

// start runs the instance unless it runs. A process that is alive was told its
// whole configuration, and ends by itself when it was not: see boot.Config.
func (d *Driver) start(ctx context.Context, in *instance, spec compute.Spec) error {
	if rec := in.snapshot(); rec.Process.Alive() {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.checkAddress(spec); err != nil {
		return err
	}
	if err := d.makeFiles(in); err != nil {
		return err
	}
	if err := d.makeGroups(in, spec); err != nil {
		return err
	}
	if err := d.run(ctx, in, spec); err != nil {
		d.net.disconnect(in.id)
		return err
	}
	return nil
}

// makeFiles makes the folders of the overlays, owned by the instance's root.
func (d *Driver) makeFiles(in *instance) error {
	if err := d.claim(in); err != nil {
		return err
	}
	if err := os.MkdirAll(in.dir, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"dpkg", "usr", "root"} {
		if err := os.MkdirAll(in.file(name+".work"), 0o700); err != nil {
			return err
		}
		if err := os.MkdirAll(in.file(name), 0o755); err != nil {
			return err
		}
		// "root" is the last to be given away: its owner says which ids are taken.
		if err := os.Chown(in.file(name), int(in.base), int(in.base)); err != nil {
			return err
		}
	}
	return nil
}

// makeGroups makes the instance's cgroups anew.
func (d *Driver) makeGroups(in *instance, spec compute.Spec) error {
	dirs := d.cgroups.folders(in.id)
	_ = removeGroups(append(dirs, in.snapshot().Cgroup...))
	in.mu.Lock()
	in.rec.Spec, in.rec.Cgroup = spec, dirs
	in.mu.Unlock()
	return d.cgroups.create(in.id, spec.Limits)
}

// run forks the first process, connects it, and waits until it is ready.
func (d *Driver) run(ctx context.Context, in *instance, spec compute.Spec) error {
	control, pid, err := d.spawn(in, spec)
	if err != nil {
		return err
	}
	defer control.Close()
	id, err := proc.Of(pid)
	if err != nil {
		kill(pid)
		return err
	}
	in.mu.Lock()
	in.rec.Process, in.rec.Exit, in.rec.Reason, in.asked = id, 0, "", true
	in.mu.Unlock()
	d.watch(in)
	abandon := func(err error) error {
		_ = id.Signal(unix.SIGKILL)
		<-in.exited
		return err
	}
	if err := in.save(); err != nil {
		return abandon(err)
	}
	// The first to go when the host runs out of memory.
	_ = write("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", "500")
	rec := in.snapshot()
	if err := d.net.connect(in.id, pid, spec.Address, rec.Elastic); err != nil {
		return abandon(err)
	}
	if err := d.converse(ctx, control, d.config(spec)); err != nil {
		return abandon(err)
	}
	for _, e := range rec.Elastic {
		if err := d.net.routeElastic(e, spec.Address); err != nil {
			return abandon(err)
		}
	}
	in.mu.Lock()
	in.asked = false
	in.mu.Unlock()
	select {
	case <-in.exited:
		return errors.New("the first process ended at once")
	default:
		return nil
	}
}

// converse tells the first process its configuration and awaits its answer.
func (d *Driver) converse(ctx context.Context, control *os.File, cfg boot.Config) error {
	if err := control.SetDeadline(time.Now().Add(readyTimeout)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = control.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := boot.Send(control, cfg); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if err := boot.ReadReady(control); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	return nil
}

func (d *Driver) config(spec compute.Spec) boot.Config {
	dns := spec.DNS
	if len(dns) == 0 {
		dns = []netip.Addr{d.net.gateway()}
	}
	return boot.Config{
		Kind: boot.Sandbox, ID: spec.ID, Hostname: spec.Hostname, Address: spec.Address, DNS: dns, Root: "/",
		Metadata: "http://" + metadataAddress.Addr().String(), Environment: spec.Environment, Grace: boot.Grace,
	}
}

// spawn opens what the first process inherits, and forks it.
func (d *Driver) spawn(in *instance, spec compute.Spec) (*os.File, int, error) {
	idmap, err := idmapFD(in.base)
	if err != nil {
		return nil, 0, err
	}
	defer unix.Close(idmap)
	var files []*os.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	open := func(name string, flag int) error {
		f, err := os.OpenFile(name, flag, 0o600)
		if err == nil {
			files = append(files, f)
		}
		return err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	ours := os.NewFile(uintptr(pair[0]), "control")
	theirs := os.NewFile(uintptr(pair[1]), "control of the instance")
	err = errors.Join(open(os.DevNull, os.O_RDONLY), open(in.file("init.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND))
	files = append(files, theirs)
	err = errors.Join(err, open(in.file("console"), os.O_RDWR|os.O_CREATE))
	if err != nil {
		_ = ours.Close()
		return nil, 0, err
	}
	null, log, control, console := files[0].Fd(), files[1].Fd(), uintptr(pair[1]), files[3].Fd()
	s := &stage{
		driver: d, in: in, base: in.base, idmap: idmap,
		files: []uintptr{null, log, log, control, console},
		env:   []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "GOGC=20", "GOMAXPROCS=1"},
	}
	if err := s.run(); err != nil {
		_ = ours.Close()
		return nil, 0, err
	}
	return ours, s.pid, nil
}

// AssignAddress moves an elastic address to the instance.
func (d *Driver) AssignAddress(ctx context.Context, h compute.Handle, ip netip.Addr) error {
	in, release, err := d.take(ctx, h)
	if err != nil {
		return fmt.Errorf("sandbox: assign %s: %w", ip, err)
	}
	if !d.net.saved.Elastic.Contains(ip) {
		release()
		return fmt.Errorf("sandbox: assign %s: not within %s", ip, d.net.saved.Elastic)
	}
	in.mu.Lock()
	if !slices.Contains(in.rec.Elastic, ip) {
		in.rec.Elastic = append(slices.Clone(in.rec.Elastic), ip)
	}
	in.mu.Unlock()
	err = in.save()
	if rec := in.snapshot(); err == nil && rec.Process.Alive() {
		// The new holder answers before the route leads there, so no packet is lost.
		err = d.net.addElastic(rec.Process.PID, ip)
		if err == nil {
			err = d.net.routeElastic(ip, rec.Spec.Address)
		}
	}
	release()
	if err != nil {
		return fmt.Errorf("sandbox: assign %s to %s: %w", ip, h.ID, err)
	}
	// Never while holding one instance: two moves that cross would wait for each other.
	return d.dispossess(ctx, ip, in)
}

// dispossess takes the address from all but its new holder.
func (d *Driver) dispossess(ctx context.Context, ip netip.Addr, holder *instance) error {
	d.mu.Lock()
	var others []*instance
	for _, in := range d.instances {
		if in != holder && slices.Contains(in.snapshot().Elastic, ip) {
			others = append(others, in)
		}
	}
	d.mu.Unlock()
	for _, in := range others {
		release, err := in.hold(ctx)
		if err != nil {
			return fmt.Errorf("sandbox: take %s from %s: %w", ip, in.id, err)
		}
		err = d.drop(in, ip)
		release()
		if err != nil {
			return fmt.Errorf("sandbox: take %s from %s: %w", ip, in.id, err)
		}
	}
	return nil
}

// drop takes the address out of the instance and its record.
func (d *Driver) drop(in *instance, ip netip.Addr) error {
	in.mu.Lock()
	in.rec.Elastic = slices.DeleteFunc(slices.Clone(in.rec.Elastic), func(a netip.Addr) bool { return a == ip })
	in.mu.Unlock()
	if !in.exists() {
		return nil
	}
	if err := in.save(); err != nil {
		return err
	}
	if rec := in.snapshot(); rec.Process.Alive() {
		return d.net.removeElastic(rec.Process.PID, ip)
	}
	return nil
}

// UnassignAddress takes an elastic address away.
func (d *Driver) UnassignAddress(ctx context.Context, h compute.Handle, ip netip.Addr) error {
	in, release, err := d.take(ctx, h)
	if errors.Is(err, compute.ErrGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sandbox: unassign %s: %w", ip, err)
	}
	defer release()
	if !slices.Contains(in.snapshot().Elastic, ip) {
		return nil
	}
	if err := errors.Join(d.net.routeElastic(ip, noAddress), d.drop(in, ip)); err != nil {
		return fmt.Errorf("sandbox: unassign %s from %s: %w", ip, h.ID, err)
	}
	return nil
}

var noAddress netip.Addr

// holder is the instance that has an elastic address, or nil.
func (d *Driver) holder(ip netip.Addr) *instance {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, in := range d.instances {
		if slices.Contains(in.snapshot().Elastic, ip) {
			return in
		}
	}
	return nil
}
