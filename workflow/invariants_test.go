package workflow_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// TestInvariantsAreChecked breaks sound records in one way each.
func TestInvariantsAreChecked(t *testing.T) {
	put := func(key, value string) func(store.Tx) error {
		return func(tx store.Tx) error { return tx.Put(key, []byte(value)) }
	}
	del := func(key string) func(store.Tx) error {
		return func(tx store.Tx) error { return tx.Delete(key) }
	}
	tests := []struct {
		name string
		harm func(store.Tx) error
		want string
	}{
		{"sound", func(store.Tx) error { return nil }, ""},
		{"no lease", del("workflow/lease/on"), "run on is RUNNING and has a lease: false"},
		{"a lease too many", put("workflow/lease/off", "{}"), "run off is DONE and has a lease: true"},
		{"a lease of none", put("workflow/lease/nosuch", "{}"), "lease nosuch has no run"},
		{"a run lost", del("workflow/run/on"), "lease on has no run"},
		{"a journal left", put("workflow/journal/off/x", `{"Kind":"step"}`), "workflow/journal/off/x belongs to no run under way"},
		{"a journal unreadable", put("workflow/journal/on/x", `{"Kind":7}`), "workflow/journal/on/x cannot be read"},
		{"a signal left", put("workflow/signal/off/s/1", "1"), "workflow/signal/off/s/1 belongs to no run under way"},
		{"a state unknown", put("workflow/run/on", `{"State":"LOST"}`), `run on has the state "LOST"`},
		{"an end without its time", put("workflow/run/off", `{"State":"DONE"}`), "run off is DONE: its end"},
		{"a place of none", put("workflow/ended/1/nosuch", "null"), "workflow/ended/1/nosuch stands for no run"},
		{"a place twice", put("workflow/ended/1/off", "null"), "twice for one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			e := b.engine(b.config("one"), func(e *workflow.Engine) {
				workflow.Register(e, "wait", func(f *workflow.Flow, wait bool) error {
					if !wait {
						return nil
					}
					_, err := workflow.Await[int](f, "go", 0)
					return err
				})
			})
			b.begin(e, "wait", "off", false)
			b.begin(e, "wait", "on", true)
			b.end(e, "off")
			e.Stop()
			undo := errors.New("undo")
			err := b.store.Update(t.Context(), func(tx store.Tx) error {
				if err := tt.harm(tx); err != nil {
					return err
				}
				found := workflow.CheckInvariants(tx)
				if tt.want == "" && found != nil || tt.want != "" && (found == nil || !strings.Contains(found.Error(), tt.want)) {
					t.Errorf("found %v, want %q", found, tt.want)
				}
				return undo
			})
			if !errors.Is(err, undo) {
				t.Fatal(err)
			}
		})
	}
}
