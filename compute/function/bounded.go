package function

import (
	"net"
	"sync"
)

// maxConnections is how many connections to the Runtime API an environment may have
// open: runtimes have one or two.
const maxConnections = 32

// bounded is a listener that lets further connections wait: what a function opens
// costs Slipway memory.
type bounded struct {
	net.Listener
	room chan struct{}
	quit <-chan struct{}
}

// Accept waits until there is room.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.room <- struct{}{}:
	case <-b.quit:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.room
		return nil, err
	}
	return &counted{Conn: c, leave: sync.OnceFunc(func() { <-b.room })}, nil
}

// counted is a connection that makes room when it closes.
type counted struct {
	net.Conn
	leave func()
}

// Close closes it.
func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
