package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/boot"
	"github.com/slipway/slipway/compute/disk"
	"github.com/slipway/slipway/compute/keeper"
)

// enclosures is the folder with a folder for each enclosure: its /tmp, and where
// its control groups are.
const enclosures = "enclosures"

// enclosure is a set of namespaces like an instance's, with a read-only root, a
// network address that is in no VPC, and nothing that is kept. What listens for its
// processes listens in its network namespace, though it is this process's.
type enclosure struct {
	*keeper.Enclosed
	driver   *Driver
	id       string
	address  netip.Addr
	listener net.Listener
	base     int64 // bytes of memory that the first process has
	freezer  *freezer

	once sync.Once
	err  error
}

// Enclose makes namespaces in which the first process waits for the program.
func (d *Driver) Enclose(ctx context.Context, spec compute.EnclosureSpec) (compute.Enclosure, error) {
	if err := d.CheckID(spec.ID); err != nil {
		return nil, fmt.Errorf("sandbox: enclose: %w", err)
	}
	e := &enclosure{driver: d, id: spec.ID}
	if err := d.admit(e); err != nil {
		return nil, fmt.Errorf("sandbox: enclose %s: %w", spec.ID, err)
	}
	if err := e.make(ctx, spec); err != nil {
		return nil, errors.Join(fmt.Errorf("sandbox: enclose %s: %w", spec.ID, err), e.Close())
	}
	return e, nil
}

// admit gives an enclosure a free address.
func (d *Driver) admit(e *enclosure) error {
	own := d.net.saved.Enclosures
	if !own.IsValid() {
		return fmt.Errorf("this host has no address range for functions: %w", compute.ErrUnsupported)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.enclosed[e.id] != nil {
		return fmt.Errorf("there is one of that name: %w", compute.ErrInUse)
	}
	taken := make(map[netip.Addr]bool, len(d.enclosed))
	for _, other := range d.enclosed {
		taken[other.address] = true
	}
	for a := own.Addr().Next(); own.Contains(a.Next()); a = a.Next() {
		if !taken[a] {
			e.address = a
			d.enclosed[e.id] = e
			return nil
		}
	}
	return fmt.Errorf("all addresses of %s are taken: %w", own, compute.ErrUnsupported)
}

func (e *enclosure) path(elem ...string) string {
	return e.driver.Path(append([]string{enclosures, e.id}, elem...)...)
}

func (e *enclosure) make(ctx context.Context, spec compute.EnclosureSpec) error {
	d := e.driver
	if err := os.MkdirAll(e.path(), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(e.path("groups"), []byte(strings.Join(d.cgroups.enclosed(e.id), "\n")), 0o600); err != nil {
		return err
	}
	if err := d.cgroups.create(e.id, compute.Limits{}); err != nil {
		return err
	}
	pid, err := e.fork(ctx, spec)
	if err != nil {
		return err
	}
	_ = write("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", strconv.Itoa(boot.Expendable)) // as what instances run
	if err := d.net.connect(e.id, pid, netip.PrefixFrom(e.address, d.net.saved.Enclosures.Bits()), keeper.Record{}); err != nil {
		return err
	}
	if e.listener, err = listenInside(ctx, pid); err != nil {
		return err
	}
	dns := spec.DNS
	if len(dns) == 0 {
		dns = []netip.Addr{d.net.gateway()}
	}
	err = e.Converse(ctx, boot.Config{
		Kind: boot.Sandbox, ID: e.id, Hostname: strings.ReplaceAll(e.address.String(), ".", "-"),
		Address: e.address, DNS: dns, Root: "/",
	})
	if err != nil {
		return err
	}
	e.base = d.cgroups.memory(e.id)
	e.freezer, err = d.cgroups.freezer(e.id, pid)
	return err
}

// fork builds the mounts and forks the first process.
func (e *enclosure) fork(ctx context.Context, spec compute.EnclosureSpec) (int, error) {
	d := e.driver
	lower, err := d.base()
	if err != nil {
		return 0, fmt.Errorf("skeleton of root file systems: %w", err)
	}
	base, err := d.claimFor(e.id)
	if err != nil {
		return 0, err
	}
	idmap, err := idmapFD(base)
	if err != nil {
		return 0, err
	}
	defer unix.Close(idmap)
	s := &stage{
		driver: d, id: e.id, base: base, lower: lower, idmap: idmap, command: "enclosure", room: spec.Temporary,
		env: []string{"PATH=/usr/bin:/bin", boot.NoCollection, "GOMAXPROCS=1"},
	}
	if d.volumes.unsupported == nil && spec.Temporary > 0 {
		if s.tmp, err = e.temporary(ctx, spec.Temporary); err != nil {
			return 0, fmt.Errorf("/tmp: %w", err)
		}
		defer s.tmp.Close()
	}
	first, err := keeper.OpenEnclosed()
	if err != nil {
		return 0, err
	}
	s.files = first.Files()
	if err := s.run(); err != nil {
		first.Discard()
		return 0, err
	}
	if err := d.Enclosed(first, s.pid); err != nil {
		return 0, err
	}
	e.Enclosed = first
	return s.pid, nil
}

// temporary makes and mounts the file system of /tmp.
func (e *enclosure) temporary(ctx context.Context, bytes int64) (*disk.Mount, error) {
	d := e.driver
	if err := disk.Room(d.dir); err != nil {
		return nil, err
	}
	template, err := d.template(ctx, bytes)
	if err != nil {
		return nil, err
	}
	if err := disk.Copy(ctx, e.path("tmp"), template, disk.Lazily); err != nil {
		return nil, err
	}
	m, err := disk.Open(e.path("tmp"), d.label(e.id), false)
	if err != nil {
		return nil, err
	}
	_ = os.Remove(m.Path() + "/lost+found")
	if err := unix.Fchmod(m.Root(), 0o1777); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// enclosedRoot mounts the file systems of an enclosure. All but /tmp is read-only.
func (s *stage) enclosedRoot() error {
	base := "d/" + s.lower
	for host, at := range map[string]string{base + "/root": "l/root", base + "/enclosed": "l/image", base + "/usr": "l/extra", "/usr": "l/usr"} {
		if err := s.layer(host, at); err != nil {
			return err
		}
	}
	for _, o := range []struct{ lower, at string }{{"l/image:l/root", "new"}, {"l/extra:l/usr", "new/usr"}} {
		if err := unix.Mount("overlay", o.at, "overlay", unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, "lowerdir="+o.lower+",index=off,metacopy=off,xino=off"); err != nil {
			return fmt.Errorf("overlay of %s: %w", o.lower, err)
		}
	}
	if s.tmp == nil {
		opts := fmt.Sprintf("mode=1777,size=%d,uid=%d,gid=%d", s.room, s.base, s.base)
		return unix.Mount("tmp", "new/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, opts)
	}
	if err := s.tmp.Map(s.idmap); err != nil {
		return err
	}
	return s.tmp.Attach("new/tmp")
}

// runtimePort is where functions find the Runtime API, as on AWS.
const runtimePort = 9001

// listenInside listens on the loopback address of a process's network namespace.
// The listener is this process's, and works from any thread.
func listenInside(ctx context.Context, pid int) (l net.Listener, err error) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("network namespace of process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	err = onOwnThread(func() error {
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		var lc net.ListenConfig
		l, err = lc.Listen(ctx, "tcp4", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), runtimePort).String())
		return err
	})
	return l, err
}

// Path is the place itself: folders are mounted.
func (e *enclosure) Path(at string) string { return at }

// Run sets the limits and starts the program.
func (e *enclosure) Run(_ context.Context, p compute.Program) error {
	limits := p.Limits
	if limits.Memory > 0 {
		limits.Memory += e.base // the first process is not the function's
	}
	if err := e.driver.cgroups.create(e.id, limits); err != nil {
		return err
	}
	return e.Enclosed.Run(boot.Program{Args: p.Args, Dir: p.Dir, Environment: p.Environment})
}

func (e *enclosure) Listener() net.Listener { return e.listener }

// Ended says of a killed program whether the kernel killed for want of memory.
func (e *enclosure) Ended() compute.Ended {
	end := e.Enclosed.Ended()
	if end.Signal == int(unix.SIGKILL) || end.Lost {
		end.Memory = e.driver.cgroups.oomKills(e.id) > 0
	}
	return end
}

// Memory is what the program and all that it started have.
func (e *enclosure) Memory() int64 { return max(0, e.driver.cgroups.memory(e.id)-e.base) }

// Close kills all and removes what was made.
func (e *enclosure) Close() error {
	e.once.Do(func() {
		if e.listener != nil {
			_ = e.listener.Close()
		}
		if e.Enclosed != nil {
			e.Stop(0)
			_ = e.Output().Close()
		}
		if e.freezer != nil {
			e.freezer.close()
		}
		e.err = e.driver.dropEnclosed(context.Background(), e.id, e.address, e.driver.cgroups.enclosed(e.id))
		e.driver.unclaim(e.id)
		e.driver.mu.Lock()
		delete(e.driver.enclosed, e.id)
		e.driver.mu.Unlock()
	})
	return e.err
}

// dropEnclosed removes what an enclosure without processes had on the host.
func (d *Driver) dropEnclosed(ctx context.Context, id string, ip netip.Addr, groups []string) error {
	d.net.disconnect(id)
	d.net.unguard(d.net.port(id)) // its end of the cable went with the processes
	if ip.IsValid() {
		d.net.forget(ip)
	}
	return errors.Join(emptyGroups(ctx, groups), os.RemoveAll(d.Path(enclosures, id)))
}

// sweepEnclosed removes what the enclosures of a Slipway that was killed have left.
// Their processes end by themselves.
func (d *Driver) sweepEnclosed(ctx context.Context) (removed []string, err error) {
	entries, err := os.ReadDir(d.Path(enclosures))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, entry := range entries {
		id := entry.Name()
		groups := d.cgroups.enclosed(id)
		if b, err := os.ReadFile(d.Path(enclosures, id, "groups")); err == nil && len(b) > 0 {
			groups = append(groups, strings.Split(string(b), "\n")...)
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		if err := d.dropEnclosed(ctx, id, netip.Addr{}, groups); err != nil {
			errs = append(errs, fmt.Errorf("enclosure %s: %w", id, err))
		} else {
			removed = append(removed, "enclosure "+id)
		}
		cancel()
	}
	return removed, errors.Join(errs...)
}

// endEnclosed ends all enclosures, and removes what is left of earlier ones.
func (d *Driver) endEnclosed(ctx context.Context) (removed []string, err error) {
	d.mu.Lock()
	list := make([]*enclosure, 0, len(d.enclosed))
	for _, e := range d.enclosed {
		list = append(list, e)
	}
	d.mu.Unlock()
	var errs []error
	for _, e := range list {
		removed = append(removed, "enclosure "+e.id)
		errs = append(errs, e.Close())
	}
	more, err := d.sweepEnclosed(ctx)
	return append(removed, more...), errors.Join(append(errs, err)...)
}

// guardEnclosed lets enclosures send from their own addresses only.
func (d *Driver) guardEnclosed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.enclosed {
		if err := d.net.guard(d.net.port(e.id), e.address); err != nil {
			return err
		}
	}
	return nil
}
