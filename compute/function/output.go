package function

import (
	"bytes"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// output brings what an environment prints to the log, line by line, together with
// the platform's own lines. It owns the goroutine that reads; wait waits for that
// to end, which it does with the environment's last process.
type output struct {
	raw     syscall.RawConn
	log     func(at time.Time, line []byte)
	reading sync.WaitGroup

	mu      sync.Mutex
	buf     []byte
	partial []byte // of a line
	tail    []byte // of the invocation
}

func newOutput(f *os.File, log func(at time.Time, line []byte)) (*output, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	o := &output{raw: raw, log: log, buf: make([]byte, 4096)}
	o.reading.Go(func() {
		_ = raw.Read(func(fd uintptr) bool { return !o.read(fd) })
		o.mu.Lock()
		defer o.mu.Unlock()
		o.flush()
	})
	return o, nil
}

// mostInPipe is what a pipe can hold: a process may have its own made as large.
const mostInPipe = 1 << 20

// read takes all that is there, and what comes meanwhile. It returns false at the
// end.
func (o *output) read(fd uintptr) (more bool) {
	for {
		if n, again := o.readOnce(fd); n <= 0 {
			return again
		}
	}
}

// readOnce takes no more than the buffer holds, so that others have their turn
// where a function prints without end.
func (o *output) readOnce(fd uintptr) (n int, again bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n, again = readNow(fd, o.buf); n > 0 {
		o.take(o.buf[:n])
	}
	return n, again
}

// take splits into lines; one that is too long for an event becomes several.
func (o *output) take(b []byte) {
	now := time.Now()
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		room := maxLine - len(o.partial)
		if len(line) > room {
			o.emit(now, append(o.partial, line[:room]...))
			o.partial, b = nil, b[room:]
			continue
		}
		if !whole {
			o.partial = append(o.partial, line...)
			return
		}
		o.emit(now, append(o.partial, line...))
		o.partial, b = nil, rest
	}
}

// emit hands on a line, whose bytes are the callee's.
func (o *output) emit(at time.Time, line []byte) {
	o.keep(line)
	if len(line) > 0 {
		o.log(at, line)
	}
}

// keep adds a line to the tail.
func (o *output) keep(line []byte) {
	o.tail = append(append(o.tail, line...), '\n')
	if len(o.tail) > 2*maxTail {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-maxTail:]...)
	}
}

func (o *output) flush() {
	if len(o.partial) > 0 {
		o.emit(time.Now(), o.partial)
		o.partial = nil
	}
}

// begin empties the tail: an invocation starts.
func (o *output) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail = nil
}

// say adds a line of the platform's, after all that was printed until now.
func (o *output) say(lines ...string) {
	o.drain()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	now := time.Now()
	for _, line := range lines {
		o.emit(now, []byte(line))
	}
}

// drain takes what is in the pipe now, not all that may yet come.
func (o *output) drain() {
	_ = o.raw.Control(func(fd uintptr) {
		for left := mostInPipe; left > 0; {
			n, _ := o.readOnce(fd)
			if n <= 0 {
				return
			}
			left -= n
		}
	})
}

// last is the end of the invocation's log.
func (o *output) last() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.tail[max(0, len(o.tail)-maxTail):])
}

func (o *output) wait() { o.reading.Wait() }

// discard is an output of nothing, for environments that never were.
func discard(log func(time.Time, []byte)) *output { return &output{raw: nothing{}, log: log} }

type nothing struct{}

func (nothing) Control(func(uintptr)) error    { return nil }
func (nothing) Read(func(uintptr) bool) error  { return io.EOF }
func (nothing) Write(func(uintptr) bool) error { return io.EOF }
