package metadata

import (
	"context"
	"net"
	"syscall"
)

// usualHops is how far answers go that are not for a session's beginning.
const usualHops = 64

type connKey struct{}

// withConn keeps a connection where limitHops finds it.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// limitHops bounds how many hosts pass on what is answered by the request's
// connection from now on (HttpPutResponseHopLimit): a container behind an
// instance's own network does not get a token that may go one hop. It is false
// where the connection knows no hops.
func limitHops(ctx context.Context, hops int) bool {
	c, _ := ctx.Value(connKey{}).(net.Conn)
	for {
		inner, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = inner.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	set := false
	err = raw.Control(func(fd uintptr) { set = setHops(fd, hops) == nil })
	return set && err == nil
}
