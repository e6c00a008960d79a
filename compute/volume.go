package compute

import (
	"context"
	"errors"
	"io"
	"net/netip"
)

// ErrInUse is a volume that an instance has, or whose files are open in one.
var ErrInUse = errors.New("compute: the volume is in use")

// ErrFull is a host without room for another volume.
var ErrFull = errors.New("compute: the host's disk is full")

// ErrBadArchive is an image whose archive cannot be unpacked: broken, too large,
// or reaching out of its root.
var ErrBadArchive = errors.New("compute: the image's archive cannot be unpacked")

// Volume is what a driver is told about a new volume.
type Volume struct {
	ID       string // vol-…
	Bytes    int64
	Snapshot string // what it begins as; empty for an empty file system
}

// Attachment is a volume at a device's name in an instance. The volume's files
// are below that name: the device itself is the host's to read alone.
type Attachment struct {
	Volume string `json:"volume"`
	Device string `json:"device"` // /dev/sdf
}

// SnapshotOf is a snapshot that a volume is to have.
type SnapshotOf struct{ ID, Volume string }

// VolumeStatus is what Stat finds.
type VolumeStatus struct {
	Bytes    int64 // its size
	Used     int64 // what it takes on the host
	Attached bool  // it is mounted somewhere on the host
}

// Disks is a driver that keeps volumes and snapshots of them. Every method is
// idempotent, as a Driver's are. A driver without them ignores Spec.Root and
// Spec.Volumes, and does not bound what an instance writes.
type Disks interface {
	// Volumes says why this host has no volumes, nil where it has.
	Volumes() error
	// CreateVolume makes a volume whole, or not at all.
	CreateVolume(ctx context.Context, v Volume) error
	// GrowVolume makes it larger, while it is in use where the host allows it:
	// ErrUnsupported where not.
	GrowVolume(ctx context.Context, id string, bytes int64) error
	// DeleteVolume removes it; ErrInUse while an instance has it. One that is
	// gone is nil.
	DeleteVolume(ctx context.Context, id string) error
	// StatVolume looks at it; ErrGone where it is not on the host.
	StatVolume(ctx context.Context, id string) (VolumeStatus, error)
	// AttachVolume shows a volume in a running instance. A stopped one gets it by
	// its Spec when it starts.
	AttachVolume(ctx context.Context, h Handle, a Attachment) error
	// DetachVolume takes it away with all that was written on disk; ErrInUse
	// while a process in the instance uses it. force ends such processes.
	DetachVolume(ctx context.Context, h Handle, a Attachment, force bool) error
	// CreateSnapshot keeps a volume as it is at one moment, in use or not.
	CreateSnapshot(ctx context.Context, id, volume string) error
	// CreateSnapshots is CreateSnapshot of several volumes, all at the same moment. A
	// repeated call after a crash makes all of them again, unless all are there.
	CreateSnapshots(ctx context.Context, list []SnapshotOf) error
	// CopySnapshot makes another that does not depend on the first.
	CopySnapshot(ctx context.Context, id, from string) error
	// ImportSnapshot unpacks the tar archive of a root file system into a
	// snapshot that Spec.Image can name. The archive is not trusted.
	ImportSnapshot(ctx context.Context, id string, bytes int64, archive io.Reader) error
	// DeleteSnapshot removes it. Volumes made from it stay.
	DeleteSnapshot(ctx context.Context, id string) error
	// ListDisks is every volume and snapshot on this host and data folder.
	ListDisks(ctx context.Context) (volumes, snapshots []string, err error)
}

// VolumeCopier is a driver that copies a volume, in use or not, to a new file as
// its files are at one moment. It holds up those who write to it as briefly as the
// host allows.
type VolumeCopier interface {
	CopyVolume(ctx context.Context, id, path string) error
}

// Ranges are the addresses that a driver gives out on a host. A backup has them so
// that instances keep theirs.
type Ranges struct {
	Instances netip.Prefix `json:"instances"`
	Elastic   netip.Prefix `json:"elastic"`
}
