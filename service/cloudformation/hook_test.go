package cloudformation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// judges are the Lambda functions of a test, by name.
type judges struct {
	lambda.Unimplemented
	mu     sync.Mutex
	by     map[string]func(request map[string]any) any
	asked  []string
	caller string
	// made answers for the functions that are made, created has their tokens.
	made    func(request map[string]any) any
	created []string
	deleted []string // functions
	closed  bool     // to permissions
}

func (f *judges) Invoke(ctx context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn := f.by[in.FunctionName]
	if fn == nil {
		return nil, fault.New("ResourceNotFoundException", "Function not found: %s", in.FunctionName)
	}
	var request map[string]any
	if err := json.Unmarshal(in.Payload, &request); err != nil {
		return nil, err
	}
	f.caller = auth.From(ctx).Principal.Name
	if point, ok := request["actionInvocationPoint"]; ok {
		f.asked = append(f.asked, fmt.Sprint(point, " ", request["requestData"].(map[string]any)["targetName"]))
	}
	out, err := json.Marshal(fn(request))
	return &lambda.InvokeOutput{Payload: out}, err
}

var hookRing = keyring.Ephemeral()

// with configures a world that has functions and roles.
func (f *judges) with(c *cloudformation.Config) {
	c.Lambda, c.Ring = f, hookRing
	c.AssumeAs = func(_ context.Context, roleARN, service string) (auth.Principal, error) {
		if strings.HasSuffix(roleARN, "stranger") {
			return auth.Principal{}, errors.New("no trust")
		}
		return auth.Principal{Kind: auth.AssumedRole, Account: scope.Account, Name: service}, nil
	}
}

const hookRole = "arn:aws:iam::111111111111:role/hooks"

// activate gives a Lambda hook a name and a configuration.
func activate(t testing.TB, s *cloudformation.Service, ctx context.Context, name, configuration string) {
	t.Helper()
	out, err := s.ActivateType(ctx, &api.ActivateTypeInput{
		Type: "HOOK", TypeName: "AWS::Hooks::LambdaHook", PublisherId: "aws-hooks", TypeNameAlias: name, ExecutionRoleArn: hookRole,
	})
	if err != nil {
		t.Fatal(err)
	}
	configure(t, s, ctx, out.Arn, configuration)
}

func configure(t testing.TB, s *cloudformation.Service, ctx context.Context, typeARN, configuration string) {
	t.Helper()
	_, err := s.SetTypeConfiguration(ctx, &api.SetTypeConfigurationInput{
		TypeArn: typeARN, Configuration: `{"CloudFormationConfiguration":{"HookConfiguration":` + configuration + `}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func answers(status, code, message string) func(map[string]any) any {
	return func(r map[string]any) any {
		return map[string]any{"hookStatus": status, "errorCode": code, "message": message, "clientRequestToken": r["clientRequestToken"]}
	}
}

// told are a stack's events of hooks, oldest first.
func (w *world) told(name string) (out []string) {
	w.t.Helper()
	page, err := w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: name})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range page.StackEvents {
		if e.HookType != "" {
			out = append(out, strings.Join([]string{e.LogicalResourceId, e.ResourceStatus, e.HookType, e.HookStatus, e.HookFailureMode, e.HookInvocationPoint, e.HookStatusReason}, " "))
		}
	}
	slices.Reverse(out)
	return out
}

const onResources = `{"HookInvocationStatus":"ENABLED","TargetOperations":["RESOURCE"],"FailureMode":"%s","Properties":{"LambdaFunction":"judge"}%s}`

func TestHooksOfResources(t *testing.T) {
	f := &judges{by: map[string]func(map[string]any) any{}}
	w := newWorld(t, f.with)
	activate(t, w.Service, w.ctx, "My::Org::Judge", fmt.Sprintf(onResources, "FAIL", ""))
	model := map[string]any{}
	f.by["judge"] = func(r map[string]any) any {
		model, _ = r["requestData"].(map[string]any)["targetModel"].(map[string]any)
		return answers("SUCCESS", "", "fine")(r)
	}
	w.create("s", "Resources: {A: {Type: 'AWS::Test::Thing', Properties: {Value: one}}}")
	w.settle("s", "CREATE_COMPLETE")
	want := []string{
		"A CREATE_IN_PROGRESS My::Org::Judge HOOK_IN_PROGRESS FAIL PRE_PROVISION ",
		"A CREATE_IN_PROGRESS My::Org::Judge HOOK_COMPLETE_SUCCEEDED FAIL PRE_PROVISION Hook succeeded with message: fine",
	}
	if d := cmp.Diff(want, w.told("s")); d != "" {
		t.Error(d)
	}
	if f.caller != "hooks.cloudformation.amazonaws.com" {
		t.Errorf("the function was called as %q", f.caller)
	}

	// A refusal fails the update; the way back asks nobody.
	f.by["judge"] = func(r map[string]any) any {
		model, _ = r["requestData"].(map[string]any)["targetModel"].(map[string]any)
		return answers("FAILED", "NonCompliant", "two is too many")(r)
	}
	w.updateTo("s", "Resources: {A: {Type: 'AWS::Test::Thing', Properties: {Value: two}}}")
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	if d := cmp.Diff(map[string]any{"resourceProperties": map[string]any{"Value": "two"}, "previousResourceProperties": map[string]any{"Value": "one"}}, model); d != "" {
		t.Error(d)
	}
	want = []string{
		"A UPDATE_IN_PROGRESS My::Org::Judge HOOK_IN_PROGRESS FAIL PRE_PROVISION ",
		"A UPDATE_IN_PROGRESS My::Org::Judge HOOK_COMPLETE_FAILED FAIL PRE_PROVISION Hook failed with message: two is too many",
	}
	if d := cmp.Diff(want, w.told("s")[2:]); d != "" {
		t.Error(d)
	}
	if !slices.Contains(w.events("s"), "A UPDATE_FAILED The following hook(s) failed: [My::Org::Judge]") {
		t.Errorf("events %v", w.events("s"))
	}
	if d := cmp.Diff([]string{"create A", "update A"}, w.cloud.calls()); d != "" {
		t.Errorf("the update was not made, but taken back:\n%s", d)
	}

	// Nor is anything deleted that a hook holds.
	w.drop("s")
	w.settle("s", "DELETE_FAILED")
	if len(w.cloud.things()) != 1 {
		t.Errorf("the cloud has %v", w.cloud.things())
	}
	results, err := w.ListHookResults(w.ctx, &api.ListHookResultsInput{TargetType: "STACK", TargetId: "s", Status: "HOOK_COMPLETE_FAILED"})
	if err != nil || len(results.HookResults) != 2 {
		t.Fatalf("ListHookResults = %+v, %v", results, err)
	}
	one, err := w.GetHookResult(w.ctx, &api.GetHookResultInput{HookResultId: results.HookResults[0].HookResultId})
	if err != nil || one.Target.Action != "DELETE" || one.Target.TargetId != "A" || one.OriginalTypeName != "AWS::Hooks::LambdaHook" {
		t.Errorf("GetHookResult = %+v, %v", one, err)
	}
	_, err = w.GetHookResult(w.ctx, &api.GetHookResultInput{HookResultId: "00000000-0000-4000-8000-000000000000"})
	refused(t, err, fault.HookResultNotFound, "was not found")

	// Without the hook, it goes.
	if _, err := w.DeactivateType(w.ctx, &api.DeactivateTypeInput{Type: "HOOK", TypeName: "My::Org::Judge"}); err != nil {
		t.Fatal(err)
	}
	w.drop("s")
	w.settle(results.HookResults[0].TargetId, "DELETE_COMPLETE")
}

func TestHooksThatWarnAndWait(t *testing.T) {
	f := &judges{by: map[string]func(map[string]any) any{}}
	w := newWorld(t, f.with)
	activate(t, w.Service, w.ctx, "My::Org::Judge", fmt.Sprintf(onResources, "WARN", `,"TargetFilters":{"TargetNames":["AWS::Test::Th*"]}`))
	f.by["judge"] = func(r map[string]any) any {
		if c := r["requestContext"].(map[string]any); c["callbackContext"] == nil {
			return map[string]any{"hookStatus": "IN_PROGRESS", "callbackContext": map[string]any{"seen": true}}
		} else if c["invocation"] != float64(2) || c["callbackContext"].(map[string]any)["seen"] != true {
			return nil
		}
		return answers("FAILED", "NonCompliant", "never mind")(r)
	}
	body := "Resources: {A: {Type: 'AWS::Test::Thing'}, B: {Type: 'AWS::Test::Named', Properties: {Name: b}}}"
	set := w.changeSet("c", "CREATE", "s", body)
	hooks, err := w.DescribeChangeSetHooks(w.ctx, &api.DescribeChangeSetHooksInput{ChangeSetName: set.Id})
	if err != nil || hooks.Status != "PLANNED" || len(hooks.Hooks) != 1 || hooks.Hooks[0].TargetDetails.ResourceTargetDetails.LogicalResourceId != "A" {
		t.Errorf("DescribeChangeSetHooks = %+v, %v", hooks, err)
	}
	w.execute(set.Id)
	w.settle("s", "CREATE_COMPLETE")
	if told := w.told("s"); len(told) != 2 || !strings.HasSuffix(told[1], "HOOK_COMPLETE_FAILED WARN PRE_PROVISION Hook failed with message: never mind. Failure was ignored under WARN mode.") {
		t.Errorf("%v", told)
	}
	if d := cmp.Diff([]string{"CREATE_PRE_PROVISION AWS::Test::Thing", "CREATE_PRE_PROVISION AWS::Test::Thing"}, f.asked); d != "" {
		t.Error(d)
	}
}

// A change set's hooks are those of all its changes, however many pages
// DescribeChangeSet has of them.
func TestHooksOfManyChanges(t *testing.T) {
	f := &judges{}
	w := newWorld(t, f.with)
	activate(t, w.Service, w.ctx, "My::Org::Judge", fmt.Sprintf(onResources, "WARN", ""))
	var body strings.Builder
	body.WriteString("Resources:\n")
	for i := range 101 {
		fmt.Fprintf(&body, "  R%d: {Type: 'AWS::Test::Thing'}\n", i)
	}
	set := w.changeSet("c", "CREATE", "s", body.String())
	for only, want := range map[string]int{"": 101, "R7": 1, "None": 0} {
		hooks, err := w.DescribeChangeSetHooks(w.ctx, &api.DescribeChangeSetHooksInput{ChangeSetName: set.Id, LogicalResourceId: only})
		if err != nil || len(hooks.Hooks) != want {
			t.Errorf("only %q: %d hooks, %v, want %d", only, len(hooks.Hooks), err, want)
		}
	}
}

// A clean-up that deletes two of one resource's keeps what was said of each.
func TestHooksOfACleanUp(t *testing.T) {
	f := &judges{by: map[string]func(map[string]any) any{"judge": answers("SUCCESS", "", "fine")}}
	w := newWorld(t, f.with)
	activate(t, w.Service, w.ctx, "My::Org::Judge", fmt.Sprintf(onResources, "FAIL", `,"TargetFilters":{"Actions":["DELETE"]}`))
	body := func(name, fail string) string {
		return fmt.Sprintf("Resources:\n  A: {Type: 'AWS::Test::Thing', Properties: {Name: %s}}\n"+
			"  B: {Type: 'AWS::Test::Thing', DependsOn: A, Properties: {Value: %s, Fail: %s}}\n", name, name, fail)
	}
	w.create("s", body("a-1", "no"))
	w.settle("s", "CREATE_COMPLETE")
	w.updateTo("s", body("a-2", "update"), func(in *api.UpdateStackInput) { in.DisableRollback = yes() })
	w.settle("s", "UPDATE_FAILED")
	w.updateTo("s", body("a-3", "no"))
	w.settle("s", "UPDATE_COMPLETE")
	results, err := w.ListHookResults(w.ctx, &api.ListHookResultsInput{TargetType: "STACK", TargetId: "s"})
	if err != nil || len(results.HookResults) != 2 || results.HookResults[0].HookResultId == results.HookResults[1].HookResultId {
		t.Errorf("ListHookResults = %+v, %v", results, err)
	}
}

func TestHooksThatCannotAnswer(t *testing.T) {
	for name, fn := range map[string]func(map[string]any) any{
		"Function not found: judge (ResourceNotFoundException)":                           nil,
		`hookStatus "", which is none`:                                                    func(map[string]any) any { return map[string]any{} },
		"another clientRequestToken":                                                      func(map[string]any) any { return map[string]any{"hookStatus": "SUCCESS", "clientRequestToken": "x"} },
		"did not answer with a progress event":                                            func(map[string]any) any { return "yes" },
		"HOOK_FAILED FAIL PRE_PROVISION Hook failed with message: broken":                 answers("FAILED", "InternalFailure", "broken"),
		"HOOK_COMPLETE_FAILED FAIL PRE_PROVISION Hook failed with message: not like that": answers("FAILED", "NonCompliant", "not like that"),
	} {
		t.Run(name, func(t *testing.T) {
			f := &judges{by: map[string]func(map[string]any) any{"judge": fn}}
			w := newWorld(t, f.with)
			activate(t, w.Service, w.ctx, "My::Org::Judge", fmt.Sprintf(onResources, "FAIL", ""))
			id := w.create("s", "Resources: {A: {Type: 'AWS::Test::Thing'}}")
			w.settle(id, "ROLLBACK_COMPLETE")
			if told := w.told(id); len(told) != 2 || !strings.Contains(told[1], name) {
				t.Errorf("%v", told)
			}
			if there := w.cloud.things(); len(there) > 0 {
				t.Errorf("the cloud has %v", there)
			}
		})
	}
}

func TestHooksOfStacks(t *testing.T) {
	f := &judges{by: map[string]func(map[string]any) any{}}
	w := newWorld(t, f.with)
	activate(t, w.Service, w.ctx, "My::Org::Gate", `{"HookInvocationStatus":"ENABLED","TargetOperations":["STACK"],"FailureMode":"FAIL","Properties":{"LambdaFunction":"gate"}}`)
	handler := w.Handler()
	var payload map[string]string
	read := func(url string) int {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", url, nil))
		if rec.Code == 200 {
			b, _ := io.ReadAll(rec.Body)
			payload = map[string]string{}
			if err := json.Unmarshal(b, &payload); err != nil {
				t.Error(err)
			}
		}
		return rec.Code
	}
	url := ""
	verdict := answers("SUCCESS", "", "")
	f.by["gate"] = func(r map[string]any) any {
		url = r["requestData"].(map[string]any)["payload"].(string)
		if code := read(url); code != 200 {
			t.Errorf("the payload answers %d", code)
		}
		if code := read(url[:len(url)-1] + "x"); code != 404 {
			t.Errorf("another secret gets %d", code)
		}
		return verdict(r)
	}
	one := "Resources: {A: {Type: 'AWS::Test::Thing', Properties: {Value: one}}}"
	id := w.create("s", one)
	w.settle(id, "CREATE_COMPLETE")
	if payload["template"] != one {
		t.Errorf("the payload is %v", payload)
	}
	if code := read(url); code != 404 {
		t.Errorf("afterwards the payload answers %d", code)
	}

	verdict = answers("FAILED", "NonCompliant", "closed")
	w.updateTo("s", strings.Replace(one, "one", "two", 1))
	w.settle(id, "UPDATE_ROLLBACK_COMPLETE")
	if payload["previousTemplate"] != one || !strings.Contains(payload["template"], "two") {
		t.Errorf("the payload is %v", payload)
	}
	if !slices.Contains(w.events(id), "(stack) UPDATE_ROLLBACK_IN_PROGRESS The following hook(s) failed: [My::Org::Gate]") {
		t.Errorf("events %v", w.events(id))
	}
	w.drop("s")
	if st := w.settle(id, "DELETE_FAILED"); st.StackStatusReason != "The following hook(s) failed: [My::Org::Gate]" {
		t.Errorf("reason %q", st.StackStatusReason)
	}
	if d := cmp.Diff([]string{"create A"}, w.cloud.calls()); d != "" {
		t.Errorf("something was done:\n%s", d)
	}
	failed := w.create("t", one)
	w.settle(failed, "ROLLBACK_COMPLETE")
	if d := cmp.Diff([]string{"create A"}, w.cloud.calls()); d != "" {
		t.Errorf("something was done:\n%s", d)
	}
}

// TestHooksSurviveCrashes crashes and repeats an operation with hooks at every entry
// of its journal: each hook is told of once.
func TestHooksSurviveCrashes(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
		cl := &cloud{there: map[string]cfn.Properties{}}
		f := &judges{by: map[string]func(map[string]any) any{"judge": answers("SUCCESS", "", "fine")}}
		ctx := auth.WithToken(callContext(context.WithoutCancel(t.Context())), "the test")
		first := service(s, workflow.New(workflow.Config{Store: s}), cl, f.with)
		activate(t, first, ctx, "My::Org::Judge", `{"HookInvocationStatus":"ENABLED","TargetOperations":["RESOURCE","STACK"],"FailureMode":"FAIL","Properties":{"LambdaFunction":"judge"}}`)
		var svc *cloudformation.Service
		return workflowtest.Scenario{
			Register: func(e *workflow.Engine) { svc = service(s, e, cl, f.with) },
			Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
				begin, err := svc.BeginCreate(ctx, "s", "Resources: {A: {Type: 'AWS::Test::Thing'}}")
				if err != nil {
					return "", err
				}
				return begin(tx)
			},
			Check: func(t testing.TB, s store.Store, st workflow.Status) {
				w := &world{Service: svc, t: t, cloud: cl, store: s, ctx: ctx}
				want := []string{
					"s CREATE_IN_PROGRESS My::Org::Judge HOOK_IN_PROGRESS FAIL PRE_PROVISION ",
					"s CREATE_IN_PROGRESS My::Org::Judge HOOK_COMPLETE_SUCCEEDED FAIL PRE_PROVISION Hook succeeded with message: fine",
					"A CREATE_IN_PROGRESS My::Org::Judge HOOK_IN_PROGRESS FAIL PRE_PROVISION ",
					"A CREATE_IN_PROGRESS My::Org::Judge HOOK_COMPLETE_SUCCEEDED FAIL PRE_PROVISION Hook succeeded with message: fine",
				}
				if d := cmp.Diff(want, w.told("s")); d != "" {
					t.Error(d)
				}
				if len(cl.things()) != 1 || w.stack("s").StackStatus != "CREATE_COMPLETE" {
					t.Errorf("%s, %v", w.stack("s").StackStatus, cl.things())
				}
			},
		}
	}})
}

func TestRefusedExtensions(t *testing.T) {
	f := &judges{}
	w := newWorld(t, f.with)
	activated := func(in api.ActivateTypeInput) error {
		_, err := w.ActivateType(w.ctx, &in)
		return err
	}
	hookIn := api.ActivateTypeInput{Type: "HOOK", TypeName: "AWS::Hooks::LambdaHook", ExecutionRoleArn: hookRole}
	refused(t, activated(api.ActivateTypeInput{Type: "HOOK", TypeName: "AWS::Hooks::OtherHook"}), fault.NotImplemented, "AWS::Hooks::OtherHook")
	refused(t, activated(api.ActivateTypeInput{Type: "RESOURCE", TypeName: "Other::Org::Thing"}), fault.NotImplemented, "Other::Org::Thing")
	refused(t, activated(api.ActivateTypeInput{Type: "HOOK", TypeName: "AWS::Hooks::LambdaHook"}), fault.CFNRegistry, "ExecutionRoleArn")
	refused(t, activated(api.ActivateTypeInput{Type: "HOOK", TypeName: "AWS::Hooks::LambdaHook", ExecutionRoleArn: "arn:aws:iam::1:role/stranger"}), fault.CFNRegistry, "cannot be assumed")
	if err := activated(hookIn); err != nil {
		t.Fatal(err)
	}
	refused(t, activated(hookIn), fault.CFNRegistry, "already registered or activated")
	_, err := w.SetTypeConfiguration(w.ctx, &api.SetTypeConfigurationInput{Type: "HOOK", TypeName: "AWS::Hooks::LambdaHook",
		Configuration: `{"CloudFormationConfiguration":{"HookConfiguration":{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL"}}}`})
	refused(t, err, fault.CFNRegistry, "required key [LambdaFunction] not found")
	_, err = w.SetTypeConfiguration(w.ctx, &api.SetTypeConfigurationInput{Type: "HOOK", TypeName: "No::Such::Hook", Configuration: "{}"})
	refused(t, err, fault.TypeNotFoundException, "The type 'No::Such::Hook' cannot be found.")
	got, err := w.BatchDescribeTypeConfigurations(w.ctx, &api.BatchDescribeTypeConfigurationsInput{TypeConfigurationIdentifiers: []api.TypeConfigurationIdentifier{
		{Type: "HOOK", TypeName: "AWS::Hooks::LambdaHook"}}})
	if err != nil || len(got.Errors) != 1 || got.Errors[0].ErrorCode != fault.TypeConfigurationNotFound {
		t.Errorf("BatchDescribeTypeConfigurations = %+v, %v", got, err)
	}
	_, err = w.DescribeType(w.ctx, &api.DescribeTypeInput{})
	refused(t, err, fault.CFNRegistry, "Either Arn")
	_, err = w.DescribeType(w.ctx, &api.DescribeTypeInput{Type: "RESOURCE", TypeName: "No::Such::Type"})
	refused(t, err, fault.TypeNotFoundException, "cannot be found")
	thing, err := w.DescribeType(w.ctx, &api.DescribeTypeInput{Type: "RESOURCE", TypeName: "AWS::Test::Fixed"})
	if err != nil || thing.ProvisioningType != "IMMUTABLE" || thing.Visibility != "PUBLIC" || !strings.Contains(thing.Schema, "AWS::Test::Fixed") {
		t.Errorf("DescribeType = %+v, %v", thing, err)
	}
	one := int32(1)
	list := &api.ListTypesInput{Visibility: "PUBLIC", ProvisioningType: "FULLY_MUTABLE", MaxResults: &one, Filters: &api.TypeFilters{TypeNamePrefix: "AWS::Test::"}}
	var names []string
	for {
		out, err := w.ListTypes(w.ctx, list)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range out.TypeSummaries {
			names = append(names, s.TypeName)
		}
		if list.NextToken = out.NextToken; list.NextToken == "" {
			break
		}
	}
	if d := cmp.Diff([]string{"AWS::Test::Named", "AWS::Test::Single", "AWS::Test::Thing"}, names); d != "" {
		t.Error(d)
	}
	private, err := w.ListTypes(w.ctx, &api.ListTypesInput{Type: "HOOK", Filters: &api.TypeFilters{Category: "ACTIVATED"}})
	if err != nil || len(private.TypeSummaries) != 1 || private.TypeSummaries[0].OriginalTypeName != "AWS::Hooks::LambdaHook" {
		t.Errorf("ListTypes = %+v, %v", private, err)
	}
}
