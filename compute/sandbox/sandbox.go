// Package sandbox is the compute driver for Linux: an instance is a set of
// namespaces with its own root file system (an overlay over the host's /usr,
// idmapped so that root inside owns it), cgroup limits, and an address on a
// bridge. Its first process is `slipway agent`, which outlives Slipway.
//
// It may import compute and what is below it. A Driver owns the process
// watcher, the queue of events and the building of the skeleton; Close ends all.
package sandbox

import (
	"log/slog"

	"github.com/slipway/slipway/compute"
)

// Name is the driver's name in handles.
const Name = "sandbox"

// Config says where instances live.
type Config struct {
	Dir     string // instances' files; made when missing
	Slipway string // path of the slipway binary, which is each instance's first process
	Logger  *slog.Logger
}

// Finding is one thing that Probe looked at.
type Finding = compute.Finding
