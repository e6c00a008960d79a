// Package fake is a compute driver in memory, for the tests of those who call
// one. Its zero value works, and every method can be replaced by a function
// field. It may import compute only, and starts no goroutine.
package fake

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/slipway/slipway/compute"
)

// Config replaces single methods; nil ones keep the in-memory behaviour. A
// replacement may call the driver's own method of the same name with "Real" in
// front, such as RealLaunch.
type Config struct {
	Name            string // "fake" where empty
	Network         *compute.Network
	Launch          func(ctx context.Context, spec compute.Spec) (compute.Handle, error)
	Start           func(ctx context.Context, spec compute.Spec, h compute.Handle) (compute.Handle, error)
	Stop            func(ctx context.Context, h compute.Handle, force bool) error
	Reboot          func(ctx context.Context, spec compute.Spec, h compute.Handle) (compute.Handle, error)
	Terminate       func(ctx context.Context, h compute.Handle) error
	Describe        func(ctx context.Context, h compute.Handle) (compute.Status, error)
	Console         func(ctx context.Context, h compute.Handle) ([]byte, error)
	AssignAddress   func(ctx context.Context, h compute.Handle, ip, private netip.Addr) error
	UnassignAddress func(ctx context.Context, h compute.Handle, ip netip.Addr) error
	List            func(ctx context.Context) ([]compute.Handle, error)
	Clean           func(ctx context.Context) ([]string, error)

	NoVolumes    error // what Volumes answers
	CreateVolume func(ctx context.Context, v compute.Volume) error
	GrowVolume   func(ctx context.Context, id string, bytes int64) error
	AttachVolume func(ctx context.Context, h compute.Handle, a compute.Attachment) error
	DetachVolume func(ctx context.Context, h compute.Handle, a compute.Attachment, force bool) error
}

// Driver keeps instances in memory. They end with the process.
type Driver struct {
	Config Config

	mu        sync.Mutex
	instances map[string]*instance
	addresses map[netip.Addr]string // elastic address -> instance id
	behind    map[netip.Addr]netip.Addr
	policy    compute.Policy
	disks     disks
	events    chan compute.Event
	closed    bool
}

type instance struct {
	spec    compute.Spec
	status  compute.Status
	console []byte
	boots   int
}

var _ compute.Driver = (*Driver)(nil)

// New makes a driver with no instances.
func New(cfg Config) *Driver { return &Driver{Config: cfg} }

func (d *Driver) lock() func() {
	d.mu.Lock()
	if d.instances == nil {
		d.instances = map[string]*instance{}
		d.addresses, d.behind = map[netip.Addr]string{}, map[netip.Addr]netip.Addr{}
	}
	if d.events == nil {
		d.events = make(chan compute.Event, 256)
	}
	return d.mu.Unlock
}

// Name is the driver's name in handles.
func (d *Driver) Name() string {
	if d.Config.Name != "" {
		return d.Config.Name
	}
	return "fake"
}

// Network offers the default VPC's range and a range for elastic addresses.
func (d *Driver) Network() compute.Network {
	if d.Config.Network != nil {
		return *d.Config.Network
	}
	return compute.Network{
		Instances: netip.MustParsePrefix("172.31.0.0/16"),
		Elastic:   netip.MustParsePrefix("198.18.0.0/20"),
		Gateway:   netip.MustParseAddr("172.31.0.1"),
		Metadata:  netip.MustParseAddrPort("169.254.169.254:80"),
		Routed:    true,
	}
}

// Launch keeps a running instance.
func (d *Driver) Launch(ctx context.Context, spec compute.Spec) (compute.Handle, error) {
	if d.Config.Launch != nil {
		return d.Config.Launch(ctx, spec)
	}
	return d.RealLaunch(ctx, spec)
}

// RealLaunch is Launch as it is without a replacement.
func (d *Driver) RealLaunch(ctx context.Context, spec compute.Spec) (compute.Handle, error) {
	if err := ctx.Err(); err != nil {
		return compute.Handle{}, err
	}
	if spec.ID == "" {
		return compute.Handle{}, fmt.Errorf("fake: launch: the spec has no id")
	}
	defer d.lockDisks()()
	h := compute.Handle{Driver: d.Name(), Version: 1, ID: spec.ID}
	if _, ok := d.instances[spec.ID]; ok {
		return h, nil
	}
	for _, in := range d.instances {
		if spec.Address.IsValid() && in.spec.Address == spec.Address {
			return compute.Handle{}, fmt.Errorf("fake: launch %s: %s: %w", spec.ID, spec.Address, compute.ErrAddressBusy)
		}
	}
	if err := d.plug(spec); err != nil {
		return compute.Handle{}, err
	}
	in := &instance{spec: spec}
	in.start()
	d.instances[spec.ID] = in
	return h, nil
}

func (in *instance) start() {
	in.boots++
	in.status = compute.Status{State: compute.Running, Address: in.spec.Address}
	in.console = fmt.Appendf(in.console, "fake: %s: boot %d\n", in.spec.ID, in.boots)
}

// Start runs a stopped instance again.
func (d *Driver) Start(ctx context.Context, spec compute.Spec, h compute.Handle) (compute.Handle, error) {
	if d.Config.Start != nil {
		return d.Config.Start(ctx, spec, h)
	}
	return d.RealStart(ctx, spec, h)
}

// RealStart is Start as it is without a replacement.
func (d *Driver) RealStart(_ context.Context, spec compute.Spec, h compute.Handle) (compute.Handle, error) {
	defer d.lockDisks()()
	in, ok := d.instances[h.ID]
	if !ok {
		return h, fmt.Errorf("fake: start %s: %w", h.ID, compute.ErrGone)
	}
	if in.status.State != compute.Running {
		if err := d.plug(spec); err != nil {
			return h, err
		}
		in.spec = spec
		in.start()
	}
	return h, nil
}

// Stop stops an instance and keeps it.
func (d *Driver) Stop(ctx context.Context, h compute.Handle, force bool) error {
	if d.Config.Stop != nil {
		return d.Config.Stop(ctx, h, force)
	}
	return d.RealStop(ctx, h, force)
}

// RealStop is Stop as it is without a replacement.
func (d *Driver) RealStop(_ context.Context, h compute.Handle, _ bool) error {
	defer d.lock()()
	in, ok := d.instances[h.ID]
	if !ok {
		return fmt.Errorf("fake: stop %s: %w", h.ID, compute.ErrGone)
	}
	in.status.State = compute.Stopped
	d.unplug(h.ID)
	return nil
}

// Reboot starts an instance's boot anew.
func (d *Driver) Reboot(ctx context.Context, spec compute.Spec, h compute.Handle) (compute.Handle, error) {
	if d.Config.Reboot != nil {
		return d.Config.Reboot(ctx, spec, h)
	}
	if err := d.RealStop(ctx, h, false); err != nil {
		return h, err
	}
	return d.RealStart(ctx, spec, h)
}

// Terminate forgets an instance and frees its addresses.
func (d *Driver) Terminate(ctx context.Context, h compute.Handle) error {
	if d.Config.Terminate != nil {
		return d.Config.Terminate(ctx, h)
	}
	return d.RealTerminate(ctx, h)
}

// RealTerminate is Terminate as it is without a replacement.
func (d *Driver) RealTerminate(_ context.Context, h compute.Handle) error {
	defer d.lock()()
	delete(d.instances, h.ID)
	d.unplug(h.ID)
	for ip, id := range d.addresses {
		if id == h.ID {
			delete(d.addresses, ip)
		}
	}
	return nil
}

// Describe tells what is kept of an instance.
func (d *Driver) Describe(ctx context.Context, h compute.Handle) (compute.Status, error) {
	if d.Config.Describe != nil {
		return d.Config.Describe(ctx, h)
	}
	return d.RealDescribe(ctx, h)
}

// RealDescribe is Describe as it is without a replacement.
func (d *Driver) RealDescribe(_ context.Context, h compute.Handle) (compute.Status, error) {
	defer d.lock()()
	if in, ok := d.instances[h.ID]; ok {
		return in.status, nil
	}
	return compute.Status{State: compute.Gone}, nil
}

// Console has a line for each boot.
func (d *Driver) Console(ctx context.Context, h compute.Handle) ([]byte, error) {
	if d.Config.Console != nil {
		return d.Config.Console(ctx, h)
	}
	defer d.lock()()
	in, ok := d.instances[h.ID]
	if !ok {
		return nil, fmt.Errorf("fake: console of %s: %w", h.ID, compute.ErrGone)
	}
	return slices.Clone(in.console), nil
}

// AssignAddress gives the address to the instance, whoever had it.
func (d *Driver) AssignAddress(ctx context.Context, h compute.Handle, ip, private netip.Addr) error {
	if d.Config.AssignAddress != nil {
		return d.Config.AssignAddress(ctx, h, ip, private)
	}
	return d.RealAssignAddress(ctx, h, ip, private)
}

// RealAssignAddress is AssignAddress in memory.
func (d *Driver) RealAssignAddress(_ context.Context, h compute.Handle, ip, private netip.Addr) error {
	defer d.lock()()
	if _, ok := d.instances[h.ID]; !ok {
		return fmt.Errorf("fake: assign %s to %s: %w", ip, h.ID, compute.ErrGone)
	}
	if !d.Network().Elastic.Contains(ip) {
		return fmt.Errorf("fake: assign %s: not within %s", ip, d.Network().Elastic)
	}
	d.addresses[ip] = h.ID
	d.behind[ip] = private
	return nil
}

// UnassignAddress takes the address from the instance, if it has it.
func (d *Driver) UnassignAddress(ctx context.Context, h compute.Handle, ip netip.Addr) error {
	if d.Config.UnassignAddress != nil {
		return d.Config.UnassignAddress(ctx, h, ip)
	}
	defer d.lock()()
	if d.addresses[ip] == h.ID {
		delete(d.addresses, ip)
	}
	return nil
}

// Holder is the instance that has an elastic address, or "".
func (d *Driver) Holder(ip netip.Addr) string {
	defer d.lock()()
	return d.addresses[ip]
}

// Behind is the private address that an elastic one was assigned for.
func (d *Driver) Behind(ip netip.Addr) netip.Addr {
	defer d.lock()()
	return d.behind[ip]
}

// List has every instance that was not terminated, by id.
func (d *Driver) List(ctx context.Context) ([]compute.Handle, error) {
	if d.Config.List != nil {
		return d.Config.List(ctx)
	}
	defer d.lock()()
	var hs []compute.Handle
	for id := range d.instances {
		hs = append(hs, compute.Handle{Driver: d.Name(), Version: 1, ID: id})
	}
	slices.SortFunc(hs, func(a, b compute.Handle) int { return strings.Compare(a.ID, b.ID) })
	return hs, nil
}

// Kill ends an instance as a crash would: nobody asked, and an event tells.
func (d *Driver) Kill(id string, exit int) {
	defer d.lock()()
	in, ok := d.instances[id]
	if !ok || in.status.State != compute.Running {
		return
	}
	in.status.State, in.status.Exit, in.status.Reason = compute.Stopped, exit, "killed"
	if d.closed {
		return
	}
	select {
	case d.events <- compute.Event{ID: id}:
	default: // the reader is far behind; Describe still tells the truth
	}
}

// Events tells of instances that Kill ended.
func (d *Driver) Events() <-chan compute.Event {
	defer d.lock()()
	return d.events
}

// Clean forgets all instances.
func (d *Driver) Clean(ctx context.Context) ([]string, error) {
	if d.Config.Clean != nil {
		return d.Config.Clean(ctx)
	}
	defer d.lock()()
	var removed []string
	for id := range d.instances {
		removed = append(removed, "instance "+id)
	}
	slices.Sort(removed)
	clear(d.instances)
	clear(d.addresses)
	return removed, nil
}

// Close closes the channel of events. It is safe to call twice.
func (d *Driver) Close() error {
	defer d.lock()()
	if !d.closed {
		d.closed = true
		close(d.events)
	}
	return nil
}
