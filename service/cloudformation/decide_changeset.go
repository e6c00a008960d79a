package cloudformation

import (
	"errors"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/store"
)

// Deciding what a change set of hundreds of resources would do takes longer than
// the store's one writer may be held. So it is decided over a snapshot, and kept
// if the stacks are still what they were there; where they are not, it is decided
// again.

// decisions is how often that is tried: each time but the last, another operation
// has begun and ended meanwhile.
const decisions = 10

// errStale says that a stack is no longer what a change set of it was decided from.
var errStale = errors.New("the stack has changed since the change set was decided")

// draft is a change set that is decided and not kept yet.
type draft struct {
	logicalID string       // of a nested stack, in its parent
	stack     *apply.Stack // as it was
	new       bool         // the stack comes with the change set
	w         *wanted
	failure   string // why there is no w: a nested stack's template cannot be made
	nested    []*draft
	caller    apply.Caller // who looks at what there is, for drift-aware ones
	existing  bool         // ImportExistingResources
	requestID string       // of the macros, which a workflow runs; "" outside of one
	later     bool         // a workflow decides
	cs        *changeSet   // nil: nothing of the nested stack changes
}

// newChangeSet gives a change set its id.
func newChangeSet(scope arn.Scope, name string) *changeSet {
	return &changeSet{Name: name, ID: scope.ARN("cloudformation", "changeSet/"+name+"/"+arn.NewUUID()).String()}
}

// of says which stack a change set is of.
func (c *changeSet) of(st *apply.Stack) { c.StackID, c.StackName = st.ID, st.Name }

// unchanged checks that a draft's stacks are what they were when it was decided.
func unchanged(tx store.Tx, scope arn.Scope, d *draft) error {
	now, err := find(tx, scope, d.stack.ID)
	if err == nil && d.new && d.stack.Parent == "" {
		now, err = find(tx, scope, d.stack.Name)
	}
	if err != nil {
		return err
	}
	if d.new != (now == nil) || now != nil && (now.Count != d.stack.Count || now.Status != d.stack.Status) {
		return errStale
	}
	for _, n := range d.nested {
		if n.cs == nil {
			continue
		}
		if err := unchanged(tx, scope, n); err != nil {
			return err
		}
	}
	return nil
}

// decideTree decides a change set and those nested in it.
func (s *Service) decideTree(tx store.Tx, d *draft) error {
	if err := unchanged(tx, d.stack.Scope, &draft{stack: d.stack, new: d.new}); err != nil {
		return err
	}
	if err := s.decide(tx, d.stack, d.cs, d.w); err != nil || d.cs.Status != statusComplete {
		return err
	}
	return s.decideNested(tx, d)
}

// decide fills in what a change set would change. One that has a reason already is
// one that fails.
func (s *Service) decide(tx store.Tx, st *apply.Stack, cs *changeSet, w *wanted) error {
	in, err := s.input(tx, st, w)
	if err != nil {
		return err
	}
	decided := plan.Make
	if cs.Type == changeSetImport {
		decided = plan.MakeImport
	}
	p, err := s.plan(in, decided)
	if err != nil {
		return err
	}
	if err := unowned(tx, st, p); err != nil {
		return err
	}
	changed := cs.Type != changeSetUpdate
	if !changed {
		if changed, err = changesAnything(tx, st, in, p); err != nil {
			return err
		}
	}
	cs.certain = certain(p)
	if p.Outputs || !sameTags(st.Version.Tags, in.Tags) {
		cs.certain++
	}
	switch {
	case !changed:
		cs.Reason = noChanges
	case cs.Type != changeSetImport:
		cs.Reason = unretained(w.tmpl, w.imports)
	}
	cs.Status, cs.Execution = statusComplete, executionAvailable
	if cs.Reason != "" {
		cs.Status, cs.Execution = statusFailed, executionUnavailable
	} else if cs.Type == changeSetImport {
		cs.Reason = verifyImport
	}
	cs.Import = w.imports
	cs.aware(st, w.live)
	var problems template.Problems
	if cs.Changes, problems = plan.Changes(in, false); len(problems) > 0 {
		return problems.Err()
	}
	if cs.WithValues, problems = plan.Changes(in, true); len(problems) > 0 {
		return problems.Err()
	}
	cs.ValuesReason, err = unknownImport(tx, st, in)
	return err
}

// certain counts the steps that change something whatever nested stacks do.
func certain(p *plan.Plan) int {
	n := len(p.Cleanup)
	for i := range p.Steps {
		if step := &p.Steps[i]; step.Action != plan.Keep && (step.Action != plan.Check || len(step.Changed) > 0) {
			n++
		}
	}
	return n
}

// keep writes a change set with those nested in it, and the stacks that they are
// reviewed for.
func (d *draft) keep(l *apply.Ledger, reason string) error {
	if err := d.claim(l, reason); err != nil {
		return err
	}
	if err := d.w.keep(l.Tx, d.stack); err != nil {
		return err
	}
	if d.cs.Version = d.w.version; d.cs.Created.IsZero() {
		d.cs.Created = l.Now
	}
	for _, n := range d.nested {
		if n.cs == nil {
			continue
		}
		if err := n.keep(l, ""); err != nil {
			return err
		}
	}
	key := d.cs.key(d.stack)
	if len(d.cs.Changes) > 0 {
		if err := proposals.Put(l.Tx, key, &proposal{d.cs.Changes, d.cs.WithValues, d.cs.Live}); err != nil {
			return err
		}
	}
	return changeSets.Put(l.Tx, key, d.cs)
}

// claim takes the name of a stack that comes with the change set.
func (d *draft) claim(l *apply.Ledger, reason string) error {
	if !d.new {
		return nil
	}
	err := apply.Names.Put(l.Tx, d.stack.Scope.Key()+"/"+d.stack.Name, &apply.Name{StackID: d.stack.ID})
	return errors.Join(err, l.Stack(d.stack, apply.ReviewInProgress, reason))
}
