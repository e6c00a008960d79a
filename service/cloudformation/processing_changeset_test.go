package cloudformation_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/transform"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// A tree whose nested template has a macro, and one whose root has.
const (
	macroRoot = `
Parameters: {Name: {Type: String, Default: inner}}
Resources:
  Net: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: https://s3.amazonaws.com/templates/net, Parameters: {Name: !Ref Name}}}
  Last: {Type: AWS::Test::Thing, DependsOn: Net, Properties: {Name: last}}
`
	plainNet = "Parameters: {Name: {Type: String}}\nResources: {N: {Type: AWS::Test::Thing, Properties: {Name: !Ref Name}}}\n"
)

func macroNet(name string) string {
	return "Transform: " + name + "\nParameters: {Name: {Type: String}}\nResources: {First: {Type: AWS::Test::Thing, Properties: {Name: first}}}\n"
}

// deciding makes a change set of a tree and waits until it is decided.
func (w *world) deciding(name, kind, body string, change ...func(*api.CreateChangeSetInput)) *api.DescribeChangeSetOutput {
	w.t.Helper()
	in := &api.CreateChangeSetInput{
		StackName: "s", ChangeSetName: name, ChangeSetType: kind, TemplateBody: body,
		IncludeNestedStacks: yes(), Capabilities: []string{"CAPABILITY_AUTO_EXPAND"},
	}
	for _, f := range change {
		f(in)
	}
	if _, err := w.CreateChangeSet(w.ctx, in); err != nil {
		w.t.Fatal(err)
	}
	return w.decided(name)
}

// The macros of nested templates run before their change sets are decided, and what
// they made is what is deployed.
func TestNestedChangeSetsWithMacros(t *testing.T) {
	w, _, calls := countedMacros(t)
	w.cloud.file("net", macroNet("Double"))
	cs := w.deciding("new", "CREATE", macroRoot)
	net := w.describeSet(nestedSetOf(cs, "Net"), "")
	if cs.Status != "CREATE_COMPLETE" || net.Status != "CREATE_COMPLETE" || len(net.Changes) != 2 || net.RootChangeSetId != cs.ChangeSetId {
		t.Fatalf("%s %s, %+v", cs.Status, cs.StatusReason, net)
	}
	if got := w.template(api.GetTemplateInput{StackName: net.StackId, ChangeSetName: net.ChangeSetId, TemplateStage: "Processed"}); !strings.Contains(got, `"Second"`) {
		t.Errorf("processed %s", got)
	}
	before := calls()
	w.execute(cs.ChangeSetId)
	w.settle("s", "CREATE_COMPLETE")
	if things := strings.Join(w.cloud.things(), " "); things != "first inner last" || calls() != before {
		t.Errorf("things %s; the macro ran %d times more", things, calls()-before)
	}
	if got := w.template(api.GetTemplateInput{StackName: net.StackId}); got != macroNet("Double") {
		t.Errorf("the original is %q", got)
	}

	// An update of the same tree, whose root has a macro by now.
	nested := strings.Replace(macroRoot, "Name: !Ref Name", "Name: nested", 1)
	cs = w.deciding("update", "UPDATE", "Transform: Double"+nested, func(in *api.CreateChangeSetInput) {
		in.Parameters = given("Name", "outer")
	})
	net = w.describeSet(nestedSetOf(cs, "Net"), "")
	if cs.Status != "CREATE_COMPLETE" || len(cs.Changes) != 2 || len(net.Changes) != 1 || net.Changes[0].ResourceChange.Replacement != "True" {
		t.Fatalf("%s %s, %+v", cs.Status, cs.StatusReason, net.Changes)
	}
	w.cloud.file("net", "Resources: {}")
	w.execute(cs.ChangeSetId)
	w.settle("s", "UPDATE_COMPLETE")
	if things := strings.Join(w.cloud.things(), " "); things != "first last nested outer" {
		t.Errorf("things %s", things)
	}
}

func TestNestedChangeSetsWithMacrosThatFail(t *testing.T) {
	w, _ := macroWorld(t)
	w.cloud.file("net", macroNet("Broken"))
	cs := w.deciding("broken", "CREATE", macroRoot)
	if want := "Failed to create the change set of nested stack Net: Transform 111111111111::Broken failed with: failed because it is a test."; cs.Status != "FAILED" || !strings.HasPrefix(cs.StatusReason, want) {
		t.Errorf("%s: %s", cs.Status, cs.StatusReason)
	}
	w.cloud.file("net", macroNet("Double"))
	cs = w.deciding("asked", "CREATE", macroRoot, func(in *api.CreateChangeSetInput) { in.Capabilities = nil })
	if cs.Status != "FAILED" || !strings.Contains(cs.StatusReason, "Requires capabilities : [CAPABILITY_AUTO_EXPAND]") {
		t.Errorf("%s: %s", cs.Status, cs.StatusReason)
	}
	w.cloud.file("net", plainNet)
	cs = w.deciding("root", "CREATE", "Transform: Broken"+macroRoot)
	if cs.Status != "FAILED" || cs.StatusReason != "Transform 111111111111::Broken failed with: failed because it is a test." {
		t.Errorf("%s: %s", cs.Status, cs.StatusReason)
	}
}

// A tree that is updated while the macros of its change set run is decided about
// from what it has become.
func TestNestedChangeSetsOfTreeThatChangesMeanwhile(t *testing.T) {
	w, letGo := macroWorld(t)
	w.cloud.file("net", plainNet)
	w.create("s", macroRoot)
	w.settle("s", "CREATE_COMPLETE")
	w.cloud.file("slow", macroNet("Slow"))
	body := strings.Replace(macroRoot, "templates/net", "templates/slow", 1)
	in := &api.CreateChangeSetInput{StackName: "s", ChangeSetName: "slow", TemplateBody: body, IncludeNestedStacks: yes(), Capabilities: []string{"CAPABILITY_AUTO_EXPAND"}}
	if _, err := w.CreateChangeSet(w.ctx, in); err != nil {
		t.Fatal(err)
	}
	if cs := w.describeSet("slow", "s"); cs.Status != "CREATE_IN_PROGRESS" {
		t.Errorf("%s", cs.Status)
	}
	_, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{StackName: "s", ChangeSetName: "slow"})
	refused(t, err, fault.CFNInvalidChangeSetStatus, "current status of [CREATE_IN_PROGRESS]")
	w.updateTo("s", macroRoot+"  More: {Type: AWS::Test::Thing, Properties: {Name: more}}\n")
	w.settle("s", "UPDATE_COMPLETE")
	letGo()
	cs := w.decided("slow")
	if removed := cs.Changes[0].ResourceChange; len(cs.Changes) != 2 || removed.LogicalResourceId != "More" || removed.Action != "Remove" || nestedSetOf(cs, "Net") == "" {
		t.Errorf("%s %s %+v", cs.Status, cs.StatusReason, cs.Changes)
	}
}

// What a tree's templates name and what is there joins the stacks of the tree; a
// change set of type IMPORT knows no trees.
func TestNestedChangeSetsImport(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.set("x", cfn.Properties{"Name": "x", "Value": "found"})
	w.cloud.file("net", "Parameters: {Name: {Type: String}}\nResources: {X: {Type: AWS::Test::Named, DeletionPolicy: Retain, Properties: {Name: x, Value: found}}}\n")
	imports := func(in *api.CreateChangeSetInput) { in.ImportExistingResources = yes() }
	cs := w.deciding("new", "CREATE", macroRoot, imports)
	net := w.describeSet(nestedSetOf(cs, "Net"), "")
	if cs.Status != "CREATE_COMPLETE" || len(net.Changes) != 1 || net.Changes[0].ResourceChange.Action != "Import" || net.Changes[0].ResourceChange.PhysicalResourceId != "x" {
		t.Fatalf("%s %s: %+v", cs.Status, cs.StatusReason, net.Changes)
	}
	w.execute(cs.ChangeSetId)
	w.settle("s", "CREATE_COMPLETE")
	if w.resource(net.StackId, "X") != "x" || w.cloud.thing("x")["Value"] != "found" || strings.Contains(strings.Join(w.cloud.calls(), " "), "create X") {
		t.Errorf("X is %v after %v", w.cloud.thing("x"), w.cloud.calls())
	}

	w.cloud.set("y", cfn.Properties{"Name": "y"})
	w.cloud.file("net", "Parameters: {Name: {Type: String}}\nResources: {Y: {Type: AWS::Test::Named, Properties: {Name: y}}}\n")
	cs = w.deciding("unretained", "UPDATE", macroRoot, imports)
	net = w.describeSet(nestedSetOf(cs, "Net"), "")
	if cs.Status != "FAILED" || !strings.Contains(net.StatusReason, "The affected resources are Y ({Name=y})") {
		t.Errorf("%s: %s; %s", cs.Status, cs.StatusReason, net.StatusReason)
	}
	_, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{
		StackName: "s", ChangeSetName: "typed", ChangeSetType: "IMPORT", TemplateBody: macroRoot, IncludeNestedStacks: yes(),
		ResourcesToImport: []api.ResourceToImport{{LogicalResourceId: "X", ResourceType: "AWS::Test::Named", ResourceIdentifier: map[string]string{"Name": "x"}}},
	})
	refused(t, err, fault.ValidationError, "IncludeNestedStacks is not supported for changeSet type: IMPORT.")
}

// countedMacros is a macroWorld that counts the calls of its functions.
func countedMacros(t *testing.T) (w *world, letGo func(), calls func() int) {
	w, letGo = macroWorld(t)
	return w, letGo, func() int {
		w.functions.mu.Lock()
		defer w.functions.mu.Unlock()
		return w.functions.calls
	}
}

// TestNestedChangeSetsSurvive crashes the decision of a tree's change sets at each
// entry of its journal: there is one of each, whatever happens.
func TestNestedChangeSetsSurvive(t *testing.T) {
	f := &functions{answer: map[string]func(transform.Request) (any, error){"double": func(r transform.Request) (any, error) {
		var fragment map[string]any
		err := json.Unmarshal(r.Fragment, &fragment)
		fragment["Resources"].(map[string]any)["Second"] = map[string]any{"Type": "AWS::Test::Thing"}
		return fragment, err
	}}}
	c := survivor{
		change: func(c *cloudformation.Config) { c.Invoke = f.invoke },
		cloud:  func(c *cloud) { c.file("net", macroNet("Double")) },
		before: func(w *world) {
			if err := w.CreateMacro(w.ctx, cfn.Macro{Name: "Double", FunctionName: "double"}); err != nil {
				t.Fatal(err)
			}
		},
		begin: func(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error) {
			return s.BeginChangeSet(ctx, &api.CreateChangeSetInput{
				StackName: "s", ChangeSetName: "cs", ChangeSetType: "CREATE", TemplateBody: macroRoot,
				IncludeNestedStacks: yes(), Capabilities: []string{"CAPABILITY_AUTO_EXPAND"},
			})
		},
		after: func(w *world) {
			cs := w.describeSet("cs", "s")
			net := w.describeSet(nestedSetOf(cs, "Net"), "")
			if cs.Status != "CREATE_COMPLETE" || net.Status != "CREATE_COMPLETE" || len(net.Changes) != 2 {
				t.Errorf("%s %s; %s %v", cs.Status, cs.StatusReason, net.Status, net.Changes)
			}
			stacks, err := w.DescribeStacks(w.ctx, &api.DescribeStacksInput{})
			if err != nil || len(stacks.Stacks) != 2 {
				t.Errorf("there are %d stacks, %v", len(stacks.Stacks), err)
			}
			sets, err := w.ListChangeSets(w.ctx, &api.ListChangeSetsInput{StackName: net.StackId})
			if err != nil || len(sets.Summaries) != 1 {
				t.Errorf("the nested stack has %d change sets, %v", len(sets.Summaries), err)
			}
		},
	}
	workflowtest.Check(t, workflowtest.Case{Setup: c.setup})
}
