package proc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// pidfds waits for pidfds; each is its process's key.
type pidfds struct {
	epoll int
	end   int // eventfd
}

func newQueue() (queue, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("proc: epoll: %w", err)
	}
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(ep)
		return nil, fmt.Errorf("proc: eventfd: %w", err)
	}
	q := &pidfds{epoll: ep, end: end}
	if err := q.wait(end); err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

func (q *pidfds) wait(fd int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(q.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("proc: epoll add: %w", err)
	}
	return nil
}

func (q *pidfds) add(id Identity) (int, error) {
	fd, err := id.Open()
	if err != nil {
		return -1, err
	}
	if err := q.wait(fd); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (q *pidfds) next() (keys []int, open bool) {
	events := make([]unix.EpollEvent, 32)
	n, err := unix.EpollWait(q.epoll, events, -1)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.EpollWait(q.epoll, events, -1)
	}
	if err != nil {
		return nil, false
	}
	for _, ev := range events[:n] {
		if int(ev.Fd) == q.end {
			return nil, false
		}
		keys = append(keys, int(ev.Fd))
	}
	return keys, true
}

func (q *pidfds) drop(fd int) {
	_ = unix.EpollCtl(q.epoll, unix.EPOLL_CTL_DEL, fd, nil)
	_ = unix.Close(fd)
}

func (q *pidfds) stop() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(q.end, one[:])
}

func (q *pidfds) close() {
	_ = unix.Close(q.epoll)
	_ = unix.Close(q.end)
}

func (q *pidfds) reap(id Identity) Exit {
	var e Exit
	if pid, err := unix.Wait4(id.PID, &e.Status, unix.WNOHANG, nil); err == nil && pid == id.PID {
		e.Known = true
	}
	return e
}
