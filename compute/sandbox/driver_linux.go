package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/keeper"
)

// Driver runs instances in namespaces of this host.
type Driver struct {
	*keeper.Keeper
	dir     string // absolute
	slipway string // absolute
	tag     string // 6 digits that tell this data folder's things on the host from others'
	bases   bases
	making  sync.WaitGroup // looks at the host's files that go on beside others
	cgroups cgroups
	net     *network
	volumes volumes
	mender  *mender
	held    net.Listener // the name that says that this driver is open

	mu       sync.Mutex
	owners   map[uint32]string     // first host uid of a range -> instance id
	enclosed map[string]*enclosure // those that there are
}

var (
	_ compute.Driver           = (*Driver)(nil)
	_ compute.MetadataListener = (*Driver)(nil)
	_ compute.Enclosures       = (*Driver)(nil)
)

// New opens the driver on its folder, sets up the host's side (bridge, cgroup
// parent), and finds the instances that run there.
func New(cfg Config) (compute.Driver, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("sandbox: needs root: %w", compute.ErrUnsupported)
	}
	d := &Driver{owners: map[uint32]string{}, enclosed: map[string]*enclosure{}}
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
	d.tag = tagOf(d.dir)
	if d.Keeper, err = keeper.Open(Name, d.dir, cfg.Logger); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if err := outsideImage(d.dir); err != nil {
		_ = d.Close()
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	d.hold()
	if err := d.setUp(); err != nil {
		_ = d.Close()
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return d, nil
}

// tagOf is the tag of a driver's folder, an absolute path.
func tagOf(dir string) string { return arn.Hash(dir)[:tagLength] }

// outsideImage refuses a folder that instances see: those in the host's /usr.
func outsideImage(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	var own, usr unix.Stat_t
	if err := errors.Join(unix.Stat(real, &own), unix.Stat("/usr", &usr)); err != nil {
		return err
	}
	if strings.HasPrefix(real, "/usr/") && own.Dev == usr.Dev {
		return fmt.Errorf("%s is within /usr, which every instance sees; give another folder with --data", real)
	}
	return nil
}

// setUp makes the host's side of the driver and adopts its instances.
func (d *Driver) setUp() (err error) {
	if d.cgroups, err = openCgroups(groupPrefix + d.tag); err != nil {
		return fmt.Errorf("cgroups: %w", err)
	}
	if d.net, err = openNetwork(d.Path(networkFile), d.tag, d.Log()); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if err := d.net.note(d.dir); err != nil {
		d.Log().Warn("the bridge does not say whose it is", "error", err)
	}
	if err := d.Adopt(); err != nil {
		return fmt.Errorf("find instances: %w", err)
	}
	if err := d.setUpVolumes(); err != nil {
		return fmt.Errorf("volumes: %w", err)
	}
	if d.net.routed {
		if err := d.startMending(); err != nil {
			d.Log().Warn("what removes the network policy from the kernel is noticed late", "error", err)
		}
	}
	if left, err := d.sweepEnclosed(context.Background()); err != nil {
		d.Log().Error("cannot remove what functions have left", "error", err)
	} else if len(left) > 0 {
		d.Log().Info("removed what functions have left", "environments", len(left))
	}
	d.making.Go(func() {
		if _, err := d.base(); err != nil {
			d.Log().Error("cannot make the skeleton of root file systems", "error", err) // a launch tries again
		}
	})
	for _, in := range d.All() {
		if base, ok := baseOf(in); ok {
			d.owners[base] = in.ID
		}
	}
	return nil
}

// Close ends the driver's goroutines; instances go on. It is safe to call twice.
func (d *Driver) Close() error {
	d.mender.stop()
	d.bases.mu.Lock()
	d.bases.closed = true
	d.bases.mu.Unlock()
	d.making.Wait()
	d.letGo()
	return d.Keeper.Close()
}

// Network is the address ranges that this driver took on the host.
func (d *Driver) Network() compute.Network { return d.net.offer() }

// Each instance has 65536 user ids of the host to itself, in a part of the
// number space that neither accounts nor systemd-nspawn use (systemd's
// "Users, Groups, UIDs and GIDs on systemd Systems").
const (
	firstUID = 0x70000000
	idCount  = 0x10000
	ranges   = 4095
)

// baseOf is the first host uid of an instance that has files: their owner.
func baseOf(in *keeper.Instance) (uint32, bool) {
	var st unix.Stat_t
	if unix.Stat(in.File("root"), &st) != nil || st.Uid < firstUID {
		return 0, false
	}
	return st.Uid, true
}

// claim gives the instance its range of host ids, the same one each time.
func (d *Driver) claim(in *keeper.Instance) (uint32, error) {
	if base, ok := baseOf(in); ok {
		return base, nil
	}
	return d.claimFor(in.ID)
}

func (d *Driver) claimFor(id string) (uint32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var start uint32
	for _, c := range []byte(arn.Hash(d.dir + id)[:8]) {
		start = start*16 + uint32(c%16)
	}
	for i := range uint32(ranges) {
		base := firstUID + (start+i)%ranges*idCount
		if owner, taken := d.owners[base]; !taken || owner == id {
			d.owners[base] = id
			return base, nil
		}
	}
	return 0, fmt.Errorf("all %d ranges of user ids are taken", ranges)
}

// unclaim gives the range back.
func (d *Driver) unclaim(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for base, owner := range d.owners {
		if owner == id {
			delete(d.owners, base)
		}
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
