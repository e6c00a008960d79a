package platform

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
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

// deadlined is a connection that fails writes after their deadline, as one does
// whose client reads nothing.
type deadlined struct {
	net.Conn
	set []time.Time
}

func (d *deadlined) SetWriteDeadline(t time.Time) error { d.set = append(d.set, t); return nil }
func (d *deadlined) Write(b []byte) (int, error)        { return len(b), nil }

func TestEachWriteHasADeadlineAheadOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &deadlined{}
		c := &heldConn{Conn: conn}
		write := func() {
			t.Helper()
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			left := time.Until(conn.set[len(conn.set)-1])
			if left > writePatience || left < writePatience-time.Second {
				t.Errorf("a write waits %s, want %s", left, writePatience)
			}
		}
		write()
		write()
		if len(conn.set) != 1 {
			t.Errorf("two writes at once set %d deadlines", len(conn.set))
		}
		time.Sleep(writePatience / 2) // of the bubble's clock
		write()
		if len(conn.set) != 2 {
			t.Errorf("a later write set %d deadlines in all, want 2", len(conn.set))
		}
	})
}

func TestMaxConnectionsBoundsOneAddress(t *testing.T) {
	p := start(t, func(c *Config) { c.MaxConnections = 3 })
	address := strings.TrimPrefix(p.Endpoint(), "http://")
	healthy := func(c net.Conn) error {
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.WriteString(c, "GET /_slipway/health HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return err
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return errors.Join(err, resp.Body.Close())
	}
	for i := range 4 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := healthy(c); (err == nil) != (i < 3) {
			t.Errorf("connection %d of at most 3: %v", i+1, err)
		}
	}
}

// counted counts how often a read deadline is set.
type counted struct {
	net.Conn
	sets int
}

func (c *counted) SetReadDeadline(t time.Time) error {
	c.sets++
	return c.Conn.SetReadDeadline(t)
}

// A read deadline holds for reads that begin later and for one that waits, and is
// set for no other.
func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		inner := &counted{Conn: server}
		c := &heldConn{Conn: inner}
		read := func() error {
			_, err := c.Read(make([]byte, 2))
			return err
		}
		want := func(what string, err error, timeout bool, sets int) {
			t.Helper()
			if e, ok := err.(net.Error); ok != timeout || ok && !e.Timeout() || !timeout && err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if inner.sets != sets {
				t.Errorf("%s: set %d times, want %d", what, inner.sets, sets)
			}
		}
		begun := time.Now()
		_ = c.SetReadDeadline(begun.Add(time.Hour))
		_ = c.SetReadDeadline(time.Time{})
		_ = c.SetReadDeadline(begun.Add(time.Minute))
		want("before", nil, false, 0)
		want("to come", read(), true, 1)
		if d := time.Since(begun); d != time.Minute {
			t.Errorf("waited %s", d)
		}
		want("over", read(), true, 1)
		done := make(chan error)
		_ = c.SetReadDeadline(time.Time{})
		go func() { done <- read() }()
		synctest.Wait()
		_ = c.SetReadDeadline(time.Unix(1, 0))
		want("while it waits", <-done, true, 3)
		_ = c.SetReadDeadline(time.Time{})
		go func() { done <- read() }()
		synctest.Wait()
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		want("cleared", <-done, false, 4)
		_ = c.SetDeadline(time.Now().Add(-time.Second))
		want("of both", read(), true, 5)
	})
}

// The server's look-out for a client that is gone leaves the connection alone while
// an answer is on its way, and sees what comes where that takes longer.
func TestLookOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		inner := &counted{Conn: server}
		c := &heldConn{Conn: inner}
		done := make(chan error)
		look := func() { // as net/http does
			_, err := c.Read(make([]byte, 1))
			done <- err
		}
		ended := func(what string, want error, after time.Duration, sets int) {
			t.Helper()
			begun := time.Now()
			if err := <-done; !errors.Is(err, want) || time.Since(begun) != after {
				t.Errorf("%s: %v after %s, want %v after %s", what, err, time.Since(begun), want, after)
			}
			if inner.sets != sets {
				t.Errorf("%s: %d deadlines were set, want %d", what, inner.sets, sets)
			}
		}
		for range 3 {
			go look()
			synctest.Wait()
			_ = c.SetReadDeadline(time.Unix(1, 0))
			ended("a quick answer", os.ErrDeadlineExceeded, 0, 0)
			_ = c.SetReadDeadline(time.Time{})
		}
		go look()
		time.Sleep(2 * lookoutTime)
		_ = c.SetReadDeadline(time.Unix(1, 0))
		ended("a slow answer", os.ErrDeadlineExceeded, 0, 1)
		_ = c.SetReadDeadline(time.Time{})
		go look()
		go func() { _, _ = client.Write([]byte("x")) }()
		ended("a client that sends", nil, lookoutTime, 2)
		go look()
		synctest.Wait()
		client.Close()
		ended("a client that is gone", io.EOF, lookoutTime, 2)
		_ = c.SetReadDeadline(time.Unix(1, 0))
		go look()
		ended("an answer that is out", os.ErrDeadlineExceeded, 0, 2)
	})
}
