// Package compute is where instances run: the driver interface, and its
// drivers in folders below; computetest is the suite that each of them passes.
// It never imports store or a service: drivers are told everything, and
// remember nothing that a restart of Slipway would need. A driver owns the
// goroutines that it starts; Close ends them and leaves the instances running.
package compute

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
)

// Errors of a driver.
var (
	ErrGone        = errors.New("compute: the instance is not on this host")
	ErrUnsupported = errors.New("compute: this driver cannot do that")
	ErrAddressBusy = errors.New("compute: the address is in use on this host")
	ErrNoAddress   = errors.New("compute: the host does not have the address")
)

// Handle is what a driver needs to find an instance again. It is opaque to all
// but the driver that made it: the caller stores it and hands it back. A driver
// reads every version that it ever wrote.
type Handle struct {
	Driver  string          `json:"driver"`
	Version int             `json:"version"`
	ID      string          `json:"id"` // instance id
	Data    json.RawMessage `json:"data,omitempty"`
}

// Limits bound an instance, after its instance type.
type Limits struct {
	MilliCPU  int64 // thousandths of a CPU
	Memory    int64 // bytes
	Processes int64
	Disk      int64 // bytes of a root file system without a volume; 0 is the driver's default
}

// Spec is all that a driver is told about a new instance.
type Spec struct {
	ID       string // i-…; launching the same id twice is one instance
	Hostname string // ip-172-31-0-5.ec2.internal
	Image    string // "builtin", or the snapshot of an imported root file system
	// Root is the volume with what the instance changes of its image. Launch makes
	// it where it is not there yet. Without an id it is one of Limits.Disk bytes
	// that goes with the instance.
	Root    Volume
	Volumes []Attachment // others that it finds when it starts
	Address netip.Addr
	Subnet  netip.Prefix
	Gateway netip.Addr
	DNS     []netip.Addr
	// Resolver replaces DNS and the domain of the host name, where it is set.
	Resolver *Resolver
	// Interfaces are what it has beside eth0's first address. Only a Fabric takes
	// them.
	Interfaces []Interface
	Limits     Limits
	// Environment is set for the instance's first process and what it starts:
	// AWS_ENDPOINT_URL, AWS_REGION ...
	Environment map[string]string
}

// Resolver is what an instance is told of name servers; none is none.
type Resolver struct {
	Servers []netip.Addr
	Search  string // domains, separated by spaces
}

// State is what a driver finds on the host.
type State string

// The states of an instance on its host.
const (
	Running State = "running"
	Stopped State = "stopped" // its root file system is kept, no process runs
	Gone    State = "gone"    // nothing of it is on this host
)

// Status is what Describe finds, now.
type Status struct {
	State   State
	Address netip.Addr
	Reason  string // why it is not running, where that is known
	Exit    int    // exit status of its first process, when stopped
	// Restored says that its files came out of a backup and that it has not been
	// started since.
	Restored bool
}

// Event says that an instance may have changed: look with Describe.
type Event struct{ ID string }

// Network is what a driver offers for addresses.
type Network struct {
	Instances netip.Prefix // addresses that Spec.Address may be taken from
	Elastic   netip.Prefix // addresses that AssignAddress takes
	// Gateway is the address by which instances reach the host: Slipway's API
	// and DNS listen on it. Metadata is where the metadata service must listen,
	// invalid where each instance has a listener of its own.
	Gateway  netip.Addr
	Metadata netip.AddrPort
	// Routed says that the driver is a Fabric that works on this host.
	Routed bool
}

// Driver runs instances. Every method is idempotent and safe for concurrent
// use; a repeated call after a crash finishes what the first one began.
type Driver interface {
	Name() string
	Network() Network
	// Launch makes and starts an instance. It returns when the first process
	// runs and the address answers on the host.
	Launch(ctx context.Context, spec Spec) (Handle, error)
	// Start starts a stopped instance on its kept root file system.
	Start(ctx context.Context, spec Spec, h Handle) (Handle, error)
	// Stop ends the instance's processes, politely and then by force (at once
	// where force is set), and keeps its root file system.
	Stop(ctx context.Context, h Handle, force bool) error
	// Reboot is Stop and Start without losing the address.
	Reboot(ctx context.Context, spec Spec, h Handle) (Handle, error)
	// Terminate removes all that Launch made. Terminating what is gone is nil.
	Terminate(ctx context.Context, h Handle) error
	// Describe looks at the host. A missing instance is State Gone, no error.
	Describe(ctx context.Context, h Handle) (Status, error)
	// Console returns the last 64 KiB of the console.
	Console(ctx context.Context, h Handle) ([]byte, error)
	// AssignAddress makes ip an address of the instance, reachable from the
	// host, taking it from any other that has it. It stands for one of the
	// instance's private addresses; an invalid one is the first, which is all that
	// a driver without Fabric has. UnassignAddress takes it away.
	AssignAddress(ctx context.Context, h Handle, ip, private netip.Addr) error
	UnassignAddress(ctx context.Context, h Handle, ip netip.Addr) error
	// List finds every instance that this driver made on this host and data
	// folder, known or orphaned.
	List(ctx context.Context) ([]Handle, error)
	// Events tells of exits and starts that nobody asked for. It closes when
	// the driver does.
	Events() <-chan Event
	// Clean removes all that List finds and what the driver set up on the host.
	Clean(ctx context.Context) ([]string, error)
	// Close releases the driver; instances go on.
	Close() error
}

// HostGuard is a driver that keeps instances from what listens on the host. Only
// the metadata service and what was admitted answers them.
type HostGuard interface {
	// AdmitToHost lets instances reach a TCP port of the gateway's address.
	AdmitToHost(ctx context.Context, port uint16) error
}

// MetadataListener is a driver that makes the metadata service's listener
// itself: on its bridge, or one for each instance merged into one. The remote
// address of an accepted connection is the instance's own.
type MetadataListener interface {
	ListenMetadata(ctx context.Context) (net.Listener, error)
}

// Finding is one thing that a driver's Probe looked at on this host.
type Finding struct {
	Check    string // "idmapped mounts"
	OK       bool
	Required bool   // the driver does not work without it
	Detail   string // what was found
	Remedy   string // what to do about it, where it is not OK
}
