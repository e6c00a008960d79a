package apply

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Statuses of what a hook has said ("HookStatus").
const (
	HookInProgress = "HOOK_IN_PROGRESS"
	HookSucceeded  = "HOOK_COMPLETE_SUCCEEDED"
	HookRefused    = "HOOK_COMPLETE_FAILED" // the hook has found the target wrong
	HookFailed     = "HOOK_FAILED"          // the hook itself has failed
)

// Hook is a hook that a target meets. The engine knows its name and what its
// failure means; Call is for who calls it.
type Hook struct {
	Type     string // MyOrg::Security::ComplianceHook
	Original string // AWS::Hooks::LambdaHook, of one that was activated
	ARN      string
	Version  string
	Mode     string // hook.Fail or hook.Warn
	Function string
	Role     string // whom the function is called as; "" : the stack's caller
	Model    string // JSON of the hook's own properties
	Config   string // version of its configuration
}

// HookTarget is what a hook is asked about.
type HookTarget struct {
	Operation  string // hook.Resource, hook.Stack ...
	Action     string
	Stack      Stack
	Type       string
	LogicalID  string
	PhysicalID string // of what is to be deleted: a clean-up may delete several of a resource
	Properties cfn.Properties
	Prior      cfn.Properties
	Proposal   string // of a change set: the key of what it would change
}

// filter is the target as filters see it.
func (t *HookTarget) filter() hook.Target {
	return hook.Target{Operation: t.Operation, Name: t.Type, Action: t.Action, Stack: t.Stack.Name, Role: t.Stack.Version.RoleARN}
}

// HookAnswer is what a hook says of a target.
type HookAnswer struct {
	Status      string
	Reason      string
	Annotations []HookAnnotation `json:",omitempty"`
}

// HookAnnotation is what one of a hook's rules says.
type HookAnnotation struct {
	Name    string
	Status  string // PASSED, FAILED or SKIPPED
	Message string
	Remedy  string `json:",omitempty"`
}

// HookEvent is what an event tells of a hook.
type HookEvent struct {
	ID     string
	Type   string
	Status string
	Reason string
	Mode   string
}

// HookResult is what a hook said of a target.
type HookResult struct {
	HookEvent
	ARN, Version, Config, Original string
	Operation, Action              string
	StackID, TypeName, LogicalID   string
	Target                         string           `json:",omitempty"` // of a change set or of Cloud Control
	Annotations                    []HookAnnotation `json:",omitempty"`
	Time                           time.Time
}

// HookResults are keyed by the scope, the UUID of the target (of its stack, where it has
// one) and a number that falls, and found by their ids.
var HookResults = store.NewCollection("cloudformation/hookresult", store.Index[HookResult]{
	Name: "id", Keys: func(_ string, r *HookResult) []string { return []string{r.ID} },
})

// hooksOf are the hooks that a target meets.
func (r *Runner) hooksOf(tx store.Tx, t *HookTarget) ([]Hook, error) {
	if r.cfg.Hooks == nil {
		return nil, nil
	}
	return r.cfg.Hooks(tx, t.Stack.Scope, t.filter())
}

// hookActions are what hooks are asked about for a change of the engine's.
var hookActions = map[plan.Action]string{plan.Create: hook.Create, plan.Update: hook.Update, plan.Replace: hook.Update}

// hooked is the target that a resource's change is for hooks.
func hooked(s *Stack, b *begun) *HookTarget {
	return &HookTarget{
		Operation: hook.Resource, Action: hookActions[b.Action], Stack: *s, Type: b.Target.Type, LogicalID: b.Target.LogicalID,
		Properties: b.Target.Properties, Prior: b.Prior.Properties,
	}
}

// removal is the target that a resource's deletion is for hooks.
func removal(s *Stack, v victim) *HookTarget {
	return &HookTarget{Operation: hook.Resource, Action: hook.Delete, Stack: *s, Type: v.Type, LogicalID: v.LogicalID, PhysicalID: v.PhysicalID, Properties: v.Properties}
}

// hooksOnRemoval are the hooks of a resource that leaves its stack. Ways back ask
// none.
func (o *operation) hooksOnRemoval(l *Ledger, s *Stack, v victim, keep bool) ([]Hook, error) {
	if keep && o.Kind == DeleteStack || o.Kind == UpdateStack && s.Status == UpdateCleanup {
		return o.r.hooksOf(l.Tx, removal(s, v))
	}
	return nil, nil
}

// ask asks hooks one after the other and tells the stack's events. It words why the
// target may not go on; "" : it may.
func (o *operation) ask(f *workflow.Flow, t *HookTarget, hooks []Hook) (string, error) {
	var failed []string
	for i, h := range hooks {
		name := fmt.Sprintf("hook %d", i)
		id, err := tx(o, f, name+" begins", func(l *Ledger, s *Stack) (string, error) {
			id := arn.UUIDFrom(fmt.Sprintf("%s/%s/%s/%s/%s", s.Last, t.LogicalID, t.PhysicalID, t.Action, name))
			return id, o.tellHook(l, s, t, h, HookEvent{ID: id, Type: h.Type, Status: HookInProgress, Mode: h.Mode}, nil)
		})
		if err != nil {
			return "", err
		}
		answer, err := o.callHook(f, name, t, h)
		if err != nil {
			return "", err
		}
		_, err = tx(o, f, name+" ends", func(l *Ledger, s *Stack) (bool, error) {
			return true, o.tellHook(l, s, t, h, HookEvent{ID: id, Type: h.Type, Status: answer.Status, Reason: answer.Reason, Mode: h.Mode}, answer.Annotations)
		})
		if err != nil {
			return "", err
		}
		if answer.Status != HookSucceeded && h.Mode == hook.Fail {
			failed = append(failed, h.Type)
		}
	}
	if len(failed) == 0 {
		return "", nil
	}
	return fmt.Sprintf("The following hook(s) failed: [%s]", strings.Join(failed, ", ")), nil
}

// callHook has a hook answer, as a durable step. One that cannot be called is a
// failure of its own.
func (o *operation) callHook(f *workflow.Flow, name string, t *HookTarget, h Hook) (HookAnswer, error) {
	return AskHook(f, name, func(ctx context.Context, token string) (HookAnswer, error) {
		return o.r.cfg.CallHook(o.callContext(ctx, &t.Stack, token), h, *t, token)
	}, func(err error) {
		o.r.cfg.Logger.Error("hook failed", "stack", t.Stack.ID, "hook", h.Type, "resource", t.LogicalID, "error", err)
	})
}

// AskHook has a hook answer, as a durable step of a workflow. failed is told of an error
// without a code that stays.
func AskHook(f *workflow.Flow, name string, call func(ctx context.Context, token string) (HookAnswer, error), failed func(err error)) (HookAnswer, error) {
	out, err := workflow.Step(f, name, func(ctx context.Context, token string) (HookAnswer, error) {
		answer, err := call(ctx, token)
		if e, classified := fault.As(err); classified {
			return HookAnswer{Status: HookFailed, Reason: fmt.Sprintf("Hook failed with message: %s (%s)", e.Message, e.Code)}, nil
		}
		return answer, err
	}, workflow.Attempts(hookTries))
	if final := new(workflow.Error); errors.As(err, &final) {
		failed(err)
		return HookAnswer{Status: HookFailed, Reason: "Hook failed with message: an internal error; Slipway's log has its text"}, nil
	}
	return out, err
}

// hookTries is how often a hook is called whose call fails without a code.
const hookTries = 5

// tellHook writes an event of a hook, and what the hook has said.
func (o *operation) tellHook(l *Ledger, s *Stack, t *HookTarget, h Hook, e HookEvent, notes []HookAnnotation) error {
	event := Event{LogicalID: s.Name, PhysicalID: s.ID, Type: StackType, Status: s.Status, Hook: &e}
	if t.Operation == hook.Resource {
		r, err := getResource(l.Tx, s, t.LogicalID)
		if err != nil {
			return err
		}
		event.LogicalID, event.Type, event.Status, event.PhysicalID = t.LogicalID, t.Type, t.Action+"_IN_PROGRESS", ""
		if r != nil {
			event.PhysicalID, event.Status = r.PhysicalID, r.Status
		}
	}
	event.ID = fmt.Sprintf("%s-%s-%s", event.LogicalID, e.Status, arn.NewUUID())
	if err := l.event(s, event); err != nil {
		return err
	}
	result := &HookResult{
		HookEvent: e, ARN: h.ARN, Version: h.Version, Config: h.Config, Original: h.Original, Operation: t.Operation, Action: t.Action,
		StackID: s.ID, TypeName: t.Type, LogicalID: t.LogicalID, Annotations: notes, Time: l.Now,
	}
	return KeepHookResult(l.Tx, s.Key(), l.n, result)
}

// KeepHookResult writes what a hook has said so far of a target, whose key of scope and
// UUID is given. n counts those of one transaction.
func KeepHookResult(tx store.Tx, target string, n int, r *HookResult) error {
	for old, err := range HookResults.ByIndex(tx, "id", r.ID) {
		if err != nil {
			return err
		}
		r.Time = old.Value.Time
		return HookResults.Put(tx, old.Key, r)
	}
	return HookResults.Put(tx, fmt.Sprintf("%s/%016x%04x", target, math.MaxInt64-tx.Revision(), math.MaxUint16-n), r)
}

// gate asks the hooks of the stack as a whole. One that fails stops the operation
// before anything has changed; it reports whether one did.
func (o *operation) gate(f *workflow.Flow, action string) (bool, error) {
	if len(o.Hooks) == 0 {
		return false, nil
	}
	s, err := tx(o, f, "gate", func(_ *Ledger, s *Stack) (Stack, error) { return *s, nil })
	if err != nil {
		return false, err
	}
	why, err := o.ask(f, &HookTarget{Operation: hook.Stack, Action: action, Stack: s, Type: StackType, LogicalID: s.ID}, o.Hooks)
	if err != nil || why == "" {
		return false, err
	}
	return tx(o, f, "gate closed", func(l *Ledger, s *Stack) (bool, error) {
		s.Stop, s.Failure = true, why
		return true, Stacks.Put(l.Tx, s.Key(), s)
	})
}
