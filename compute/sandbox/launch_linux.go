package sandbox

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/boot"
	"github.com/slipway/slipway/compute/keeper"
)

// Launch makes and starts an instance; the same id again is the same instance.
func (d *Driver) Launch(ctx context.Context, spec compute.Spec) (compute.Handle, error) {
	h := d.Handle(spec.ID)
	if err := d.Check(h); err != nil {
		return h, fmt.Errorf("sandbox: launch: %w", err)
	}
	if spec.Image != "" && spec.Image != "builtin" {
		return h, fmt.Errorf("sandbox: launch %s: image %q: %w", spec.ID, spec.Image, compute.ErrUnsupported)
	}
	in, release, err := d.Hold(ctx, spec.ID)
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
	in, release, err := d.Take(ctx, h)
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

// start runs the instance unless it runs. A process that is alive was told its
// whole configuration, and ends by itself when it was not: see boot.Config.
func (d *Driver) start(ctx context.Context, in *keeper.Instance, spec compute.Spec) error {
	if in.Record().Process.Alive() {
		return d.route(in) // a crash may have come between the two
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.checkAddress(spec); err != nil {
		return err
	}
	base, err := d.makeFiles(in)
	if err != nil {
		return err
	}
	groups := d.cgroups.folders(in.ID)
	_ = removeGroups(append(groups, in.Record().Groups...)) // the limits may have changed
	err = in.Change(func(r *keeper.Record) { r.Spec, r.Groups = spec, groups })
	if err != nil {
		return err
	}
	if err := d.cgroups.create(in.ID, spec.Limits); err != nil {
		return err
	}
	if err := d.run(ctx, in, base, spec); err != nil {
		d.net.disconnect(in.ID)
		return err
	}
	return nil
}

// checkAddress refuses an address that another instance has, or that is none
// for instances.
func (d *Driver) checkAddress(spec compute.Spec) error {
	if !d.net.saved.Instances.Contains(spec.Address) || spec.Address == d.net.gateway() || spec.Address == d.net.saved.Instances.Addr() {
		return fmt.Errorf("address %s is not one for instances in %s", spec.Address, d.net.saved.Instances)
	}
	if other := d.Busy(spec); other != nil {
		return fmt.Errorf("address %s of %s: %w", spec.Address, other.ID, compute.ErrAddressBusy)
	}
	return nil
}

// makeFiles makes the folders of the overlays, owned by the instance's root.
func (d *Driver) makeFiles(in *keeper.Instance) (base uint32, err error) {
	if base, err = d.claim(in); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(in.Dir, 0o700); err != nil {
		return 0, err
	}
	for _, name := range []string{"dpkg", "usr", "root"} {
		if err := os.MkdirAll(in.File(name+".work"), 0o700); err != nil {
			return 0, err
		}
		if err := os.MkdirAll(in.File(name), 0o755); err != nil {
			return 0, err
		}
		// "root" is the last to be given away: its owner says which ids are taken.
		if err := os.Chown(in.File(name), int(base), int(base)); err != nil {
			return 0, err
		}
	}
	return base, nil
}

// run forks the first process, connects it, and waits until it is ready.
func (d *Driver) run(ctx context.Context, in *keeper.Instance, base uint32, spec compute.Spec) error {
	streams, err := in.OpenStreams()
	if err != nil {
		return err
	}
	defer streams.Close()
	pid, err := d.fork(in, base, streams)
	if err != nil {
		return err
	}
	streams.Release()
	if err := d.Born(in, pid); err != nil {
		kill(pid)
		return err
	}
	// The first to go when the host runs out of memory.
	_ = write("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", "500")
	err = d.net.connect(in.ID, pid, spec.Address, in.Record().Elastic)
	if err == nil {
		err = streams.Converse(ctx, d.config(spec))
	}
	if err == nil {
		err = d.route(in)
	}
	if err == nil {
		err = in.Ready()
	}
	if err != nil {
		in.Abandon()
	}
	return err
}

// fork builds the instance's mounts and forks its first process.
func (d *Driver) fork(in *keeper.Instance, base uint32, streams *keeper.Streams) (int, error) {
	lower, err := d.base()
	if err != nil {
		return 0, fmt.Errorf("skeleton of root file systems: %w", err)
	}
	idmap, err := idmapFD(base)
	if err != nil {
		return 0, err
	}
	defer unix.Close(idmap)
	s := &stage{
		driver: d, id: in.ID, base: base, lower: lower, idmap: idmap, files: streams.Files(),
		env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "GOGC=20", "GOMAXPROCS=1"},
	}
	err = s.run()
	return s.pid, err
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
