package cloudformation_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

const onChangeSets = `{"HookInvocationStatus":"ENABLED","TargetOperations":["CHANGE_SET"],"FailureMode":"FAIL","Properties":{"LambdaFunction":"judge"}%s}`

// judged waits until hooks have answered of a change set.
func (w *world) judged(id string) *api.DescribeChangeSetOutput {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if cs := w.describeChangeSet(id, false); cs.Status != "CREATE_IN_PROGRESS" {
			return cs
		}
	}
	w.t.Fatalf("the change set %s stays in progress", id)
	return nil
}

func TestHooksOfChangeSets(t *testing.T) {
	f := &judges{by: map[string]func(map[string]any) any{}}
	w := newWorld(t, f.with)
	activate(t, w.Service, w.ctx, "My::Org::Judge", strings.Replace(onChangeSets, "%s", "", 1))
	handler := w.Handler()
	verdict := answers("SUCCESS", "", "fine")
	var request map[string]any
	var payload struct {
		Template         string
		ChangedResources []map[string]any
	}
	f.by["judge"] = func(r map[string]any) any {
		request = r
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", r["requestData"].(map[string]any)["payload"].(string), nil))
		payload.ChangedResources = nil
		if err := json.Unmarshal(rec.Body.Bytes(), &payload); err != nil {
			t.Errorf("the payload is %s: %v", rec.Body, err)
		}
		return verdict(r)
	}
	body := "Resources:\n  A: {Type: 'AWS::Test::Thing', Properties: {Value: one}}\n"
	set := w.changeSet("c", "CREATE", "s", body)
	if cs := w.judged(set.Id); cs.Status != "CREATE_COMPLETE" || cs.ExecutionStatus != "AVAILABLE" || cs.StatusReason != "" {
		t.Fatalf("%s %s %s", cs.Status, cs.ExecutionStatus, cs.StatusReason)
	}
	data := request["requestData"].(map[string]any)
	delete(data, "payload")
	if d := cmp.Diff(map[string]any{"targetName": "CHANGE_SET", "targetType": "CHANGE_SET", "targetLogicalId": set.Id}, data); d != "" || request["changeSetId"] != set.Id ||
		request["actionInvocationPoint"] != "CREATE_PRE_PROVISION" || payload.Template != body {
		t.Errorf("%s %v %v", d, request, payload)
	}
	added := map[string]any{"logicalResourceId": "A", "resourceType": "AWS::Test::Thing", "action": "CREATE", "lineNumber": 2.0, "beforeContext": nil, "afterContext": `{"Properties":{"Value":"one"}}`}
	if d := cmp.Diff([]map[string]any{added}, payload.ChangedResources); d != "" {
		t.Error(d)
	}
	w.execute(set.Id)
	w.settle("s", "CREATE_COMPLETE")

	verdict = answers("FAILED", "NonCompliant", "two is too many")
	set = w.changeSet("d", "UPDATE", "s", strings.Replace(body, "one", "two", 1))
	cs := w.judged(set.Id)
	if cs.Status != "FAILED" || cs.ExecutionStatus != "UNAVAILABLE" || cs.StatusReason != "The following hook(s)/validation failed: [My::Org::Judge]" {
		t.Errorf("%s %s %s", cs.Status, cs.ExecutionStatus, cs.StatusReason)
	}
	if r := payload.ChangedResources[0]; r["action"] != "UPDATE" || !strings.Contains(r["beforeContext"].(string), "one") || request["actionInvocationPoint"] != "UPDATE_PRE_PROVISION" {
		t.Errorf("%v of %v", r, request)
	}
	_, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{ChangeSetName: set.Id})
	refused(t, err, fault.CFNInvalidChangeSetStatus, "FAILED")
	w.checkChangeSetResults(set)
}

// checkChangeSetResults looks up what was said of a change set.
func (w *world) checkChangeSetResults(set *api.CreateChangeSetOutput) {
	w.t.Helper()
	results, err := w.ListHookResults(w.ctx, &api.ListHookResultsInput{TargetType: "CHANGE_SET", TargetId: set.Id})
	if err != nil || len(results.HookResults) != 1 {
		w.t.Fatalf("ListHookResults = %+v, %v", results, err)
	}
	r := results.HookResults[0]
	if r.TargetType != "CHANGE_SET" || r.TargetId != set.Id || r.HookExecutionTarget != set.StackId || r.HookStatusReason != "Hook failed with message: two is too many" {
		w.t.Errorf("%+v", r)
	}
	one, err := w.GetHookResult(w.ctx, &api.GetHookResultInput{HookResultId: r.HookResultId})
	if err != nil || one.Target.TargetType != "CHANGE_SET" || one.Target.TargetId != set.Id || one.Target.Action != "UPDATE" {
		w.t.Errorf("GetHookResult = %+v, %v", one, err)
	}
	_, err = w.ListHookResults(w.ctx, &api.ListHookResultsInput{TargetType: "CLOUD_CONTROL", TargetId: set.Id})
	refused(w.t, err, fault.HookResultNotFound, "No hook results were found")
	err = w.store.View(w.ctx, func(tx store.Tx) error {
		said, err := w.SaidByHooks(tx, scope, set.Id)
		if len(said) != 1 || said[0].ID != r.HookResultId || said[0].Status != "HOOK_COMPLETE_FAILED" {
			w.t.Errorf("hooks have said %+v", said)
		}
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	ofStack, err := w.ListHookResults(w.ctx, &api.ListHookResultsInput{TargetType: "STACK", TargetId: set.StackId})
	if err != nil || len(ofStack.HookResults) != 0 {
		w.t.Errorf("the stack has the results %+v, %v", ofStack, err)
	}
}

// While hooks are asked, a change set is neither executed nor made again; an operation
// that begins meanwhile makes it obsolete.
func TestChangeSetsWaitForHooks(t *testing.T) {
	f := &judges{by: map[string]func(map[string]any) any{"judge": answers("SUCCESS", "", "")}}
	w := newWorld(t, f.with)
	body := "Resources: {A: {Type: 'AWS::Test::Thing', Properties: {Value: one}}}"
	id := w.create("s", body)
	w.settle(id, "CREATE_COMPLETE")
	activate(t, w.Service, w.ctx, "My::Org::Judge", strings.Replace(onChangeSets, "%s", `,"StackFilters":{"FilteringCriteria":"ALL","StackNames":{"Include":["s*"]}}`, 1))
	asked, answer := make(chan struct{}, 8), make(chan struct{})
	f.by["judge"] = func(r map[string]any) any {
		asked <- struct{}{}
		<-answer
		return answers("SUCCESS", "", "")(r)
	}
	set := w.changeSet("c", "UPDATE", "s", strings.Replace(body, "one", "two", 1))
	<-asked
	if cs := w.describeChangeSet(set.Id, false); cs.Status != "CREATE_IN_PROGRESS" || cs.ExecutionStatus != "UNAVAILABLE" {
		t.Errorf("%s %s", cs.Status, cs.ExecutionStatus)
	}
	_, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{ChangeSetName: set.Id})
	refused(t, err, fault.CFNInvalidChangeSetStatus, "CREATE_IN_PROGRESS")
	_, err = w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "s", ChangeSetName: "c", TemplateBody: body})
	refused(t, err, fault.CFNAlreadyExists, "already exists")
	w.updateTo("s", strings.Replace(body, "one", "three", 1))
	w.settle(id, "UPDATE_COMPLETE")
	gone := w.changeSet("gone", "UPDATE", "s", body)
	if _, err := w.DeleteChangeSet(w.ctx, &api.DeleteChangeSetInput{ChangeSetName: gone.Id}); err != nil {
		t.Fatal(err)
	}
	close(answer)
	if cs := w.judged(set.Id); cs.Status != "CREATE_COMPLETE" || cs.ExecutionStatus != "OBSOLETE" {
		t.Errorf("%s %s", cs.Status, cs.ExecutionStatus)
	}
	_, err = w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{ChangeSetName: gone.Id})
	refused(t, err, fault.CFNChangeSetNotFound, "does not exist")
	// A stack that the filter does not name is not asked about.
	other := w.changeSet("o", "CREATE", "other", body)
	if cs := w.describeChangeSet(other.Id, false); cs.Status != "CREATE_COMPLETE" {
		t.Errorf("%s", cs.Status)
	}
}

func TestGuardHooksOfChangeSets(t *testing.T) {
	b := newBuckets(`
let changing = Changes[ resourceType == 'AWS::Test::Thing' ]
rule STAYS_SMALL when %changing !empty {
    let contexts = %changing.afterContext
    let after = json_parse(%contexts)
    when %after.Properties.Value exists {
        %after.Properties.Value == 'small'
    }
    Resources.A.Type exists
    HookContext.TargetType == 'CHANGE_SET'
    HookContext.TargetName == 's'
    HookContext.ChangeSetId == /:changeSet\//
}
rule BEFORE when HookContext.InvocationPoint == 'UPDATE_PRE_PROVISION' { Previous.Resources.A.Properties.Value == 'small' }
`)
	w := newWorld(t, b.with)
	activateGuard(t, w.Service, w.ctx, onGuard("FAIL", `"CHANGE_SET"`, `"ruleLocation":"s3://rules/all.guard"`))
	body := "Resources: {A: {Type: 'AWS::Test::Thing', Properties: {Value: small}}}"
	set := w.changeSet("c", "CREATE", "s", body)
	if cs := w.judged(set.Id); cs.Status != "CREATE_COMPLETE" {
		t.Fatalf("%s %s", cs.Status, cs.StatusReason)
	}
	w.execute(set.Id)
	w.settle("s", "CREATE_COMPLETE")
	set = w.changeSet("d", "UPDATE", "s", strings.Replace(body, "small", "large", 1))
	if cs := w.judged(set.Id); cs.Status != "FAILED" || cs.StatusReason != "The following hook(s)/validation failed: [Private::Guard::Rules]" {
		t.Errorf("%s %s", cs.Status, cs.StatusReason)
	}
	results, err := w.ListHookResults(w.ctx, &api.ListHookResultsInput{TargetType: "CHANGE_SET", TargetId: set.Id})
	if err != nil || len(results.HookResults) != 1 || !strings.HasSuffix(results.HookResults[0].HookStatusReason, "the following rule(s) failed: STAYS_SMALL.") {
		t.Errorf("ListHookResults = %+v, %v", results, err)
	}
}

// TestChangeSetHooksSurviveCrashes crashes and repeats the asking at every entry of its
// journal.
func TestChangeSetHooksSurviveCrashes(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
		cl := &cloud{there: map[string]cfn.Properties{}}
		f := &judges{by: map[string]func(map[string]any) any{"judge": answers("FAILED", "NonCompliant", "no")}}
		ctx := auth.WithToken(callContext(context.WithoutCancel(t.Context())), "the test")
		first := service(s, workflow.New(workflow.Config{Store: s}), cl, f.with)
		activate(t, first, ctx, "My::Org::Judge", strings.Replace(onChangeSets, "%s", "", 1))
		var svc *cloudformation.Service
		var id string
		return workflowtest.Scenario{
			Register: func(e *workflow.Engine) { svc = service(s, e, cl, f.with) },
			Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
				begin, set, err := svc.BeginReview(ctx, "s", "Resources: {A: {Type: 'AWS::Test::Thing'}}")
				if err != nil {
					return "", err
				}
				id = set
				return begin(tx)
			},
			Check: func(t testing.TB, s store.Store, _ workflow.Status) {
				w := &world{Service: svc, t: t, cloud: cl, store: s, ctx: ctx}
				if cs := w.describeChangeSet(id, false); cs.Status != "FAILED" || cs.StatusReason != "The following hook(s)/validation failed: [My::Org::Judge]" {
					t.Errorf("%s %s", cs.Status, cs.StatusReason)
				}
				results, err := w.ListHookResults(w.ctx, &api.ListHookResultsInput{TargetType: "CHANGE_SET", TargetId: id})
				if err != nil || len(results.HookResults) != 1 || results.HookResults[0].Status != "HOOK_COMPLETE_FAILED" {
					t.Errorf("ListHookResults = %+v, %v", results, err)
				}
			},
		}
	}})
}
