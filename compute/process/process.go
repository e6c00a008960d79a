// Package process is the compute driver that needs no privileges: an instance
// is a process tree in a directory, with a 127.x.y.z address.
package process

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

// New opens the driver on its folder and finds the instances that run there.
func New(cfg Config) (compute.Driver, error) { return nil, compute.ErrUnsupported }
