//go:build linux || darwin

package proc

import "slices"

// Descendants is all processes below pid. Where pid is their subreaper, none
// gets away by leaving its parent; elsewhere, see Tree.
func Descendants(pid int) []int {
	table, err := Table()
	if err != nil {
		return nil
	}
	return below(childrenIn(table), pid)
}

func childrenIn(table []Process) map[int][]int {
	children := map[int][]int{}
	for _, p := range table {
		children[p.Parent] = append(children[p.Parent], p.PID)
	}
	return children
}

// below is what descends from the processes.
func below(children map[int][]int, pids ...int) (all []int) {
	met := map[int]bool{}
	var queue []int
	for _, pid := range pids {
		queue = append(queue, children[pid]...)
	}
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if met[next] {
			continue
		}
		met[next] = true
		queue = append(queue, children[next]...)
		all = append(all, next)
	}
	return all
}

// Tree is what a process, the leader of a session, has started, for systems on
// which a process whose parent ends is no longer below what started it. Found are
// those of the session, those with a mark, what descends from either, and
// whoever was found before, wherever it hangs now. What leaves the session and
// its parent between two looks, and shows no mark, is not found. Where the root
// has ended, a process of the session that shows another mark is not taken for
// ours: the number may be a later session's.
type Tree struct {
	root Identity
	// session says that the root's number still names its session. The kernel
	// gives no number away for as long as a session has it.
	session bool
	mark    func(pid int) Mark
	seen    map[int]uint64 // found before: pid -> start
}

// NewTree is the tree of a session's leader, which may have ended. Session is
// false where the session is known to have ended, too: its number may by now be
// another's. mark, which may be nil, tells a process that is of the tree wherever
// it hangs.
func NewTree(root Identity, session bool, mark func(pid int) Mark) *Tree {
	if mark == nil {
		mark = func(int) Mark { return Unread }
	}
	return &Tree{root: root, session: session && root.PID > 0 && root.Boot == bootID(), mark: mark, seen: map[int]uint64{}}
}

// Members is all of the tree that runs now, but for the root.
func (t *Tree) Members() ([]Process, error) {
	table, err := Table()
	if err != nil {
		return nil, err
	}
	return t.among(table), nil
}

func (t *Tree) among(table []Process) []Process {
	rows := map[int]Process{}
	for _, p := range table {
		rows[p.PID] = p
	}
	leader, here := rows[t.root.PID]
	ours := t.session && (!here || leader.Start == t.root.Start)
	var found []int
	for _, p := range table {
		start, before := t.seen[p.PID]
		inSession := ours && p.Session == t.root.PID && p.Start >= t.root.Start
		switch {
		case p.Ended, here && ours && p.PID == t.root.PID:
		case before && start == p.Start, inSession && here:
			found = append(found, p.PID)
		default:
			if m := t.mark(p.PID); m == Ours || m == Unread && inSession {
				found = append(found, p.PID)
			}
		}
	}
	parents := found
	if here && ours {
		parents = append(slices.Clone(found), t.root.PID)
	}
	found = append(found, below(childrenIn(table), parents...)...)
	slices.Sort(found)
	members := []Process{}
	t.seen = map[int]uint64{}
	for _, pid := range slices.Compact(found) {
		if p := rows[pid]; !p.Ended && pid != t.root.PID {
			members = append(members, p)
			t.seen[pid] = p.Start
		}
	}
	return members
}

// Mark is what a process's environment tells of whose it is.
type Mark int

// Of an environment that cannot be read, or is empty, nothing is known.
const (
	Unread Mark = iota
	Ours
	Others
)

// Marked tells processes by a line of their environment; "" marks none.
func Marked(line string) func(pid int) Mark {
	if line == "" {
		return nil
	}
	return func(pid int) Mark {
		env, err := Environ(pid)
		switch {
		case err != nil || len(env) == 0 || env[0] == "":
			return Unread
		case slices.Contains(env, line):
			return Ours
		default:
			return Others
		}
	}
}
