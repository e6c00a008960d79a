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
	switch in.TargetType {
	case "", api.ListHookResultsTargetTypeStack, api.ListHookResultsTargetTypeResource:
	default:
		return nil, fault.New(fault.NotImplemented, "hooks of the target %s are not built in Slipway yet", in.TargetType)
	}
	out := &api.ListHookResultsOutput{TargetType: in.TargetType, TargetId: in.TargetId, HookResults: []api.HookResultSummary{}}
	err = s.view(ctx, func(tx store.Tx) error {
		prefix := c.Scope.Key() + "/"
		if in.TargetId != "" {
			st, err := find(tx, c.Scope, in.TargetId)
			if err != nil {
				return err
			}
			if st == nil {
				return fault.New(fault.HookResultNotFound, "No hook results were found for %s", in.TargetId)
			}
			prefix = st.Key() + "/"
		}
		items, next, err := apply.HookResults.Page(tx, prefix, in.NextToken, pageSize, func(r *apply.HookResult) bool {
			return (in.TargetType != api.ListHookResultsTargetTypeResource || r.Operation == hook.Resource) &&
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

func summarizeHook(r *apply.HookResult) api.HookResultSummary {
	return api.HookResultSummary{
		HookResultId: r.ID, InvocationPoint: hook.PreProvision, FailureMode: r.Mode, TypeName: r.Type, TypeVersionId: r.Version,
		TypeConfigurationVersionId: r.Config, Status: r.Status, HookStatusReason: r.Reason, InvokedAt: &r.Time, TypeArn: r.ARN,
		TargetType: api.ListHookResultsTargetTypeStack, TargetId: r.StackID, HookExecutionTarget: r.LogicalID,
	}
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
