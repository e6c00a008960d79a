package crash

import (
	"strings"
	"testing"
)

// The harness must see what it is there to see.
func TestDifferences(t *testing.T) {
	const q = "AWS::SQS::Queue"
	tests := []struct {
		name         string
		owned, there inventory
		want         string
	}{
		{"all is well", inventory{q: {"a", "b"}}, inventory{q: {"b", "a"}}, ""},
		{"lost", inventory{q: {"a", "b"}}, inventory{q: {"a"}}, q + " b belongs to a stack and is not there"},
		{"orphaned", inventory{}, inventory{q: {"a"}}, q + " a is there and belongs to no stack"},
		{"doubled", inventory{q: {"a"}}, inventory{q: {"a", "a"}}, q + " a is there twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(differences(tt.owned, tt.there), "; "); got != tt.want {
				t.Fatalf("= %q, want %q", got, tt.want)
			}
		})
	}
}

func TestConclude(t *testing.T) {
	at := func(status string, version int) outcome { return outcome{status, version} }
	tests := []struct {
		name   string
		before outcome
		kind   string
		acked  bool
		got    outcome
		ok     bool
	}{
		{"created", at(absent, 0), create, true, at(createDone, 7), true},
		{"creation lost", at(absent, 0), create, true, at(absent, 0), false},
		{"creation not acknowledged and not begun", at(absent, 0), create, false, at(absent, 0), true},
		{"creation not acknowledged and done", at(absent, 0), create, false, at(createDone, 7), true},
		{"creation rolled back", at(absent, 0), create, true, at(createUndone, 0), false},
		{"rolled back as it must", at(absent, 0), createFails, true, at(createUndone, 0), true},
		{"updated", at(createDone, 6), update, true, at(updateDone, 7), true},
		{"update lost", at(updateDone, 6), update, true, at(updateDone, 6), false},
		{"update not acknowledged and not begun", at(updateDone, 6), update, false, at(updateDone, 6), true},
		{"update half done", at(createDone, 6), update, true, at("UPDATE_FAILED", 6), false},
		{"update undone as it must", at(createDone, 6), updateFails, true, at(updateUndone, 6), true},
		{"update undone with the new version", at(createDone, 6), updateFails, true, at(updateUndone, 7), false},
		{"imported", at(updateDone, 6), imports, true, at(importDone, 6), true},
		{"import lost", at(updateDone, 6), imports, true, at(updateDone, 6), false},
		{"import undone as it must", at(updateDone, 6), importFails, true, at(importUndone, 6), true},
		{"deleted", at(createDone, 6), deletion, true, at(absent, 0), true},
		{"deletion lost", at(createDone, 6), deletion, true, at(createDone, 6), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &slot{name: "s", at: tt.before, op: &operation{kind: tt.kind, version: 7, acked: tt.acked}}
			if err := s.conclude(tt.got, ""); (err == nil) != tt.ok {
				t.Fatalf("verdict = %v, want ok %v", err, tt.ok)
			}
			if s.at != tt.got {
				t.Fatalf("the slot is at %s, want %s", s.at, tt.got)
			}
		})
	}
}
