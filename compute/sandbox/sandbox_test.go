//go:build linux

package sandbox

import (
	"log/slog"
	"testing"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
)

var harness = computetest.Harness{
	Open: func(dir, binary string, log *slog.Logger) (compute.Driver, error) {
		return New(Config{Dir: dir, Slipway: binary, Logger: log})
	},
}

func TestMain(m *testing.M) { computetest.Main(m, harness) }

// requireHost skips where this host cannot run sandboxes, and says why.
func requireHost(t *testing.T) {
	t.Helper()
	for _, f := range Probe() {
		if f.Required && !f.OK {
			t.Skipf("this host cannot run sandboxes: %s: %s", f.Check, f.Detail)
		}
	}
}

func TestSuite(t *testing.T) {
	requireHost(t)
	computetest.Run(t, harness)
}
