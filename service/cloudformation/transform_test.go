package cloudformation_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/transform"
	"github.com/slipway/slipway/service/cloudformation"
)

func expand(in *api.CreateStackInput) { in.Capabilities = []string{"CAPABILITY_AUTO_EXPAND"} }

func (w *world) template(in api.GetTemplateInput) string {
	w.t.Helper()
	out, err := w.GetTemplate(w.ctx, &in)
	if err != nil {
		w.t.Fatal(err)
	}
	return out.TemplateBody
}

const looped = `Transform: AWS::LanguageExtensions
Parameters: {Names: {Type: CommaDelimitedList, Default: 'a,b'}, Policy: {Type: String, Default: Delete}}
Resources:
  Fn::ForEach::Things:
    - Which
    - !Ref Names
    - Thing${Which}:
        Type: AWS::Test::Thing
        DeletionPolicy: !Ref Policy
        Properties: {Name: !Ref Which, Value: !ToJsonString {Name: !Ref Which}}
  Last: {Type: AWS::Test::Thing, Properties: {Value: !ToJsonString {Id: !GetAtt Thinga.Arn}, Size: !Length [!Ref Thinga, 2]}}
Outputs:
  Fn::ForEach::Os: [Which, !Ref Names, {'Arn${Which}': {Value: !GetAtt [!Sub 'Thing${Which}', Arn]}}]
  Text: {Value: !GetAtt Last.Arn}
`

// A template with loops is processed, kept as it was beside that, and processed
// again when it is deployed with other parameters.
func TestLanguageExtensions(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: looped})
	refused(t, err, "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_AUTO_EXPAND]")
	w.create("s", looped, expand)
	st := w.settle("s", "CREATE_COMPLETE")
	outputs := map[string]string{}
	for _, o := range st.Outputs {
		outputs[o.OutputKey] = o.OutputValue
	}
	if outputs["Arna"] != "arn:a" || outputs["Arnb"] != "arn:b" {
		t.Errorf("outputs %v", outputs)
	}
	w.cloud.mu.Lock()
	for id, p := range w.cloud.there {
		if strings.HasPrefix(id, "s-Last") && (p["Value"] != `{"Id":"arn:a"}` || p["Size"] != int64(2)) {
			t.Errorf("the last thing has %v", p)
		}
		if id == "a" && p["Value"] != `{"Name":"a"}` {
			t.Errorf("thing a has %v", p)
		}
	}
	w.cloud.mu.Unlock()
	if got := w.template(api.GetTemplateInput{StackName: "s"}); got != looped {
		t.Errorf("the original is %s", got)
	}
	processed := w.template(api.GetTemplateInput{StackName: "s", TemplateStage: "Processed"})
	if !strings.Contains(processed, `"Thinga":{"Type":"AWS::Test::Thing","DeletionPolicy":"Delete","Properties":{"Name":"a","Value":"{\"Name\":\"a\"}"}}`) || strings.Contains(processed, "Transform") {
		t.Errorf("processed: %s", processed)
	}
	w.updateTo("s", "", func(in *api.UpdateStackInput) {
		in.UsePreviousTemplate, in.Capabilities = yes(), []string{"CAPABILITY_AUTO_EXPAND"}
		in.Parameters = []api.Parameter{{ParameterKey: "Names", ParameterValue: "a,c"}}
	})
	w.settle("s", "UPDATE_COMPLETE")
	if got := strings.Join(w.cloud.things(), " "); !strings.Contains(got, "a c s-Last") {
		t.Errorf("things %s", got)
	}
	w.drop("s")
	w.settle(st.StackId, "DELETE_COMPLETE")
	if got := w.template(api.GetTemplateInput{StackName: st.StackId}); got != looped {
		t.Errorf("the deleted stack's original is %s", got)
	}
}

// What a template with transforms declares is told without running them.
func TestDeclaredTransforms(t *testing.T) {
	w := newWorld(t, nil)
	const body = `Transform: [Mine, AWS::LanguageExtensions]
Parameters: {P: {Type: String}}
Resources: {A: {Type: AWS::Test::Thing, Count: 3, Properties: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://b/k}}}}}`
	valid, err := w.ValidateTemplate(w.ctx, &api.ValidateTemplateInput{TemplateBody: body})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(valid.DeclaredTransforms, " "); got != "AWS::Include Mine AWS::LanguageExtensions" || len(valid.Parameters) != 1 || strings.Join(valid.Capabilities, " ") != "CAPABILITY_AUTO_EXPAND" {
		t.Errorf("%+v", valid)
	}
	summary, err := w.GetTemplateSummary(w.ctx, &api.GetTemplateSummaryInput{TemplateBody: body})
	if err != nil || strings.Join(summary.DeclaredTransforms, " ") != "AWS::Include Mine AWS::LanguageExtensions" || strings.Join(summary.ResourceTypes, " ") != "AWS::Test::Thing" {
		t.Errorf("%+v %v", summary, err)
	}
	_, err = w.ValidateTemplate(w.ctx, &api.ValidateTemplateInput{TemplateBody: "Transform: {Name: {Ref: X}}\nResources: {A: {Type: AWS::Test::Thing}}"})
	refused(t, err, "ValidationError", "Key Name of transform definition must be a string.")
	_, err = w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", Capabilities: []string{"CAPABILITY_AUTO_EXPAND"},
		TemplateBody: "Transform: AWS::Serverless-2016-10-31\nResources: {A: {Type: AWS::Serverless::Function}}"})
	refused(t, err, "ValidationError", "Transform AWS::Serverless-2016-10-31 is not implemented")
}

// functions is what macros run on: each function answers from the fragment.
type functions struct {
	mu     sync.Mutex
	answer map[string]func(r transform.Request) (any, error)
	calls  int
}

func (f *functions) invoke(_ context.Context, function string, payload []byte) ([]byte, error) {
	f.mu.Lock()
	answer := f.answer[function]
	f.calls++
	f.mu.Unlock()
	if answer == nil {
		return nil, errors.New("no such function")
	}
	var r transform.Request
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, err
	}
	v, err := answer(r)
	if err != nil {
		return nil, err
	}
	if text, failed := v.(failed); failed {
		return json.Marshal(map[string]any{"requestId": r.RequestID, "status": "failure", "errorMessage": string(text)})
	}
	return json.Marshal(map[string]any{"requestId": r.RequestID, "status": "success", "fragment": v})
}

type failed string

// macroWorld is a world with the macros Double (makes a second thing), Broken and
// Slow (waits until let go).
func macroWorld(t *testing.T) (w *world, letGo func()) {
	gate := make(chan struct{})
	var once sync.Once
	letGo = func() { once.Do(func() { close(gate) }) }
	f := &functions{}
	double := func(r transform.Request) (any, error) {
		var fragment map[string]any
		if err := json.Unmarshal(r.Fragment, &fragment); err != nil {
			return nil, err
		}
		fragment["Resources"].(map[string]any)["Second"] = map[string]any{"Type": "AWS::Test::Thing", "Properties": map[string]any{"Name": r.TemplateParameterValues["Name"]}}
		return fragment, nil
	}
	f.answer = map[string]func(transform.Request) (any, error){
		"double": double,
		"broken": func(transform.Request) (any, error) { return failed("failed because it is a test"), nil },
		"slow": func(r transform.Request) (any, error) {
			<-gate
			return double(r)
		},
		"text": func(transform.Request) (any, error) { return "text", nil },
	}
	w = newWorld(t, func(c *cloudformation.Config) { c.Invoke = f.invoke })
	w.functions = f
	t.Cleanup(letGo)
	for name, function := range map[string]string{"Double": "double", "Broken": "broken", "Slow": "slow", "Text": "text", "Down": "down"} {
		if err := w.CreateMacro(w.ctx, cfn.Macro{Name: name, FunctionName: function}); err != nil {
			t.Fatal(err)
		}
	}
	return w, letGo
}

func withMacro(name string) string {
	return "Transform: " + name + "\nParameters: {Name: {Type: String, Default: second}}\nResources: {First: {Type: AWS::Test::Thing, Properties: {Name: first}}}"
}

func TestMacroStacks(t *testing.T) {
	w, _ := macroWorld(t)
	_, err := w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: withMacro("Double")})
	refused(t, err, "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_AUTO_EXPAND]")
	w.create("s", withMacro("Double"), expand)
	w.settle("s", "CREATE_COMPLETE")
	if got := strings.Join(w.cloud.things(), " "); got != "first second" {
		t.Errorf("things %s", got)
	}
	events := w.events("s")
	if events[0] != "(stack) CREATE_IN_PROGRESS User Initiated" || events[1] != "(stack) CREATE_IN_PROGRESS Transformation succeeded" {
		t.Errorf("events %q", events)
	}
	w.updateTo("s", "", func(in *api.UpdateStackInput) {
		in.UsePreviousTemplate, in.Capabilities = yes(), []string{"CAPABILITY_AUTO_EXPAND"}
		in.Parameters = []api.Parameter{{ParameterKey: "Name", ParameterValue: "other"}}
	})
	w.settle("s", "UPDATE_COMPLETE")
	if got := strings.Join(w.cloud.things(), " "); got != "first other" {
		t.Errorf("things %s", got)
	}
	// An update whose macro fails leaves the stack as it is.
	w.updateTo("s", withMacro("Broken"), func(in *api.UpdateStackInput) { in.Capabilities = []string{"CAPABILITY_AUTO_EXPAND"} })
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	if got := strings.Join(w.events("s"), "\n"); !strings.Contains(got, "UPDATE_ROLLBACK_IN_PROGRESS Transform 111111111111::Broken failed with: failed because it is a test.") {
		t.Error(got)
	}
	if got := w.template(api.GetTemplateInput{StackName: "s"}); got != withMacro("Double") {
		t.Errorf("the original is %s", got)
	}
	if got := strings.Join(w.cloud.things(), " "); got != "first other" {
		t.Errorf("things %s", got)
	}
	// One that changes nothing says so.
	w.updateTo("s", "", func(in *api.UpdateStackInput) {
		in.UsePreviousTemplate, in.Capabilities = yes(), []string{"CAPABILITY_AUTO_EXPAND"}
		in.Parameters = []api.Parameter{{ParameterKey: "Name", UsePreviousValue: yes()}}
	})
	if st := w.settle("s", "UPDATE_COMPLETE"); st.StackStatusReason != "No updates are to be performed." {
		t.Errorf("reason %q", st.StackStatusReason)
	}
}

// The events of creations whose macros fail are those that AWS was recorded to give.
func TestMacroFailures(t *testing.T) {
	w, _ := macroWorld(t)
	for _, c := range []struct{ macro, status, event string }{
		{"Broken", "ROLLBACK_COMPLETE", "ROLLBACK_IN_PROGRESS Transform 111111111111::Broken failed with: failed because it is a test. Rollback requested by user."},
		{"Text", "ROLLBACK_COMPLETE", "ROLLBACK_IN_PROGRESS Template format error: unsupported structure.. Rollback requested by user."},
		{"Nobody", "ROLLBACK_COMPLETE", "ROLLBACK_IN_PROGRESS No transform named 111111111111::Nobody found.. Rollback requested by user."},
		{"Down", "ROLLBACK_COMPLETE", "ROLLBACK_IN_PROGRESS Transforms failed: an internal error; Slipway's log has its text. Rollback requested by user."},
	} {
		w.create(c.macro, withMacro(c.macro), expand)
		w.settle(c.macro, c.status)
		if got := strings.Join(w.events(c.macro), "\n"); !strings.Contains(got, "(stack) "+c.event) {
			t.Errorf("%s:\n%s", c.macro, got)
		}
		w.drop(c.macro)
	}
	w.create("kept", withMacro("Broken"), expand, func(in *api.CreateStackInput) { in.OnFailure = "DO_NOTHING" })
	w.settle("kept", "CREATE_FAILED")
	id := w.create("gone", withMacro("Broken"), expand, func(in *api.CreateStackInput) { in.OnFailure = "DELETE" })
	w.settle(id, "DELETE_COMPLETE")
	if got := w.cloud.things(); len(got) > 0 {
		t.Errorf("things %s", got)
	}
}

// A stack can be given up while its macros run.
func TestMacroGivenUp(t *testing.T) {
	w, letGo := macroWorld(t)
	id := w.create("s", withMacro("Slow"), expand)
	if got := w.template(api.GetTemplateInput{StackName: "s"}); got != withMacro("Slow") {
		t.Errorf("the original is %q", got)
	}
	w.drop("s")
	w.create("other", withMacro("Double"), expand, func(in *api.CreateStackInput) {
		in.Parameters = []api.Parameter{{ParameterKey: "Name", ParameterValue: "o"}}
	})
	w.settle("other", "CREATE_COMPLETE")
	w.updateTo("other", withMacro("Slow"), func(in *api.UpdateStackInput) { in.Capabilities = []string{"CAPABILITY_AUTO_EXPAND"} })
	if _, err := w.CancelUpdateStack(w.ctx, &api.CancelUpdateStackInput{StackName: "other"}); err != nil {
		t.Fatal(err)
	}
	letGo()
	w.settle(id, "DELETE_COMPLETE")
	w.settle("other", "UPDATE_ROLLBACK_COMPLETE")
	if got := strings.Join(w.cloud.things(), " "); got != "first o" {
		t.Errorf("things %s", got)
	}
}

func (w *world) decided(name string) *api.DescribeChangeSetOutput {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		out, err := w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{StackName: "s", ChangeSetName: name})
		if err != nil {
			w.t.Fatal(err)
		}
		if out.Status != "CREATE_IN_PROGRESS" {
			return out
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("change set %s stays in progress", name)
		}
		time.Sleep(time.Millisecond)
	}
}

// Change sets need no capability for macros, tell when they fail, and are executed
// as they were processed.
func TestMacroChangeSets(t *testing.T) {
	w, letGo := macroWorld(t)
	propose := func(name, body string) {
		t.Helper()
		if _, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "s", ChangeSetName: name, ChangeSetType: "CREATE", TemplateBody: body}); err != nil {
			t.Fatal(err)
		}
	}
	propose("broken", withMacro("Broken"))
	if cs := w.decided("broken"); cs.Status != "FAILED" || cs.StatusReason != "Transform 111111111111::Broken failed with: failed because it is a test." {
		t.Errorf("%s %s", cs.Status, cs.StatusReason)
	}
	propose("layout", "Transform: AWS::LanguageExtensions\nResources: {Fn::ForEach::X: [a]}")
	if cs := w.decided("layout"); cs.Status != "FAILED" || cs.StatusReason != "Transform AWS::LanguageExtensions failed with: Fn::ForEach::X layout is incorrect" {
		t.Errorf("%s %s", cs.Status, cs.StatusReason)
	}
	propose("slow", withMacro("Slow"))
	_, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{StackName: "s", ChangeSetName: "slow"})
	refused(t, err, "InvalidChangeSetStatus", "cannot be executed in its current status of [CREATE_IN_PROGRESS]")
	letGo()
	if cs := w.decided("slow"); cs.Status != "CREATE_COMPLETE" || len(cs.Changes) != 2 {
		t.Fatalf("%+v", cs)
	}
	if got := w.template(api.GetTemplateInput{StackName: "s", ChangeSetName: "slow", TemplateStage: "Processed"}); !strings.Contains(got, `"Second"`) {
		t.Errorf("processed %s", got)
	}
	if _, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{StackName: "s", ChangeSetName: "slow"}); err != nil {
		t.Fatal(err)
	}
	w.settle("s", "CREATE_COMPLETE")
	if got := strings.Join(w.cloud.things(), " "); got != "first second" {
		t.Errorf("things %s", got)
	}
	if got := w.template(api.GetTemplateInput{StackName: "s"}); got != withMacro("Slow") {
		t.Errorf("the original is %q", got)
	}
}

// A change set whose macros run while the stack is updated is decided from what the
// stack has become.
func TestMacroChangeSetOfStackThatChangesMeanwhile(t *testing.T) {
	w, letGo := macroWorld(t)
	plain := "Resources: {First: {Type: AWS::Test::Thing, Properties: {Name: first}}}"
	w.create("s", plain)
	w.settle("s", "CREATE_COMPLETE")
	if _, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "s", ChangeSetName: "slow", TemplateBody: withMacro("Slow")}); err != nil {
		t.Fatal(err)
	}
	w.updateTo("s", strings.Replace(plain, "first}}", "first}}, Second: {Type: AWS::Test::Thing, Properties: {Name: second, Value: old}}", 1))
	w.settle("s", "UPDATE_COMPLETE")
	letGo()
	cs := w.decided("slow")
	if len(cs.Changes) != 1 || cs.Changes[0].ResourceChange.Action != "Modify" || cs.Changes[0].ResourceChange.LogicalResourceId != "Second" {
		t.Errorf("%s %s %+v", cs.Status, cs.StatusReason, cs.Changes)
	}
}
