package apply

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Signal is one signal that a source has received.
type Signal struct {
	UniqueID string
	Success  bool
	Reason   string
	Data     string
	Time     time.Time
}

// Signals are keyed by the stack's key, the source and the unique id.
var Signals = store.NewCollection[Signal]("cloudformation/signal")

// waiter is the resource that waits at a source.
type waiter struct {
	LogicalID string
	Operation string // id of the workflow
	// Nudge is the signal that wakes it, where that is not the resource's: a clean-up
	// may wait for several answers about one resource, and each needs its own.
	Nudge string `json:",omitempty"`
}

var waiters = store.NewCollection[waiter]("cloudformation/waiter")

// OwnSource is the source of the signals that SignalResource sends to a resource.
func OwnSource(logicalID string) string { return "resource." + logicalID }

// HandleSource is the source that a wait condition handle's URL feeds.
func HandleSource(logicalID string) string { return "handle." + logicalID }

func sourceKey(s *Stack, source string) string { return s.Key() + "/" + source + "/" }

// ClearSignals forgets what a source has received.
func ClearSignals(tx store.Tx, s *Stack, source string) error {
	return deleteUnder(tx, Signals, sourceKey(s, source), "")
}

// GetSignal returns nil where no such signal has come.
func GetSignal(tx store.Tx, s *Stack, source, uniqueID string) (*Signal, error) {
	return found(Signals.Get(tx, sourceKey(s, source)+uniqueID))
}

// Signal keeps a signal, tells of it if someone waits, and wakes who waits.
func (r *Runner) Signal(l *Ledger, s *Stack, source string, sig Signal) error {
	sig.Time = l.Now
	if err := Signals.Put(l.Tx, sourceKey(s, source)+sig.UniqueID, &sig); err != nil {
		return err
	}
	w, err := found(waiters.Get(l.Tx, sourceKey(s, source)))
	if err != nil || w == nil {
		return err
	}
	if res, err := getResource(l.Tx, s, w.LogicalID); err != nil {
		return err
	} else if res != nil {
		word := "SUCCESS"
		if !sig.Success {
			word = "FAILURE"
		}
		if err := l.resource(s, res, res.Status, fmt.Sprintf("Received %s signal with UniqueId %s", word, sig.UniqueID)); err != nil {
			return err
		}
	}
	return r.nudge(l.Tx, w)
}

func (r *Runner) nudge(tx store.Tx, w *waiter) error {
	err := r.cfg.Workflows.Signal(tx, w.Operation, cmp.Or(w.Nudge, nudgeOf(w.LogicalID)), struct{}{})
	if errors.Is(err, workflow.ErrTooManySignals) {
		return nil // it is awake
	}
	return err
}

func nudgeOf(logicalID string) string { return "signal/" + logicalID }

// wakeAll wakes every resource of the stack that waits for signals, because the
// operation stops.
func (r *Runner) wakeAll(tx store.Tx, s *Stack) error {
	var all []*waiter
	for e, err := range waiters.Scan(tx, s.Key()+"/") {
		if err != nil {
			return err
		}
		all = append(all, e.Value)
	}
	for _, w := range all {
		if err := r.nudge(tx, w); err != nil {
			return err
		}
	}
	return nil
}

// tally is what a source has received.
type tally struct {
	Successes int
	Failures  int
	First     Signal // the first failure
	Data      string // JSON of the successes' data by unique id
}

func countSignals(tx store.Tx, s *Stack, source string) (tally, error) {
	var t tally
	data := map[string]string{}
	for e, err := range Signals.Scan(tx, sourceKey(s, source)) {
		if err != nil {
			return t, err
		}
		if e.Value.Success {
			t.Successes++
			data[e.Value.UniqueID] = e.Value.Data
			continue
		}
		if t.Failures == 0 || e.Value.Time.Before(t.First.Time) {
			t.First = *e.Value
		}
		t.Failures++
	}
	b, err := json.Marshal(data)
	t.Data = string(b)
	return t, err
}

// Waits reports whether a resource waits for signals at a source.
func Waits(tx store.Tx, s *Stack, source string) (bool, error) {
	w, err := found(waiters.Get(tx, sourceKey(s, source)))
	return w != nil, err
}

// CountSignals is how many signals a source has received.
func CountSignals(tx store.Tx, s *Stack, source string) (int, error) {
	t, err := countSignals(tx, s, source)
	return t.Successes + t.Failures, err
}
