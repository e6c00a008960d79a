package platform

import (
	"net"
	"net/netip"
	"sync"
)

// maxPerInstance bounds the open connections of one instance to each of
// Slipway's listeners for instances: a client with a leak must not take the
// file descriptors of all.
const maxPerInstance = 128

// fair is a listener that lets each remote address hold so many connections;
// one more is closed at once.
type fair struct {
	net.Listener
	most int

	mu   sync.Mutex
	open map[netip.Addr]int
}

func newFair(l net.Listener, most int) *fair {
	return &fair{Listener: l, most: most, open: map[netip.Addr]int{}}
}

// Accept waits for a connection that its address may still hold.
func (f *fair) Accept() (net.Conn, error) {
	for {
		c, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote, err := netip.ParseAddrPort(c.RemoteAddr().String())
		if err != nil {
			_ = c.Close()
			continue
		}
		if held := (&heldConn{Conn: c, from: f, remote: remote.Addr()}); f.take(held.remote) {
			return held, nil
		}
		_ = c.Close()
	}
}

func (f *fair) take(a netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[a] >= f.most {
		return false
	}
	f.open[a]++
	return true
}

func (f *fair) give(a netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[a]--; f.open[a] <= 0 {
		delete(f.open, a)
	}
}

// heldConn gives its place back when it is closed, once.
type heldConn struct {
	net.Conn
	from   *fair
	remote netip.Addr
	once   sync.Once
}

// Close closes the connection.
func (c *heldConn) Close() error {
	c.once.Do(func() { c.from.give(c.remote) })
	return c.Conn.Close()
}
