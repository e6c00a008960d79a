package cloudformation

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// ListHookResults lists what hooks have said: of a stack with its resources, or of
// all stacks.
func (s *Service) ListHookResults(ctx context.Context, in *api.ListHookResultsInput) (*api.ListHookResultsOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &api.ListHookResultsOutput{TargetType: in.TargetType, TargetId: in.TargetId, HookResults: []api.HookResultSummary{}}
	err = s.view(ctx, func(tx store.Tx) error {
		prefix := c.Scope.Key() + "/"
		if in.TargetId != "" {
			target, err := hookTargetKey(tx, c.Scope, in.TargetType, in.TargetId)
			if err != nil {
				return err
			}
			prefix = target + "/"
		}
		items, next, err := apply.HookResults.Page(tx, prefix, in.NextToken, pageSize, func(r *apply.HookResult) bool {
			return ofTargetType(r, in.TargetType) &&
				(in.TypeArn == "" || r.ARN == in.TypeArn) && (in.Status == "" || r.Status == in.Status)
		})
		for _, it := range items {
			out.HookResults = append(out.HookResults, summarizeHook(it.Value))
		}
		out.NextToken = next
		return tokenError(err, in.NextToken)
	})
	return out, err
}

// hookTargetKey is the key under which what was said of a target stands.
func hookTargetKey(tx store.Tx, scope arn.Scope, kind, id string) (string, error) {
	missing := fault.New(fault.HookResultNotFound, "No hook results were found for %s", id)
	if kind == hook.ChangeSet || kind == hook.CloudControl {
		for e, err := range apply.HookResults.Scan(tx, scope.Key()+"/"+apply.UUID(id)+"/") {
			if err == nil && (e.Value.Operation != kind || targetOf(e.Value) != id) {
				err = missing
			}
			return scope.Key() + "/" + apply.UUID(id), err
		}
		return "", missing
	}
	st, err := find(tx, scope, id)
	if err != nil {
		return "", err
	}
	if st == nil {
		return "", missing
	}
	return st.Key(), nil
}

// ofTargetType reports whether a result is of a target of a type. Stacks have those of
// their resources.
func ofTargetType(r *apply.HookResult, kind string) bool {
	switch kind {
	case "":
		return true
	case api.ListHookResultsTargetTypeStack:
		return r.Operation == hook.Stack || r.Operation == hook.Resource
	}
	return r.Operation == kind
}

// targetOf is the id of what a hook was asked about: a change set's, the token of a
// request of Cloud Control, or a stack's.
func targetOf(r *apply.HookResult) string {
	if r.Target != "" {
		return r.Target
	}
	return r.StackID
}

func summarizeHook(r *apply.HookResult) api.HookResultSummary {
	s := api.HookResultSummary{
		HookResultId: r.ID, InvocationPoint: hook.PreProvision, FailureMode: r.Mode, TypeName: r.Type, TypeVersionId: r.Version,
		TypeConfigurationVersionId: r.Config, Status: r.Status, HookStatusReason: r.Reason, InvokedAt: &r.Time, TypeArn: r.ARN,
		TargetType: api.ListHookResultsTargetTypeStack, TargetId: targetOf(r), HookExecutionTarget: r.LogicalID,
	}
	switch r.Operation {
	case hook.ChangeSet:
		s.TargetType, s.HookExecutionTarget = r.Operation, r.StackID
	case hook.CloudControl:
		s.TargetType, s.HookExecutionTarget = r.Operation, r.Target
	}
	return s
}

// GetHookResult tells what a hook has said.
func (s *Service) GetHookResult(ctx context.Context, in *api.GetHookResultInput) (*api.GetHookResultOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	var r *apply.HookResult
	err = s.view(ctx, func(tx store.Tx) error {
		for it, err := range apply.HookResults.ByIndex(tx, "id", in.HookResultId) {
			if err == nil && strings.HasPrefix(it.Key, c.Scope.Key()+"/") {
				r = it.Value
			}
			return err
		}
		return nil
	})
	if err == nil && r == nil {
		err = fault.New(fault.HookResultNotFound, "The hook result %s was not found", in.HookResultId)
	}
	if err != nil {
		return nil, err
	}
	out := &api.GetHookResultOutput{
		HookResultId: r.ID, InvocationPoint: hook.PreProvision, FailureMode: r.Mode, TypeName: r.Type, OriginalTypeName: r.Original,
		TypeVersionId: r.Version, TypeConfigurationVersionId: r.Config, TypeArn: r.ARN, Status: r.Status, HookStatusReason: r.Reason,
		InvokedAt: &r.Time, Target: &api.HookTarget{TargetType: r.Operation, TargetTypeName: r.TypeName, TargetId: r.LogicalID, Action: r.Action},
	}
	for _, n := range r.Annotations {
		out.Annotations = append(out.Annotations, api.Annotation{AnnotationName: n.Name, Status: n.Status, StatusMessage: n.Message, RemediationMessage: n.Remedy})
	}
	return out, nil
}

// DescribeChangeSetHooks tells which hooks a change set's execution meets.
func (s *Service) DescribeChangeSetHooks(ctx context.Context, in *api.DescribeChangeSetHooksInput) (*api.DescribeChangeSetHooksOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	var out *api.DescribeChangeSetHooksOutput
	err = s.view(ctx, func(tx store.Tx) error {
		cs, st, err := findChangeSet(tx, c.Scope, in.ChangeSetName, in.StackName)
		if err == nil {
			err = cs.load(tx, st)
		}
		if err != nil {
			return err
		}
		if in.NextToken != "" {
			return badToken(in.NextToken)
		}
		out = &api.DescribeChangeSetHooksOutput{
			ChangeSetId: cs.ID, ChangeSetName: cs.Name, StackId: cs.StackID, StackName: cs.StackName,
			Status: api.ChangeSetHooksStatusPlanned, Hooks: []api.ChangeSetHook{},
		}
		if cs.Status != statusComplete {
			out.Status = api.ChangeSetHooksStatusUnavailable
			return nil
		}
		for _, ch := range cs.Changes {
			if in.LogicalResourceId != "" && ch.LogicalResourceID != in.LogicalResourceId {
				continue
			}
			met, err := s.hooksOfChange(tx, c.Scope, cs, ch)
			if err != nil {
				return err
			}
			out.Hooks = append(out.Hooks, met...)
		}
		return nil
	})
	return out, err
}

// changeActions are what hooks are asked about for a change set's changes.
var changeActions = map[string]string{
	api.ChangeActionAdd: hook.Create, api.ChangeActionModify: hook.Update, api.ChangeActionRemove: hook.Delete,
}

func (s *Service) hooksOfChange(tx store.Tx, scope arn.Scope, cs *changeSet, ch plan.Change) ([]api.ChangeSetHook, error) {
	action := changeActions[ch.Action]
	if action == "" {
		return nil, nil
	}
	met, err := s.hooks(tx, scope, hook.Target{Operation: hook.Resource, Name: ch.ResourceType, Action: action, Stack: cs.StackName, Role: cs.Version.RoleARN})
	var out []api.ChangeSetHook
	for _, h := range met {
		out = append(out, api.ChangeSetHook{
			InvocationPoint: hook.PreProvision, FailureMode: h.Mode, TypeName: h.Type, TypeVersionId: h.Version, TypeConfigurationVersionId: h.Config,
			TargetDetails: &api.ChangeSetHookTargetDetails{TargetType: hook.Resource, ResourceTargetDetails: &api.ChangeSetHookResourceTargetDetails{
				LogicalResourceId: ch.LogicalResourceID, ResourceType: ch.ResourceType, ResourceAction: ch.Action,
			}},
		})
	}
	return out, err
}
