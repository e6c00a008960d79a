package function

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/slipway/slipway/compute"
)

// blanks are enclosures that are kept ready, so that a new environment need not
// wait for namespaces, mounts and a network. There are none until the first is
// asked for, and none again once no new environment was needed for a while.
type blanks struct {
	wake chan struct{}
	most int // may be less than none

	mu     sync.Mutex
	ready  []compute.Enclosure
	wanted time.Time // when one was last taken or asked for
}

// failedPause is between two tries where the host cannot make any.
const failedPause = 5 * time.Second

func newBlanks(most int) *blanks { return &blanks{wake: make(chan struct{}, 1), most: most} }

// prepare has blanks made.
func (b *blanks) prepare() {
	b.mu.Lock()
	b.wanted = time.Now()
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take takes one, nil where there is none.
func (b *blanks) take() compute.Enclosure {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wanted = time.Now()
	if len(b.ready) == 0 {
		return nil
	}
	e := b.ready[0]
	b.ready = b.ready[1:]
	return e
}

// missing is how many are to be made, where any are wanted.
func (b *blanks) missing(idle time.Duration) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wanted.IsZero() || time.Since(b.wanted) > idle {
		return 0
	}
	return b.most - len(b.ready)
}

// unwanted takes those that nobody has wanted for a while, or all.
func (b *blanks) unwanted(idle time.Duration) (list []compute.Enclosure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.wanted) > idle {
		list, b.ready = b.ready, nil
	}
	return list
}

func (b *blanks) put(e compute.Enclosure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = append(b.ready, e)
}

// Prepare has the host make ready what the next new environment needs. A service
// calls it when a function is made or changed; an invocation does so by itself.
func (h *Host) Prepare() { h.spare.prepare() }

// Ready is how many blank environments wait to be used.
func (h *Host) Ready() int {
	h.spare.mu.Lock()
	defer h.spare.mu.Unlock()
	return len(h.spare.ready)
}

// keepBlanks makes blanks until the host stops.
func (h *Host) keepBlanks() {
	b := h.spare
	defer func() {
		for _, e := range b.unwanted(-1) {
			h.closeBlank(e)
		}
	}()
	tick := time.NewTicker(max(h.cfg.Idle/8, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-b.wake:
		case <-tick.C:
			for _, e := range b.unwanted(h.cfg.Idle) {
				h.closeBlank(e)
			}
			continue
		}
		for b.missing(h.cfg.Idle) > 0 && h.ctx.Err() == nil {
			e, err := h.enclose(defaultTmp)
			if err != nil {
				h.cfg.Logger.Warn("cannot make an execution environment ready", "error", err)
				pause(h.ctx, failedPause)
				break
			}
			b.put(e)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (h *Host) closeBlank(e compute.Enclosure) {
	if err := e.Close(); err != nil {
		h.cfg.Logger.Error("cannot remove an execution environment whole", "error", err)
	}
}

// enclosure takes a blank, or makes one.
func (h *Host) enclosure(spec *Spec) (compute.Enclosure, error) {
	for spec.Ephemeral == defaultTmp {
		e := h.spare.take()
		if e == nil {
			break
		}
		select {
		case <-e.Done(): // something ended its first process
			h.closeBlank(e)
		default:
			return e, nil
		}
	}
	return h.enclose(spec.Ephemeral)
}

// enclose makes a blank. Some at a time: more would only wait for each other.
func (h *Host) enclose(tmp int64) (compute.Enclosure, error) {
	ctx, cancel := context.WithTimeout(h.ctx, startPatience)
	defer cancel()
	select {
	case h.starts <- struct{}{}:
		defer func() { <-h.starts }()
	case <-ctx.Done():
		if h.ctx.Err() != nil {
			return nil, ErrStopped
		}
		return nil, fmt.Errorf("function: no execution environment within %v", startPatience)
	}
	e, err := h.make.Enclose(ctx, compute.EnclosureSpec{ID: "fn-" + randomHex(8), Temporary: tmp, DNS: h.cfg.DNS})
	if err != nil && h.ctx.Err() != nil {
		return nil, ErrStopped
	}
	return e, err
}
