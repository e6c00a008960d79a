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

// Removal is the plan of DeleteStack. Resources named in retain, and those whose
// policy says so, stay in the account.
func Removal(old State, retain []string) *Plan {
	steps := map[string]Step{}
	for id, r := range old.Resources {
		if r.PhysicalID == "" {
			continue
		}
		steps[id] = removal(r, r.DeletionPolicy)
	}
	for _, id := range retain {
		if s, ok := steps[id]; ok {
			s.Action = Retain
			steps[id] = s
		}
	}
	return &Plan{Cleanup: backwards(steps, func(id string) []string { return old.Resources[id].DependsOn })}
}

// Outcome is how far a step of a failed operation came.
type Outcome struct {
	Started  bool     // it may have acted
	Resource Resource // the resource as it is now; PhysicalID "" if there is none
	Replaced bool     // a new resource was begun beside, or instead of, the old one
	OldGone  bool     // DeleteFirst: the old one was deleted
}

// Rollback is the plan back from a failed creation or update, before its
// clean-up began. Outcomes are by logical id; a step without one was never started.
func Rollback(old State, failed *Plan, outcomes map[string]Outcome) *Plan {
	back := &Plan{}
	steps, made := map[string]Step{}, map[string]Step{}
	var ids []string
	for i := range failed.Steps {
		s := &failed.Steps[i]
		o := outcomes[s.LogicalID]
		if !o.Started {
			continue
		}
		was, existed := old.Resources[s.LogicalID]
		existed = existed && was.PhysicalID != ""
		if (!existed || o.Replaced) && o.Resource.PhysicalID != "" && o.Resource.PhysicalID != was.PhysicalID {
			made[s.LogicalID] = undo(o.Resource, existed)
		}
		if !existed {
			continue
		}
		step := Step{LogicalID: s.LogicalID, Type: s.Type, Action: Update, PhysicalID: was.PhysicalID, Changed: s.Changed, Records: s.Records, Tags: s.Tags}
		switch {
		case o.OldGone:
			step.Action, step.PhysicalID = Create, ""
		case o.Replaced:
			step.Action = Restore
		}
		steps[s.LogicalID] = step
		ids = append(ids, s.LogicalID)
	}
	on := map[string][]string{}
	for _, id := range ids {
		for _, d := range old.Resources[id].DependsOn {
			if _, ok := steps[d]; ok {
				on[id] = append(on[id], d)
			}
		}
	}
	for _, id := range sorted(ids, on) {
		s := steps[id]
		s.After = on[id]
		back.Steps = append(back.Steps, s)
	}
	back.Cleanup = backwards(made, func(id string) []string { return outcomes[id].Resource.DependsOn })
	return back
}

// undo takes a new resource away. A replacement that failed never served, so it
// goes whatever its policy says; a new resource's Retain is kept.
func undo(r Resource, replacement bool) Step {
	policy := r.DeletionPolicy
	if replacement || policy == "RetainExceptOnCreate" {
		policy = "Delete"
	}
	return removal(r, policy)
}
