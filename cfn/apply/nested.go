package apply

import (
	"fmt"
	"slices"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// A nested stack is a stack like any other, and its operations are workflows like
// any other's. What is different is who begins them and when they end: its parent's
// operation begins them and waits, and an update that has reached its version keeps
// what it no longer needs until the root's update has (Stack.Held). Only then a way
// back is out of the question, all over the tree.

// goal is what an operation waits for a nested stack to come to.
type goal int

const (
	reach goal = iota // the version that it was asked to have
	back              // the version before
	clean             // the end of its clean-up
	gone
)

// NestedName is the name that CloudFormation gives a nested stack, and a change set
// of one: as long as a stack's may be.
func NestedName(parent, logicalID, token string) string {
	name := parent + "-" + logicalID
	return name[:min(len(name), 128-13)] + "-" + arn.SuffixFrom(token, 12)
}

// nestedSource is the source that a resource waits at for its nested stack.
func nestedSource(logicalID string) string { return "nested." + logicalID }

// nestedKey is the key of a stack in the account and region of its parent.
func nestedKey(parent *Stack, stackID string) string {
	return parent.Scope.Key() + "/" + UUID(stackID)
}

// ParentOf is the stack that a stack is nested in, nil where it is in none.
func ParentOf(tx store.Tx, s *Stack) (*Stack, error) {
	if s.Parent == "" {
		return nil, nil
	}
	return found(Stacks.Get(tx, nestedKey(s, s.Parent)))
}

// tellParent wakes the operation that waits for a nested stack, if one does.
func (r *Runner) tellParent(tx store.Tx, s *Stack) error {
	parent, err := ParentOf(tx, s)
	if err != nil || parent == nil {
		return err
	}
	w, err := found(waiters.Get(tx, sourceKey(parent, nestedSource(s.ParentResource))))
	if err != nil || w == nil {
		return err
	}
	return r.nudge(tx, w)
}

// hold ends an operation of a nested stack whose clean-up, or way back, waits for
// the parent's.
func (o *operation) hold(l *Ledger, s *Stack, status string) error {
	s.Operation, s.Held = "", true
	if err := l.Stack(s, status, ""); err != nil {
		return err
	}
	return o.r.tellParent(l.Tx, s)
}

// nested looks how far a nested stack is.
func (o *operation) nested(l *Ledger, s *Stack, w cfn.Wait, to goal, late bool) (verdict, error) {
	child, err := found(Stacks.Get(l.Tx, nestedKey(s, w.Stack)))
	if err != nil {
		return verdict{}, err
	}
	if child == nil {
		return verdict{Over: true, Failure: fmt.Sprintf("Embedded stack %s does not exist", w.Stack)}, nil
	}
	if late && !s.Stop {
		s.Stop, s.Failure = true, s.timedOut()
		if err := Stacks.Put(l.Tx, s.Key(), s); err != nil {
			return verdict{}, err
		}
		if err := o.r.wakeAll(l.Tx, s); err != nil {
			return verdict{}, err
		}
	}
	v := child.came(to, s.Stop)
	if v.Over || !s.Stop {
		return v, nil
	}
	return v, o.r.stopNested(l, s, child)
}

// complete are the statuses of stacks that are what they were asked to be.
var complete = []string{CreateComplete, UpdateComplete, UpdateRollbackComplete, ImportComplete, ImportRollbackComplete}

// came judges whether a nested stack has come to a goal.
func (s *Stack) came(to goal, cancelled bool) verdict {
	switch {
	case to == reach && s.Status == UpdateRollbackInProgress:
		return verdict{Over: true, Failure: s.missed(cancelled)}
	case s.Busy(), to == clean && s.Held:
		return verdict{}
	case to == clean, to == gone && s.Status == DeleteComplete:
		return verdict{Over: true}
	case to == gone:
		return verdict{Over: true, Failure: fmt.Sprintf("Embedded stack %s was not successfully deleted: %s", s.ID, s.Reason)}
	case to == reach && s.Held && s.Status == UpdateCleanup,
		to == back && s.Held && s.Status == UpdateRollbackCleanup,
		!s.Held && slices.Contains(complete, s.Status):
		return verdict{Over: true, Attributes: s.attributes()}
	}
	return verdict{Over: true, Failure: s.missed(cancelled)}
}

// missed words that a nested stack has not become what it was to be.
func (s *Stack) missed(cancelled bool) string {
	if cancelled && (s.Why == creationCancelled || s.Why == updateCancelled) {
		return s.Why
	}
	why := s.Why
	if why == "" {
		why = s.Reason
	}
	status := s.Status
	switch status {
	case UpdateRollbackCleanup, UpdateRollbackComplete:
		status = UpdateRollbackInProgress // how far it is by now is chance; AWS tells this one
	case CreateFailed, RollbackComplete, RollbackFailed, DeleteComplete, DeleteFailed:
		return fmt.Sprintf("Embedded stack %s was not successfully created: %s", s.ID, why)
	}
	return fmt.Sprintf("Embedded stack %s was not successfully updated. Currently in %s with reason: %s", s.ID, status, why)
}

// attributes are what Fn::GetAtt finds of a nested stack.
func (s *Stack) attributes() cfn.Properties {
	outputs := map[string]any{}
	for _, o := range s.Version.Outputs {
		outputs[o.Key] = o.Value
	}
	return cfn.Properties{"StackId": s.ID, "Outputs": outputs}
}

// stopNested has a nested stack's operation stop, because the parent's does.
func (r *Runner) stopNested(l *Ledger, parent, child *Stack) error {
	why := creationCancelled
	switch {
	case child.Status == UpdateInProgress:
		why = updateCancelled
		child.Cancel = child.Cancel || parent.Cancel
	case child.Status != CreateInProgress:
		return nil
	}
	if !child.Stop {
		child.Stop, child.Failure = true, why
	}
	if err := Stacks.Put(l.Tx, child.Key(), child); err != nil {
		return err
	}
	return r.wakeAll(l.Tx, child)
}

// rollNested brings a nested stack back to the version before the parent's update.
// One that the update has not changed is there.
func (o *operation) rollNested(f *workflow.Flow, r plan.Resource) (acted, error) {
	problem, err := tx(o, f, "roll nested", func(l *Ledger, s *Stack) (string, error) {
		child, err := found(Stacks.Get(l.Tx, nestedKey(s, r.PhysicalID)))
		if err != nil {
			return "", err
		}
		if child == nil || child.Status == DeleteComplete || child.Status == DeleteFailed {
			return fmt.Sprintf("Embedded stack %s is deleted", r.PhysicalID), nil
		}
		fails := child.Status == UpdateFailed || o.Kind == Continue && child.Status == UpdateRollbackFailed
		if child.Busy() || !fails && !(child.Held && child.Status == UpdateCleanup) {
			return "", nil
		}
		return "", o.r.continueNested(l, child, o.Caller, o.Skip)
	})
	if err != nil || problem != "" {
		return acted{PhysicalID: r.PhysicalID, Failure: problem}, err
	}
	v, err := o.awaitGoal(f, r.LogicalID, cfn.Wait{Stack: r.PhysicalID}, back)
	return acted{PhysicalID: r.PhysicalID, Attributes: v.Attributes, Failure: v.Failure}, err
}

// continueNested begins the way back of a nested stack.
func (r *Runner) continueNested(l *Ledger, child *Stack, caller Caller, skip []string) error {
	op, err := WayBack(l.Tx, child)
	if err != nil {
		return err
	}
	if op == nil {
		return workflow.Permanent(fmt.Errorf("apply: nested stack %s has no update to roll back", child.ID))
	}
	op.Caller, op.Skip, op.Holds = caller, skip, true
	return r.Begin(l, child, *op, UpdateRollbackInProgress, "")
}

// WayBack makes the operation that undoes a stack's latest update, and those
// before it that were not undone; nil where there is none.
func WayBack(tx store.Tx, s *Stack) (*Operation, error) {
	last, err := LastOperation(tx, s)
	if err != nil || last == nil {
		return nil, err
	}
	return &Operation{Kind: Continue, Old: last.Old, Live: last.LiveBefore(), Since: last.Undone()}, nil
}

// cleanNested has a nested stack remove what it kept, and tells that it is done.
func (o *operation) cleanNested(f *workflow.Flow, v victim) (bool, error) {
	_, err := tx(o, f, "begin", func(l *Ledger, s *Stack) (bool, error) {
		child, err := found(Stacks.Get(l.Tx, nestedKey(s, v.PhysicalID)))
		if err != nil || child == nil || !child.Held {
			return false, err
		}
		return true, o.r.beginClean(l, child, o.Caller)
	})
	if err != nil {
		return false, err
	}
	if _, err := o.awaitGoal(f, v.LogicalID, cfn.Wait{Stack: v.PhysicalID}, clean); err != nil {
		return false, err
	}
	return tx(o, f, "clean", func(l *Ledger, s *Stack) (bool, error) {
		r, err := o.record(l, s, v.Resource)
		if err != nil {
			return false, err
		}
		return true, l.resource(s, r, UpdateComplete, "")
	})
}

// beginClean begins the clean-up of a stack that was held back from it.
func (r *Runner) beginClean(l *Ledger, s *Stack, caller Caller) error {
	last, err := LastOperation(l.Tx, s)
	if err != nil {
		return err
	}
	if last == nil {
		return workflow.Permanent(fmt.Errorf("apply: held stack %s has had no operation", s.ID))
	}
	op := Operation{Kind: CleanUp, Caller: caller, Old: last.Old, New: last.New, Since: last.Undone()}
	return r.beginQuietly(l, s, op)
}

// cleanUp is the clean-up of a nested stack, once its parent is in its own.
func (o *operation) cleanUp(f *workflow.Flow, s *Stack) error {
	if s.Status == UpdateCleanup {
		return o.removeOld(f)
	}
	return o.removeMade(f)
}

// held lists the nested stacks of a stack that wait for its clean-up.
func (o *operation) held(tx store.Tx, s *Stack, all map[string]*Resource) ([]victim, error) {
	var out []victim
	for _, id := range sortedKeys(all) {
		r := all[id]
		if r.Type != StackType || !r.Exists() {
			continue
		}
		child, err := found(Stacks.Get(tx, nestedKey(s, r.PhysicalID)))
		if err != nil {
			return nil, err
		}
		if child != nil && child.Held {
			out = append(out, victim{Resource: r.Resource, Name: id, Clean: true})
		}
	}
	return out, nil
}

// detach makes a nested stack that its parent retains a stack of its own.
func (o *operation) detach(l *Ledger, s *Stack, stackID string) error {
	child, err := found(Stacks.Get(l.Tx, nestedKey(s, stackID)))
	if err != nil || child == nil || child.Parent != s.ID {
		return err
	}
	child.Parent, child.ParentResource = "", ""
	if child.Held {
		return o.r.beginClean(l, child, o.Caller)
	}
	return Stacks.Put(l.Tx, child.Key(), child)
}
