package cloudformation

import (
	"context"
	"slices"
	"strings"

	"github.com/slipway/slipway/api/cloudformation"
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

// nestedSet is what a nested stack's change set is made of, before it is.
type nestedSet struct {
	logicalID string
	stackID   string // "" of a stack that comes with the change set
	w         *wanted
	failure   string // why it cannot be made
	nested    []nestedSet
}

// nestedSets reads what the nested stacks of a stack would become with it. st is nil
// for a new stack.
func (s *Service) nestedSets(ctx context.Context, st *apply.Stack, name string, w *wanted, depth int) ([]nestedSet, error) {
	c := auth.From(ctx)
	if depth > maxDepth {
		return nil, fault.New(fault.ValidationError, "Stacks can be nested %d deep", maxDepth)
	}
	at := st
	if at == nil {
		at = &apply.Stack{Name: name, Scope: c.Scope, ID: template.Unknown}
	}
	var changes []plan.Change
	err := s.view(ctx, func(tx store.Tx) error {
		in, err := s.input(tx, at, w)
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
	var out []nestedSet
	for _, ch := range changes {
		if ch.ResourceType != apply.StackType || ch.Action != "Add" && ch.Action != "Modify" {
			continue
		}
		n := nestedSet{logicalID: ch.LogicalResourceID, stackID: ch.PhysicalResourceID}
		err := s.readNestedSet(ctx, &n, name, w, ch, depth)
		if f, ok := fault.As(err); ok {
			n.failure = f.Message
		} else if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// readNestedSet reads the template that a nested stack is to have, and what is
// nested in it.
func (s *Service) readNestedSet(ctx context.Context, n *nestedSet, parent string, w *wanted, ch plan.Change, depth int) error {
	url, _ := ch.After["TemplateURL"].(string)
	if template.HasUnknown(url) {
		return fault.New(fault.ValidationError, "TemplateURL of %s is known after the change set was executed only", n.logicalID)
	}
	params, err := nestedParameters(ch.After["Parameters"])
	if err != nil {
		return err
	}
	name := apply.NestedName(parent, n.logicalID, arn.NewUUID())
	var st *apply.Stack
	if n.stackID != "" {
		err := s.view(ctx, func(tx store.Tx) (err error) {
			st, err = must(tx, auth.From(ctx).Scope, n.stackID, noStack)
			return err
		})
		if err != nil {
			return err
		}
		name = st.Name
	}
	n.w, err = s.want(ctx, st, request{
		source: source{URL: url}, Parameters: params, Capabilities: w.version.Capabilities, RoleARN: w.version.RoleARN,
		Tags: nestedTags(w.version.Tags, ch.After["Tags"]), Notify: nestedTopics(ch.After["NotificationARNs"]),
		stackName: name, direct: true, requestID: arn.NewUUID(),
	})
	if err != nil {
		return err
	}
	n.w.version.TemplateURL = url
	n.nested, err = s.nestedSets(ctx, st, name, n.w, depth+1)
	return err
}

// nestSets makes the change sets of what is nested in a stack, and brings the
// parent's in line with them.
func (s *Service) nestSets(l *apply.Ledger, scope arn.Scope, st *apply.Stack, parent *changeSet, all []nestedSet) error {
	calm := map[string]bool{}
	for _, n := range all {
		if n.failure != "" {
			parent.fail("Failed to create the change set of nested stack " + n.logicalID + ": " + n.failure)
			continue
		}
		child, err := nestedStackOf(l, scope, st, n)
		if err != nil {
			return err
		}
		cs := &changeSet{
			Type: changeSetUpdate, Nested: true, Created: l.Now, StackID: child.ID, StackName: child.Name,
			ParentID: parent.ID, RootID: parent.RootID, Name: apply.NestedName(parent.Name, n.logicalID, arn.NewUUID()),
		}
		if cs.RootID == "" {
			cs.RootID = parent.ID
		}
		if child.Status == apply.ReviewInProgress {
			cs.Type = changeSetCreate
		}
		cs.ID = scope.ARN("cloudformation", "changeSet/"+cs.Name+"/"+arn.NewUUID()).String()
		if err := s.decide(l, child, cs, n.w); err != nil {
			return err
		}
		if err := s.nestSets(l, scope, child, cs, n.nested); err != nil {
			return err
		}
		switch {
		case cs.Status == statusFailed && cs.Reason == noChanges:
			calm[n.logicalID] = true
			continue
		case cs.Status == statusFailed:
			parent.fail("Nested change set " + cs.ID + " was not successfully created: Currently in FAILED.")
		}
		parent.names(n.logicalID, cs.ID)
		if err := changeSets.Put(l.Tx, cs.key(child), cs); err != nil {
			return err
		}
	}
	parent.Changes, parent.WithValues = without(parent.Changes, calm), without(parent.WithValues, calm)
	if parent.Type == changeSetUpdate && parent.certain == 0 && len(parent.Changes) == 0 && parent.Status == statusComplete {
		parent.fail(noChanges)
	}
	return nil
}

// nestedStackOf is the stack that a nested change set is for: the one that is there,
// or one that its change set is reviewed for.
func nestedStackOf(l *apply.Ledger, scope arn.Scope, st *apply.Stack, n nestedSet) (*apply.Stack, error) {
	if n.stackID != "" {
		return must(l.Tx, scope, n.stackID, noStack)
	}
	child, err := claim(l, auth.Call{Scope: scope}, apply.NestedName(st.Name, n.logicalID, arn.NewUUID()))
	if err != nil {
		return nil, err
	}
	child.Parent, child.ParentResource = st.ID, n.logicalID
	return child, l.Stack(child, apply.ReviewInProgress, "")
}

func (c *changeSet) fail(reason string) {
	c.Status, c.Execution, c.Reason = statusFailed, executionUnavailable, reason
}

// names tells which change set a nested stack's is.
func (c *changeSet) names(logicalID, id string) {
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
	for _, ch := range cs.Changes {
		if ch.LogicalResourceID != logicalID || ch.ChangeSetID == "" {
			continue
		}
		nested, st, err := findChangeSet(tx, scope, ch.ChangeSetID, "")
		if fault.Is(err, fault.CFNChangeSetNotFound) {
			return nil, nil, nil
		}
		return nested, st, err
	}
	return nil, nil, nil
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
	for _, ch := range cs.Changes {
		if ch.ChangeSetID == "" {
			continue
		}
		nested, child, err := findChangeSet(l.Tx, st.Scope, ch.ChangeSetID, "")
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
	return changeSets.Delete(l.Tx, cs.key(st))
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

// nestedIn reads what is nested in a change set that asks for it. What is not built
// is refused.
func (s *Service) nestedIn(ctx context.Context, st *apply.Stack, in *cloudformation.CreateChangeSetInput, kind string, w *wanted, name string) ([]nestedSet, error) {
	switch {
	case !isTrue(in.IncludeNestedStacks):
		return nil, nil
	case kind == changeSetImport || isTrue(in.ImportExistingResources):
		return nil, fault.New(fault.ValidationError, "IncludeNestedStacks is not supported for change sets that import resources.")
	case w.pending:
		names := strings.Join(w.tmpl.Transform, ", ")
		return nil, fault.New(fault.NotImplemented, "IncludeNestedStacks of a template with macros (%s) is not implemented", names)
	case w.failure != "":
		return nil, nil
	}
	return s.nestedSets(ctx, st, name, w, 1)
}
