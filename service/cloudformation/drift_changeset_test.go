package cloudformation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// reverting makes a drift-aware change set.
func (w *world) reverting(name, body string, params ...string) *api.DescribeChangeSetOutput {
	w.t.Helper()
	in := &api.CreateChangeSetInput{StackName: "s", ChangeSetName: name, TemplateBody: body, Parameters: given(params...), DeploymentMode: "REVERT_DRIFT"}
	out, err := w.CreateChangeSet(w.ctx, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.describeChangeSet(out.Id, true)
}

// lines are a change set's entries in text: what is done to which resource, what
// its drift is, and each detail.
func lines(cs *api.DescribeChangeSetOutput) []string {
	var out []string
	for _, ch := range cs.Changes {
		rc := ch.ResourceChange
		line := fmt.Sprintf("%s %s %s", rc.Action, rc.LogicalResourceId, rc.ResourceDriftStatus)
		for _, d := range rc.Details {
			t := d.Target
			line += fmt.Sprintf(" | %s %s %s: %s (%s) -> %s (%s)", d.ChangeSource, t.AttributeChangeType, t.Path, t.BeforeValue, t.BeforeValueFrom, t.AfterValue, t.AfterValueFrom)
			if t.Drift != nil {
				line += fmt.Sprintf(" was %s, is %s", t.Drift.PreviousValue, t.Drift.ActualValue)
			}
		}
		out = append(out, line)
	}
	return out
}

func (c *cloud) thing(id string) cfn.Properties {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.there[id]
}

const reverted = `
Parameters:
  Size: {Type: Number, Default: 3}
  Secret: {Type: String, NoEcho: true, Default: hush}
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: a, Value: one, Size: !Ref Size}}
  B: {Type: 'AWS::Test::Thing', Properties: {Name: b, Value: !Ref Secret}}
  C: {Type: 'AWS::Test::Thing', Properties: {Value: c}}
  D: {Type: 'AWS::Test::Thing', Properties: {Name: d, Value: !Ref C}}
  E: {Type: 'AWS::Test::Thing', Properties: {Name: e, Value: kept}}
`

// What was changed outside of a stack goes back, what was deleted is made again
// with what refers to it, and what the template now says as it is stays.
func TestRevertDrift(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", reverted)
	w.settle("s", "CREATE_COMPLETE")
	if cs := w.reverting("none", reverted); cs.Status != "FAILED" || !strings.Contains(cs.StatusReason, "didn't contain changes") || cs.StackDriftStatus != "IN_SYNC" || cs.DeploymentMode != "REVERT_DRIFT" {
		t.Errorf("nothing drifted, and the change set is %s: %s, %s", cs.Status, cs.StatusReason, cs.StackDriftStatus)
	}
	c := w.resource("s", "C")
	w.cloud.set("a", cfn.Properties{"Name": "a", "Value": "two", "Size": int64(8)})
	w.cloud.set("b", cfn.Properties{"Name": "b", "Value": "loud"})
	w.cloud.set(c, nil)

	cs := w.reverting("back", reverted, "Size", "8")
	want := []string{
		"Modify A MODIFIED | NoModification SyncWithActual /Properties/Size: 8 (ACTUAL_STATE) -> 8 (TEMPLATE) was 3, is 8" +
			" | DirectModification Modify /Properties/Value: two (ACTUAL_STATE) -> one (TEMPLATE) was one, is two",
		"Modify B MODIFIED | DirectModification Modify /Properties/Value: **** (ACTUAL_STATE) -> **** (TEMPLATE) was ****, is ****",
		"Add C DELETED",
		"Modify D IN_SYNC | DirectModification Modify /Properties/Value: " + c + " (ACTUAL_STATE) -> {{changeSet:KNOWN_AFTER_APPLY}} (TEMPLATE)",
	}
	if diff := cmp.Diff(want, lines(cs)); diff != "" || cs.StackDriftStatus != "DRIFTED" {
		t.Errorf("%s, changes (-want +got):\n%s", cs.StackDriftStatus, diff)
	}
	a := cs.Changes[0].ResourceChange
	if a.BeforeContext != `{"Properties":{"Name":"a","Size":"8","Value":"two"}}` || a.PreviousDeploymentContext != `{"Properties":{"Name":"a","Size":"3","Value":"one"}}` ||
		a.AfterContext != `{"Properties":{"Name":"a","Size":"8","Value":"one"}}` {
		t.Errorf("contexts %s, %s, %s", a.PreviousDeploymentContext, a.BeforeContext, a.AfterContext)
	}
	w.execute(cs.ChangeSetId)
	w.settle("s", "UPDATE_COMPLETE")
	if st := w.detect("s"); st.StackDriftStatus != "IN_SYNC" {
		t.Errorf("afterwards the stack is %s: %v", st.StackDriftStatus, w.drifts("s"))
	}
	if now := w.resource("s", "C"); now == c || w.cloud.thing("d")["Value"] != now {
		t.Errorf("C is %s, was %s, and D says %v", now, c, w.cloud.thing("d"))
	}
	if calls := strings.Join(w.cloud.calls()[5:], ", "); strings.Contains(calls, "E") || !strings.Contains(calls, "create C, update D") {
		t.Errorf("calls %s", calls)
	}
}

// What is as the new template says is not touched; only the stack's record of it
// changes, and with it what drift detection says.
func TestSyncWithActual(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", reverted)
	w.settle("s", "CREATE_COMPLETE")
	w.cloud.set("e", cfn.Properties{"Name": "e", "Value": "other"})
	calls := len(w.cloud.calls())
	cs := w.reverting("sync", strings.Replace(reverted, "kept", "other", 1))
	want := []string{"SyncWithActual E MODIFIED | NoModification SyncWithActual /Properties/Value: other (ACTUAL_STATE) -> other (TEMPLATE) was kept, is other"}
	if diff := cmp.Diff(want, lines(cs)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	w.execute(cs.ChangeSetId)
	w.settle("s", "UPDATE_COMPLETE")
	if st := w.detect("s"); st.StackDriftStatus != "IN_SYNC" || len(w.cloud.calls()) != calls {
		t.Errorf("afterwards the stack is %s; calls %v", st.StackDriftStatus, w.cloud.calls()[calls:])
	}
}

// A drift-aware update that fails leaves what was there before it, drifted as it
// was, and the stack's records say what they said.
func TestRevertDriftThatFails(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", reverted)
	w.settle("s", "CREATE_COMPLETE")
	c := w.resource("s", "C")
	w.cloud.set("a", cfn.Properties{"Name": "a", "Value": "two", "Size": int64(3)})
	w.cloud.set("e", cfn.Properties{"Name": "e", "Value": "other"})
	w.cloud.set(c, nil)
	broken := strings.Replace(reverted, "Value: kept", "Value: other, Size: 1", 1) + "  Z: {Type: 'AWS::Test::Thing', DependsOn: [A, B, D, E], Properties: {Fail: create}}\n"
	cs := w.reverting("broken", broken)
	w.execute(cs.ChangeSetId)
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	if a, e := w.cloud.thing("a"), w.cloud.thing("e"); a["Value"] != "two" || e["Value"] != "other" || e["Size"] != nil {
		t.Errorf("A is %v and E is %v", a, e)
	}
	if things := w.cloud.things(); strings.Join(things, " ") != "a b d e" || w.resource("s", "C") != c {
		t.Errorf("there are %v", things)
	}
	w.detect("s")
	if diff := cmp.Diff([]string{"A MODIFIED NOT_EQUAL /Value one two", "C DELETED", "E MODIFIED NOT_EQUAL /Value kept other"}, w.drifts("s", "MODIFIED", "DELETED")); diff != "" {
		t.Errorf("drifts (-want +got):\n%s", diff)
	}
	// And from there it can be reverted still.
	w.execute(w.reverting("again", reverted).ChangeSetId)
	w.settle("s", "UPDATE_COMPLETE")
	if st := w.detect("s"); st.StackDriftStatus != "IN_SYNC" {
		t.Errorf("afterwards the stack is %s: %v", st.StackDriftStatus, w.drifts("s"))
	}
}

// resource is a resource's physical id.
func (w *world) resource(stack, logicalID string) string {
	w.t.Helper()
	out, err := w.DescribeStackResource(w.ctx, &api.DescribeStackResourceInput{StackName: stack, LogicalResourceId: logicalID})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.StackResourceDetail.PhysicalResourceId
}

func TestRevertDriftRefusals(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "s", ChangeSetName: "cs", TemplateBody: reverted, DeploymentMode: "IGNORE"})
	refused(t, err, fault.ValidationError, "Value 'IGNORE' at 'deploymentMode' failed to satisfy constraint")
	_, err = w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{
		StackName: "s", ChangeSetName: "cs", ChangeSetType: "IMPORT", TemplateBody: reverted, DeploymentMode: "REVERT_DRIFT",
		ResourcesToImport: []api.ResourceToImport{{LogicalResourceId: "A", ResourceType: "AWS::Test::Thing", ResourceIdentifier: map[string]string{"Arn": "arn:a"}}},
	})
	refused(t, err, fault.ValidationError, "DeploymentMode cannot be specified for change sets of type IMPORT.")

	// A new stack has nothing that could have drifted.
	out, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "s", ChangeSetName: "new", ChangeSetType: "CREATE", TemplateBody: reverted, DeploymentMode: "REVERT_DRIFT"})
	if err != nil {
		t.Fatal(err)
	}
	if cs := w.describeChangeSet(out.Id, true); cs.Status != "CREATE_COMPLETE" || len(cs.Changes) != 5 || cs.DeploymentMode != "REVERT_DRIFT" || cs.StackDriftStatus != "" {
		t.Errorf("%s %s %v", cs.Status, cs.StackDriftStatus, lines(cs))
	}
	w.execute(out.Id)
	w.settle("s", "CREATE_COMPLETE")

	// What cannot be read is told, and compared with what the last operation left.
	w.cloud.read = func(r cfnRequest) error {
		if r.LogicalID == "A" {
			return fault.New("AccessDenied", "you may not look")
		}
		return nil
	}
	cs := w.reverting("blind", reverted, "Size", "5")
	want := []string{"Modify A UNKNOWN | ParameterReference Modify /Properties/Size: 3 (PREVIOUS_DEPLOYMENT_STATE) -> 5 (TEMPLATE)" +
		" | DirectModification Modify /Properties/Size: 3 (PREVIOUS_DEPLOYMENT_STATE) -> 5 (TEMPLATE)"}
	if diff := cmp.Diff(want, lines(cs)); diff != "" || cs.StackDriftStatus != "UNKNOWN" {
		t.Errorf("%s, changes (-want +got):\n%s", cs.StackDriftStatus, diff)
	}
	w.cloud.read = nil

	// The stack that was looked at is the one that is changed, or none.
	w.updateTo("s", strings.Replace(reverted, "kept", "changed", 1))
	w.settle("s", "UPDATE_COMPLETE")
	_, err = w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{ChangeSetName: cs.ChangeSetId})
	refused(t, err, fault.CFNInvalidChangeSetStatus, "cannot be executed in its current status of [OBSOLETE]")
}

const outside = `
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: a, Value: one}}
  B: {Type: 'AWS::Test::Thing', DependsOn: A, Properties: {Name: b, Value: one}}
  Z: {Type: 'AWS::Test::Thing', DependsOn: B, Properties: {Value: one}}
`

// TestRevertDriftSurvives crashes drift-aware operations at each entry of their
// journals, and repeats each of their steps.
func TestRevertDriftSurvives(t *testing.T) {
	drift := func(body string) func(w *world) {
		return func(w *world) {
			w.cloud.set("a", cfn.Properties{"Name": "a", "Value": "two"})
			w.cloud.set("b", nil)
			w.reverting("cs", body)
		}
	}
	executes := func(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error) {
		return s.BeginExecution(ctx, "s", "cs"), nil
	}
	begun := []string{
		"(stack) UPDATE_IN_PROGRESS User Initiated", "A UPDATE_IN_PROGRESS", "A UPDATE_COMPLETE",
		"B CREATE_IN_PROGRESS", "B CREATE_IN_PROGRESS Resource creation Initiated", "B CREATE_COMPLETE",
	}
	for _, c := range []flowCase{
		{name: "reached", before: outside, after: drift(outside), begin: executes, status: "UPDATE_COMPLETE", things: 3,
			events: append(slices.Clone(begun), "(stack) UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "(stack) UPDATE_COMPLETE")},
		{name: "failed", before: outside, after: drift(outside[:len(outside)-3] + ", Fail: update}}\n"), begin: executes, status: "UPDATE_ROLLBACK_COMPLETE", things: 2,
			events: append(slices.Clone(begun),
				"Z UPDATE_IN_PROGRESS", `Z UPDATE_FAILED Resource handler returned message: "the thing cannot change (InvalidThing)" (RequestToken: `,
				"(stack) UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to update: [Z].",
				"A UPDATE_IN_PROGRESS", "A UPDATE_COMPLETE", "B UPDATE_IN_PROGRESS", "B UPDATE_COMPLETE", "Z UPDATE_IN_PROGRESS", "Z UPDATE_COMPLETE",
				"(stack) UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "B DELETE_IN_PROGRESS", "B DELETE_COMPLETE", "(stack) UPDATE_ROLLBACK_COMPLETE")},
	} {
		t.Run(c.name, func(t *testing.T) { workflowtest.Check(t, workflowtest.Case{Setup: c.setup}) })
	}
}

// A failed drift-aware update that was left as it was is rolled back later to what
// there was before it.
func TestRevertDriftRolledBackLater(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", outside)
	w.settle("s", "CREATE_COMPLETE")
	w.cloud.set("a", cfn.Properties{"Name": "a", "Value": "two"})
	w.cloud.set("b", nil)
	cs := w.reverting("cs", outside[:len(outside)-3]+", Fail: update}}\n")
	if _, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{ChangeSetName: cs.ChangeSetId, DisableRollback: yes()}); err != nil {
		t.Fatal(err)
	}
	w.settle("s", "UPDATE_FAILED")
	if things := strings.Join(w.cloud.things(), " "); !strings.HasPrefix(things, "a b ") || w.cloud.thing("a")["Value"] != "one" {
		t.Errorf("there are %s, and A is %v", things, w.cloud.thing("a"))
	}
	_, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "s", ChangeSetName: "more", TemplateBody: outside, DeploymentMode: "REVERT_DRIFT"})
	refused(t, err, fault.ValidationError, "Drift detection cannot be performed on stack")
	if _, err := w.RollbackStack(w.ctx, &api.RollbackStackInput{StackName: "s"}); err != nil {
		t.Fatal(err)
	}
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	if things := strings.Join(w.cloud.things(), " "); strings.Contains(things, "b") || w.cloud.thing("a")["Value"] != "two" {
		t.Errorf("there are %s, and A is %v", things, w.cloud.thing("a"))
	}
}

// With nested stacks, drift in any of them makes change sets up to the root, and
// its execution reverts it.
func TestRevertDriftOfTrees(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.tree().file("deep", strings.Replace(treeDeep, "'}}", "', Value: v}}", 1))
	w.create("root", treeRoot)
	w.settle("root", "CREATE_COMPLETE")
	aware := func(name string) *api.DescribeChangeSetOutput {
		in := &api.CreateChangeSetInput{StackName: "root", ChangeSetName: name, TemplateBody: treeRoot, IncludeNestedStacks: yes(), DeploymentMode: "REVERT_DRIFT"}
		if _, err := w.CreateChangeSet(w.ctx, in); err != nil {
			t.Fatal(err)
		}
		return w.describeSet(name, "root")
	}
	if cs := aware("none"); cs.Status != "FAILED" || !strings.Contains(cs.StatusReason, "didn't contain changes") {
		t.Errorf("nothing drifted, and the change set is %s: %s, %v", cs.Status, cs.StatusReason, lines(cs))
	}
	w.cloud.set("deep-one", cfn.Properties{"Name": "deep-one", "Value": "drifted"})
	root := aware("revert")
	net := w.describeSet(nestedSetOf(root, "Net"), "")
	deep := w.describeSet(nestedSetOf(net, "Deep"), "")
	if len(deep.Changes) != 1 || deep.StackDriftStatus != "DRIFTED" || deep.DeploymentMode != "REVERT_DRIFT" || deep.Changes[0].ResourceChange.ResourceDriftStatus != "MODIFIED" {
		t.Errorf("the innermost change set is %+v", deep)
	}
	w.execute(root.ChangeSetId)
	w.settle("root", "UPDATE_COMPLETE")
	if now := w.cloud.thing("deep-one"); now["Value"] != "v" {
		t.Errorf("deep-one is %v", now)
	}
}
