package cloudformation

import (
	"context"
	"fmt"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Hooks of change sets and of the Cloud Control API, whose requests are no operations of
// a stack: each runs in a workflow of its own, and asks in it.

// MeetHooks are the hooks of an account and region that a target meets.
func (s *Service) MeetHooks(tx store.Tx, scope arn.Scope, t hook.Target) ([]apply.Hook, error) {
	return s.hooks(tx, scope, t)
}

// AskHooks asks hooks one after the other, in a workflow, and keeps what they say under
// the target's id, which ends in a UUID. with makes the context of a step into the
// caller's. It returns the names of those that forbid what is asked about.
func (s *Service) AskHooks(f *workflow.Flow, id string, t apply.HookTarget, hooks []apply.Hook, with func(ctx context.Context, token string) context.Context) (failed []string, err error) {
	for i, h := range hooks {
		name := fmt.Sprintf("hook %s %d", apply.UUID(id), i)
		r := apply.HookResult{
			HookEvent: apply.HookEvent{ID: arn.UUIDFrom(id + name), Type: h.Type, Status: apply.HookInProgress, Mode: h.Mode},
			ARN:       h.ARN, Version: h.Version, Config: h.Config, Original: h.Original, Operation: t.Operation, Action: t.Action,
			StackID: t.Stack.ID, TypeName: t.Type, LogicalID: t.LogicalID, Target: id, Time: s.cfg.Now(),
		}
		keep := func(suffix string) error {
			_, err := workflow.Tx(f, name+suffix, func(tx store.Tx) (bool, error) {
				return true, apply.KeepHookResult(tx, t.Stack.Scope.Key()+"/"+apply.UUID(id), i, &r)
			})
			return err
		}
		if err := keep(" begins"); err != nil {
			return nil, err
		}
		answer, err := apply.AskHook(f, name, func(ctx context.Context, token string) (apply.HookAnswer, error) {
			return s.callHook(with(ctx, token), h, t, token)
		}, func(err error) { s.cfg.Logger.Error("hook failed", "hook", h.Type, "target", id, "error", err) })
		if err != nil {
			return nil, err
		}
		r.Status, r.Reason, r.Annotations = answer.Status, answer.Reason, answer.Annotations
		if err := keep(" ends"); err != nil {
			return nil, err
		}
		if answer.Status != apply.HookSucceeded && h.Mode == hook.Fail {
			failed = append(failed, h.Type)
		}
	}
	return failed, nil
}

// SaidByHooks are what hooks have said of a target outside of stacks, by its id.
func (s *Service) SaidByHooks(tx store.Tx, scope arn.Scope, id string) (all []*apply.HookResult, err error) {
	for e, err := range apply.HookResults.Scan(tx, scope.Key()+"/"+apply.UUID(id)+"/") {
		if err != nil {
			return nil, err
		}
		if e.Value.Target == id {
			all = append(all, e.Value)
		}
	}
	return all, nil
}
