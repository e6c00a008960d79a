package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"time"

	"github.com/slipway/slipway/store"
)

// State of a run.
type State string

// The states: RUNNING is the first, every other is an end.
const (
	Running   State = "RUNNING"
	Done      State = "DONE"
	Failed    State = "FAILED"    // the flow returned an error
	Cancelled State = "CANCELLED" // the flow returned ErrCancelled
)

// Status is what is known of a run.
type Status struct {
	ID       string
	Workflow string
	State    State
	Err      error // of a run that failed or was cancelled; a *fault.Error keeps its code
	Created  time.Time
	Ended    time.Time
}

// run is the record of a run.
type run struct {
	Workflow string
	Params   json.RawMessage `json:",omitempty"` // until the end
	State    State
	Failure  *failure `json:",omitempty"`
	Parent   string   `json:",omitempty"`
	Created  time.Time
	Ended    time.Time `json:",omitzero"`
}

// lease says which engine runs a run. It is small and apart from the run: each
// journal entry is written in a transaction that finds it unchanged.
type lease struct {
	Workflow    string
	Server      string
	Incarnation string
}

func (l lease) heldBy(o lease) bool {
	return l.Server == o.Server && l.Incarnation == o.Incarnation
}

// server is the heartbeat of an engine.
type server struct {
	Incarnation string
	Beat        int64
}

var (
	runs    = store.NewCollection[run]("workflow/run")
	leases  = store.NewCollection[lease]("workflow/lease")
	servers = store.NewCollection[server]("workflow/server")
)

const (
	journalPrefix = "workflow/journal/"
	signalPrefix  = "workflow/signal/"
	endedPrefix   = "workflow/ended/"
	cancelName    = "!cancel"
	maxID         = 512  // bytes
	maxSignals    = 1000 // of one name, not yet read
)

// esc makes a part of a key: it leaves no slash and no "!".
func esc(s string) string { return url.PathEscape(s) }

func unesc(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

func runPrefix(id string) string        { return runs.Prefix() + esc(id) }
func journalOf(id string) string        { return journalPrefix + esc(id) + "/" }
func signalsOf(id string) string        { return signalPrefix + esc(id) + "/" }
func signalOf(id, signal string) string { return signalsOf(id) + esc(signal) + "/" }
func cancelOf(id string) string         { return signalsOf(id) + cancelName }
func endedKey(t time.Time, id string) string {
	return fmt.Sprintf("%s%020d/%s", endedPrefix, t.UnixNano(), esc(id))
}

// Begin makes a run that starts once tx commits. The id is the caller's: a
// second run of it is store.ErrExists until the first is purged.
func (e *Engine) Begin(tx store.Tx, name, id string, params any) error {
	return e.begin(tx, name, id, "", params)
}

func (e *Engine) begin(tx store.Tx, name, id, parent string, params any) error {
	e.mu.Lock()
	_, known := e.registry[name]
	held := e.self
	e.mu.Unlock()
	if !known {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if id == "" || len(id) > maxID {
		return fmt.Errorf("workflow: %q cannot be the id of a run: want 1 to %d bytes", id, maxID)
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("workflow: parameters of %s: %w", name, err)
	}
	held.Workflow = name
	r := run{Workflow: name, Params: raw, State: Running, Parent: parent, Created: e.cfg.Now().UTC()}
	if err := runs.Insert(tx, esc(id), &r); err != nil {
		return err
	}
	if err := leases.Put(tx, esc(id), &held); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hints[id] = time.Now()
	return nil
}

// Signal leaves a signal for a run. It is kept until awaited; signals of one
// name are read in the order in which they came.
func (e *Engine) Signal(tx store.Tx, id, signal string, payload any) error {
	if err := stillRunning(tx, id); err != nil {
		return err
	}
	raw, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("workflow: payload of signal %s: %w", signal, err)
	}
	prefix := signalOf(id, signal)
	first, last, err := ends(tx, prefix)
	if err != nil {
		return err
	}
	if first > 0 && last-first+1 >= maxSignals {
		return fmt.Errorf("%w: %d of %s for %s", ErrTooManySignals, maxSignals, signal, id)
	}
	return tx.Put(fmt.Sprintf("%s%012d", prefix, last+1), raw)
}

// ends gives the first and last sequence number under a prefix, 0 for none.
func ends(tx store.Tx, prefix string) (first, last int64, err error) {
	read := func(key string) (n int64) {
		_, _ = fmt.Sscanf(key[len(prefix):], "%d", &n)
		return n
	}
	for doc, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return 0, 0, err
		}
		first = read(doc.Key)
		break
	}
	for doc, err := range tx.ScanReverse(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return 0, 0, err
		}
		last = read(doc.Key)
		break
	}
	return first, last, nil
}

// Cancel asks a run to end: Sleep and Await return ErrCancelled from then on,
// Cancelled is true. The flow decides what to undo. Twice is no error.
func (e *Engine) Cancel(tx store.Tx, id string) error {
	if err := stillRunning(tx, id); err != nil {
		return err
	}
	return tx.Put(cancelOf(id), []byte("true"))
}

// stillRunning is nil for a run under way.
func stillRunning(tx store.Tx, id string) error {
	r, err := runs.Get(tx, esc(id))
	if err != nil {
		return err
	}
	if r.State != Running {
		return fmt.Errorf("%w: %s is %s", ErrEnded, id, r.State)
	}
	return nil
}

// Get reads a run; store.ErrNotFound where there is none, or no more.
func (e *Engine) Get(tx store.Tx, id string) (Status, error) {
	r, err := runs.Get(tx, esc(id))
	if err != nil {
		return Status{}, err
	}
	return r.status(id), nil
}

// Runs yields the runs under way and those that ended lately, by id.
func (e *Engine) Runs(tx store.Tx) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		for r, err := range runs.Scan(tx, "") {
			var st Status
			if err == nil {
				st = r.Value.status(unesc(r.Key))
			}
			if !yield(st, err) || err != nil {
				return
			}
		}
	}
}

func (r *run) status(id string) Status {
	return Status{ID: id, Workflow: r.Workflow, State: r.State, Err: r.Failure.err(), Created: r.Created, Ended: r.Ended}
}

// Wait waits for the end of a run, whichever engine runs it.
func (e *Engine) Wait(ctx context.Context, id string) (Status, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	changed := e.store.Watch(ctx, runPrefix(id))
	for {
		var st Status
		err := e.store.View(ctx, func(tx store.Tx) (err error) {
			st, err = e.Get(tx, id)
			return err
		})
		if err != nil || st.State != Running {
			return st, err
		}
		if _, ok := <-changed; !ok {
			return st, errors.Join(context.Cause(ctx), closedUnless(ctx))
		}
	}
}

// closedUnless says why a watch closed while its context goes on.
func closedUnless(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return store.ErrClosed
}
