package apply

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func textOf(nodes []node) string {
	var lines []string
	for _, n := range nodes {
		lines = append(lines, strings.TrimSpace(n.name+" after "+strings.Join(n.after, " ")))
	}
	return strings.Join(lines, "\n")
}

func TestOrder(t *testing.T) {
	got := textOf(order([]node{{name: "c", after: []string{"b", "elsewhere"}}, {name: "a"}, {name: "b", after: []string{"a"}}}))
	if want := "a after\nb after a\nc after b"; got != want {
		t.Errorf("order:\n%s\nwant:\n%s", got, want)
	}
	// Two versions of a stack may point at each other: the circle is cut once.
	got = textOf(order([]node{{name: "a", after: []string{"b"}}, {name: "b", after: []string{"a"}}}))
	if want := "b after\na after b"; got != want {
		t.Errorf("order of a circle:\n%s\nwant:\n%s", got, want)
	}
}

// Whatever points at whatever, every node stands once, behind all that it waits
// for: a phase always ends.
func TestOrderNeverDeadlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := strings.Split("abcdefgh", "")
		var nodes []node
		for _, n := range names {
			nodes = append(nodes, node{name: n, after: rapid.SliceOf(rapid.SampledFrom(names)).Draw(t, n)})
		}
		seen := map[string]bool{}
		for _, n := range order(nodes) {
			for _, before := range n.after {
				if !seen[before] {
					t.Fatalf("%s waits for %s, which comes later", n.name, before)
				}
			}
			if seen[n.name] {
				t.Fatalf("%s stands twice", n.name)
			}
			seen[n.name] = true
		}
		if len(seen) != len(names) || !slices.ContainsFunc(names, func(n string) bool { return seen[n] }) {
			t.Fatalf("%d nodes of %d", len(seen), len(names))
		}
	})
}
