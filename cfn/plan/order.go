package plan

// sorted puts ids in an order in which each comes after those that it depends
// on, and otherwise as they stood. The graph has no circles: Enter saw to that.
func sorted(ids []string, on map[string][]string) []string {
	order := make([]string, 0, len(ids))
	member := make(map[string]bool, len(ids))
	for _, id := range ids {
		member[id] = true
	}
	seen := make(map[string]bool, len(ids))
	var visit func(id string)
	visit = func(id string) {
		if seen[id] || !member[id] {
			return
		}
		seen[id] = true
		for _, d := range on[id] {
			visit(d)
		}
		order = append(order, id)
	}
	for _, id := range ids {
		visit(id)
	}
	return order
}

// backwards orders deletions: each after all that depended on it. on gives what
// a resource waited for when it was made.
func backwards(steps map[string]Step, on func(id string) []string) []Step {
	waits := make(map[string][]string, len(steps))
	ids := union(steps, nil)
	for _, id := range ids {
		for _, d := range on(id) {
			if _, ok := steps[d]; ok && d != id {
				waits[d] = append(waits[d], id)
			}
		}
	}
	out := make([]Step, 0, len(steps))
	for _, id := range sorted(ids, waits) {
		s := steps[id]
		s.After = waits[id]
		out = append(out, s)
	}
	return out
}
