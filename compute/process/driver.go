//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/boot"
	"github.com/slipway/slipway/compute/keeper"
)

// Driver runs instances as process trees of this user.
type Driver struct {
	*keeper.Keeper
	slipway string // absolute
	system  system
	network compute.Network

	metadata *merged // the listeners of all instances as one; see ListenMetadata
	mu       sync.Mutex
	forwards map[netip.Addr]*forward // elastic address -> what serves it
}

var (
	_ compute.Driver           = (*Driver)(nil)
	_ compute.MetadataListener = (*Driver)(nil)
)

// New opens the driver on its folder and finds the instances that run there.
func New(cfg Config) (compute.Driver, error) { return open(cfg, thisSystem()) }

func open(cfg Config, sys system) (compute.Driver, error) {
	d := &Driver{system: sys, forwards: map[netip.Addr]*forward{}}
	var err error
	if d.slipway, err = filepath.Abs(cfg.Slipway); err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	if d.Keeper, err = keeper.Open(Name, cfg.Dir, cfg.Logger); err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	d.metadata = newMerged(d.Log())
	if d.network, err = sys.network(d.Path()); err != nil {
		_ = d.Close()
		return nil, fmt.Errorf("process: %w", err)
	}
	d.OnExit = d.cleanUp
	if err := d.Adopt(); err != nil {
		_ = d.Close()
		return nil, fmt.Errorf("process: find instances: %w", err)
	}
	if left, err := d.sweepEnclosed(); err != nil {
		d.Log().Error("cannot remove what functions have left", "error", err)
	} else if len(left) > 0 {
		d.Log().Info("removed what functions have left", "environments", len(left))
	}
	for _, in := range d.All() {
		if rec := in.Record(); rec.Process.Alive() {
			d.serve(rec)
		} else {
			d.sweep(in)
		}
	}
	return d, nil
}

// Network is the loopback addresses of this data folder. Each instance has a
// metadata service of its own.
func (d *Driver) Network() compute.Network { return d.network }

// Close ends the driver's goroutines; instances go on. It is safe to call twice.
func (d *Driver) Close() error {
	d.mu.Lock()
	all := d.forwards
	d.forwards = map[netip.Addr]*forward{}
	d.mu.Unlock()
	for _, f := range all {
		f.close()
	}
	return errors.Join(d.metadata.Close(), d.Keeper.Close())
}

// serve opens what an instance that runs is reached by.
func (d *Driver) serve(rec keeper.Record) {
	d.metadata.add(rec.Spec.Address)
	for _, ip := range rec.Elastic {
		d.forward(ip, rec.Spec.Address)
	}
}

// withdraw closes what an instance was reached by.
func (d *Driver) withdraw(rec keeper.Record) {
	d.metadata.remove(rec.Spec.Address)
	for _, ip := range rec.Elastic {
		d.unforward(ip, rec.Spec.Address)
	}
}

// Launch makes and starts an instance; the same id again is the same instance.
func (d *Driver) Launch(ctx context.Context, spec compute.Spec) (compute.Handle, error) {
	h := d.Handle(spec.ID)
	if err := d.Check(h); err != nil {
		return h, fmt.Errorf("process: launch: %w", err)
	}
	if spec.Image != "" && spec.Image != "builtin" {
		return h, fmt.Errorf("process: launch %s: image %q: %w", spec.ID, spec.Image, compute.ErrUnsupported)
	}
	in, release, err := d.Hold(ctx, spec.ID)
	if err != nil {
		return h, fmt.Errorf("process: launch %s: %w", spec.ID, err)
	}
	defer release()
	if err := d.start(ctx, in, spec); err != nil {
		return h, fmt.Errorf("process: launch %s: %w", spec.ID, err)
	}
	return h, nil
}

// Start starts a stopped instance on its kept files.
func (d *Driver) Start(ctx context.Context, spec compute.Spec, h compute.Handle) (compute.Handle, error) {
	in, release, err := d.Take(ctx, h)
	if err != nil {
		return h, fmt.Errorf("process: start: %w", err)
	}
	defer release()
	spec.ID = h.ID
	if err := d.start(ctx, in, spec); err != nil {
		return h, fmt.Errorf("process: start %s: %w", h.ID, err)
	}
	return h, nil
}

// start runs the instance unless it runs.
func (d *Driver) start(ctx context.Context, in *keeper.Instance, spec compute.Spec) error {
	if in.Record().Process.Alive() {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !d.network.Instances.Contains(spec.Address) {
		return fmt.Errorf("address %s is not one for instances in %s", spec.Address, d.network.Instances)
	}
	if other := d.Busy(spec); other != nil {
		return fmt.Errorf("address %s of %s: %w", spec.Address, other.ID, compute.ErrAddressBusy)
	}
	if err := d.onHost(spec.Address); err != nil {
		return err
	}
	for _, dir := range []string{"home", "tmp", "var/log", "var/lib"} {
		if err := os.MkdirAll(in.File("root", dir), 0o700); err != nil {
			return err
		}
	}
	if err := d.linkTools(in.File("root", "bin")); err != nil {
		return err
	}
	d.sweep(in)
	if err := in.Change(func(r *keeper.Record) { r.Spec = spec }); err != nil {
		return err
	}
	if err := d.run(ctx, in, spec); err != nil {
		return err
	}
	d.serve(in.Record())
	return nil
}

// linkTools puts the cfn helpers where the tree's PATH begins. They are the
// slipway binary under another name.
func (d *Driver) linkTools(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, tool := range boot.Tools {
		link := filepath.Join(dir, tool)
		if target, err := os.Readlink(link); err == nil && target == d.slipway {
			continue
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(d.slipway, link); err != nil {
			return err
		}
	}
	return nil
}

// run starts the first process and waits until it is ready.
func (d *Driver) run(ctx context.Context, in *keeper.Instance, spec compute.Spec) error {
	streams, err := in.OpenStreams()
	if err != nil {
		return err
	}
	defer streams.Close()
	pid, err := syscall.ForkExec(d.slipway, []string{"slipway", "agent", "init"}, &syscall.ProcAttr{
		Dir: in.File("root"), Env: environ(in, spec), Files: streams.Files(), Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("first process: %w", err)
	}
	streams.Release()
	if err := d.Born(in, pid); err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
		return err
	}
	err = streams.Converse(ctx, boot.Config{
		Kind: boot.Process, ID: spec.ID, Hostname: spec.Hostname, Address: spec.Address, Root: in.File("root"),
		Metadata: metadataURL(spec.Address), Environment: spec.Environment, Grace: boot.Grace, Memory: spec.Limits.Memory,
		BySession: d.system.bySession, Mark: d.mark(in),
	})
	if err == nil {
		err = in.Ready()
	}
	if err != nil {
		in.Abandon()
	}
	return err
}

func metadataURL(ip netip.Addr) string {
	return "http://" + netip.AddrPortFrom(ip, boot.MetadataPort).String()
}

// marker names the variable by which an instance's processes are found, even
// those whose first process was killed.
func marker(in *keeper.Instance) string { return "SLIPWAY_INSTANCE_DIR=" + in.File("root") }

// mark is the marker, where the first process is to look for it, too.
func (d *Driver) mark(in *keeper.Instance) string {
	if d.system.bySession && d.system.marks {
		return marker(in)
	}
	return ""
}

// environ is all that the tree sees of Slipway's own environment, and what
// tells it who it is. Slipway's may hold secrets, so little is passed on.
func environ(in *keeper.Instance, spec compute.Spec) []string {
	env := []string{
		marker(in),
		"SLIPWAY_INSTANCE_ID=" + spec.ID,
		"SLIPWAY_INSTANCE_IP=" + spec.Address.String(),
		"SLIPWAY_BIND_ADDRESS=" + spec.Address.String(), // the whole host's ports are not the instance's
		"SLIPWAY_INSTANCE_HOSTNAME=" + spec.Hostname,
		"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + metadataURL(spec.Address),
		"HOME=" + in.File("root", "home"),
		"TMPDIR=" + in.File("root", "tmp"),
		"PATH=" + in.File("root", "bin") + ":" + os.Getenv("PATH"),
		boot.NoCollection, "GOMAXPROCS=1",
	}
	for _, name := range []string{"LANG", "LC_ALL", "USER", "LOGNAME", "SHELL", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// Stop ends the instance's processes and keeps its files.
func (d *Driver) Stop(ctx context.Context, h compute.Handle, force bool) error {
	in, release, err := d.Take(ctx, h)
	if err != nil {
		return fmt.Errorf("process: stop: %w", err)
	}
	defer release()
	if err := d.stop(ctx, in, force); err != nil {
		return fmt.Errorf("process: stop %s: %w", h.ID, err)
	}
	return nil
}

func (d *Driver) stop(ctx context.Context, in *keeper.Instance, force bool) error {
	kill := d.remains(in)
	if err := in.End(ctx, force, (boot.Grace+5)*time.Second); err != nil {
		return err
	}
	kill(force)
	d.withdraw(in.Record())
	return nil
}

// cleanUp ends what is left of an instance whose first process was killed.
func (d *Driver) cleanUp(in *keeper.Instance) {
	if in.Record().Process.Alive() {
		return // it was started again already, and that swept
	}
	d.sweep(in)
	d.withdraw(in.Record())
}

// Reboot stops and starts the instance; its addresses stay its own.
func (d *Driver) Reboot(ctx context.Context, spec compute.Spec, h compute.Handle) (compute.Handle, error) {
	in, release, err := d.Take(ctx, h)
	if err != nil {
		return h, fmt.Errorf("process: reboot: %w", err)
	}
	defer release()
	spec.ID = h.ID
	err = d.stop(ctx, in, false)
	if err == nil {
		err = d.start(ctx, in, spec)
	}
	if err != nil {
		return h, fmt.Errorf("process: reboot %s: %w", h.ID, err)
	}
	return h, nil
}

// Terminate removes all that Launch made.
func (d *Driver) Terminate(ctx context.Context, h compute.Handle) error {
	in, release, err := d.Take(ctx, h)
	if errors.Is(err, compute.ErrGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("process: terminate: %w", err)
	}
	defer release()
	err = d.stop(ctx, in, true)
	if err == nil {
		err = d.Discard(in)
	}
	if err != nil {
		return fmt.Errorf("process: terminate %s: %w", h.ID, err)
	}
	d.Forget(in)
	return nil
}

// Clean removes every instance and enclosure. Nothing else is set up on the host.
func (d *Driver) Clean(ctx context.Context) ([]string, error) {
	hs, err := d.List(ctx)
	if err != nil {
		return nil, err
	}
	var removed []string
	var errs []error
	for _, h := range hs {
		if err := d.Terminate(ctx, h); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, "instance "+h.ID)
	}
	left, err := d.sweepEnclosed()
	removed, errs = append(removed, left...), append(errs, err)
	return removed, errors.Join(errs...)
}
