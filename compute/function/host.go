package function

import (
	"context"
	"errors"
)

// errNotBuilt is what is still to come.
var errNotBuilt = errors.New("function: not built yet")

// Host runs functions. Its methods are safe for concurrent use.
type Host struct{ cfg Config }

// New makes a host, and ends what an earlier one on the same driver has left.
func New(cfg Config) (*Host, error) { return &Host{cfg: cfg}, nil }

// Runtime looks for what a runtime needs on this host. The error is a
// *RuntimeError that names what is missing.
func (h *Host) Runtime(name string) (Runtime, error) { return Runtime{}, errNotBuilt }

// Invoke runs a function once, in an idle environment of its Key or in a new one.
// Where ctx ends before, Invoke returns and the function goes on, as on AWS. Errors are
// ErrThrottled, ErrStopped, a *RuntimeError, ctx's, or the host's own troubles.
func (h *Host) Invoke(ctx context.Context, spec Spec, inv Invocation) (Result, error) {
	return Result{}, errNotBuilt
}

// Retire ends the environments of a Key: idle ones now, the others after the
// invocation that they are at. It does not wait for these. The function that it returns
// does: when it returns, no environment of the Key uses its folders any more.
func (h *Host) Retire(key string) (wait func(context.Context) error) {
	return func(context.Context) error { return nil }
}

// Stop ends all environments and waits for it. Invocations that are under way
// return ErrStopped. It is safe to call twice.
func (h *Host) Stop() {}
