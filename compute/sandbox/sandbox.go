// Package sandbox is the compute driver for Linux: an instance is a set of
// namespaces with its own root file system, cgroup limits and an address on a
// bridge.
package sandbox

import (
	"log/slog"

	"github.com/slipway/slipway/compute"
)

// Config says where instances live.
type Config struct {
	Dir     string // instances' files; made when missing
	Slipway string // path of the slipway binary, which is each instance's first process
	Logger  *slog.Logger
}

// Finding is one thing that Probe looked at.
type Finding = compute.Finding

// New opens the driver on its folder and finds the instances that run there.
func New(cfg Config) (compute.Driver, error) { return nil, compute.ErrUnsupported }

// Probe tells what this host can and cannot do.
func Probe() []Finding { return nil }
