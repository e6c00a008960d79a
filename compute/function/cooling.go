package function

import (
	"errors"
	"slices"
	"time"

	"github.com/slipway/slipway/compute"
)

// Between invocations an environment is frozen, as on AWS: what a function has left
// running does not run until the next one. That waits for a moment, since functions
// that are called often would be frozen and thawed for nothing.

// cooling is when idle environments are looked at. The host's lock guards it.
type cooling struct {
	wake  chan struct{}
	armed bool // somebody will look
	never bool // the driver freezes nothing
}

// begin has the environments looked at that have just become idle.
func (c *cooling) begin() {
	if c.armed || c.never {
		return
	}
	c.armed = true
	c.wake <- struct{}{} // there is room: it is taken before armed is false again
}

// cool freezes environments until the host stops.
func (h *Host) cool() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-h.cold.wake:
			timer.Reset(freezeAfter)
		case <-timer.C:
			if wait := h.freezeIdle(time.Now()); wait > 0 {
				timer.Reset(wait)
			}
		}
	}
}

// freezeIdle freezes those that nobody used for long enough, and tells how long it
// is to the next one; 0 where there is none.
func (h *Host) freezeIdle(now time.Time) (wait time.Duration) {
	h.mu.Lock()
	var due []*environment
	for _, list := range h.idle {
		for _, e := range list {
			left := freezeAfter - now.Sub(e.idleSince)
			switch {
			case e.cooled:
			case left <= 0:
				e.cooled = true
				due = append(due, e)
			case wait == 0 || left < wait:
				wait = left
			}
		}
	}
	h.cold.armed = wait > 0
	h.mu.Unlock()
	for _, e := range due {
		e.freeze()
	}
	return wait
}

// isIdle reports whether nobody uses an environment.
func (h *Host) isIdle(e *environment) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.idle[e.spec.Key], e)
}

// freeze stops an environment's processes, if it is idle. Whoever takes it meanwhile
// waits to thaw it.
func (e *environment) freeze() {
	if !e.frost.TryLock() {
		return // it is thawed, or ends
	}
	defer e.frost.Unlock()
	if !e.host.isIdle(e) || e.frozen {
		return
	}
	err := e.enc.Freeze()
	switch {
	case err == nil:
		e.frozen = true
	case errors.Is(err, compute.ErrUnsupported):
		e.host.mu.Lock()
		e.host.cold.never = true
		e.host.mu.Unlock()
	default:
		e.host.cfg.Logger.Debug("an execution environment is not frozen", "function", e.spec.ARN, "error", err)
	}
}

// thaw has them go on.
func (e *environment) thaw() error {
	e.frost.Lock()
	defer e.frost.Unlock()
	if !e.frozen {
		return nil
	}
	e.frozen = false
	return e.enc.Thaw()
}
