package cloudcontrol

import (
	"context"
	"errors"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Hooks are those of CloudFormation whose target operations have CLOUD_CONTROL.
type Hooks interface {
	// MeetHooks are the hooks of an account and region that a target meets.
	MeetHooks(tx store.Tx, scope arn.Scope, t hook.Target) ([]apply.Hook, error)
	// AskHooks asks them in a request's workflow, as the callers that with makes, and
	// names those that forbid it. What they say is kept under the id.
	AskHooks(f *workflow.Flow, id string, t apply.HookTarget, hooks []apply.Hook, with func(ctx context.Context, token string) context.Context) (failed []string, err error)
	// SaidByHooks is what they have said.
	SaidByHooks(tx store.Tx, scope arn.Scope, id string) ([]*apply.HookResult, error)
}

// hookActions are what hooks are asked about for a request.
var hookActions = map[string]string{
	api.OperationCreate: hook.Create, api.OperationUpdate: hook.Update, api.OperationDelete: hook.Delete,
}

// askHooks asks the hooks that a request meets before it acts; nil: it may. A request
// that was cancelled asks none, and one that is cancelled meanwhile does not act.
func (s *Service) askHooks(f *workflow.Flow, p params, r *request, looked outcome) (*failure, error) {
	if s.cfg.Hooks == nil {
		return nil, nil
	}
	type meeting struct {
		Token string
		Hooks []apply.Hook
	}
	met, err := workflow.Tx(f, "hooks", func(tx store.Tx) (m meeting, err error) {
		now, err := requests.Get(tx, p.Key)
		if err != nil || now.Status == cancelRequested {
			return m, err
		}
		m.Hooks, err = s.cfg.Hooks.MeetHooks(tx, r.Scope, hook.Target{Operation: hook.CloudControl, Name: r.Type, Action: hookActions[r.Operation]})
		if err != nil || len(m.Hooks) == 0 {
			return m, err
		}
		m.Token = arn.UUIDFrom(now.Token + " hooks")
		now.Hooks = m.Token
		return m, requests.Put(tx, p.Key, now)
	})
	if err != nil || len(met.Hooks) == 0 {
		return nil, err
	}
	t, err := s.hookTarget(r, looked)
	if err != nil {
		return nil, err
	}
	failed, err := s.cfg.Hooks.AskHooks(f, met.Token, t, met.Hooks, func(ctx context.Context, token string) context.Context {
		return s.acting(ctx, r.Scope, r.Caller, operations[r.Operation], token)
	})
	if err != nil || len(failed) == 0 {
		return nil, err
	}
	return &failure{cfn.HandlerInvalidRequest, "The following hook(s) failed: [" + strings.Join(failed, ", ") + "]"}, nil
}

// hookTarget is a request as hooks are asked about it. What is deleted has no
// properties.
func (s *Service) hookTarget(r *request, looked outcome) (t apply.HookTarget, err error) {
	t = apply.HookTarget{
		Operation: hook.CloudControl, Action: hookActions[r.Operation], Stack: apply.Stack{Scope: r.Scope}, Type: r.Type,
		// AWS makes it of the type, a name and the request, too.
		LogicalID: strings.ReplaceAll(r.Type, "::", "-") + "-" + r.Token, PhysicalID: r.PhysicalID,
	}
	switch r.Operation {
	case api.OperationCreate:
		err = s.open(r.Desired, &t.Properties)
	case api.OperationUpdate:
		var ch change
		err = s.open(looked.Sealed, &ch)
		t.Properties, t.Prior = ch.Target, ch.Prior
	}
	return t, err
}

// hooksProgress tells what hooks have said of a request, the first first.
func (s *Service) hooksProgress(tx store.Tx, r *request) (all []api.HookProgressEvent, err error) {
	if r.Hooks == "" || s.cfg.Hooks == nil {
		return nil, nil
	}
	said, err := s.cfg.Hooks.SaidByHooks(tx, r.Scope, r.Hooks)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	for _, h := range said {
		all = append(all, api.HookProgressEvent{
			HookTypeName: h.Type, HookTypeVersionId: h.Version, HookTypeArn: h.ARN, InvocationPoint: hook.PreProvision, HookStatus: h.Status,
			HookEventTime: &h.Time, HookStatusMessage: cut(h.Reason), FailureMode: h.Mode,
		})
	}
	slices.Reverse(all)
	return all, err
}
