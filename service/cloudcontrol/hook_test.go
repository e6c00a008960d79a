package cloudcontrol

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// judge is a hook of all things.
type judge struct {
	mu     sync.Mutex
	mode   string
	says   string // a status of hooks
	asked  []apply.HookTarget
	caller string
	hold   chan struct{} // asking waits for it
	begun  chan struct{}
}

func (j *judge) MeetHooks(_ store.Tx, _ arn.Scope, t hook.Target) ([]apply.Hook, error) {
	if t.Operation != hook.CloudControl || t.Name != thing {
		return nil, nil
	}
	return []apply.Hook{{Type: "My::Org::Judge", Mode: j.mode, Version: "00000001"}}, nil
}

func (j *judge) AskHooks(f *workflow.Flow, id string, t apply.HookTarget, hooks []apply.Hook, with func(ctx context.Context, token string) context.Context) (failed []string, err error) {
	_, err = workflow.Step(f, "ask", func(ctx context.Context, token string) (bool, error) {
		if j.hold != nil {
			close(j.begun)
			<-j.hold
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		j.asked = append(j.asked, t)
		j.caller = auth.From(with(ctx, token)).Principal.Name
		return true, nil
	})
	if err == nil && j.says != apply.HookSucceeded && hooks[0].Mode == hook.Fail {
		failed = append(failed, hooks[0].Type)
	}
	return failed, err
}

func (j *judge) SaidByHooks(store.Tx, arn.Scope, string) ([]*apply.HookResult, error) {
	r := &apply.HookResult{HookEvent: apply.HookEvent{Type: "My::Org::Judge", Status: j.says, Reason: "because", Mode: j.mode}, Version: "00000001", Time: time.Unix(1, 0)}
	return []*apply.HookResult{r}, nil
}

func TestHooksOfRequests(t *testing.T) {
	j := &judge{mode: hook.Fail, says: apply.HookSucceeded}
	w := newWorld(t, func(c *Config) { c.Hooks = j })
	made := w.done(t, w.create(t, thing, `{"Name":"a","Value":"one"}`))
	if made.OperationStatus != succeeded || made.HooksRequestToken == "" || j.caller != "ann" {
		t.Fatalf("%+v as %s", made, j.caller)
	}
	j.says = apply.HookRefused
	changed := w.done(t, w.update(t, "a", `[{"op":"replace","path":"/Value","value":"two"}]`))
	removed := w.done(t, w.remove(t, "a"))
	for _, e := range []*api.ProgressEvent{changed, removed} {
		if e.OperationStatus != failed || e.ErrorCode != cfn.HandlerInvalidRequest || e.StatusMessage != "The following hook(s) failed: [My::Org::Judge]" {
			t.Errorf("%+v", e)
		}
	}
	if d := cmp.Diff(map[string]cfn.Properties{"a": {"Name": "a", "Value": "one"}}, w.cloud.there); d != "" {
		t.Error(d)
	}
	var told []string
	for _, a := range j.asked {
		told = append(told, a.Operation+" "+a.Action+" "+a.Type)
		if !strings.HasPrefix(a.LogicalID, "AWS-Test-Thing-") || a.Stack.Scope != scope {
			t.Errorf("%+v", a)
		}
	}
	if d := cmp.Diff([]string{"CLOUD_CONTROL CREATE AWS::Test::Thing", "CLOUD_CONTROL UPDATE AWS::Test::Thing", "CLOUD_CONTROL DELETE AWS::Test::Thing"}, told); d != "" {
		t.Error(d)
	}
	if j.asked[1].Properties["Value"] != "two" || j.asked[1].Prior["Value"] != "one" || j.asked[2].Properties != nil {
		t.Errorf("%+v", j.asked)
	}
	status, err := w.GetResourceRequestStatus(w.ctx, &api.GetResourceRequestStatusInput{RequestToken: changed.RequestToken})
	if err != nil || len(status.HooksProgressEvent) != 1 {
		t.Fatalf("%+v, %v", status, err)
	}
	if h := status.HooksProgressEvent[0]; h.HookStatus != apply.HookRefused || h.HookStatusMessage != "because" || h.FailureMode != hook.Fail || h.InvocationPoint != hook.PreProvision {
		t.Errorf("%+v", h)
	}
	// A warning lets it pass, and what was refused holds no claim.
	j.mode = hook.Warn
	if e := w.done(t, w.remove(t, "a")); e.OperationStatus != succeeded {
		t.Errorf("%+v", e)
	}
	// A type that no hook is for is not asked about.
	if e := w.done(t, w.create(t, "AWS::Test::Pair", `{"Left":"l","Right":"r"}`)); e.OperationStatus != succeeded || e.HooksRequestToken != "" || len(j.asked) != 4 {
		t.Errorf("%+v, asked %d", e, len(j.asked))
	}
}

// A request that is cancelled while its hooks are asked does not act.
func TestCancelledAmidHooks(t *testing.T) {
	j := &judge{mode: hook.Fail, says: apply.HookSucceeded, hold: make(chan struct{}), begun: make(chan struct{})}
	w := newWorld(t, func(c *Config) { c.Hooks = j })
	e := w.create(t, thing, `{"Name":"a"}`)
	<-j.begun
	if _, err := w.CancelResourceRequest(w.ctx, &api.CancelResourceRequestInput{RequestToken: e.RequestToken}); err != nil {
		t.Fatal(err)
	}
	close(j.hold)
	if e := w.done(t, e); e.OperationStatus != cancelled || len(w.cloud.things()) != 0 {
		t.Errorf("%+v, %v", e, w.cloud.things())
	}
}

// TestHookedRequestsSurviveCrashes crashes and repeats a request that a hook refuses.
func TestHookedRequestsSurviveCrashes(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, st store.Store) workflowtest.Scenario {
		c := &cloud{there: map[string]cfn.Properties{}, by: map[string]string{}}
		j := &judge{mode: hook.Fail, says: apply.HookRefused}
		var s *Service
		r := &request{Token: newToken("hooked"), Scope: scope, Type: thing, Operation: api.OperationCreate, Identifier: "a"}
		r.Caller.Principal = caller1().Principal
		return workflowtest.Scenario{
			Register: func(e *workflow.Engine) { s = newService(st, e, c, func(cfg *Config) { cfg.Hooks = j }) },
			Begin: func(tx store.Tx, _ *workflow.Engine) (_ string, err error) {
				if r.Desired, err = s.seal(cfn.Properties{"Name": "a"}); err != nil {
					return "", err
				}
				_, err = s.begin(tx, r, "", "")
				return r.flow(), err
			},
			Check: func(t testing.TB, st store.Store, _ workflow.Status) {
				err := st.View(t.Context(), func(tx store.Tx) error {
					now, err := find(tx, scope, r.Token)
					if err == nil && (now.Status != failed || now.Hooks == "" || now.Code != cfn.HandlerInvalidRequest) {
						t.Errorf("%+v", now)
					}
					return err
				})
				if made := slices.Clone(c.things()); err != nil || len(made) > 0 {
					t.Errorf("%v, there is %v", err, made)
				}
			},
		}
	}})
}
