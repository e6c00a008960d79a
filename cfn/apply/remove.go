package apply

import (
	"slices"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/workflow"
)

// scopeOfRemoval says which resources a phase removes.
type scopeOfRemoval int

const (
	removeAll      scopeOfRemoval = iota // the stack goes
	removeObsolete                       // what the version that was reached no longer has
	removeNew                            // what a failed update made
)

// victim is one physical resource that a phase removes.
type victim struct {
	plan.Resource
	Name   string // of its branch
	Old    bool   // replaced, or the replacement that is given up
	Retain bool
	// Obsolete: the template has it no more.
	Obsolete bool
	Clean    bool // a nested stack that stays, and removes what it kept
	// Snapshot: one is made before the resource goes.
	Snapshot bool
}

// remove deletes resources, dependents first. What fails stays in the records,
// and what it depends on is left alone.
func (o *operation) remove(f *workflow.Flow, phase string, which scopeOfRemoval) ([]string, error) {
	victims, err := tx(o, f, phase, func(l *Ledger, s *Stack) ([]victim, error) {
		all, err := ResourcesOf(l.Tx, s)
		if err != nil {
			return nil, err
		}
		s.Stop, s.Failure, s.Failed = false, "", nil
		victims := o.victims(s, all, which)
		if which != removeAll {
			held, err := o.held(l.Tx, s, all)
			if err != nil {
				return nil, err
			}
			victims = append(victims, slices.DeleteFunc(held, func(h victim) bool {
				return slices.ContainsFunc(victims, func(v victim) bool { return v.Name == h.Name })
			})...)
		}
		return victims, Stacks.Put(l.Tx, s.Key(), s)
	})
	if err != nil {
		return nil, err
	}
	keep := which == removeAll
	var nodes []node
	for _, v := range victims {
		normalize(&v.Resource)
		nodes = append(nodes, node{name: v.Name, after: dependents(v, victims), run: func(f *workflow.Flow) (bool, error) {
			return o.removeOne(f, v, keep)
		}})
	}
	return o.graph(f, phase, order(nodes))
}

// victims chooses what a phase removes, in the order of logical ids.
func (o *operation) victims(s *Stack, all map[string]*Resource, which scopeOfRemoval) []victim {
	stays := map[string]bool{}
	switch which {
	case removeObsolete:
		for _, r := range o.entered.Active() {
			stays[r.LogicalID] = true
		}
	case removeNew:
		for id := range o.Old {
			stays[id] = true
		}
	}
	var out []victim
	for _, id := range sortedKeys(all) {
		r := all[id]
		for _, old := range r.Old {
			out = append(out, victim{Resource: old, Old: true, Name: id + "@" + arn.Hash(old.PhysicalID)[:12],
				Retain:   which == removeObsolete && retained(r.UpdateReplacePolicy),
				Snapshot: which != removeNew && r.UpdateReplacePolicy == cfn.PolicySnapshot})
		}
		if !stays[id] && r.Status != DeleteComplete && r.Status != DeleteSkipped {
			out = append(out, victim{Resource: r.Resource, Name: id, Obsolete: which == removeObsolete,
				Retain: o.retains(s, r, which), Snapshot: r.Exists() && r.Policy() == cfn.PolicySnapshot})
		}
	}
	return out
}

func retained(policy string) bool {
	return policy == cfn.PolicyRetain || policy == cfn.PolicyRetainExceptOnCreate
}

// retains reports whether a resource stays in the account though it leaves the
// stack.
func (o *operation) retains(s *Stack, r *Resource, which scopeOfRemoval) bool {
	if slices.Contains(o.Retain, r.LogicalID) {
		return true
	}
	undoing := which == removeNew || which == removeAll && (o.Kind == CreateStack || o.Kind == RollBackCreation)
	if undoing && r.Imported != "" && (r.Imported == o.ID || slices.Contains(o.Undone(), r.Imported)) {
		return true // it was there before
	}
	if !undoing {
		return retained(r.DeletionPolicy)
	}
	return r.DeletionPolicy == cfn.PolicyRetain && !s.RetainExceptOnCreate && r.Status != CreateFailed
}

// dependents are the names of the victims that go before v: those that were
// made after it because they refer to it.
func dependents(v victim, all []victim) []string {
	var names []string
	for _, other := range all {
		if other.Name != v.Name && slices.Contains(other.DependsOn, v.LogicalID) {
			names = append(names, other.Name)
		}
	}
	return names
}

// removeOne removes one resource. keep: a record of it stays with the deleted
// stack.
func (o *operation) removeOne(f *workflow.Flow, v victim, keep bool) (bool, error) {
	if v.Clean {
		return o.cleanNested(f, v)
	}
	type beginning struct {
		Done  bool
		Stack Stack
		Hooks []Hook `json:",omitempty"`
	}
	b, err := tx(o, f, "begin", func(l *Ledger, s *Stack) (beginning, error) {
		switch {
		case v.Retain:
			return beginning{Done: true}, o.removed(l, s, v, DeleteSkipped, keep)
		case v.PhysicalID == "":
			return beginning{Done: true}, o.removed(l, s, v, DeleteComplete, false)
		}
		hooks, err := o.hooksOnRemoval(l, s, v, keep)
		if err != nil {
			return beginning{}, err
		}
		return beginning{Stack: *s, Hooks: hooks}, o.removing(l, s, v, DeleteInProgress, "")
	})
	if err != nil || b.Done {
		return true, err
	}
	why, err := o.ask(f, removal(&b.Stack, v), b.Hooks)
	if err != nil {
		return false, err
	}
	out := acted{Failure: why}
	if t, err := o.resourceType(v.Type); err != nil {
		out.Failure = err.Error()
	} else if why != "" {
		// The hooks keep it.
	} else if out, err = o.delete(f, t, &b.Stack, v); err != nil {
		return false, err
	}
	return tx(o, f, "gone", func(l *Ledger, s *Stack) (bool, error) {
		switch {
		case out.Failure == "":
			return true, o.removed(l, s, v, DeleteComplete, keep)
		case o.Force:
			if err := o.removing(l, s, v, DeleteFailed, out.Failure); err != nil {
				return false, err
			}
			return true, o.removed(l, s, v, DeleteSkipped, keep)
		}
		s.Failed = append(s.Failed, v.LogicalID)
		if err := Stacks.Put(l.Tx, s.Key(), s); err != nil {
			return false, err
		}
		return false, o.removing(l, s, v, DeleteFailed, out.Failure)
	})
}

// delete deletes a resource, after its snapshot where it leaves one. Without the
// snapshot it stays.
func (o *operation) delete(f *workflow.Flow, t cfn.Type, s *Stack, v victim) (acted, error) {
	if v.Snapshot {
		if out, err := o.part(f, "snapshot", s, v.Resource, snapshots(t)); err != nil || out.Failure != "" {
			return out, err
		}
	}
	return o.deletes(f, "delete", s, v.Resource, t)
}

// deletes deletes a resource, and waits where its type says so.
func (o *operation) deletes(f *workflow.Flow, name string, s *Stack, r plan.Resource, t cfn.Type) (acted, error) {
	out, err := o.part(f, name, s, r, deletes(t))
	if err != nil || out.Failure != "" || out.Wait == nil {
		return out, err
	}
	v, err := o.awaitGoal(f, r.LogicalID, *out.Wait, gone)
	return acted{Failure: v.Failure}, err
}

// removing tells of a removal that is not complete.
func (o *operation) removing(l *Ledger, s *Stack, v victim, status, reason string) error {
	r, err := getResource(l.Tx, s, v.LogicalID)
	if err != nil {
		return err
	}
	switch {
	case v.Old || r == nil:
		return l.event(s, cleaned(v, status, reason))
	case v.Obsolete:
		return l.resourceBy(s, r, cleaned(v, status, reason))
	}
	return l.resource(s, r, status, reason)
}

// removed tells that a resource has left the stack.
func (o *operation) removed(l *Ledger, s *Stack, v victim, status string, keep bool) error {
	if err := o.removing(l, s, v, status, ""); err != nil {
		return err
	}
	if v.Type == StackType && status == DeleteSkipped {
		if err := o.detach(l, s, v.PhysicalID); err != nil {
			return err
		}
	}
	r, err := getResource(l.Tx, s, v.LogicalID)
	if err != nil || r == nil {
		return err
	}
	switch {
	case v.Old:
		r.Old = slices.DeleteFunc(r.Old, func(old plan.Resource) bool { return old.PhysicalID == v.PhysicalID })
		return Resources.Put(l.Tx, resourceKey(s, r.LogicalID), r)
	case len(r.Old) > 0:
		// Something of it is still there: the record goes with that.
		r.PhysicalID = ""
		return Resources.Put(l.Tx, resourceKey(s, r.LogicalID), r)
	case !keep:
		return Resources.Delete(l.Tx, resourceKey(s, r.LogicalID))
	}
	r.Properties, r.Attributes, r.Shown = nil, nil, ""
	return Resources.Put(l.Tx, resourceKey(s, r.LogicalID), r)
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
