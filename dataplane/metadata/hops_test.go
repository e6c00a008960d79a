//go:build unix

package metadata

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// anyone is a source that knows one instance by every address.
type anyone struct {
	Source
	in Instance
}

func (a anyone) Lookup(context.Context, netip.Addr) (Instance, bool, error) { return a.in, true, nil }

// wrapped is a listener whose connections hide their sockets, as those with a
// limit do.
type wrapped struct {
	net.Listener
	last chan net.Conn
}

type hidden struct{ net.Conn }

func (h hidden) NetConn() net.Conn { return h.Conn }

func (w wrapped) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err == nil {
		w.last <- c
	}
	return hidden{c}, err
}

func TestTokensGoSoManyHops(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := wrapped{ln, make(chan net.Conn, 4)}
	s := Serve(l, NewHandler(anyone{in: Instance{ID: "i-1", Enabled: true, HopLimit: 3}}, slog.New(slog.DiscardHandler), time.Now))
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	var conn net.Conn
	for _, tt := range []struct {
		method, path string
		hops         int
	}{{http.MethodPut, "/latest/api/token", 3}, {http.MethodGet, "/latest/", usualHops}, {http.MethodPut, "/latest/api/token", 3}} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+ln.Addr().String()+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(ttlHeader, "60")
		resp, err := client.Do(r)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %v, %v", tt.method, tt.path, resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
		_ = resp.Body.Close()
		if conn == nil {
			conn = <-l.last
		}
		if got := hopsOf(t, conn); got != tt.hops {
			t.Errorf("after %s %s: %d hops, want %d", tt.method, tt.path, got, tt.hops)
		}
	}
}

func hopsOf(t *testing.T, c net.Conn) int {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	hops := 0
	if err := raw.Control(func(fd uintptr) { hops, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TTL) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return hops
}
