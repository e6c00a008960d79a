package cloudformation

import (
	"context"
	"strings"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// DescribeStackEvents lists what happened to a stack, newest first.
func (s *Service) DescribeStackEvents(ctx context.Context, in *cloudformation.DescribeStackEventsInput) (*cloudformation.DescribeStackEventsOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.DescribeStackEventsOutput{}
	err = s.view(ctx, func(tx store.Tx) error {
		st, err := must(tx, c.Scope, in.StackName, noStack)
		if err != nil {
			return err
		}
		items, next, err := apply.Events.Page(tx, st.Key()+"/", in.NextToken, pageSize, nil)
		if err != nil {
			return tokenError(err, in.NextToken)
		}
		for _, it := range items {
			e := it.Value
			shown := cloudformation.StackEvent{
				StackId: e.StackID, EventId: e.ID, StackName: e.StackName, OperationId: operationID(e.Operation),
				LogicalResourceId: e.LogicalID, PhysicalResourceId: e.PhysicalID, ResourceType: e.Type,
				Timestamp: &e.Time, ResourceStatus: e.Status, ResourceStatusReason: e.Reason,
				ResourceProperties: e.Properties, ClientRequestToken: e.Request,
			}
			if h := e.Hook; h != nil {
				shown.HookType, shown.HookStatus, shown.HookStatusReason, shown.HookFailureMode = h.Type, h.Status, hookReason(h), h.Mode
				shown.HookInvocationPoint, shown.HookInvocationId = hook.PreProvision, h.ID
			}
			out.StackEvents = append(out.StackEvents, shown)
		}
		out.NextToken = next
		return nil
	})
	return out, err
}

// hookReason is what an event says of a hook: of one that only warns, that its
// failure stopped nothing, too.
func hookReason(h *apply.HookEvent) string {
	if h.Mode == hook.Warn && (h.Status == apply.HookRefused || h.Status == apply.HookFailed) {
		return strings.TrimSuffix(h.Reason, ".") + ". Failure was ignored under WARN mode."
	}
	return h.Reason
}

// DescribeEvents lists what happened to a stack or in one operation, newest
// first.
func (s *Service) DescribeEvents(ctx context.Context, in *cloudformation.DescribeEventsInput) (*cloudformation.DescribeEventsOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if in.ChangeSetName != "" {
		return nil, fault.New(fault.NotImplemented, "DescribeEvents of a change set is not implemented")
	}
	if in.StackName == "" {
		return nil, fault.New(fault.NotImplemented, "DescribeEvents without StackName is not implemented")
	}
	failed := in.Filters != nil && isTrue(in.Filters.FailedEvents)
	out := &cloudformation.DescribeEventsOutput{OperationEvents: []cloudformation.OperationEvent{}}
	err = s.view(ctx, func(tx store.Tx) error {
		st, err := must(tx, c.Scope, in.StackName, noStack)
		if err != nil {
			return err
		}
		items, next, err := apply.Events.Page(tx, st.Key()+"/", in.NextToken, pageSize, func(e *apply.Event) bool {
			return (in.OperationId == "" || operationID(e.Operation) == in.OperationId) &&
				(!failed || strings.HasSuffix(e.Status, "_FAILED"))
		})
		if err != nil {
			return tokenError(err, in.NextToken)
		}
		for _, it := range items {
			e := it.Value
			shown := cloudformation.OperationEvent{
				EventId: e.ID, StackId: e.StackID, OperationId: operationID(e.Operation), EventType: "STACK_EVENT",
				LogicalResourceId: e.LogicalID, PhysicalResourceId: e.PhysicalID, ResourceType: e.Type,
				Timestamp: &e.Time, ResourceStatus: e.Status, ResourceStatusReason: e.Reason,
				ResourceProperties: e.Properties, ClientRequestToken: e.Request,
			}
			if h := e.Hook; h != nil {
				if h.Status == apply.HookRefused || h.Status == apply.HookFailed {
					shown.EventType = cloudformation.EventTypeHookInvocationError
				}
				shown.HookType, shown.HookStatus, shown.HookStatusReason, shown.HookFailureMode = h.Type, h.Status, hookReason(h), h.Mode
				shown.HookInvocationPoint = hook.PreProvision
			}
			out.OperationEvents = append(out.OperationEvents, shown)
		}
		out.NextToken = next
		return nil
	})
	return out, err
}
