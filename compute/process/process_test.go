//go:build linux

package process

import (
	"log/slog"
	"net"
	"net/netip"
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

func TestMemoryIsLimited(t *testing.T) {
	w := computetest.New(t, harness)
	spec := w.Spec("#!/bin/sh\necho limit $(ulimit -d), core $(ulimit -c)\n")
	spec.Limits.Memory = 512 << 20
	w.Console(w.Launch(spec), "limit 524288, core 0\n")
}

func TestListening(t *testing.T) {
	l, err := net.Listen("tcp4", "127.77.0.9:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := netip.MustParseAddrPort(l.Addr().String()).Port()
	got := listening(netip.MustParseAddr("127.77.0.9"))
	if len(got) != 1 || !got[port] {
		t.Errorf("listening on %v, want %d", got, port)
	}
}

func TestSuite(t *testing.T) { computetest.Run(t, harness) }
