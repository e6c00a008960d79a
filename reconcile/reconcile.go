// Package reconcile runs loops that bring the world in line with the store.
// A loop takes no input: a signal only wakes it, and it reads the state itself,
// so lost, doubled and merged signals are all the same. Retry rule: a run that
// fails is run again, whole, with backoff.
//
// It imports nothing of ours. A Loop owns one goroutine; Stop waits for it.
package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"
)

// Options of a loop; the zero value is usual.
type Options struct {
	Logger *slog.Logger
	// Resync is how long the loop waits for a signal before it runs anyway; the
	// default is a minute, negative is never.
	Resync time.Duration
	// Backoff is the wait after a failure, doubled with each further one up to
	// MaxBackoff, with a part by chance. Defaults: 50 ms and 10 s.
	Backoff, MaxBackoff time.Duration
	// Watch, where it is set, wakes the loop: the channel of store.Watch.
	Watch func(ctx context.Context) <-chan struct{}
}

// Loop runs a function whenever it is woken.
type Loop struct {
	name string
	fn   func(context.Context) error
	o    Options
	wake chan struct{} // at most one pending signal

	mu      sync.Mutex
	started bool
	stopped bool
	cancel  context.CancelFunc
	done    chan struct{}
}

// New makes a loop; fn runs once at Start and then whenever woken, one run at a
// time. fn returns soon after its context ends.
func New(name string, fn func(context.Context) error, o Options) *Loop {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Resync == 0 {
		o.Resync = time.Minute
	}
	if o.Backoff <= 0 {
		o.Backoff = 50 * time.Millisecond
	}
	if o.MaxBackoff <= 0 {
		o.MaxBackoff = max(10*time.Second, o.Backoff)
	}
	return &Loop{name: name, fn: fn, o: o, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// Wake has the loop run once more, after what it is doing now. It never blocks.
func (l *Loop) Wake() {
	select {
	case l.wake <- struct{}{}:
	default: // a run that has not begun will see everything
	}
}

// Start returns at once. A second Start, or one after Stop, does nothing.
func (l *Loop) Start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.started || l.stopped {
		return
	}
	l.started = true
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go l.loop(ctx)
}

// Stop ends the loop and waits for a run under way. It is safe to call twice.
func (l *Loop) Stop() {
	l.mu.Lock()
	l.stopped = true
	started := l.started
	l.mu.Unlock()
	if !started {
		return
	}
	l.cancel()
	<-l.done
}

func (l *Loop) loop(ctx context.Context) {
	defer close(l.done)
	var changed <-chan struct{}
	if l.o.Watch != nil {
		changed = l.o.Watch(ctx)
	}
	failures := 0
	for ctx.Err() == nil {
		wait := l.o.Resync
		if err := l.once(ctx); err != nil && ctx.Err() == nil {
			failures++
			wait = l.backoff(failures)
			l.o.Logger.Error("reconcile", "loop", l.name, "error", err, "failures", failures, "again_in", wait)
			// Signals do not shorten this wait, or a busy store would turn one
			// failure into a spin; they are pending when it is over.
			if !sleep(ctx, wait) {
				return
			}
			continue
		}
		failures = 0
		if changed = l.idle(ctx, wait, changed); ctx.Err() != nil {
			return
		}
	}
}

// idle waits for a reason to run. It gives the watch back, nil once closed.
func (l *Loop) idle(ctx context.Context, wait time.Duration, changed <-chan struct{}) <-chan struct{} {
	var resync <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		resync = t.C
	}
	select {
	case <-ctx.Done():
	case <-l.wake:
	case <-resync:
	case _, ok := <-changed:
		if !ok {
			return nil
		}
	}
	return changed
}

func (l *Loop) once(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return l.fn(ctx)
}

func (l *Loop) backoff(failures int) time.Duration {
	d := l.o.MaxBackoff
	if n := failures - 1; n < 30 && l.o.Backoff<<n < l.o.MaxBackoff {
		d = l.o.Backoff << n
	}
	return d/2 + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
