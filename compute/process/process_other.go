//go:build !linux && !darwin

package process

import (
	"fmt"
	"runtime"

	"github.com/slipway/slipway/compute"
)

// New says that process instances are not built for this system yet.
func New(Config) (compute.Driver, error) {
	return nil, fmt.Errorf("process: instances on %s are not built yet: %w", runtime.GOOS, compute.ErrUnsupported)
}

// Probe has nothing to look at: no instance runs here.
func Probe(string) []compute.Finding { return nil }
