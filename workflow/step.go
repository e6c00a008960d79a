package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/slipway/slipway/store"
)

// Option of a step.
type Option func(*Retry)

// Attempts bounds the tries of a step.
func Attempts(n int) Option { return func(r *Retry) { r.Attempts = n } }

// Backoff sets the waits between the tries of a step.
func Backoff(first, limit time.Duration) Option {
	return func(r *Retry) { r.First, r.Max = first, limit }
}

// Step runs fn once, as far as that can be: fn that has run and whose result
// was not kept, because of a crash, runs again with the same token, and must
// then find what it did. Its result is kept as JSON, and that is what Step
// returns, also the first time.
//
// A *fault.Error, Permanent, and the store's ErrNotFound and ErrExists are
// final and kept. Any other error, and a panic, is tried again with backoff;
// the last one is final. A step that fails while the engine stops is neither:
// it is done again later.
func Step[T any](f *Flow, name string, fn func(ctx context.Context, token string) (T, error), opts ...Option) (T, error) {
	raw, err := f.step(kindStep, name, f.scope+esc(name), opts, func(ctx context.Context, token string) (any, error) {
		return fn(ctx, token)
	})
	return decode[T](name, raw, err)
}

// Tx runs fn in a transaction that also keeps its result, so its effect on the
// store happens exactly once. An error undoes the effect, and is final or tried
// again as that of a Step is. fn may run more than once and must have no effect
// but that on tx.
func Tx[T any](f *Flow, name string, fn func(tx store.Tx) (T, error), opts ...Option) (T, error) {
	raw, err := f.tx(name, opts, func(tx store.Tx) (any, error) { return fn(tx) })
	return decode[T](name, raw, err)
}

func decode[T any](name string, raw json.RawMessage, err error) (T, error) {
	var v T
	if err != nil || len(raw) == 0 {
		return v, err
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fmt.Errorf("workflow: the kept result of step %q: %w", name, err)
	}
	return v, nil
}

func (f *Flow) retry(opts []Option) Retry {
	p := f.r.e.cfg.Retry
	for _, o := range opts {
		o(&p)
	}
	return p
}

// step is Step without its type. key is the name in the journal.
func (f *Flow) step(kind, name, key string, opts []Option, fn func(context.Context, string) (any, error)) (json.RawMessage, error) {
	if err := f.claim(kind + ":" + key); err != nil {
		return nil, err
	}
	en, found, err := f.r.replay(key, kind)
	if err != nil {
		return nil, err
	}
	if found {
		return en.Value, en.Failure.err()
	}
	p := f.retry(opts)
	en = entry{Kind: kind}
	for try, tries := 0, 1; ; try++ {
		en.Value, err = f.r.once(key, fn)
		if err == nil {
			break
		}
		if f.r.ctx.Err() != nil {
			return nil, f.r.interrupt()
		}
		if isFinal(err) || tries >= p.Attempts {
			f.Log().Info("workflow: step failed", "step", name, "error", err)
			en.Value, en.Failure = nil, failureOf(err)
			break
		}
		f.Log().Debug("workflow: step is tried again", "step", name, "try", tries, "error", err)
		if !waitsForStore(err) {
			tries++
		}
		if f.r.pause(try, p) != nil {
			return nil, f.r.interrupt()
		}
	}
	err = f.r.put(key, en)
	if errors.Is(err, store.ErrTooLarge) { // the result is: it cannot be kept
		en.Value, en.Failure = nil, failureOf(fmt.Errorf("workflow: the result of step %q: %w", name, err))
		err = f.r.put(key, en)
	}
	if err != nil {
		return nil, err
	}
	return en.Value, en.Failure.err()
}

// waitsForStore says that a step failed for want of the store, which is no
// fault of the step: it is tried until the disk has room again.
func waitsForStore(err error) bool {
	return errors.Is(err, store.ErrNoSpace) || errors.Is(err, store.ErrReadOnly)
}

// once calls fn, with what a Probe wants of it.
func (r *running) once(key string, fn func(context.Context, string) (any, error)) (json.RawMessage, error) {
	raw, err := r.guarded(key, fn)
	if p := r.e.cfg.Probe; err == nil && p != nil && p.Repeat != nil && p.Repeat(r.id, key) {
		return r.guarded(key, fn)
	}
	return raw, err
}

func (r *running) guarded(key string, fn func(context.Context, string) (any, error)) (raw json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			raw, err = nil, r.panicked("step "+unesc(key), p)
		}
	}()
	v, err := fn(r.ctx, r.id+"/"+key)
	if err != nil {
		return nil, err
	}
	return encode(v)
}

func encode(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, Permanent(fmt.Errorf("workflow: the result cannot be kept: %w", err))
	}
	return raw, nil
}

func (f *Flow) tx(name string, opts []Option, fn func(tx store.Tx) (any, error)) (json.RawMessage, error) {
	key := f.scope + esc(name)
	if err := f.claim(kindStep + ":" + key); err != nil {
		return nil, err
	}
	en, found, err := f.r.replay(key, kindTx)
	if err != nil {
		return nil, err
	}
	if found {
		return en.Value, en.Failure.err()
	}
	p := f.retry(opts)
	for try, tries := 0, 1; ; try++ {
		done, err := f.r.write(key, func(tx store.Tx) (_ *entry, err error) {
			defer func() {
				if p := recover(); p != nil {
					err = f.r.panicked("step "+unesc(key), p)
				}
			}()
			v, err := fn(tx)
			if err != nil {
				return nil, err
			}
			raw, err := encode(v)
			return &entry{Kind: kindTx, Value: raw}, err
		})
		switch {
		case err == nil:
			return done.Value, nil
		case errors.Is(err, ErrInterrupted):
			return nil, err
		case f.r.ctx.Err() != nil:
			return nil, f.r.interrupt()
		}
		if isFinal(err) || tries >= p.Attempts {
			f.Log().Info("workflow: step failed", "step", name, "error", err)
			en := entry{Kind: kindTx, Failure: failureOf(err)}
			if err := f.r.put(key, en); err != nil {
				return nil, err
			}
			return nil, en.Failure.err()
		}
		if !waitsForStore(err) {
			tries++
		}
		if f.r.pause(try, p) != nil {
			return nil, f.r.interrupt()
		}
	}
}
