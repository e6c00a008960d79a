package apply

import (
	"errors"
	"sort"
	"strings"
	"sync"

	"github.com/slipway/slipway/workflow"
)

// node is one branch of a phase. Its function runs once those of all nodes in
// after have; ok says whether nodes that come after it may run.
type node struct {
	name  string
	after []string
	run   func(f *workflow.Flow) (ok bool, err error)
}

// errBefore ends a branch whose predecessor's branch broke off: the flow is
// ending and its next run takes the branch up.
var errBefore = errors.New("apply: an earlier branch broke off")

// graph runs a phase: each node as soon as those before it are done. It returns
// the names of nodes that did not run because a node before them was not ok. How
// many run at once is bounded where they act (act.go).
func (o *operation) graph(f *workflow.Flow, phase string, nodes []node) (skipped []string, err error) {
	type state struct {
		done chan struct{}
		ok   bool
		err  error
	}
	states := make(map[string]*state, len(nodes))
	for _, n := range nodes {
		states[n.name] = &state{done: make(chan struct{})}
	}
	var mu sync.Mutex
	branches := make([]workflow.Branch, 0, len(nodes))
	for _, n := range nodes {
		st := states[n.name]
		branches = append(branches, workflow.Branch{Name: phase + "/" + n.name, Run: func(f *workflow.Flow) error {
			defer close(st.done)
			for _, name := range n.after {
				before := states[name]
				if before == nil {
					continue
				}
				<-before.done
				if before.err != nil {
					st.err = errBefore
					return st.err
				}
				if !before.ok {
					mu.Lock()
					skipped = append(skipped, n.name)
					mu.Unlock()
					return nil
				}
			}
			st.ok, st.err = n.run(f)
			return st.err
		}})
	}
	err = f.Parallel(len(branches), branches...)
	sort.Strings(skipped)
	return skipped, err
}

// order sorts nodes so that each comes after those it names, and drops what
// would make a circle: removals of two versions of a stack may point at each
// other.
func order(nodes []node) []node {
	at := make(map[string]int, len(nodes))
	for i, n := range nodes {
		at[n.name] = i
	}
	const (
		unseen = iota
		open
		done
	)
	seen := make([]int, len(nodes))
	out := make([]node, 0, len(nodes))
	var visit func(i int)
	visit = func(i int) {
		seen[i] = open
		n := nodes[i]
		var after []string
		for _, name := range n.after {
			j, ok := at[name]
			if !ok || seen[j] == open {
				continue
			}
			if seen[j] == unseen {
				visit(j)
			}
			after = append(after, name)
		}
		n.after = after
		seen[i] = done
		out = append(out, n)
	}
	for i := range nodes {
		if seen[i] == unseen {
			visit(i)
		}
	}
	return out
}

func joinIDs(ids []string) string { return strings.Join(ids, ", ") }
