package platform

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
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

// heldConn gives its place back when it is closed, once. It waits only so long
// for a client that does not read what it asked for.
type heldConn struct {
	net.Conn
	from   *fair
	remote netip.Addr
	once   sync.Once
	until  atomic.Int64 // the write deadline, nanoseconds since 1970
	reads  readDeadline
}

// readDeadline is when reads end. The server sets it some eight times for each
// request and reads three times: a deadline is set when a read begins, or while
// one waits.
type readDeadline struct {
	mu      sync.Mutex
	want    time.Time
	set     time.Time
	waiting int // reads

	// Of the look-out that comes before a read of one byte.
	lookout bool
	passed  chan struct{} // the deadline has, meanwhile
	timer   *time.Timer
}

// lookoutTime is how long the server's look-out for a client that goes away, or
// sends on, leaves the connection alone.
const lookoutTime = 100 * time.Millisecond

// apply is called with the lock. A deadline that is a little earlier than it is to
// be will do: setting one costs more than most reads do, and a client that sends
// one request after the other has a later one each time.
func (d *readDeadline) apply(c net.Conn) error {
	if d.want == d.set {
		return nil
	}
	if early := d.want.Sub(d.set); !d.set.IsZero() && early > 0 && early < time.Second && early < time.Until(d.set)/32 {
		return nil
	}
	err := c.SetReadDeadline(d.want)
	if err == nil {
		d.set = d.want
	}
	return err
}

// SetReadDeadline ends reads at a time, those that wait among them.
func (c *heldConn) SetReadDeadline(t time.Time) error {
	d := &c.reads
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = t
	if d.lookout && d.over() {
		select {
		case d.passed <- struct{}{}:
		default: // it has been told
		}
	}
	if d.waiting == 0 {
		return nil
	}
	return d.apply(c.Conn)
}

// lookOut waits for a while, and is done where the deadline has passed by then.
// While a handler runs, the server reads one byte ahead to learn of a client that
// is gone, and ends that read by a deadline when the answer is out. Most answers
// are quicker than this is: then neither the socket nor its deadlines are touched.
func (d *readDeadline) lookOut() (done bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over() {
		return true
	}
	if d.lookout || !d.want.IsZero() && time.Until(d.want) < lookoutTime {
		return false
	}
	d.lookout = true
	if d.passed == nil {
		d.passed, d.timer = make(chan struct{}, 1), time.NewTimer(lookoutTime)
	} else {
		d.timer.Reset(lookoutTime)
	}
	d.mu.Unlock()
	select {
	case <-d.passed:
		done = true
		d.timer.Stop()
	case <-d.timer.C:
	}
	d.mu.Lock()
	d.lookout = false
	select {
	case <-d.passed: // as the time was up
		done = true
	default:
	}
	return done
}

// over reports whether the deadline has passed. It is called with the lock.
func (d *readDeadline) over() bool { return !d.want.IsZero() && !d.want.After(time.Now()) }

// SetDeadline ends reads and writes at a time.
func (c *heldConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// Read reads until its deadline.
func (c *heldConn) Read(b []byte) (int, error) {
	d := &c.reads
	if len(b) == 1 && d.lookOut() {
		return 0, os.ErrDeadlineExceeded
	}
	d.mu.Lock()
	if err := d.apply(c.Conn); err != nil {
		d.mu.Unlock()
		return 0, err
	}
	d.waiting++
	d.mu.Unlock()
	n, err := c.Conn.Read(b)
	d.mu.Lock()
	d.waiting--
	d.mu.Unlock()
	return n, err
}

// NetConn is the connection itself, for what is the socket's to do.
func (c *heldConn) NetConn() net.Conn { return c.Conn }

// Close closes the connection.
func (c *heldConn) Close() error {
	c.once.Do(func() { c.from.give(c.remote) })
	return c.Conn.Close()
}

// writePatience is how long a write waits for the client to read.
const writePatience = time.Minute

// expect puts the deadline off, give or take a second: setting one costs more
// than most writes do.
func (c *heldConn) expect() {
	until := time.Now().Add(writePatience)
	if n := until.UnixNano(); n-c.until.Load() > int64(time.Second) {
		c.until.Store(n)
		_ = c.Conn.SetWriteDeadline(until)
	}
}

func (c *heldConn) Write(b []byte) (int, error) {
	c.expect()
	return c.Conn.Write(b)
}

// sendPart is how much of a file goes out under one deadline, in bytes.
const sendPart = 4 << 20

// ReadFrom sends files without a copy, where the connection can.
func (c *heldConn) ReadFrom(r io.Reader) (n int64, err error) {
	to, ok := c.Conn.(io.ReaderFrom)
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	for {
		part := &io.LimitedReader{R: r, N: sendPart}
		rest, limited := r.(*io.LimitedReader)
		if limited { // the kernel's copy looks into one only
			part = &io.LimitedReader{R: rest.R, N: min(rest.N, sendPart)}
		}
		asked := part.N
		c.expect()
		sent, err := to.ReadFrom(part)
		n += sent
		if limited {
			rest.N -= asked - part.N
		}
		if err != nil || part.N > 0 || limited && rest.N <= 0 {
			return n, err
		}
	}
}

// CloseWrite says that nothing more comes, as http.Server does before it closes.
func (c *heldConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
