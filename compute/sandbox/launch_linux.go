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
	"github.com/slipway/slipway/compute/disk"
	"github.com/slipway/slipway/compute/keeper"
)

// Launch makes and starts an instance; the same id again is the same instance.
func (d *Driver) Launch(ctx context.Context, spec compute.Spec) (compute.Handle, error) {
	h := d.Handle(spec.ID)
	if err := d.Check(h); err != nil {
		return h, fmt.Errorf("sandbox: launch: %w", err)
	}
	if err := d.checkDisks(spec); err != nil {
		return h, fmt.Errorf("sandbox: launch %s: %w", spec.ID, err)
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
	base, root, err := d.makeFiles(ctx, in, spec)
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
	if err := d.run(ctx, in, files{base, root}, spec); err != nil {
		d.net.disconnect(in.ID)
		return err
	}
	return nil
}

// checkAddress refuses an address that another instance has, or that is none
// for instances.
func (d *Driver) checkAddress(spec compute.Spec) error {
	if err := d.net.usable(spec.Address, spec.Subnet); err != nil {
		return err
	}
	if other := d.Busy(spec); other != nil {
		return fmt.Errorf("address %s of %s: %w", spec.Address, other.ID, compute.ErrAddressBusy)
	}
	return nil
}

// files are where an instance's changes go: into a volume or, on a host that has
// none, into folders.
type files struct {
	base uint32 // first of the instance's ids on the host
	root string // volume
}

// makeFiles makes what an instance needs on disk, owned by the instance's root.
func (d *Driver) makeFiles(ctx context.Context, in *keeper.Instance, spec compute.Spec) (base uint32, root string, err error) {
	base, used := baseOf(in)
	if !used {
		if base, err = d.claim(in); err != nil {
			return 0, "", err
		}
	}
	if err := os.MkdirAll(in.Dir, 0o700); err != nil {
		return 0, "", err
	}
	if root, err = d.rootVolume(ctx, in, spec); err != nil {
		return 0, "", fmt.Errorf("root volume: %w", err)
	}
	if root == "" {
		for _, name := range []string{"dpkg", "usr"} {
			if err := makeUpper(in.File(name), base); err != nil {
				return 0, "", err
			}
		}
	}
	// "root" is the last to be given away: its owner says which ids are taken.
	return base, root, makeUpper(in.File("root"), base)
}

// makeUpper makes the folders that an overlay writes to.
func makeUpper(dir string, owner uint32) error {
	if err := os.MkdirAll(dir+".work", 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chown(dir, int(owner), int(owner))
}

// run forks the first process, connects it, and waits until it is ready.
func (d *Driver) run(ctx context.Context, in *keeper.Instance, on files, spec compute.Spec) error {
	streams, err := in.OpenStreams()
	if err != nil {
		return err
	}
	defer streams.Close()
	pid, err := d.fork(in, on, spec, streams)
	if err != nil {
		return err
	}
	streams.Release()
	if err := d.Born(in, pid); err != nil {
		kill(pid)
		return err
	}
	// Before anything of the host's when memory runs out.
	_ = write("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", strconv.Itoa(boot.FirstProcess))
	err = d.net.connect(in.ID, pid, d.net.prefixIn(spec), in.Record())
	if err == nil {
		err = d.extend(in, nil)
	}
	for _, a := range spec.Volumes {
		if err == nil {
			err = d.mountIn(pid, on.base, a, "/new")
		}
	}
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
func (d *Driver) fork(in *keeper.Instance, on files, spec compute.Spec, streams *keeper.Streams) (int, error) {
	lower, err := d.base()
	if err != nil {
		return 0, fmt.Errorf("skeleton of root file systems: %w", err)
	}
	idmap, err := idmapFD(on.base)
	if err != nil {
		return 0, err
	}
	defer unix.Close(idmap)
	s := &stage{
		driver: d, id: in.ID, base: on.base, lower: lower, idmap: idmap, command: "init", files: streams.Files(),
		env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", boot.NoCollection, "GOMAXPROCS=1"},
	}
	if on.root != "" {
		if s.volume, err = d.openRoot(on.root); err != nil {
			return 0, fmt.Errorf("root volume %s: %w", on.root, err)
		}
		defer s.volume.Close()
	}
	if imported(spec.Image) {
		if s.image, err = disk.Open(d.snapshotPath(spec.Image), d.label(spec.Image), true); err != nil {
			return 0, fmt.Errorf("image %s: %w", spec.Image, missing(err, "snapshot"))
		}
		defer s.image.Close()
	}
	err = s.run()
	return s.pid, err
}

func (d *Driver) config(spec compute.Spec) boot.Config {
	dns := spec.DNS
	if len(dns) == 0 {
		dns = []netip.Addr{d.net.gateway()}
	}
	var search *string
	if r := spec.Resolver; r != nil {
		dns, search = r.Servers, &r.Search
	}
	return boot.Config{
		Kind: boot.Sandbox, ID: spec.ID, Hostname: spec.Hostname, Address: spec.Address, DNS: dns, Search: search, Root: "/",
		Metadata: "http://" + metadataAddress.Addr().String(), Environment: spec.Environment, Grace: boot.Grace,
	}
}
