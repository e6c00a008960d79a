package function

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/slipway/slipway/compute"
)

// Host runs functions. Its methods are safe for concurrent use.
type Host struct {
	cfg      Config
	make     compute.Enclosures
	runtimes *runtimes
	ctx      context.Context // ends with Stop
	cancel   context.CancelFunc
	working  sync.WaitGroup
	starts   chan struct{} // bounds how many are made at a time

	mu      sync.Mutex
	stopped bool
	all     map[*environment]bool
	idle    map[string][]*environment // by Key; the last one was used last
	ending  map[*environment]bool     // those that are no longer of all
	memory  int64                     // of all

	cold        cooling
	spare       *blanks
	initTimeout time.Duration // tests have less patience
}

// New makes a host. What an earlier one has left, the driver removed when it was
// opened.
func New(cfg Config) (*Host, error) {
	e, ok := cfg.Driver.(compute.Enclosures)
	if !ok {
		return nil, fmt.Errorf("function: the driver %T runs no functions: %w", cfg.Driver, compute.ErrUnsupported)
	}
	if cfg.Dir == "" {
		return nil, errors.New("function: a host needs a folder")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("function: %w", err)
	}
	cfg.Dir = dir
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Log == nil {
		cfg.Log = func(Spec, string, time.Time, []byte) {}
	}
	cfg.bound()
	h := &Host{
		cfg: cfg, make: e, runtimes: newRuntimes(filepath.Join(dir, "runtime")),
		all: map[*environment]bool{}, idle: map[string][]*environment{}, ending: map[*environment]bool{}, starts: make(chan struct{}, startsAtOnce),
		spare: newBlanks(cfg.Ready), initTimeout: initTimeout, cold: cooling{wake: make(chan struct{}, 1)},
	}
	if err := h.runtimes.write(); err != nil {
		return nil, fmt.Errorf("function: write the runtimes' programs: %w", err)
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.working.Go(h.expire)
	h.working.Go(h.keepBlanks)
	h.working.Go(h.cool)
	return h, nil
}

// Runtime looks for what a runtime needs on this host. The error is a
// *RuntimeError that names what is missing.
func (h *Host) Runtime(name string) (Runtime, error) { return h.runtimes.find(name) }

// Invoke runs a function once, in an idle environment of its Key or in a new one.
// Where ctx ends before, Invoke returns and the function goes on, as on AWS. Errors are
// ErrThrottled, ErrStopped, a *RuntimeError, ctx's, or the host's own troubles.
func (h *Host) Invoke(ctx context.Context, spec Spec, inv Invocation) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	spec.complete()
	if !filepath.IsAbs(spec.Code) {
		return Result{}, fmt.Errorf("function: the code of %s is at no absolute path", spec.ARN)
	}
	e, err := h.take(spec)
	if err != nil {
		return Result{}, err
	}
	c := newCall(inv)
	go func() {
		defer h.working.Done()
		c.answer <- h.run(e, c)
	}()
	select {
	case a := <-c.answer:
		return a.result, a.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// take finds an idle environment, or makes room for a new one. It counts the
// caller among what Stop waits for.
func (h *Host) take(spec Spec) (*environment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, ErrStopped
	}
	for list := h.idle[spec.Key]; len(list) > 0; list = h.idle[spec.Key] {
		e := list[len(list)-1]
		if e.dead() { // its program ended after its last answer
			h.drop(e)
			continue
		}
		h.unidle(e)
		h.working.Add(1)
		return e, nil
	}
	for len(h.all)+1 > h.cfg.Environments || h.memory+spec.Memory > h.cfg.Memory {
		oldest := h.oldest()
		if oldest == nil {
			return nil, ErrThrottled
		}
		h.drop(oldest)
	}
	e := newEnvironment(h, spec)
	h.all[e] = true
	h.memory += spec.Memory
	h.working.Add(1)
	return e, nil
}

// oldest is the idle environment that was not used for the longest time.
func (h *Host) oldest() (oldest *environment) {
	for _, list := range h.idle {
		if oldest == nil || list[0].idleSince.Before(oldest.idleSince) {
			oldest = list[0]
		}
	}
	return oldest
}

// drop ends an idle environment. The caller has h.mu.
func (h *Host) drop(e *environment) {
	h.unidle(e)
	h.forget(e)
	h.working.Go(e.close)
}

func (h *Host) unidle(e *environment) {
	list := slices.DeleteFunc(h.idle[e.spec.Key], func(o *environment) bool { return o == e })
	if len(list) == 0 {
		delete(h.idle, e.spec.Key)
		return
	}
	h.idle[e.spec.Key] = list
}

func (h *Host) forget(e *environment) {
	if h.all[e] {
		delete(h.all, e)
		h.memory -= e.spec.Memory
		h.ending[e] = true
	}
}

// gone is called by an environment that has ended.
func (h *Host) gone(e *environment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.ending, e)
}

// run serves one invocation, and makes the environment idle or ends it.
func (h *Host) run(e *environment, c *call) answer {
	result, fit, err := e.invoke(c)
	if result.Cold {
		h.Prepare() // for the next, now that this one has what it needs
	}
	h.mu.Lock()
	if fit && !e.retired && !h.stopped {
		e.idleSince, e.cooled = time.Now(), false
		h.idle[e.spec.Key] = append(h.idle[e.spec.Key], e)
		h.cold.begin()
		h.mu.Unlock()
		return answer{result, err}
	}
	h.forget(e)
	h.working.Add(1) // it is counted already, so that this does not race with Stop
	h.mu.Unlock()
	go func() { // the caller need not wait for it
		defer h.working.Done()
		e.close()
	}()
	return answer{result, err}
}

// Retire ends the environments of a Key: idle ones now, the others after the
// invocation that they are at. It does not wait for these. The function that it returns
// does: when it returns, no environment of the Key uses its folders any more.
func (h *Host) Retire(key string) (wait func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var ends []<-chan struct{}
	for e := range h.all {
		if e.spec.Key == key {
			e.retired = true
			ends = append(ends, e.closed)
		}
	}
	for e := range h.ending {
		if e.spec.Key == key {
			ends = append(ends, e.closed)
		}
	}
	for _, e := range slices.Clone(h.idle[key]) {
		h.drop(e)
	}
	return func(ctx context.Context) error {
		for _, end := range ends {
			select {
			case <-end:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
}

// Environments is how many there are, and how many of them are idle.
func (h *Host) Environments() (all, idle int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, list := range h.idle {
		idle += len(list)
	}
	return len(h.all), idle
}

// expire ends environments that nobody has used for a while.
func (h *Host) expire() {
	tick := time.NewTicker(max(h.cfg.Idle/8, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case now := <-tick.C:
			h.mu.Lock()
			var old []*environment
			for _, list := range h.idle {
				for _, e := range list {
					if now.Sub(e.idleSince) > h.cfg.Idle {
						old = append(old, e)
					}
				}
			}
			for _, e := range old {
				if !h.stopped {
					h.drop(e)
				}
			}
			h.mu.Unlock()
		}
	}
}

// Stop ends all environments and waits for it. Invocations that are under way
// return ErrStopped. It is safe to call twice.
func (h *Host) Stop() {
	h.mu.Lock()
	if !h.stopped {
		h.stopped = true
		for _, list := range h.idle {
			for _, e := range list {
				h.forget(e)
				h.working.Go(e.close)
			}
		}
		clear(h.idle)
		h.cancel()
	}
	h.mu.Unlock()
	h.working.Wait()
}
