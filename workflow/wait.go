package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/slipway/slipway/store"
)

// Now is the time at which the flow first came here.
func (f *Flow) Now(name string) (time.Time, error) {
	key := f.scope + esc(name)
	if err := f.claim(kindStep + ":" + key); err != nil {
		return time.Time{}, err
	}
	en, found, err := f.r.replay(key, kindNow)
	if err != nil || found {
		return en.Until, err
	}
	en = entry{Kind: kindNow, Until: f.r.e.cfg.Now().UTC()}
	return en.Until, f.r.put(key, en)
}

// Cancelled says whether Cancel had been called when the flow first came here.
// Each call is a journal entry: ask where a flow can turn back, not in a loop.
func (f *Flow) Cancelled() bool {
	key := f.number(kindCancelled)
	en, found, err := f.r.replay(key, kindCancelled)
	if err != nil {
		return false // interrupted: the next step says so
	}
	if !found {
		got, err := f.r.write(key, func(tx store.Tx) (*entry, error) {
			yes, err := f.r.cancelled(tx)
			if err != nil {
				return nil, err
			}
			raw, err := json.Marshal(yes)
			return &entry{Kind: kindCancelled, Value: raw}, err
		})
		if err != nil {
			f.r.interrupted.Store(true)
			return false
		}
		en = *got
	}
	return string(en.Value) == "true"
}

func (r *running) cancelled(tx store.Tx) (bool, error) {
	switch _, err := tx.Get(cancelOf(r.id)); {
	case err == nil:
		return true, nil
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	default:
		return false, err
	}
}

// Sleep waits until d, scaled by Config.WaitScale, has passed since the flow
// first came here. It returns ErrCancelled when the run is cancelled meanwhile.
func (f *Flow) Sleep(name string, d time.Duration) error {
	key := f.scope + esc(name)
	if err := f.claim(kindStep + ":" + key); err != nil {
		return err
	}
	until := f.r.e.cfg.Now().UTC().Add(time.Duration(float64(d) * f.r.e.cfg.WaitScale))
	en, err := f.park(waiting{key: key, kind: kindSleep, until: until, prefixes: []string{cancelOf(f.r.id)},
		look: func(_ store.Tx, due bool) (*entry, string, error) {
			if !due {
				return nil, "", nil
			}
			return &entry{Kind: kindSleep}, "", nil
		}})
	if err != nil {
		return err
	}
	return en.Failure.err()
}

// Await waits for a signal of the name and gives its payload. It returns
// ErrTimeout once timeout, which WaitScale leaves alone, has passed since the
// flow first came here (0: never), and ErrCancelled when the run is cancelled.
// It may be called many times for one name; each gets the next signal.
func Await[T any](f *Flow, signal string, timeout time.Duration) (T, error) {
	var until time.Time
	if timeout > 0 {
		until = f.r.e.cfg.Now().UTC().Add(timeout)
	}
	prefix := signalOf(f.r.id, signal)
	en, err := f.park(waiting{key: f.number("await!" + esc(signal)), kind: kindAwait, until: until,
		prefixes: []string{prefix, cancelOf(f.r.id)},
		look: func(tx store.Tx, due bool) (*entry, string, error) {
			for doc, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
				if err != nil {
					return nil, "", err
				}
				return &entry{Kind: kindAwait, Value: doc.Value}, doc.Key, nil
			}
			if due {
				err := fmt.Errorf("%w: no signal %s within %s", ErrTimeout, signal, timeout)
				return &entry{Kind: kindAwait, Failure: failureOf(err)}, "", nil
			}
			return nil, "", nil
		}})
	if err == nil {
		err = en.Failure.err()
	}
	return decode[T](signal, en.Value, err)
}

// Child begins a run of another workflow, with this id, and waits for its end.
// Its error comes back as that of a step. When this run is cancelled the child
// is, and its end is still waited for.
func Child[P any](f *Flow, name, workflow, id string, params P) error {
	key := f.scope + esc(name)
	if err := f.claim(kindStep + ":" + key); err != nil {
		return err
	}
	passed := false
	en, err := f.park(waiting{key: key, kind: kindChild, child: id, prefixes: []string{runPrefix(id), cancelOf(f.r.id)},
		begin: func(tx store.Tx) error {
			err := f.r.e.begin(tx, workflow, id, f.r.id, params)
			if err != nil && !errors.Is(err, store.ErrExists) && !errors.Is(err, ErrUnknown) {
				return Permanent(err)
			}
			return err
		},
		look: func(tx store.Tx, _ bool) (*entry, string, error) {
			rec, err := runs.Get(tx, esc(id))
			if err != nil || rec.State == Running {
				return nil, "", err
			}
			return &entry{Kind: kindChild, Child: id, Failure: rec.Failure}, "", nil
		},
		onCancel: func() error {
			if passed {
				return nil
			}
			passed = true
			err := f.r.e.store.Update(f.r.ctx, func(tx store.Tx) error { return f.r.e.Cancel(tx, id) })
			if errors.Is(err, ErrEnded) {
				err = nil
			}
			return err
		}})
	if err != nil {
		return err
	}
	return en.Failure.err()
}

// waiting is what a flow waits for.
type waiting struct {
	key, kind string
	until     time.Time // zero: without end
	prefixes  []string  // one or two, to watch
	child     string
	// begin runs in the transaction of the first entry.
	begin func(tx store.Tx) error
	// look gives the final entry once there is one, and the key of what it used
	// up. due says that until has passed.
	look func(tx store.Tx, due bool) (*entry, string, error)
	// onCancel, where there is one, replaces the end by ErrCancelled.
	onCancel func() error
}

// park journals the time at which the wait ends, and waits. Nothing polls: the
// store's watches and one timer wake it.
func (f *Flow) park(w waiting) (entry, error) {
	en, found, err := f.r.replay(w.key, w.kind)
	if err != nil {
		return entry{}, err
	}
	if found && !en.Pending {
		return en, nil
	}
	ctx, stop := context.WithCancel(f.r.ctx)
	defer stop()
	woken := [2]<-chan struct{}{}
	for i, p := range w.prefixes {
		woken[i] = f.r.e.store.Watch(ctx, p)
	}
	if found {
		w.until = en.Until
	} else if w.begin != nil || !w.until.IsZero() {
		got, err := f.firstEntry(w)
		if err != nil || !got.Pending {
			return got, err
		}
	}
	for {
		got, err := f.settle(w)
		if err != nil || got != nil {
			return deref(got), err
		}
		if err := f.r.sleepUntil(w.until, woken); err != nil {
			return entry{}, err
		}
	}
}

func deref(en *entry) entry {
	if en == nil {
		return entry{}
	}
	return *en
}

// firstEntry keeps the end of the wait, or the end itself if it has come.
func (f *Flow) firstEntry(w waiting) (entry, error) {
	got, err := f.r.write(w.key, func(tx store.Tx) (*entry, error) {
		if w.begin != nil {
			if err := w.begin(tx); err != nil {
				return nil, err
			}
		} else if en, err := f.final(tx, w); en != nil || err != nil {
			return en, err
		}
		return &entry{Kind: w.kind, Until: w.until, Child: w.child, Pending: true}, nil
	})
	if err == nil {
		return *got, nil
	}
	if w.begin != nil && isFinal(err) && !errors.Is(err, ErrInterrupted) {
		en := entry{Kind: w.kind, Failure: failureOf(err)}
		return en, f.r.put(w.key, en)
	}
	return entry{}, err
}

// final gives the entry that ends the wait, if there is one, and removes what
// it used up where tx can write.
func (f *Flow) final(tx store.Tx, w waiting) (*entry, error) {
	due := !w.until.IsZero() && !f.r.e.cfg.Now().Before(w.until)
	en, used, err := w.look(tx, due)
	if err != nil {
		return nil, err
	}
	if en != nil {
		if used != "" {
			err = tx.Delete(used)
		}
		return en, err
	}
	if w.onCancel != nil || f.ignoreCancel {
		return nil, nil
	}
	yes, err := f.r.cancelled(tx)
	if err != nil || !yes {
		return nil, err
	}
	return &entry{Kind: w.kind, Failure: failureOf(ErrCancelled)}, nil
}

// settle looks first and writes only when there is something to write.
func (f *Flow) settle(w waiting) (*entry, error) {
	ready, cancel := false, false
	err := f.r.e.store.View(f.r.ctx, func(tx store.Tx) error {
		en, err := f.final(readOnly{tx}, w)
		if err != nil {
			return err
		}
		ready = en != nil
		if w.onCancel != nil && !f.ignoreCancel {
			cancel, err = f.r.cancelled(tx)
		}
		return err
	})
	switch {
	case f.r.ctx.Err() != nil:
		return nil, f.r.interrupt()
	case errors.Is(err, store.ErrClosed):
		return nil, f.r.interrupt()
	case err != nil:
		return nil, err
	}
	if ready {
		return f.r.write(w.key, func(tx store.Tx) (*entry, error) { return f.final(tx, w) })
	}
	if cancel {
		return nil, w.onCancel()
	}
	return nil, nil
}

// readOnly lets final look without removing.
type readOnly struct{ store.Tx }

func (readOnly) Delete(string) error { return nil }

func (r *running) sleepUntil(until time.Time, woken [2]<-chan struct{}) error {
	var due <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(until.Sub(r.e.cfg.Now()))
		defer t.Stop()
		due = t.C
	}
	ok := true
	select {
	case <-r.ctx.Done():
		return r.interrupt()
	case <-due:
	case _, ok = <-woken[0]:
	case _, ok = <-woken[1]:
	}
	if !ok { // the store has closed
		return r.interrupt()
	}
	return nil
}
