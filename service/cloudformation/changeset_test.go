package cloudformation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
)

func (w *world) changeSet(name, kind, stack, body string) *api.CreateChangeSetOutput {
	w.t.Helper()
	out, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: stack, ChangeSetName: name, ChangeSetType: kind, TemplateBody: body})
	if err != nil {
		w.t.Fatalf("CreateChangeSet: %v", err)
	}
	return out
}

func (w *world) describeChangeSet(id string, values bool) *api.DescribeChangeSetOutput {
	w.t.Helper()
	out, err := w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{ChangeSetName: id, IncludePropertyValues: &values})
	if err != nil {
		w.t.Fatalf("DescribeChangeSet: %v", err)
	}
	return out
}

func (w *world) execute(id string) {
	w.t.Helper()
	if _, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{ChangeSetName: id}); err != nil {
		w.t.Fatalf("ExecuteChangeSet: %v", err)
	}
}

// What `aws cloudformation deploy` does: a stack in review, executed, updated,
// and once more without changes.
func TestDeploy(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.DescribeStacks(w.ctx, &api.DescribeStacksInput{StackName: "app"})
	refused(t, err, fault.ValidationError, "Stack with id app does not exist")

	first := w.changeSet("one", "CREATE", "app", pair)
	if st := w.stack("app"); st.StackStatus != "REVIEW_IN_PROGRESS" || st.StackStatusReason != "User Initiated" || st.StackId != first.StackId {
		t.Errorf("stack %+v", st)
	}
	cs := w.describeChangeSet(first.Id, false)
	if cs.Status != "CREATE_COMPLETE" || cs.ExecutionStatus != "AVAILABLE" || len(cs.Changes) != 2 {
		t.Errorf("change set %+v", cs)
	}
	if c := cs.Changes[0].ResourceChange; c.Action != "Add" || c.LogicalResourceId != "A" || c.ResourceType != "AWS::Test::Thing" || c.Scope == nil || c.Details == nil {
		t.Errorf("change %+v", c)
	}
	w.execute(first.Id)
	st := w.settle("app", "CREATE_COMPLETE")
	if st.ChangeSetId != first.Id || st.LastUpdatedTime == nil {
		t.Errorf("stack %+v", st)
	}
	if got := w.describeChangeSet(first.Id, false).ExecutionStatus; got != "EXECUTE_COMPLETE" {
		t.Errorf("execution status %s", got)
	}
	events := w.events("app")
	if diff := cmp.Diff([]string{"(stack) REVIEW_IN_PROGRESS User Initiated", "(stack) CREATE_IN_PROGRESS User Initiated"}, events[:2]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}

	second := w.changeSet("two", "UPDATE", "app", strings.Replace(pair, "Name: first", "Name: second", 1))
	changes := w.describeChangeSet(second.Id, false).Changes
	if len(changes) != 2 {
		t.Fatalf("changes %+v", changes)
	}
	a := changes[0].ResourceChange
	if a.Action != "Modify" || a.Replacement != "True" || a.PhysicalResourceId != "first" || a.PolicyAction != "ReplaceAndDelete" ||
		len(a.Details) != 1 || a.Details[0].Target.Name != "Name" || a.Details[0].Target.RequiresRecreation != "Always" {
		t.Errorf("change of A %+v", a)
	}
	if a.BeforeContext != "" || a.Details[0].Target.BeforeValue != "" {
		t.Error("values are shown though they were not asked for")
	}
	a = w.describeChangeSet(second.Id, true).Changes[0].ResourceChange
	if a.Details[0].Target.BeforeValue != "first" || a.Details[0].Target.AfterValue != "second" || !strings.Contains(a.AfterContext, `"second"`) {
		t.Errorf("change of A with values %+v %+v", a, a.Details[0].Target)
	}
	w.execute(second.Id)
	w.settle("app", "UPDATE_COMPLETE")
	if things := w.cloud.things(); len(things) != 2 || things[1] != "second" {
		t.Errorf("things %v", things)
	}

	third := w.changeSet("three", "UPDATE", "app", strings.Replace(pair, "Name: first", "Name: second", 1))
	cs = w.describeChangeSet(third.Id, false)
	if cs.Status != "FAILED" || cs.ExecutionStatus != "UNAVAILABLE" || len(cs.Changes) != 0 ||
		cs.StatusReason != "The submitted information didn't contain changes. Submit different information to create a change set." {
		t.Errorf("change set %+v", cs)
	}
	_, err = w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{ChangeSetName: third.Id})
	refused(t, err, fault.CFNInvalidChangeSetStatus, "cannot be executed in its current status of [FAILED]")
	list, err := w.ListChangeSets(w.ctx, &api.ListChangeSetsInput{StackName: "app"})
	if err != nil || len(list.Summaries) != 3 {
		t.Errorf("ListChangeSets: %v %+v", err, list)
	}
}

// As in test_create_while_in_review: the stack in review is taken over.
func TestCreateStackWhileInReview(t *testing.T) {
	w := newWorld(t, nil)
	cs := w.changeSet("cs", "CREATE", "app", pair)
	if id := w.create("app", pair); id != cs.StackId {
		t.Errorf("stack %s, want %s", id, cs.StackId)
	}
	w.settle("app", "CREATE_COMPLETE")
	if got := w.describeChangeSet(cs.Id, false).ExecutionStatus; got != "OBSOLETE" {
		t.Errorf("execution status %s", got)
	}
}

func TestChangeSetRefusals(t *testing.T) {
	w := newWorld(t, nil)
	w.create("app", pair)
	w.settle("app", "CREATE_COMPLETE")
	create := func(in api.CreateChangeSetInput) error {
		if in.TemplateBody == "" {
			in.TemplateBody = pair
		}
		_, err := w.CreateChangeSet(w.ctx, &in)
		return err
	}
	refused(t, create(api.CreateChangeSetInput{StackName: "none", ChangeSetName: "x"}), fault.ValidationError, "Stack [none] does not exist")
	refused(t, create(api.CreateChangeSetInput{StackName: "app", ChangeSetName: "x", ChangeSetType: "CREATE"}), fault.ValidationError,
		"Stack [app] already exists and cannot be created again with the changeSet [x].")
	refused(t, create(api.CreateChangeSetInput{StackName: "app", ChangeSetName: "x", ChangeSetType: "MOVE"}), fault.ValidationError, "[CREATE, UPDATE, IMPORT]")
	changed := strings.Replace(pair, "Value: one", "Value: two", 1)
	if err := create(api.CreateChangeSetInput{StackName: "app", ChangeSetName: "x", TemplateBody: changed}); err != nil {
		t.Fatal(err)
	}
	refused(t, create(api.CreateChangeSetInput{StackName: "app", ChangeSetName: "x", TemplateBody: changed}), fault.CFNAlreadyExists, "ChangeSet x already exists")

	_, err := w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{ChangeSetName: "x"})
	refused(t, err, fault.ValidationError, "StackName must be specified if ChangeSetName is not specified as an ARN.")
	_, err = w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{ChangeSetName: "y", StackName: "app"})
	refused(t, err, fault.CFNChangeSetNotFound, "ChangeSet [y] does not exist")
	_, err = w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{ChangeSetName: "y", StackName: "none"})
	refused(t, err, fault.ValidationError, "Stack [none] does not exist")
	for range 2 {
		if _, err := w.DeleteChangeSet(w.ctx, &api.DeleteChangeSetInput{ChangeSetName: "x", StackName: "app"}); err != nil {
			t.Errorf("DeleteChangeSet: %v", err)
		}
	}
}

// A stack that was only reviewed goes at once.
func TestDeleteInReview(t *testing.T) {
	w := newWorld(t, nil)
	cs := w.changeSet("cs", "CREATE", "app", pair)
	w.drop("app")
	w.settle(cs.StackId, "DELETE_COMPLETE")
	_, err := w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{ChangeSetName: cs.Id})
	refused(t, err, fault.CFNChangeSetNotFound, cs.Id)
}

// A change set executed after the stack was changed otherwise does nothing.
func TestObsoleteChangeSet(t *testing.T) {
	w := newWorld(t, nil)
	w.create("app", pair)
	w.settle("app", "CREATE_COMPLETE")
	cs := w.changeSet("cs", "UPDATE", "app", strings.Replace(pair, "Value: one", "Value: two", 1))
	w.updateTo("app", strings.Replace(pair, "Value: one", "Value: three", 1))
	w.settle("app", "UPDATE_COMPLETE")
	_, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{ChangeSetName: cs.Id})
	refused(t, err, fault.CFNInvalidChangeSetStatus, "OBSOLETE")
}

// A change set says what it would do to the stack as it is when it is kept, also
// where the stack was updated while it was being decided.
func TestChangeSetOfStackThatChangesMeanwhile(t *testing.T) {
	w := newWorld(t, nil)
	w.create("app", pair)
	w.settle("app", "CREATE_COMPLETE")
	renamed := strings.Replace(pair, "Name: first", "Name: second", 1)
	w.cloud.there["x"] = map[string]any{"Name": "x"}
	looks := 0
	w.cloud.read = func(r cfnRequest) error {
		if looks++; looks == 1 {
			w.updateTo("app", renamed)
			w.settle("app", "UPDATE_COMPLETE")
		}
		return nil
	}
	out, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{
		StackName: "app", ChangeSetName: "cs", ImportExistingResources: yes(),
		TemplateBody: renamed + "  X: {Type: 'AWS::Test::Named', DeletionPolicy: Retain, Properties: {Name: x}}\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	cs := w.describeChangeSet(out.Id, false)
	if len(cs.Changes) != 1 || cs.Changes[0].ResourceChange.LogicalResourceId != "X" || cs.ExecutionStatus != "AVAILABLE" || looks != 2 {
		t.Errorf("after %d looks, the change set is %s: %+v", looks, cs.ExecutionStatus, cs.Changes)
	}
	w.execute(out.Id)
	w.settle("app", "UPDATE_COMPLETE")
}
