package cloudformation

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// A change set that hooks are asked about is in progress until they have answered: a
// workflow asks them, of it and of those nested in it.

// hookReviewWorkflow is that workflow.
const hookReviewWorkflow = "cloudformation/hookreview"

// hookReview is what it is given.
type hookReview struct {
	Scope  arn.Scope
	Caller apply.Caller
	Stack  string // keys of the root
	Set    string
	// Count and Status are the stack's, from which the change set was decided.
	Count  int
	Status string
	Asked  []hookedSet
}

// hookedSet is a change set that meets hooks.
type hookedSet struct {
	Stack, Set string // keys
	Action     string
	Hooks      []apply.Hook
}

// keepAsked keeps a change set. One that meets hooks waits for what they say.
func (s *Service) keepAsked(l *apply.Ledger, d *draft, caller apply.Caller, reason string) error {
	asked, err := s.hookedSets(l.Tx, d)
	if err != nil {
		return err
	}
	if len(asked) == 0 {
		return d.keep(l, reason)
	}
	d.cs.Status, d.cs.Execution = statusInProgress, executionUnavailable
	if err := d.keep(l, reason); err != nil {
		return err
	}
	review := hookReview{
		Scope: d.stack.Scope, Caller: caller, Stack: d.stack.Key(), Set: d.cs.key(d.stack), Count: d.stack.Count, Status: d.stack.Status, Asked: asked,
	}
	return s.cfg.Workflows.Begin(l.Tx, hookReviewWorkflow, hookReviewWorkflow+"/"+review.Set, review)
}

// hookedSets are the change sets of a tree that meet hooks.
func (s *Service) hookedSets(tx store.Tx, d *draft) (all []hookedSet, err error) {
	if d.cs == nil || d.cs.Status != statusComplete {
		return nil, nil
	}
	h := hookedSet{Stack: d.stack.Key(), Set: d.cs.key(d.stack), Action: hook.Update}
	if d.new || d.stack.Status == apply.ReviewInProgress {
		h.Action = hook.Create
	}
	h.Hooks, err = s.hooks(tx, d.stack.Scope, hook.Target{
		Operation: hook.ChangeSet, Name: apply.StackType, Action: h.Action, Stack: d.stack.Name, Role: d.w.version.RoleARN,
	})
	if err != nil {
		return nil, err
	}
	if len(h.Hooks) > 0 {
		all = append(all, h)
	}
	for _, n := range d.nested {
		nested, err := s.hookedSets(tx, n)
		if err != nil {
			return nil, err
		}
		all = append(all, nested...)
	}
	return all, nil
}

// reviewHooks is the workflow. A change set whose hooks cannot be asked for good is not
// in progress for ever.
func (s *Service) reviewHooks(f *workflow.Flow, in hookReview) error {
	err := s.review(f, in)
	if err == nil || interrupted(f, err) {
		return err
	}
	s.cfg.Logger.Error("hooks of a change set not asked", "change set", in.Set, "error", err)
	_, err = workflow.Tx(f, "give up", func(tx store.Tx) (bool, error) {
		return true, endReview(tx, &in, "The hooks of the change set could not be asked: "+internalError)
	})
	return err
}

// review asks the hooks of a change set, and ends its creation.
func (s *Service) review(f *workflow.Flow, in hookReview) error {
	var failed []string
	for _, set := range in.Asked {
		t, id, err := s.changeSetTarget(f.Context(), set)
		if err != nil || t == nil {
			return err
		}
		names, err := s.AskHooks(f, id, *t, set.Hooks, func(ctx context.Context, token string) context.Context {
			return contextOf(ctx, s, in.Caller, in.Scope, "CreateChangeSet", token)
		})
		if err != nil {
			return err
		}
		failed = append(failed, names...)
	}
	why := ""
	if len(failed) > 0 {
		why = "The following hook(s)/validation failed: [" + strings.Join(failed, ", ") + "]"
	}
	_, err := workflow.Tx(f, "end", func(tx store.Tx) (bool, error) { return true, endReview(tx, &in, why) })
	return err
}

// endReview makes a change set executable or, if there is a reason why not, failed.
func endReview(tx store.Tx, in *hookReview, why string) error {
	st, err := apply.Stacks.Get(tx, in.Stack)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	cs, err := changeSets.Get(tx, in.Set)
	if errors.Is(err, store.ErrNotFound) || err == nil && cs.Status != statusInProgress {
		return nil
	}
	if err != nil {
		return err
	}
	cs.Status, cs.Execution = statusComplete, executionAvailable
	switch {
	case why != "":
		cs.fail(why)
	case st.Count != in.Count || st.Status != in.Status:
		cs.Execution = executionObsolete
	}
	return changeSets.Put(tx, in.Set, cs)
}

// changeSetTarget is a change set as hooks are asked about it, with its id; nil: it is
// gone.
func (s *Service) changeSetTarget(ctx context.Context, set hookedSet) (t *apply.HookTarget, id string, err error) {
	err = s.view(ctx, func(tx store.Tx) error {
		st, err := apply.Stacks.Get(tx, set.Stack)
		if err != nil {
			return err
		}
		cs, err := changeSets.Get(tx, set.Set)
		if err != nil {
			return err
		}
		stack := *st
		stack.Before, stack.Version, stack.ChangeSetID = &st.Version, cs.Version, cs.ID
		id = cs.ID
		t = &apply.HookTarget{Operation: hook.ChangeSet, Action: set.Action, Stack: stack, Type: apply.StackType, LogicalID: cs.ID, Proposal: set.Set}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return t, id, err
}

// changedResource is what hooks are told of a change ("Evaluating change set operations
// with Lambda Hooks", AWS CloudFormation Hooks User Guide).
type changedResource struct {
	LogicalResourceID string  `json:"logicalResourceId"`
	ResourceType      string  `json:"resourceType"`
	Action            string  `json:"action"`
	LineNumber        *int    `json:"lineNumber"`
	BeforeContext     *string `json:"beforeContext"`
	AfterContext      *string `json:"afterContext"`
}

// changedResources are what a change set would change, by the key of its proposal.
func changedResources(tx store.Tx, key, body string) ([]changedResource, error) {
	p, err := proposals.Get(tx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := map[string]int{}
	if root, _ := template.Read([]byte(body)); root != nil {
		for _, e := range root.Get("Resources").Members() {
			lines[e.Key] = int(e.Line)
		}
	}
	all := []changedResource{}
	for _, ch := range p.WithValues {
		all = append(all, changedOf(ch, lines))
	}
	return all, nil
}

func changedOf(ch plan.Change, lines map[string]int) changedResource {
	out := changedResource{LogicalResourceID: ch.LogicalResourceID, ResourceType: ch.ResourceType, Action: changeActions[ch.Action]}
	if out.Action == "" {
		out.Action = strings.ToUpper(ch.Action)
	}
	if line := lines[ch.LogicalResourceID]; line > 0 && out.Action != hook.Delete {
		out.LineNumber = &line
	}
	if ch.BeforeContext != "" {
		out.BeforeContext = &ch.BeforeContext
	}
	if ch.AfterContext != "" {
		out.AfterContext = &ch.AfterContext
	}
	return out
}
