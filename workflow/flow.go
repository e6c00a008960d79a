package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipway/slipway/store"
)

// Flow is what a workflow's code runs under. It must take every decision from
// its parameters and from what its steps gave. One scope of names belongs to
// one goroutine; Parallel gives each branch a scope of its own.
type Flow struct {
	r     *running
	scope string // "" or "branch/branch/"

	used         map[string]bool
	counts       map[string]int
	undos        []undo
	ignoreCancel bool
}

// running is a run under way in this engine.
type running struct {
	e           *Engine
	id          string
	lease       lease
	leaseDoc    []byte
	params      json.RawMessage
	ctx         context.Context
	cancel      context.CancelFunc
	interrupted atomic.Bool

	mu      sync.Mutex
	journal map[string]entry // of earlier runs, not yet replayed
}

// entry is one entry of the journal.
type entry struct {
	Kind    string
	Value   json.RawMessage `json:",omitempty"`
	Failure *failure        `json:",omitempty"`
	Until   time.Time       `json:",omitzero"`  // of a Sleep, or of an Await's time-out
	Child   string          `json:",omitempty"` // of a Child: its id
	Pending bool            `json:",omitempty"` // an Await or a Child that still waits
}

// Kinds of entries.
const (
	kindStep      = "step"
	kindTx        = "tx"
	kindUndo      = "undo"
	kindSleep     = "sleep"
	kindAwait     = "await"
	kindChild     = "child"
	kindNow       = "now"
	kindCancelled = "cancelled"
)

// endKey stands for the end of a run where a Probe asks.
const endKey = "!end"

// ID is the id of the run.
func (f *Flow) ID() string { return f.r.id }

// Context ends when the flow is interrupted. It does not end on Cancel.
func (f *Flow) Context() context.Context { return f.r.ctx }

// Log is the engine's logger with the run's name on it.
func (f *Flow) Log() *slog.Logger {
	return f.r.e.log.With("workflow", f.r.lease.Workflow, "run", f.r.id)
}

// IgnoreCancel makes Sleep, Await and Child wait on although the run is
// cancelled: for what a flow does after it has seen ErrCancelled.
func (f *Flow) IgnoreCancel() { f.ignoreCancel = true }

// Scope gives a scope of names of its own, as a branch of Parallel has: for a
// loop whose rounds have steps of the same names. Its Undos are its own.
func (f *Flow) Scope(name string) (*Flow, error) {
	if err := f.claim(name + "/"); err != nil {
		return nil, err
	}
	return f.sub(name), nil
}

func (f *Flow) sub(name string) *Flow {
	return &Flow{r: f.r, scope: f.scope + esc(name) + "/", ignoreCancel: f.ignoreCancel}
}

// claim takes a name in this scope.
func (f *Flow) claim(name string) error {
	if f.used[name] {
		return fmt.Errorf("%w: the name %q is used twice in scope %q", ErrNondeterministic, name, unesc(f.scope))
	}
	if f.used == nil {
		f.used = map[string]bool{}
	}
	f.used[name] = true
	return nil
}

// number gives the key of the next use of what may be used many times.
func (f *Flow) number(name string) string {
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[name]++
	return fmt.Sprintf("%s!%s!%d", f.scope, name, f.counts[name])
}

// load reads the run and its journal.
func (r *running) load(tx store.Tx) error {
	rec, err := runs.Get(tx, esc(r.id))
	if err != nil {
		return err
	}
	doc, err := tx.Get(leases.Prefix() + esc(r.id))
	if err != nil {
		return err
	}
	var held lease
	if err := json.Unmarshal(doc.Value, &held); err != nil {
		return fmt.Errorf("workflow: %s: %w", doc.Key, err)
	}
	if !held.heldBy(r.lease) {
		return store.ErrNotFound // another took it in the meantime
	}
	r.params, r.leaseDoc, r.lease = rec.Params, doc.Value, held
	r.journal = map[string]entry{}
	prefix := journalOf(r.id)
	for doc, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return err
		}
		var en entry
		if err := json.Unmarshal(doc.Value, &en); err != nil {
			return fmt.Errorf("workflow: %s: %w", doc.Key, err)
		}
		r.journal[doc.Key[len(prefix):]] = en
	}
	return nil
}

// replay gives, once, what the journal had when the flow started.
func (r *running) replay(key, kind string) (entry, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	en, ok := r.journal[key]
	if !ok {
		return entry{}, false, r.alive()
	}
	delete(r.journal, key)
	if en.Kind != kind {
		return entry{}, false, fmt.Errorf("%w: %q was a %s and is a %s now", ErrNondeterministic, unesc(key), en.Kind, kind)
	}
	return en, true, nil
}

// alive is ErrInterrupted once the flow is to go no further here.
func (r *running) alive() error {
	if r.ctx.Err() != nil {
		return r.interrupt()
	}
	return nil
}

func (r *running) interrupt() error {
	r.interrupted.Store(true)
	return ErrInterrupted
}

// run is the goroutine of a flow.
func (r *running) run() {
	returned := false
	defer r.e.wg.Done()
	defer func() {
		r.cancel()
		r.e.mu.Lock()
		delete(r.e.flows, r.id)
		r.e.mu.Unlock()
		if !returned {
			r.e.log.Error("workflow: the flow ended its goroutine; it stays as it is", "run", r.id)
		}
	}()
	err := r.call()
	returned = true
	if r.interrupted.Load() || err != nil && r.ctx.Err() != nil {
		return
	}
	r.finish(err)
}

func (r *running) call() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = r.panicked("flow", p)
		}
	}()
	r.e.mu.Lock()
	fn := r.e.registry[r.lease.Workflow]
	r.e.mu.Unlock()
	if fn == nil {
		return fmt.Errorf("%w: %q", ErrUnknown, r.lease.Workflow)
	}
	return fn(&Flow{r: r}, r.params)
}

func (r *running) panicked(where string, p any) error {
	r.e.log.Error("workflow: panic", "run", r.id, "where", where, "panic", p, "stack", string(debug.Stack()))
	return fmt.Errorf("workflow: panic in %s: %v", where, p)
}

// finish writes the end of the run and removes what only a run under way needs.
func (r *running) finish(err error) {
	if err != nil {
		r.e.log.Warn("workflow: failed", "workflow", r.lease.Workflow, "run", r.id, "error", err)
	}
	_, werr := r.write(endKey, func(tx store.Tx) (*entry, error) {
		rec, rerr := runs.Get(tx, esc(r.id))
		if rerr != nil {
			return nil, rerr
		}
		rec.Params, rec.Ended, rec.State = nil, r.e.cfg.Now().UTC(), Done
		if err != nil {
			rec.State, rec.Failure = Failed, failureOf(err)
		}
		if errors.Is(err, ErrCancelled) {
			rec.State = Cancelled
		}
		for _, prefix := range []string{journalOf(r.id), signalsOf(r.id)} {
			if err := deleteAll(tx, prefix); err != nil {
				return nil, err
			}
		}
		if err := leases.Delete(tx, esc(r.id)); err != nil {
			return nil, err
		}
		if err := tx.Put(endedKey(rec.Ended, r.id), []byte("null")); err != nil {
			return nil, err
		}
		return nil, runs.Put(tx, esc(r.id), rec)
	})
	if werr != nil && !errors.Is(werr, ErrInterrupted) {
		r.e.log.Error("workflow: write the end; the run ends after a restart", "run", r.id, "error", werr)
	}
}

func deleteAll(tx store.Tx, prefix string) error {
	for doc, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return err
		}
		if err := tx.Delete(doc.Key); err != nil {
			return err
		}
	}
	return nil
}

// fenced marks an error of the function that write runs, to tell it from one
// of the store.
type fenced struct{ error }

func (f fenced) Unwrap() error { return f.error }

// write runs fn in a transaction that holds only while the lease does, and
// writes the entry that fn gives. Errors of fn come back as they are. Errors of
// the store are waited out: what the entry tells of has happened.
func (r *running) write(key string, fn func(tx store.Tx) (*entry, error)) (*entry, error) {
	if p := r.e.cfg.Probe; p != nil && p.BeforeJournal != nil && p.BeforeJournal(r.id, key) {
		r.e.crash()
	}
	var out *entry
	for try := 0; ; try++ {
		if r.e.dead.Load() {
			return nil, r.interrupt()
		}
		// Not the flow's context: what was done must be kept although the
		// engine is about to stop.
		err := r.e.store.Update(context.WithoutCancel(r.ctx), func(tx store.Tx) (err error) {
			if r.e.dead.Load() {
				return errLost
			}
			out, err = r.fencedWrite(tx, key, fn)
			return err
		})
		var fe fenced
		switch {
		case err == nil:
			if p := r.e.cfg.Probe; p != nil && p.AfterJournal != nil && p.AfterJournal(r.id, key) {
				r.e.crash()
			}
			return out, nil
		case errors.As(err, &fe):
			return nil, fe.error
		case errors.Is(err, errLost):
			r.cancel()
			return nil, r.interrupt()
		case errors.Is(err, store.ErrClosed):
			return nil, r.interrupt()
		case errors.Is(err, store.ErrTooLarge):
			return nil, err
		}
		r.e.log.Error("workflow: write the journal", "run", r.id, "step", unesc(key), "error", err)
		if r.pause(try, r.e.cfg.Retry) != nil {
			return nil, r.interrupt()
		}
	}
}

func (r *running) fencedWrite(tx store.Tx, key string, fn func(tx store.Tx) (*entry, error)) (*entry, error) {
	doc, err := tx.Get(leases.Prefix() + esc(r.id))
	if errors.Is(err, store.ErrNotFound) || err == nil && string(doc.Value) != string(r.leaseDoc) {
		return nil, errLost
	}
	if err != nil {
		return nil, err
	}
	en, err := fn(tx)
	if err != nil {
		return nil, fenced{err}
	}
	if en == nil {
		return nil, nil
	}
	value, err := json.Marshal(en)
	if err != nil {
		return nil, fenced{err}
	}
	return en, tx.Put(journalOf(r.id)+key, value)
}

// put writes an entry that depends on nothing in the store.
func (r *running) put(key string, en entry) error {
	_, err := r.write(key, func(store.Tx) (*entry, error) { return &en, nil })
	return err
}

// pause waits before the next try: doubling, with half of it by chance.
func (r *running) pause(try int, p Retry) error {
	d := p.Max
	if try < 30 && p.First<<try < p.Max {
		d = p.First << try
	}
	d = d/2 + rand.N(d/2+1)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}
