//go:build linux || darwin

package proc

import (
	"os"
	"sync"
)

// queue is a system's way to tell of the ends of processes.
type queue interface {
	// add asks for the end of a process, under a key that is its own until drop.
	// A process that has ended and was not reaped yet is told at once; for one
	// that is gone the error is os.ErrProcessDone.
	add(id Identity) (key int, err error)
	// next waits for ends; open is false once stop was called.
	next() (keys []int, open bool)
	drop(key int)
	stop()
	close() // after stop, and after drop of every key
	// reap collects a process that has ended, if it is a child of ours.
	reap(id Identity) Exit
}

// Watcher notices the end of processes, children or not, and reaps children.
type Watcher struct {
	queue queue
	gone  chan struct{}

	mu      sync.Mutex
	closed  bool
	watched map[int][]watched
}

type watched struct {
	id   Identity
	call func(Exit)
}

// NewWatcher starts a watcher.
func NewWatcher() (*Watcher, error) {
	q, err := newQueue()
	if err != nil {
		return nil, err
	}
	return watchOn(q), nil
}

func watchOn(q queue) *Watcher {
	w := &Watcher{queue: q, gone: make(chan struct{}), watched: map[int][]watched{}}
	go w.run()
	return w
}

// Watch calls call once, from the watcher's goroutine, when the process has
// ended. It returns os.ErrProcessDone, and does not call, where it already has.
func (w *Watcher) Watch(id Identity, call func(Exit)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return os.ErrClosed
	}
	// The end that add asks for waits for the lock, and so finds the call.
	key, err := w.queue.add(id)
	if err != nil {
		return err
	}
	w.watched[key] = append(w.watched[key], watched{id, call})
	return nil
}

func (w *Watcher) run() {
	defer close(w.gone)
	for {
		keys, open := w.queue.next()
		if !open {
			return
		}
		for _, key := range keys {
			w.ended(key)
		}
	}
}

func (w *Watcher) ended(key int) {
	w.mu.Lock()
	all, ok := w.watched[key]
	delete(w.watched, key)
	if ok { // its end may be told twice
		w.queue.drop(key)
	}
	w.mu.Unlock()
	for _, p := range all {
		p.call(w.queue.reap(p.id))
	}
}

// Close ends the watcher and waits for it; the processes go on. It is safe to
// call twice, but not from within a call of the watcher.
func (w *Watcher) Close() {
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.mu.Unlock()
	if first {
		w.queue.stop()
	}
	<-w.gone
	if first {
		for key := range w.watched {
			w.queue.drop(key)
		}
		w.queue.close()
	}
}
