package compute

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
)

// Enclosures is a driver that can set a few processes apart for a while, as the
// execution environments of Lambda functions are. Nothing of one is kept: it ends
// with the Slipway that made it, however that ends, and what it leaves on the host
// is removed by the next driver on the folder, and by Clean.
type Enclosures interface {
	// Enclose makes a blank one: files, network and limits are there, and nothing
	// but its first process runs. It has Enclosure.Close as its only end.
	Enclose(ctx context.Context, spec EnclosureSpec) (Enclosure, error)
}

// EnclosureSpec is what is known of an enclosure before it is used.
type EnclosureSpec struct {
	ID        string // of lower-case letters, digits and hyphens; never used again
	Temporary int64  // bytes of /tmp
	// DNS are its name servers, where the driver can give it any; none is the
	// gateway.
	DNS []netip.Addr
}

// Program is what runs in an enclosure.
type Program struct {
	Args        []string // Args[0] is a path within the enclosure
	Dir         string
	Environment []string
	Limits      Limits // Disk is not looked at
}

// Folder shows host folders in an enclosure, read-only. Of several, the files of
// later ones hide those of earlier ones.
type Folder struct {
	At   string // "/var/task"
	From []string
}

// Ended is how an enclosure's program ended.
type Ended struct {
	Code   int // exit status; -1 where a signal ended it
	Signal int
	// Failed is why the program did not start.
	Failed string
	// Memory says that the kernel killed for want of memory within the limits.
	Memory bool
	// Lost says that the enclosure itself ended, and why is not known.
	Lost bool
}

// Enclosure is some processes set apart. Its methods are safe for concurrent use.
type Enclosure interface {
	// Show makes folders visible, before Run.
	Show(ctx context.Context, folders []Folder) error
	// Path is where processes within find what Show has put at a place: the place
	// itself, or elsewhere where the driver cannot mount. "/tmp" is there always.
	Path(at string) string
	// Run starts the program, once.
	Run(ctx context.Context, p Program) error
	// Listener accepts connections that processes within make to its address.
	Listener() net.Listener
	// Output is what processes within print. It ends when none is left.
	Output() *os.File
	// Done closes when the program has ended, or the enclosure has.
	Done() <-chan struct{}
	// Ended is valid once Done is closed.
	Ended() Ended
	// Freeze stops the program's processes, until Thaw: they have no CPU time, whatever
	// they wait for, and Close ends them all the same. compute.ErrUnsupported is for
	// good, any other error for this time.
	Freeze() error
	// Thaw has them go on.
	Thaw() error
	// Memory is what the processes use now, in bytes; zero where that is not known.
	Memory() int64
	// Close kills all processes, waits for their end and removes what was made.
	// It is safe to call twice.
	Close() error
}

// ErrEnclosureUsed says that a second program was to run in an enclosure.
var ErrEnclosureUsed = errors.New("compute: the enclosure has run its program")
