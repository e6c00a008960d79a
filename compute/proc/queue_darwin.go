package proc

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// kevents waits on a kqueue(2) for processes; a process's key is its number.
type kevents struct {
	kq int

	mu      sync.Mutex
	late    []int // ended before the kernel could be asked to tell
	stopped bool
}

// wakeIdent is the one event of ours among the kernel's.
const wakeIdent = 1

func newQueue() (queue, error) {
	kq, err := unix.Kqueue()
	if err != nil {
		return nil, fmt.Errorf("proc: kqueue: %w", err)
	}
	unix.CloseOnExec(kq)
	q := &kevents{kq: kq}
	if err := q.change(wakeIdent, unix.EVFILT_USER, unix.EV_ADD|unix.EV_CLEAR, 0); err != nil {
		q.close()
		return nil, fmt.Errorf("proc: kqueue: %w", err)
	}
	return q, nil
}

func (q *kevents) change(ident, filter, flags int, notes uint32) error {
	var ev unix.Kevent_t
	unix.SetKevent(&ev, ident, filter, flags)
	ev.Fflags = notes
	for {
		_, err := unix.Kevent(q.kq, []unix.Kevent_t{ev}, nil, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// add looks at the process after it has asked: the kernel tells nothing of one
// that had begun to exit by then, and refuses a zombie.
func (q *kevents) add(id Identity) (int, error) {
	if id.PID <= 0 || id.Boot != bootID() {
		return -1, os.ErrProcessDone
	}
	err := q.change(id.PID, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT, unix.NOTE_EXIT)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return -1, fmt.Errorf("proc: watch %d: %w", id.PID, err)
	}
	p, lookErr := look(id.PID)
	if lookErr != nil || p.Start != id.Start {
		if err == nil {
			q.drop(id.PID)
		}
		return -1, os.ErrProcessDone
	}
	if err != nil || p.Ended {
		q.mu.Lock()
		q.late = append(q.late, id.PID)
		q.mu.Unlock()
		q.wake()
	}
	return id.PID, nil
}

func (q *kevents) wake() {
	_ = q.change(wakeIdent, unix.EVFILT_USER, 0, unix.NOTE_TRIGGER)
}

func (q *kevents) next() (keys []int, open bool) {
	events := make([]unix.Kevent_t, 32)
	n, err := unix.Kevent(q.kq, nil, events, nil)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Kevent(q.kq, nil, events, nil)
	}
	if err != nil {
		return nil, false
	}
	for _, ev := range events[:n] {
		if ev.Filter == unix.EVFILT_PROC {
			keys = append(keys, int(ev.Ident))
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	keys = append(keys, q.late...)
	q.late = nil
	return keys, !q.stopped
}

// drop forgets a process; where the kernel has told of it, it has done so already.
func (q *kevents) drop(pid int) {
	_ = q.change(pid, unix.EVFILT_PROC, unix.EV_DELETE, 0)
}

func (q *kevents) stop() {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	q.wake()
}

func (q *kevents) close() { _ = unix.Close(q.kq) }

// reap waits for a child to become a zombie: the kernel tells of its exit
// shortly before. One that is not ours to wait for is not waited for.
func (q *kevents) reap(id Identity) Exit {
	var e Exit
	if p, err := look(id.PID); err != nil || p.Start != id.Start {
		return e
	}
	for {
		pid, err := unix.Wait4(id.PID, &e.Status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		e.Known = err == nil && pid == id.PID
		return e
	}
}
