package apply

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/workflow"
)

// rollBack brings a stack whose update failed or was cancelled back to the
// version before it, or ends in UPDATE_ROLLBACK_FAILED.
func (o *operation) rollBack(f *workflow.Flow) error {
	steps, err := tx(o, f, "rollback", func(l *Ledger, s *Stack) ([]backStep, error) {
		all, err := ResourcesOf(l.Tx, s)
		if err != nil {
			return nil, err
		}
		s.Stop, s.Cancel, s.Failure, s.Failed = false, false, "", nil
		if s.Before != nil {
			s.Version = *s.Before
		}
		return wayBack(o.Old, all, o.LiveBefore(), o.Undone(), s.skipped(o.Skip)), Stacks.Put(l.Tx, s.Key(), s)
	})
	if err != nil {
		return err
	}
	var nodes []node
	for _, step := range steps {
		normalize(&step.Target)
		step.Live = Integers(step.Live)
		nodes = append(nodes, node{name: step.Target.LogicalID, after: step.Target.DependsOn, run: func(f *workflow.Flow) (bool, error) {
			return o.goBack(f, step)
		}})
	}
	if _, err := o.graph(f, "rollback", order(nodes)); err != nil {
		return err
	}
	failed, err := tx(o, f, "rolled back", func(l *Ledger, s *Stack) (bool, error) {
		if len(s.Failed) > 0 {
			return true, o.end(l, s, UpdateRollbackFailed, s.failure("update"))
		}
		if o.Holds {
			return true, o.hold(l, s, UpdateRollbackCleanup)
		}
		return false, l.Stack(s, UpdateRollbackCleanup, "")
	})
	if err != nil || failed {
		return err
	}
	return o.removeMade(f)
}

// removeMade removes what the update that failed has made, and ends its rollback.
func (o *operation) removeMade(f *workflow.Flow) error {
	if _, err := o.remove(f, "rollback cleanup", removeNew); err != nil {
		return err
	}
	_, err := tx(o, f, "end", func(l *Ledger, s *Stack) (bool, error) {
		s.Before = nil
		if err := dropImports(l, s); err != nil {
			return false, err
		}
		return false, o.end(l, s, UpdateRollbackComplete, "")
	})
	return err
}

// skipped are those of ContinueUpdateRollback's ResourcesToSkip that are the stack's
// own: logical ids in the stack that was named, NAME.ID in those nested in it.
func (s *Stack) skipped(skip []string) []string {
	var own []string
	for _, id := range skip {
		switch name, in, nested := strings.Cut(id, "."); {
		case nested && name == s.Name:
			own = append(own, in)
		case !nested && s.Parent == "":
			own = append(own, id)
		}
	}
	return own
}

// dropImports forgets what only the version that failed imported.
func dropImports(l *Ledger, s *Stack) error {
	var keys []string
	for e, err := range Imports.Scan(l.Tx, s.Scope.Key()+"/") {
		if err != nil {
			return err
		}
		if e.Value.StackID == s.ID && !slices.Contains(s.Version.Imports, e.Value.Export) {
			keys = append(keys, e.Key)
		}
	}
	for _, k := range keys {
		if err := Imports.Delete(l.Tx, k); err != nil {
			return err
		}
	}
	return nil
}

// backStep is one resource's way back.
type backStep struct {
	Target plan.Resource // as it was before the update
	// Action is Update, Restore, Create, Keep (only records change back) or
	// Retain (skipped on request).
	Action plan.Action
	// Live are the properties that it really had, where they were others; Gone: there
	// was none.
	Live cfn.Properties `json:",omitempty"`
	Gone bool           `json:",omitempty"`
}

// wayBack decides how the resources get back from what they are to what they
// were before the operation that is undone. Those that are as they were take no
// step.
func wayBack(before map[string]plan.Resource, now map[string]*Resource, live map[string]plan.Live, undone, skip []string) []backStep {
	var steps []backStep
	for _, id := range sortedKeys(before) {
		was, r := before[id], now[id]
		step := backStep{Target: was}
		really, drifted := live[id]
		touched := r != nil && (r.Dirty || slices.Contains(undone, r.Changed))
		switch {
		case slices.Contains(skip, id):
			if r == nil || r.Status != UpdateFailed {
				continue
			}
			step.Action, drifted = plan.Retain, false
		case really.Gone:
		case r == nil || !r.Exists():
			step.Action = plan.Create
		case cfn.Custom(was.Type) && r.PhysicalID != was.PhysicalID:
			step.Action = plan.Update // its provider says which of the two there is
		case r.PhysicalID != was.PhysicalID && slices.ContainsFunc(r.Old, func(o plan.Resource) bool { return o.PhysicalID == was.PhysicalID }):
			step.Action = plan.Restore
		case r.Status == UpdateFailed && !r.Dirty && r.PhysicalID == was.PhysicalID:
			step.Action = plan.Restore // a replacement failed: the old one was not touched
		case touched || !same(r.Properties, was.Properties):
			step.Action = plan.Update
		case !same(r.Resource, was):
			step.Action = plan.Keep
		default:
			continue
		}
		if drifted && !step.toLive(really, r, touched) {
			continue
		}
		steps = append(steps, step)
	}
	return steps
}

// goBack takes one step back.
func (o *operation) goBack(f *workflow.Flow, step backStep) (bool, error) {
	switch step.Action {
	case plan.Restore:
		if step.Gone {
			return tx(o, f, "restore", func(l *Ledger, s *Stack) (bool, error) { return true, o.restore(l, s, step) })
		}
		there, failure, err := o.stillThere(f, step.Target)
		if err != nil {
			return false, err
		}
		if failure != "" {
			return tx(o, f, "restore", func(l *Ledger, s *Stack) (bool, error) { return false, o.notBack(l, s, step.Target, failure) })
		}
		if !there {
			step.Action = plan.Create
			break
		}
		fallthrough
	case plan.Retain, plan.Keep:
		return tx(o, f, "restore", func(l *Ledger, s *Stack) (bool, error) { return true, o.restore(l, s, step) })
	}
	b, err := tx(o, f, "begin", func(l *Ledger, s *Stack) (wayBegun, error) { return o.beginBack(l, s, step) })
	if err != nil {
		return false, err
	}
	normalize(&b.Prior)
	t, err := o.resourceType(step.Target.Type)
	if err != nil {
		return false, workflow.Permanent(err)
	}
	if b.First {
		out, err := o.deletes(f, "delete first", &b.Stack, b.Prior, t)
		if err != nil {
			return false, err
		}
		if out.Failure != "" {
			return tx(o, f, "made", func(l *Ledger, s *Stack) (bool, error) { return false, o.notBack(l, s, step.Target, out.Failure) })
		}
	}
	target := step.Target
	target.PhysicalID = b.Prior.PhysicalID
	target.Properties = step.goal()
	out, err := o.actBack(f, t, b, &target)
	if err != nil {
		return false, err
	}
	target.Properties = step.Target.Properties
	return tx(o, f, "made", func(l *Ledger, s *Stack) (bool, error) { return out.Failure == "", o.back(l, s, b, target, out) })
}

// actBack makes or changes a resource on the way back.
func (o *operation) actBack(f *workflow.Flow, t cfn.Type, b wayBegun, target *plan.Resource) (acted, error) {
	do := action(t.Update)
	switch {
	case b.Create:
		target.PhysicalID, do = "", t.Create
	case target.Type == StackType:
		return o.rollNested(f, *target)
	}
	out, err := o.act(f, "act", &b.Stack, *target, b.Prior.Properties, do)
	if err != nil || out.Failure != "" || !out.Wait.Always() {
		return out, err
	}
	v, err := o.awaitGoal(f, target.LogicalID, *out.Wait, reach)
	return out.settled(v), err
}

// stillThere looks whether a resource that was replaced, and is to be gone back
// to, is still there: making its replacement may have ended it, as moving an
// elastic IP ends its association with the instance before.
func (o *operation) stillThere(f *workflow.Flow, was plan.Resource) (there bool, failure string, err error) {
	t, err := o.resourceType(was.Type)
	if err != nil {
		return false, "", workflow.Permanent(err)
	}
	if t.Read == nil {
		return true, "", nil
	}
	s, err := tx(o, f, "look", func(_ *Ledger, s *Stack) (*Stack, error) { return s, nil })
	if err != nil {
		return false, "", err
	}
	out, err := o.act(f, "read", s, was, nil, func(ctx context.Context, req cfn.Request) (cfn.Result, error) {
		_, err := t.Read(ctx, req)
		if fault.Is(err, cfn.NotFound) {
			return cfn.Result{}, nil
		}
		return cfn.Result{PhysicalID: req.PhysicalID}, err
	})
	return out.PhysicalID != "", out.Failure, err
}

// wayBegun is what the beginning of a step back decided.
type wayBegun struct {
	Stack  Stack
	Prior  plan.Resource // as it is
	Create bool          // make it anew; what is there instead goes in the clean-up
	First  bool          // or before, where the type cannot exist twice
	Was    string        // physical id before the update; where it is made anew, it is gone
}

// beginBack tells of a step back, and decides whether it can be made in place.
func (o *operation) beginBack(l *Ledger, s *Stack, step backStep) (wayBegun, error) {
	b := wayBegun{Create: step.Action == plan.Create, Was: step.Target.PhysicalID}
	r, err := getResource(l.Tx, s, step.Target.LogicalID)
	if err != nil {
		return b, err
	}
	if r == nil {
		r = &Resource{Resource: step.Target}
		r.PhysicalID = ""
	}
	if !b.Create {
		d, err := plan.Decide(o.types(), r.Type, r.Properties, step.goal())
		if err != nil {
			return b, workflow.Permanent(err)
		}
		t, ok := o.types().Provider(r.Type)
		b.Create = d.Action == plan.Replace || ok && t.Update == nil
		b.First = d.DeleteFirst
	}
	r.Shown, r.Dirty, r.Coming = o.show(s, step.goal()), true, coming(step.Target.Metadata)
	b.Stack, b.Prior = *s, r.Resource
	return b, l.resource(s, r, UpdateInProgress, "")
}

// back keeps what a step back came to.
func (o *operation) back(l *Ledger, s *Stack, b wayBegun, target plan.Resource, out acted) error {
	r, err := o.record(l, s, target)
	if err != nil {
		return err
	}
	if b.First {
		r.PhysicalID = ""
	}
	made := target
	made.Attributes = out.Attributes
	if out.PhysicalID != "" {
		made.PhysicalID = out.PhysicalID
	}
	if out.Failure != "" {
		if made.PhysicalID == "" {
			made.PhysicalID = r.Pending
		}
		if b.Create && made.PhysicalID != "" && made.PhysicalID != r.PhysicalID {
			r.Old = append(r.Old, made)
		}
		r.Pending = ""
		if err := Resources.Put(l.Tx, resourceKey(s, r.LogicalID), r); err != nil {
			return err
		}
		return o.notBack(l, s, target, out.Failure)
	}
	if b.Create {
		r.Old = slices.DeleteFunc(r.Old, func(old plan.Resource) bool {
			return old.PhysicalID == b.Was || old.PhysicalID == made.PhysicalID
		})
		if r.PhysicalID != "" && r.PhysicalID != made.PhysicalID {
			r.Old = append(r.Old, r.Resource)
		}
	} else if cfn.Custom(r.Type) && made.PhysicalID != r.PhysicalID {
		r.Old = slices.DeleteFunc(r.Old, func(old plan.Resource) bool { return old.PhysicalID == made.PhysicalID })
		r.Old = append(r.Old, r.Resource)
	}
	r.Resource, r.Dirty, r.Changed, r.Pending, r.Coming = made, false, "", "", nil
	return l.resource(s, r, UpdateComplete, "")
}

// notBack tells that a resource could not be brought back.
func (o *operation) notBack(l *Ledger, s *Stack, target plan.Resource, failure string) error {
	r, err := o.record(l, s, target)
	if err != nil {
		return err
	}
	s.Failed = append(s.Failed, r.LogicalID)
	if err := Stacks.Put(l.Tx, s.Key(), s); err != nil {
		return err
	}
	return l.resource(s, r, UpdateFailed, failure)
}

// restore points a record back at the resource that was replaced, which is
// still there; or leaves a resource as it is, because the user said so.
func (o *operation) restore(l *Ledger, s *Stack, step backStep) error {
	r, err := o.record(l, s, step.Target)
	if err != nil {
		return err
	}
	if step.Action == plan.Keep {
		r.Resource = step.Target
		return Resources.Put(l.Tx, resourceKey(s, r.LogicalID), r)
	}
	if step.Action == plan.Restore {
		given := r.Resource
		r.Old = slices.DeleteFunc(r.Old, func(old plan.Resource) bool { return old.PhysicalID == step.Target.PhysicalID })
		if r.Exists() && given.PhysicalID != step.Target.PhysicalID || step.Gone && given.PhysicalID != "" {
			r.Old = append(r.Old, given)
		}
		r.Resource = step.Target
		r.Shown = o.show(s, r.Properties)
	}
	r.Dirty, r.Changed, r.Pending, r.Coming = false, "", "", nil
	if err := l.resource(s, r, UpdateInProgress, ""); err != nil {
		return err
	}
	return l.resource(s, r, UpdateComplete, "")
}

// same compares values by their JSON.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
