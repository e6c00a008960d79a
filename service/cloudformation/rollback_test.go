package cloudformation_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
)

func (w *world) rollBack(name string, change ...func(*api.RollbackStackInput)) {
	w.t.Helper()
	in := &api.RollbackStackInput{StackName: name}
	for _, f := range change {
		f(in)
	}
	if _, err := w.RollbackStack(w.ctx, in); err != nil {
		w.t.Fatalf("RollbackStack: %v", err)
	}
}

// Several updates that failed and were left as they were go back at once to what was
// there before the first of them.
func TestRollbackOfSeveralUpdates(t *testing.T) {
	w := newWorld(t, nil)
	first := `
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: a-1, Value: one}}
  B: {Type: 'AWS::Test::Thing', DependsOn: A, Properties: {Value: one}}
`
	id := w.create("s", first)
	w.settle("s", "CREATE_COMPLETE")
	before := w.cloud.things()
	left := func(in *api.UpdateStackInput) { in.DisableRollback = yes() }
	w.updateTo("s", strings.NewReplacer("a-1", "a-2", "Value: one}}", "Value: two}}\n  New: {Type: 'AWS::Test::Thing', Properties: {Name: new}}", "DependsOn: A, Properties: {Value: one}", "DependsOn: [A, New], Properties: {Value: two, Fail: update}").Replace(first), left)
	w.settle("s", "UPDATE_FAILED")
	w.updateTo("s", strings.NewReplacer("a-1", "a-3", "DependsOn: A, Properties: {Value: one}", "DependsOn: A, Properties: {Value: three, Fail: update}").Replace(first), left)
	w.settle("s", "UPDATE_FAILED")
	w.rollBack("s", func(in *api.RollbackStackInput) { in.ClientRequestToken = "back" })
	w.rollBack("s", func(in *api.RollbackStackInput) { in.ClientRequestToken = "back" }) // a repetition
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	if diff := cmp.Diff(before, w.cloud.things()); diff != "" {
		t.Errorf("things (-want +got):\n%s", diff)
	}
	for name, p := range w.cloud.there {
		if p["Value"] != "one" {
			t.Errorf("%s has %v", name, p)
		}
	}
	_, err := w.RollbackStack(w.ctx, &api.RollbackStackInput{StackName: "s"})
	refused(t, err, fault.ValidationError, "is in UPDATE_ROLLBACK_COMPLETE state and can not be rolled back.")
	_, err = w.CancelUpdateStack(w.ctx, &api.CancelUpdateStackInput{StackName: "s", ClientRequestToken: "back"})
	refused(t, err, fault.CFNTokenAlreadyExists, "has been used by another operation")
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
}

// A creation that was left as it was goes back to nothing. What is to be retained
// stays, unless the call says otherwise.
func TestRollbackOfCreation(t *testing.T) {
	const body = `
Resources:
  Kept: {Type: 'AWS::Test::Thing', DeletionPolicy: Retain, Properties: {Name: kept}}
  A: {Type: 'AWS::Test::Thing', DependsOn: Kept, Properties: {Name: a}}
  B: {Type: 'AWS::Test::Thing', DependsOn: A, Properties: {Fail: create}}
`
	for _, c := range []struct {
		name   string
		except *bool
		left   []string
	}{{"retained", nil, []string{"kept"}}, {"except on create", yes(), nil}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.create("s", body, func(in *api.CreateStackInput) { in.DisableRollback = yes() })
			w.settle("s", "CREATE_FAILED")
			w.rollBack("s", func(in *api.RollbackStackInput) { in.RetainExceptOnCreate = c.except })
			w.settle("s", "ROLLBACK_COMPLETE")
			if diff := cmp.Diff(c.left, w.cloud.things()); diff != "" {
				t.Errorf("things (-want +got):\n%s", diff)
			}
		})
	}
}

// A tree whose update was left as it failed goes back as a whole, after another
// update that failed, too; or on to a version that it reaches.
func TestRollbackOfTree(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.tree()
	w.create("root", treeRoot)
	w.settle("root", "CREATE_COMPLETE")
	net, app := w.nested("root", "Net"), w.nested("root", "App")
	before := w.cloud.things()
	try := func(name, size string) {
		w.updateTo("root", treeRoot, func(in *api.UpdateStackInput) {
			in.Parameters, in.DisableRollback = given("Name", name, "Size", size), yes()
		})
	}
	for _, name := range []string{"two", "three"} {
		try(name, "xxl")
		w.settle("root", "UPDATE_FAILED")
		if is := w.stack(app.StackId).StackStatus; is != "UPDATE_FAILED" {
			t.Errorf("the nested stack that failed is %s", is)
		}
		if is := w.stack(net.StackId).StackStatus; is != "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" {
			t.Errorf("the nested stack that was well is %s", is)
		}
	}
	w.rollBack("root")
	w.settle("root", "UPDATE_ROLLBACK_COMPLETE")
	if diff := cmp.Diff(before, w.cloud.things()); diff != "" {
		t.Errorf("things (-want +got):\n%s", diff)
	}
	_, err := w.RollbackStack(w.ctx, &api.RollbackStackInput{StackName: net.StackName})
	refused(t, err, fault.ValidationError, "cannot be called on the nested stack")

	try("four", "xxl")
	w.settle("root", "UPDATE_FAILED")
	try("five", "s")
	w.settle("root", "UPDATE_COMPLETE")
	want := slices.Clone(before)
	for i := range want {
		want[i] = strings.Replace(want[i], "-one", "-five", 1)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, w.cloud.things()); diff != "" {
		t.Errorf("things (-want +got):\n%s", diff)
	}
}
