// Package platform wires Slipway together, in one place: store, workflows,
// drivers, services, listeners. It may import every other package; only cli and
// tests import it. A Platform owns all goroutines of a running Slipway; Stop
// blocks until they have ended.
package platform

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Config is what a Slipway is told at its start. Only Dir must be given.
type Config struct {
	Dir       string  // folder that keeps all state
	Listen    string  // address of the API, "127.0.0.1:4566"; port 0 takes a free one
	Compute   string  // "auto", "sandbox" or "process"
	Auth      bool    // check signatures and policies on loopback too
	WaitScale float64 // factor for deliberate waits; more than 0 and at most 1
	// TLS serves the API over TLS, with certificates of an authority of the data
	// folder's own; TLSCert and TLSKey are files to use instead.
	TLS             bool
	TLSCert, TLSKey string
	// MaxConnections bounds the open connections of one remote address to the API;
	// 0 is 4096.
	MaxConnections int
	// Quota bounds what each account may ask of the API.
	Quota   Quota
	Version string
	Binary  string // path of the slipway binary that instances run as their agent; this process's own if empty
	Logger  *slog.Logger
	Now     func() time.Time
}

func (c *Config) complete() error {
	if c.Dir == "" {
		return fmt.Errorf("no data folder is given: use --data DIR")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	c.Dir = dir
	if c.Listen == "" {
		c.Listen = "127.0.0.1:4566"
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fmt.Errorf("--tls-cert and --tls-key go together")
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 4096
	}
	if c.MaxConnections < 0 || c.Quota.Rate < 0 || c.Quota.Concurrent < 0 {
		return fmt.Errorf("limits must not be negative")
	}
	if c.WaitScale == 0 {
		c.WaitScale = 1
	}
	if math.IsNaN(c.WaitScale) || c.WaitScale <= 0 || c.WaitScale > 1 {
		return fmt.Errorf("--wait-scale %v: want more than 0 and at most 1", c.WaitScale)
	}
	switch c.Compute {
	case "":
		c.Compute = "auto"
	case "auto", "sandbox", "process":
	default:
		return fmt.Errorf("--compute %q: want auto, sandbox or process", c.Compute)
	}
	if c.Binary == "" {
		if c.Binary, err = os.Executable(); err != nil {
			return fmt.Errorf("find the slipway binary: %w", err)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// loopback reports whether an address that is listened on is reachable from this
// host alone. An unspecified address is not.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
