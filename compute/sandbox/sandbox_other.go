//go:build !linux

package sandbox

import (
	"fmt"
	"runtime"

	"github.com/slipway/slipway/compute"
)

// New says that sandboxes need Linux.
func New(Config) (compute.Driver, error) {
	return nil, fmt.Errorf("sandbox: %s has no namespaces: %w", runtime.GOOS, compute.ErrUnsupported)
}

// Probe says that sandboxes need Linux.
func Probe() []Finding {
	return []Finding{{
		Check: "operating system", Required: true,
		Detail: runtime.GOOS + " has no namespaces",
		Remedy: "run Slipway on Linux, or with --compute process",
	}}
}
