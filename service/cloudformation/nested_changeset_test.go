package cloudformation_test

import (
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
)

func (w *world) describeSet(name, stack string) *api.DescribeChangeSetOutput {
	w.t.Helper()
	out, err := w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{ChangeSetName: name, StackName: stack})
	if err != nil {
		w.t.Fatalf("DescribeChangeSet: %v", err)
	}
	return out
}

// treeSet makes a change set of the whole tree.
func (w *world) treeSet(name, kind, body string, params ...string) *api.DescribeChangeSetOutput {
	w.t.Helper()
	in := &api.CreateChangeSetInput{StackName: "root", ChangeSetName: name, ChangeSetType: kind, TemplateBody: body, Parameters: given(params...), IncludeNestedStacks: yes()}
	if _, err := w.CreateChangeSet(w.ctx, in); err != nil {
		w.t.Fatalf("CreateChangeSet: %v", err)
	}
	return w.describeSet(name, "root")
}

// nestedSetOf finds the change set of a nested stack in another's.
func nestedSetOf(cs *api.DescribeChangeSetOutput, logicalID string) string {
	for _, ch := range cs.Changes {
		if ch.ResourceChange.LogicalResourceId == logicalID {
			return ch.ResourceChange.ChangeSetId
		}
	}
	return ""
}

func TestNestedChangeSets(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.tree()
	root := w.treeSet("first", "CREATE", treeRoot)
	net := w.describeSet(nestedSetOf(root, "Net"), "")
	deep := w.describeSet(nestedSetOf(net, "Deep"), "")
	if root.Status != "CREATE_COMPLETE" || root.ParentChangeSetId != "" || net.ParentChangeSetId != root.ChangeSetId || net.RootChangeSetId != root.ChangeSetId ||
		deep.ParentChangeSetId != net.ChangeSetId || deep.RootChangeSetId != root.ChangeSetId || !strings.HasPrefix(deep.ChangeSetName, net.ChangeSetName+"-Deep-") {
		t.Errorf("the tree is %+v, %+v, %+v", root, net, deep)
	}
	app := w.describeSet(nestedSetOf(root, "App"), "")
	if p := app.Parameters[0]; p.ParameterValue != "{{changeSet:KNOWN_AFTER_APPLY}}" {
		t.Errorf("the parameter that is not known yet is %+v", p)
	}
	if st := w.stack(deep.StackId); st.StackStatus != "REVIEW_IN_PROGRESS" || st.RootId != root.StackId {
		t.Errorf("the stack that is reviewed is %s, of %s", st.StackStatus, st.RootId)
	}
	for _, id := range []string{net.ChangeSetId, deep.ChangeSetId} {
		_, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{ChangeSetName: id})
		refused(t, err, fault.ValidationError, "is nested in")
		_, err = w.DeleteChangeSet(w.ctx, &api.DeleteChangeSetInput{ChangeSetName: id})
		refused(t, err, fault.ValidationError, "is nested in")
	}
	execute := func(id string) {
		if _, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{ChangeSetName: id}); err != nil {
			t.Fatal(err)
		}
	}
	execute(root.ChangeSetId)
	w.settle("root", "CREATE_COMPLETE")
	for _, cs := range []*api.DescribeChangeSetOutput{net, deep, app} {
		w.settle(cs.StackId, "CREATE_COMPLETE")
		if is := w.describeSet(cs.ChangeSetId, "").ExecutionStatus; is != "EXECUTE_COMPLETE" {
			t.Errorf("%s is %s", cs.ChangeSetName, is)
		}
	}

	// What changes nowhere is no change set.
	if none := w.treeSet("none", "UPDATE", treeRoot); none.Status != "FAILED" || !strings.Contains(none.StatusReason, "didn't contain changes") || len(none.Changes) > 0 {
		t.Errorf("nothing changes, and the change set is %s: %s %v", none.Status, none.StatusReason, none.Changes)
	}

	// A template that is another by now shows in its own change set, and the tree
	// becomes what was reviewed.
	w.cloud.file("deep", strings.Replace(treeDeep, "deep-$", "deeper-$", 1))
	second := w.treeSet("second", "UPDATE", treeRoot)
	net2 := w.describeSet(nestedSetOf(second, "Net"), "")
	deep2 := w.describeSet(nestedSetOf(net2, "Deep"), "")
	if len(deep2.Changes) != 1 || deep2.Changes[0].ResourceChange.LogicalResourceId != "D" || deep2.Changes[0].ResourceChange.Replacement != "True" {
		t.Errorf("changes %+v", deep2.Changes)
	}
	if nestedSetOf(second, "App") != "" {
		t.Errorf("a stack that does not change has the change set %s", nestedSetOf(second, "App"))
	}
	last := len(second.Changes) - 1
	if d := second.Changes[last].ResourceChange.Details[0]; d.ChangeSource != "Automatic" || d.Evaluation != "Dynamic" {
		t.Errorf("the root's change is %+v", d)
	}
	w.cloud.file("deep", strings.Replace(treeDeep, "deep-$", "deepest-$", 1))
	execute(second.ChangeSetId)
	w.settle("root", "UPDATE_COMPLETE")
	if things := strings.Join(w.cloud.things(), " "); !strings.Contains(things, "deeper-one") || strings.Contains(things, "deepest") {
		t.Errorf("there are %s", things)
	}
}

func TestNestedChangeSetsAreDeleted(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.tree()
	cs := w.treeSet("first", "CREATE", treeRoot)
	deep := w.describeSet(nestedSetOf(w.describeSet(nestedSetOf(cs, "Net"), ""), "Deep"), "")
	if _, err := w.DeleteChangeSet(w.ctx, &api.DeleteChangeSetInput{ChangeSetName: cs.ChangeSetId}); err != nil {
		t.Fatal(err)
	}
	_, err := w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{ChangeSetName: deep.ChangeSetId})
	refused(t, err, fault.CFNChangeSetNotFound, "does not exist")
	w.settle(deep.StackId, "DELETE_COMPLETE")

	cs = w.treeSet("again", "CREATE", treeRoot)
	net := w.describeSet(nestedSetOf(cs, "Net"), "")
	w.drop("root")
	w.settle(net.StackId, "DELETE_COMPLETE")

	w.cloud.file("deep", "Resources: {}\n")
	cs = w.treeSet("broken", "CREATE", treeRoot)
	if cs.Status != "FAILED" || !strings.HasPrefix(cs.StatusReason, "Nested change set ") {
		t.Errorf("the change set is %s: %s", cs.Status, cs.StatusReason)
	}
}

// An output that a nested stack gets by an update can be read in the same update, by
// a resource and by an output. That a condition turns its parameter shows in the
// change set, also where another parameter comes of a stack that stays as it is.
func TestOutputOfNestedStackComes(t *testing.T) {
	const root = `
Parameters: {More: {Type: String, Default: 'no'}}
Conditions: {More: !Equals [!Ref More, 'yes']}
Resources:
  Net: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: https://s3.amazonaws.com/templates/app, Parameters: {Net: n, Size: s}}}
  App:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://s3.amazonaws.com/templates/more
      Parameters: {More: !If [More, 'yes', 'no'], Net: !GetAtt Net.Outputs.Thing}
  After: {Type: 'AWS::Test::Thing', Condition: More, Properties: {Value: !GetAtt App.Outputs.More}}
Outputs: {More: {Condition: More, Value: !GetAtt App.Outputs.More}}
`
	w := newWorld(t, nil)
	w.cloud.tree().file("more", `
Parameters: {More: {Type: String}, Net: {Type: String}}
Conditions: {More: !Equals [!Ref More, 'yes']}
Resources: {A: {Type: 'AWS::Test::Thing', Properties: {Name: more}}}
Outputs: {More: {Condition: More, Value: !Ref A}}
`)
	w.create("root", root)
	w.settle("root", "CREATE_COMPLETE")
	never := strings.ReplaceAll(root, "App.Outputs.More", "App.Outputs.Never")
	w.updateTo("root", never, func(in *api.UpdateStackInput) { in.Parameters = given("More", "yes") })
	w.settle("root", "UPDATE_ROLLBACK_COMPLETE")
	if events := strings.Join(w.events("root"), "\n"); !strings.Contains(events, "Output 'Never' not found in stack") {
		t.Errorf("the events do not say which output is missing:\n%s", events)
	}

	cs := w.treeSet("more", "UPDATE", root, "More", "yes")
	if cs.Status != "CREATE_COMPLETE" || nestedSetOf(cs, "App") == "" {
		t.Fatalf("the change set is %s (%s) with %+v", cs.Status, cs.StatusReason, cs.Changes)
	}
	if _, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{ChangeSetName: cs.ChangeSetId}); err != nil {
		t.Fatal(err)
	}
	if out := w.settle("root", "UPDATE_COMPLETE").Outputs; len(out) != 1 || out[0].OutputValue != "more" {
		t.Errorf("the outputs are %+v", out)
	}
}
