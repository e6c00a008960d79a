package cloudformation

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// A change set with IncludeNestedStacks is a tree: one for each nested stack that
// changes, or comes. It is executed and deleted from its root. What the tree's sets
// say stands: the operations that execute it take the templates from them.

// nestedDrafts reads what the nested stacks of a stack would become with its draft.
func (s *Service) nestedDrafts(ctx context.Context, d *draft, depth int) ([]*draft, error) {
	if depth > maxDepth {
		return nil, fault.New(fault.ValidationError, "Stacks can be nested %d deep", maxDepth)
	}
	var changes []plan.Change
	err := s.view(ctx, func(tx store.Tx) error {
		in, err := s.input(tx, d.stack, d.w)
		if err != nil {
			return err
		}
		var problems template.Problems
		changes, problems = plan.Changes(in, false)
		return problems.Err()
	})
	if err != nil {
		return nil, err
	}
	var out []*draft
	for _, ch := range changes {
		if ch.ResourceType != apply.StackType || ch.Action != "Add" && ch.Action != "Modify" {
			continue
		}
		n := &draft{logicalID: ch.LogicalResourceID, caller: d.caller, existing: d.existing}
		if d.requestID != "" {
			n.requestID = arn.UUIDFrom(d.requestID + "/" + n.logicalID)
		}
		err := s.readNested(ctx, n, d, ch, depth)
		if f, ok := fault.As(err); ok {
			n.failure = f.Message
		} else if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// readNested reads the template that a nested stack is to have, and what is nested
// in it.
func (s *Service) readNested(ctx context.Context, n, parent *draft, ch plan.Change, depth int) error {
	url, _ := ch.After["TemplateURL"].(string)
	if template.HasUnknown(url) {
		return fault.New(fault.ValidationError, "TemplateURL of %s is known after the change set was executed only", n.logicalID)
	}
	params, err := nestedParameters(ch.After["Parameters"])
	if err != nil {
		return err
	}
	st, err := s.nestedStackOf(ctx, n, parent, ch.PhysicalResourceID)
	if err != nil {
		return err
	}
	version := &parent.w.version
	n.w, err = s.want(ctx, st, request{
		source: source{URL: url}, Parameters: params, Capabilities: version.Capabilities, RoleARN: version.RoleARN,
		Tags: nestedTags(version.Tags, ch.After["Tags"]), Notify: nestedTopics(ch.After["NotificationARNs"]),
		stackName: n.stack.Name, direct: true, requestID: n.requestID,
	})
	if err != nil {
		return err
	}
	if n.w.pending {
		return errMacros
	}
	n.w.version.TemplateURL = url
	if n.existing {
		if _, err := s.look(ctx, st, n.stack.Name, n.w); err != nil {
			return err
		}
	}
	if parent.w.live != nil {
		if err := s.lookAt(ctx, n, revertDrift); err != nil {
			return err
		}
	}
	n.nested, err = s.nestedDrafts(ctx, n, depth+1)
	return err
}

// nestedStackOf finds the stack that a nested change set is for; nil: one comes
// with the change set.
func (s *Service) nestedStackOf(ctx context.Context, n, parent *draft, id string) (st *apply.Stack, err error) {
	scope := auth.From(ctx).Scope
	if id == "" {
		name := apply.NestedName(parent.stack.Name, n.logicalID, arn.NewUUID())
		n.stack, n.new = newStack(auth.Call{Scope: scope}, name, s.cfg.Now()), true
		n.stack.Parent, n.stack.ParentResource = parent.stack.ID, n.logicalID
		return nil, nil
	}
	err = s.view(ctx, func(tx store.Tx) (err error) {
		st, err = must(tx, scope, id, noStack)
		return err
	})
	n.stack = st
	return st, err
}

// decideNested decides the change sets of what is nested in a stack, and brings the
// parent's in line with them.
func (s *Service) decideNested(tx store.Tx, d *draft) error {
	calm := map[string]bool{}
	parent := d.cs
	for _, n := range d.nested {
		if n.failure != "" {
			parent.fail("Failed to create the change set of nested stack " + n.logicalID + ": " + n.failure)
			continue
		}
		cs := newChangeSet(d.stack.Scope, apply.NestedName(parent.Name, n.logicalID, arn.NewUUID()))
		cs.Type, cs.Nested, cs.ParentID, cs.RootID = changeSetUpdate, true, parent.ID, cmp.Or(parent.RootID, parent.ID)
		if n.new || n.stack.Status == apply.ReviewInProgress {
			cs.Type = changeSetCreate
		}
		cs.of(n.stack)
		n.cs = cs
		if err := s.decideTree(tx, n); err != nil {
			return err
		}
		switch {
		case cs.Status == statusFailed && cs.Reason == noChanges:
			calm[n.logicalID], n.cs = true, nil
			continue
		case cs.Status == statusFailed:
			parent.fail("Nested change set " + cs.ID + " was not successfully created: Currently in FAILED.")
		}
		parent.names(n.logicalID, cs.ID)
	}
	parent.Changes, parent.WithValues = without(parent.Changes, calm), without(parent.WithValues, calm)
	if parent.Type == changeSetUpdate && parent.certain == 0 && len(parent.Changes) == 0 && parent.Status == statusComplete {
		parent.fail(noChanges)
	}
	return nil
}

func (c *changeSet) fail(reason string) {
	c.Status, c.Execution, c.Reason = statusFailed, executionUnavailable, reason
}

// names tells which change set a nested stack's is.
func (c *changeSet) names(logicalID, id string) {
	if c.Sets == nil {
		c.Sets = map[string]string{}
	}
	c.Sets[logicalID] = id
	for _, list := range [][]plan.Change{c.Changes, c.WithValues} {
		for i := range list {
			if list[i].LogicalResourceID == logicalID {
				list[i].ChangeSetID = id
			}
		}
	}
}

// without takes away what only might have changed, because of resources that turned
// out to stay as they are.
func without(all []plan.Change, calm map[string]bool) []plan.Change {
	for again := len(calm) > 0; again; {
		again = false
		var left []plan.Change
		for _, ch := range all {
			before := len(ch.Details)
			ch.Details = slices.DeleteFunc(slices.Clone(ch.Details), func(d plan.Detail) bool {
				cause, _, _ := strings.Cut(d.CausingEntity, ".")
				return d.Evaluation == "Dynamic" && (calm[cause] || d.ChangeSource == "Automatic" && calm[ch.LogicalResourceID])
			})
			if before > 0 && len(ch.Details) == 0 {
				calm[ch.LogicalResourceID], again = true, true
				continue
			}
			left = append(left, ch)
		}
		all = left
	}
	return all
}

// nestedChangeSet finds the change set by which a nested stack's parent has its
// operation executed, nil where the parent's operation executes none with nested
// ones.
func nestedChangeSet(tx store.Tx, scope arn.Scope, parent *apply.Stack, logicalID string) (*changeSet, *apply.Stack, error) {
	if parent.ChangeSetID == "" {
		return nil, nil, nil
	}
	cs, _, err := findChangeSet(tx, scope, parent.ChangeSetID, "")
	if fault.Is(err, fault.CFNChangeSetNotFound) || err == nil && (!cs.Nested || cs.Operation != parent.Operation) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	id, ok := cs.Sets[logicalID]
	if !ok {
		return nil, nil, nil
	}
	nested, st, err := findChangeSet(tx, scope, id, "")
	if fault.Is(err, fault.CFNChangeSetNotFound) {
		return nil, nil, nil
	}
	return nested, st, err
}

// executes marks a nested change set as the one that the stack's operation executes.
func (c *changeSet) executes(l *apply.Ledger, st *apply.Stack) error {
	if err := obsolete(l.Tx, st, c.ID); err != nil {
		return err
	}
	st.ChangeSetID = c.ID
	c.Execution, c.Operation = executionInProgress, st.Last
	if err := apply.Stacks.Put(l.Tx, st.Key(), st); err != nil {
		return err
	}
	return changeSets.Put(l.Tx, c.key(st), c)
}

// deleteChangeSet removes a change set with those nested in it, and the stacks that
// only they were reviewed for.
func (s *Service) deleteChangeSet(l *apply.Ledger, st *apply.Stack, cs *changeSet) error {
	for _, id := range slices.Sorted(maps.Values(cs.Sets)) {
		nested, child, err := findChangeSet(l.Tx, st.Scope, id, "")
		if fault.Is(err, fault.CFNChangeSetNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.deleteChangeSet(l, child, nested); err != nil {
			return err
		}
		if child.Status != apply.ReviewInProgress {
			continue
		}
		if err := s.runner.Forget(l, child); err != nil {
			return err
		}
	}
	return errors.Join(changeSets.Delete(l.Tx, cs.key(st)), proposals.Delete(l.Tx, cs.key(st)))
}

// fromRoot refuses to execute or delete a nested change set by itself.
func fromRoot(cs *changeSet) error {
	if cs.ParentID == "" {
		return nil
	}
	return fault.New(fault.ValidationError, "ChangeSet [%s] is nested in [%s]. Call the operation on its root change set [%s].", cs.ID, cs.ParentID, cs.RootID)
}

// nestedTopics are the topics that a resource gives its stack.
func nestedTopics(v any) []string {
	out := []string{}
	arns, _ := v.([]any)
	for _, a := range arns {
		if text, ok := a.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// nestedIn reads what is nested in a change set that asks for it. Where macros have
// to run first, a workflow does.
func (s *Service) nestedIn(ctx context.Context, d *draft) (err error) {
	if !d.cs.Nested || d.later || d.w.failure != "" {
		return nil
	}
	d.nested, err = s.nestedDrafts(ctx, d, 1)
	if errors.Is(err, errMacros) {
		d.nested, d.later, err = nil, true, nil
	}
	return err
}
