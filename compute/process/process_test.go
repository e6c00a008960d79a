//go:build linux

package process

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
	"github.com/slipway/slipway/compute/proc"
)

var harness = computetest.Harness{
	Open: func(dir, binary string, log *slog.Logger) (compute.Driver, error) {
		return New(Config{Dir: dir, Slipway: binary, Logger: log})
	},
}

// bySession is the driver as on a system without subreapers, marks and a whole
// network of loopback addresses: darwin's parts, run here.
var bySession = computetest.Harness{
	Open: func(dir, binary string, log *slog.Logger) (compute.Driver, error) {
		sys := fewAddresses(aliased)
		sys.marks = false // as for the programs that come with macOS
		return open(Config{Dir: dir, Slipway: binary, Logger: log}, sys)
	},
}

// sessionsEnv makes the run of the test binary that the suite kills use bySession.
const sessionsEnv = "SLIPWAY_TEST_BY_SESSION"

func TestMain(m *testing.M) {
	h := harness
	if os.Getenv(sessionsEnv) != "" {
		h = bySession
	}
	computetest.Main(m, h)
}

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

func TestSuiteBySession(t *testing.T) {
	t.Setenv(sessionsEnv, "1")
	computetest.Run(t, bySession)
}

// A killed first process leaves a tree without a parent. What left its parent is
// found by the session.
func TestOrphansBySession(t *testing.T) {
	w := computetest.New(t, bySession)
	h := w.Launch(w.Spec("#!/bin/sh\n(sh -c 'echo orphan $$; exec sleep 1000' &)\n"))
	var orphan int
	w.Console(h, "user data finished")
	for line := range strings.Lines(w.Console(h, "orphan ")) { // it may be the later one
		_, _ = fmt.Sscanf(line, "orphan %d", &orphan)
	}
	id, err := proc.Of(orphan)
	if err != nil || !id.Alive() {
		t.Fatalf("orphan %d: %v", orphan, err)
	}
	w.Do(unix.Kill(w.Driver.(*Driver).FirstProcess(h.ID), unix.SIGKILL))
	w.Until("the end of the orphan", func() bool { return !id.Alive() })
	w.Until("the record of it", func() bool { return w.Driver.(*Driver).Instance(h.ID).Record().Swept })
	w.Want(h, compute.Stopped)
}
