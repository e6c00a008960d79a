//go:build linux

package process

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

func TestSuite(t *testing.T) { computetest.Run(t, harness) }
