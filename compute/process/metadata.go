//go:build linux || darwin

package process

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/slipway/slipway/compute/boot"
)

// ListenMetadata is the metadata listeners of all instances, as one. It can be
// called once; Close ends it, or the driver's Close.
func (d *Driver) ListenMetadata(context.Context) (net.Listener, error) { return d.metadata, nil }

// merged is a listener on a set of addresses that changes.
type merged struct {
	log   *slog.Logger
	conns chan net.Conn
	done  chan struct{}

	mu        sync.Mutex
	closed    bool
	listeners map[netip.Addr]net.Listener
	accepting sync.WaitGroup
}

func newMerged(log *slog.Logger) *merged {
	return &merged{log: log, conns: make(chan net.Conn), done: make(chan struct{}), listeners: map[netip.Addr]net.Listener{}}
}

// add listens on the instance's address. Where another program has the port,
// the instance goes without metadata, and the log says so.
func (m *merged) add(ip netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.listeners[ip] != nil {
		return
	}
	l, err := net.Listen("tcp4", netip.AddrPortFrom(ip, boot.MetadataPort).String())
	if err != nil {
		m.log.Error("an instance has no metadata service", "address", ip.String(), "error", err)
		return
	}
	m.listeners[ip] = l
	m.accepting.Go(func() { m.accept(l, ip) })
}

func (m *merged) accept(l net.Listener, ip netip.Addr) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case m.conns <- &conn{Conn: c, instance: ip}:
		case <-m.done:
			_ = c.Close()
			return
		}
	}
}

func (m *merged) remove(ip netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.listeners[ip]; l != nil {
		_ = l.Close()
		delete(m.listeners, ip)
	}
}

// Accept returns the next connection to any of the addresses.
func (m *merged) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

// Close ends all listeners and waits for their goroutines.
func (m *merged) Close() error {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		close(m.done)
		for _, l := range m.listeners {
			_ = l.Close()
		}
	}
	m.mu.Unlock()
	m.accepting.Wait()
	return nil
}

// Addr is no single address.
func (m *merged) Addr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.IPv4Unspecified(), boot.MetadataPort))
}

// conn comes from the instance whose listener it reached: on loopback, where
// it comes from says nothing.
type conn struct {
	net.Conn
	instance netip.Addr
}

// RemoteAddr is the instance's own address.
func (c *conn) RemoteAddr() net.Addr {
	port := uint16(0)
	if a, ok := c.Conn.RemoteAddr().(*net.TCPAddr); ok {
		port = uint16(a.Port)
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.instance, port))
}
