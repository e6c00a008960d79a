package platform

import (
	"net"
	"testing"
	"time"
)

func TestOneAddressHoldsSoManyConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := newFair(l, 2)
	t.Cleanup(func() { f.Close() })
	accepted := make(chan net.Conn, 8)
	go func() {
		defer close(accepted)
		for {
			c, err := f.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func(from string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
		c, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial("127.0.0.1")
	dial("127.0.0.1")
	first := <-accepted
	<-accepted
	// A third one of the same address is closed; another address is served.
	third := dial("127.0.0.1")
	_ = third.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Error("a third connection is open")
	} else if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Error("a third connection was neither served nor closed")
	}
	dial("127.0.0.2")
	<-accepted
	// A closed connection makes room, and closing it twice makes no more.
	first.Close()
	first.Close()
	dial("127.0.0.1")
	<-accepted
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.open[first.(*heldConn).remote]; n != 2 {
		t.Errorf("the address holds %d connections, want 2", n)
	}
}
