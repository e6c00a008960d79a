package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Exit is how a watched process ended.
type Exit struct {
	Known  bool // false for processes that are not our children
	Status unix.WaitStatus
}

// Code is the exit status as a shell gives it: 128+n for signal n, -1 where
// it is not known.
func (e Exit) Code() int {
	switch {
	case !e.Known:
		return -1
	case e.Status.Signaled():
		return 128 + int(e.Status.Signal())
	default:
		return e.Status.ExitStatus()
	}
}

// Reason tells how the process ended, for people.
func (e Exit) Reason() string {
	switch {
	case !e.Known:
		return "the first process ended while Slipway was not its parent"
	case e.Status.Signaled():
		return fmt.Sprintf("the first process was ended by signal %d (%s)", int(e.Status.Signal()), unix.SignalName(e.Status.Signal()))
	default:
		return fmt.Sprintf("the first process exited with status %d", e.Status.ExitStatus())
	}
}

// Watcher notices the end of processes, children or not, and reaps children.
type Watcher struct {
	epoll int
	stop  int // eventfd
	gone  chan struct{}

	mu      sync.Mutex
	closed  bool
	watched map[int32]watched
}

type watched struct {
	id   Identity
	call func(Exit)
}

// NewWatcher starts a watcher.
func NewWatcher() (*Watcher, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("proc: epoll: %w", err)
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(ep)
		return nil, fmt.Errorf("proc: eventfd: %w", err)
	}
	w := &Watcher{epoll: ep, stop: stop, gone: make(chan struct{}), watched: map[int32]watched{}}
	if err := w.add(stop); err != nil {
		_ = unix.Close(ep)
		_ = unix.Close(stop)
		return nil, err
	}
	go w.run()
	return w, nil
}

func (w *Watcher) add(fd int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("proc: epoll add: %w", err)
	}
	return nil
}

// Watch calls call once, from the watcher's goroutine, when the process has
// ended. It returns os.ErrProcessDone, and does not call, where it already has.
func (w *Watcher) Watch(id Identity, call func(Exit)) error {
	fd, err := id.Open()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		_ = unix.Close(fd)
		return os.ErrClosed
	}
	w.watched[int32(fd)] = watched{id, call}
	if err := w.add(fd); err != nil {
		delete(w.watched, int32(fd))
		_ = unix.Close(fd)
		return err
	}
	return nil
}

func (w *Watcher) run() {
	defer close(w.gone)
	events := make([]unix.EpollEvent, 32)
	for {
		n, err := unix.EpollWait(w.epoll, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		for _, ev := range events[:n] {
			if int(ev.Fd) == w.stop {
				return
			}
			w.ended(ev.Fd)
		}
	}
}

func (w *Watcher) ended(fd int32) {
	w.mu.Lock()
	p, ok := w.watched[fd]
	delete(w.watched, fd)
	w.mu.Unlock()
	if !ok {
		return
	}
	_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, int(fd), nil)
	_ = unix.Close(int(fd))
	var e Exit
	if pid, err := unix.Wait4(p.id.PID, &e.Status, unix.WNOHANG, nil); err == nil && pid == p.id.PID {
		e.Known = true
	}
	p.call(e)
}

// Close ends the watcher and waits for it; the processes go on. It is safe to
// call twice, but not from within a call of the watcher.
func (w *Watcher) Close() {
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.mu.Unlock()
	if first {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = unix.Write(w.stop, one[:])
	}
	<-w.gone
	if first {
		for fd := range w.watched {
			_ = unix.Close(int(fd))
		}
		_ = unix.Close(w.epoll)
		_ = unix.Close(w.stop)
	}
}
