// Package disk keeps volumes as files with an ext4 file system in them: a sparse
// file that never grows beyond its size, mounted through a loop device. A loop
// device is let go with its last mount, and mounts belong to an instance's
// namespace or to an open descriptor: nothing of this stays on a host when the
// processes end, however they do. Only file systems that this package formatted
// are ever mounted, and nobody is given the device below one.
//
// It may import nothing of ours and starts no goroutine.
package disk

import "errors"

// Errors that callers tell apart.
var (
	ErrBusy        = errors.New("disk: in use")
	ErrUnsupported = errors.New("disk: this host cannot mount volumes")
	ErrNoSpace     = errors.New("disk: the host's own disk is nearly full")
)

// GiB is the unit of a volume's size.
const GiB = 1 << 30

// Reserve is what is left free on the host's own disk: no volume is made there
// when less is free. Volumes are sparse, so they may promise more than there is.
const Reserve = 1 * GiB
