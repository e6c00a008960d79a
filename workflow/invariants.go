package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway/slipway/store"
)

// CheckInvariants says what is wrong with the workflow records: nil for
// nothing. Tests and the crash harness call it on a store at rest or in use.
//
//   - A run is in one of the four states. While it is RUNNING it has a lease,
//     its parameters and no end; afterwards it has no lease, no journal and no
//     signals, it has an end, and a place among those to be purged.
//   - Leases, journals, signals and places belong to a run.
//   - Every journal entry can be read.
func CheckInvariants(tx store.Tx) error {
	c := checker{states: map[string]State{}, held: map[string]bool{}, ended: map[string]bool{}}
	for _, check := range []func(store.Tx) error{c.runs, c.leases, c.places, c.journal, c.signals} {
		if err := check(tx); err != nil {
			return err
		}
	}
	for id, st := range c.states {
		if (st == Running) != c.held[id] {
			c.report("run %s is %s and has a lease: %v", id, st, c.held[id])
		}
		if (st != Running) != c.ended[id] {
			c.report("run %s is %s and has a place among the ended: %v", id, st, c.ended[id])
		}
	}
	return errors.Join(c.found...)
}

type checker struct {
	states map[string]State // by escaped id
	held   map[string]bool
	ended  map[string]bool
	found  []error
}

func (c *checker) report(format string, args ...any) {
	c.found = append(c.found, fmt.Errorf("workflow: "+format, args...))
}

func (c *checker) runs(tx store.Tx) error {
	for e, err := range runs.Scan(tx, "") {
		if err != nil {
			return err
		}
		c.states[e.Key] = e.Value.State
		switch r := e.Value; r.State {
		case Running:
			if !r.Ended.IsZero() || r.Failure != nil || len(r.Params) == 0 {
				c.report("run %s is RUNNING and has an end, or no parameters", e.Key)
			}
		case Done, Failed, Cancelled:
			if r.Ended.IsZero() || len(r.Params) > 0 || (r.Failure == nil) != (r.State == Done) {
				c.report("run %s is %s: its end, failure or parameters do not fit", e.Key, r.State)
			}
		default:
			c.report("run %s has the state %q", e.Key, r.State)
		}
	}
	return nil
}

func (c *checker) leases(tx store.Tx) error {
	for e, err := range leases.Scan(tx, "") {
		if err != nil {
			return err
		}
		c.held[e.Key] = true
		if _, ok := c.states[e.Key]; !ok {
			c.report("lease %s has no run", e.Key)
		}
	}
	return nil
}

func (c *checker) places(tx store.Tx) error {
	for doc, err := range tx.Scan(endedPrefix, store.PrefixEnd(endedPrefix)) {
		if err != nil {
			return err
		}
		id := doc.Key[strings.LastIndex(doc.Key, "/")+1:]
		if _, ok := c.states[id]; !ok || c.ended[id] {
			c.report("%s stands for no run, or twice for one", doc.Key)
		}
		c.ended[id] = true
	}
	return nil
}

func (c *checker) journal(tx store.Tx) error {
	for doc, err := range tx.Scan(journalPrefix, store.PrefixEnd(journalPrefix)) {
		if err != nil {
			return err
		}
		c.ofRunning(doc.Key, journalPrefix)
		var en entry
		if err := json.Unmarshal(doc.Value, &en); err != nil || en.Kind == "" {
			c.report("%s cannot be read: %v", doc.Key, err)
		}
	}
	return nil
}

func (c *checker) signals(tx store.Tx) error {
	for doc, err := range tx.Scan(signalPrefix, store.PrefixEnd(signalPrefix)) {
		if err != nil {
			return err
		}
		c.ofRunning(doc.Key, signalPrefix)
	}
	return nil
}

func (c *checker) ofRunning(key, prefix string) {
	id, _, _ := strings.Cut(key[len(prefix):], "/")
	if c.states[id] != Running {
		c.report("%s belongs to no run under way", key)
	}
}
