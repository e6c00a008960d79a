package platform

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The sockets of a Slipway outlive its process: a restart in place hands them
// over, and systemd may have opened the API's before the start.

// inheritEnv names the sockets that the process before this one left open:
// "api:7,instances:9".
const inheritEnv = "SLIPWAY_LISTEN_FDS"

// Names of the listeners that are handed over.
const (
	listenAPI       = "api"
	listenInstances = "instances"
	listenMetadata  = "metadata"
)

// firstSystemdFD is SD_LISTEN_FDS_START (sd_listen_fds(3)).
const firstSystemdFD = 3

// inherited takes the sockets that were handed over, by name. What was named
// once is not there for the processes that this one starts.
func inherited() (map[string]net.Listener, error) {
	fds := map[string]int{}
	if v := os.Getenv(inheritEnv); v != "" {
		for part := range strings.SplitSeq(v, ",") {
			name, fd, _ := strings.Cut(part, ":")
			n, err := strconv.Atoi(fd)
			if err != nil {
				return nil, fmt.Errorf("%s=%q: %w", inheritEnv, v, err)
			}
			fds[name] = n
		}
	} else if pid, n := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"); pid == strconv.Itoa(os.Getpid()) && n != "" && n != "0" {
		if n != "1" {
			return nil, fmt.Errorf("LISTEN_FDS=%s: the API takes one socket", n)
		}
		fds[listenAPI] = firstSystemdFD
	}
	for _, name := range []string{inheritEnv, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name)
	}
	out := map[string]net.Listener{}
	for name, fd := range fds {
		f := os.NewFile(uintptr(fd), name)
		l, err := net.FileListener(f)
		err = errors.Join(err, f.Close()) // FileListener has a copy
		if err != nil {
			for _, l := range out {
				_ = l.Close()
			}
			return nil, fmt.Errorf("the socket %q that was handed over: %w", name, err)
		}
		out[name] = l
	}
	return out, nil
}

// listen opens a listener that is handed over at a restart in place, or takes
// the one that was.
func (p *Platform) listen(name, address string) (*door, error) {
	return p.door(name, func() (net.Listener, error) { return net.Listen("tcp", address) })
}

// door takes the listener that was handed over, or opens it.
func (p *Platform) door(name string, open func() (net.Listener, error)) (*door, error) {
	l := p.kept[name]
	delete(p.kept, name)
	if l == nil {
		var err error
		if l, err = open(); err != nil {
			return nil, err
		}
	}
	d := newDoor(l)
	if _, ok := l.(handable); ok {
		p.doors[name] = d
	}
	return d, nil
}

// handable is a listener on one socket, which another process can have.
type handable interface {
	File() (*os.File, error)
	SetDeadline(t time.Time) error
}

// ownNames are the names and addresses by which an address that is listened on
// is reached.
func ownNames(listen string) []string {
	host, _, _ := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	if ip == nil || !ip.IsUnspecified() {
		return []string{host}
	}
	var names []string
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			names = append(names, n.IP.String())
		}
	}
	return names
}

// plainAddress is the gateway of the instances where the API listens on it, too.
func (p *Platform) plainAddress() net.IP {
	gateway := p.driver.Network().Gateway
	if !gateway.IsValid() || gateway.IsLoopback() {
		return nil
	}
	return gateway.AsSlice()
}

// door is a listener that can stop to accept while its socket stays open:
// those who connect then wait for the process that accepts next.
type door struct {
	net.Listener
	once   sync.Once
	closed chan struct{}
	rest   chan struct{} // closed when it stops to accept
}

func newDoor(l net.Listener) *door {
	return &door{Listener: l, closed: make(chan struct{}), rest: make(chan struct{})}
}

// Accept waits for a connection. At rest, it waits for the end.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		select {
		case <-d.rest:
			<-d.closed
			return nil, net.ErrClosed
		default:
		}
	}
	return c, err
}

// stopAccepting ends the Accept that waits, and keeps the socket.
func (d *door) stopAccepting() error {
	close(d.rest)
	l, ok := d.Listener.(handable)
	if !ok {
		return fmt.Errorf("%T cannot be handed over", d.Listener)
	}
	return l.SetDeadline(time.Unix(1, 0))
}

// Close closes the socket, as far as nobody else holds it.
func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Listener.Close()
}

// file is the socket for another process.
func (d *door) file() (*os.File, error) {
	l, ok := d.Listener.(handable)
	if !ok {
		return nil, fmt.Errorf("%T cannot be handed over", d.Listener)
	}
	return l.File()
}

// encrypted speaks TLS on the connections of a listener, but for those that
// come to a plain address: the one at which instances of this host call, whose
// traffic does not leave it.
type encrypted struct {
	net.Listener
	config *tls.Config
	plain  net.IP
}

// Accept waits for a connection; its handshake is the server's to wait for.
func (e *encrypted) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if a, ok := c.LocalAddr().(*net.TCPAddr); ok && e.plain != nil && a.IP.Equal(e.plain) {
		return c, nil
	}
	return tls.Server(c, e.config), nil
}
