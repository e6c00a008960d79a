package cloudformation_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

func TestDeleteFailsAndRetains(t *testing.T) {
	w := newWorld(t, nil)
	id := w.create("chain", chain)
	w.settle("chain", "CREATE_COMPLETE")
	w.cloud.delete = func(_ context.Context, r cfn.Request) error {
		if r.LogicalID == "B" {
			return fault.New("InUse", "B is in use")
		}
		return nil
	}
	_, err := w.DeleteStack(w.ctx, &api.DeleteStackInput{StackName: "chain", RetainResources: []string{"B"}})
	refused(t, err, fault.ValidationError, "DELETE_FAILED")
	w.drop("chain")
	st := w.settle(id, "DELETE_FAILED")
	if st.StackStatusReason != "The following resource(s) failed to delete: [B]. " {
		t.Errorf("reason %q", st.StackStatusReason)
	}
	if calls := w.cloud.calls(); slices.Contains(calls, "delete A") {
		t.Error("A was deleted though B, which refers to it, was not")
	}
	if _, err := w.DeleteStack(w.ctx, &api.DeleteStackInput{StackName: "chain", RetainResources: []string{"B"}}); err != nil {
		t.Fatal(err)
	}
	w.settle(id, "DELETE_COMPLETE")
	if left := w.cloud.things(); len(left) != 1 || !strings.HasPrefix(left[0], "chain-B-") {
		t.Errorf("left: %v, want B", left)
	}
	if events := w.events(id); !slices.Contains(events, "B DELETE_SKIPPED") {
		t.Errorf("events %v", events)
	}
}

func TestDeletionPolicies(t *testing.T) {
	body := `
Resources:
  Keep: {Type: 'AWS::Test::Thing', DeletionPolicy: Retain}
  Mild: {Type: 'AWS::Test::Thing', DeletionPolicy: RetainExceptOnCreate}
  Gone: {Type: 'AWS::Test::Thing', DependsOn: [Keep, Mild], Properties: {Fail: FAIL}}
`
	for _, c := range []struct {
		name, fail string
		flag       bool
		status     string
		left       []string
	}{
		{"delete", "no", false, "DELETE_COMPLETE", []string{"s-Keep-", "s-Mild-"}},
		{"rollback", "create", false, "ROLLBACK_COMPLETE", []string{"s-Keep-"}},
		{"rollback, nothing retained", "create", true, "ROLLBACK_COMPLETE", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.create("s", strings.Replace(body, "FAIL", c.fail, 1), func(in *api.CreateStackInput) {
				in.RetainExceptOnCreate = &c.flag
			})
			if c.fail == "no" {
				w.settle(id, "CREATE_COMPLETE")
				w.drop("s")
			}
			w.settle(id, c.status)
			left := w.cloud.things()
			if len(left) != len(c.left) {
				t.Fatalf("left %v, want %v", left, c.left)
			}
			for i := range left {
				if !strings.HasPrefix(left[i], c.left[i]) {
					t.Errorf("left %v, want %v", left, c.left)
				}
			}
		})
	}
}

func TestUpdateReplacePolicy(t *testing.T) {
	w := newWorld(t, nil)
	body := "Resources:\n  A: {Type: 'AWS::Test::Thing', UpdateReplacePolicy: Retain, Properties: {Name: first}}\n"
	w.create("s", body)
	w.settle("s", "CREATE_COMPLETE")
	w.updateTo("s", strings.Replace(body, "first", "second", 1))
	w.settle("s", "UPDATE_COMPLETE")
	if things := w.cloud.things(); len(things) != 2 {
		t.Errorf("things %v, want first and second", things)
	}
	if events := w.events("s"); !slices.Contains(events, "A DELETE_SKIPPED") {
		t.Errorf("events %v", events)
	}
}

// TestForcedDeletion: a stuck stack goes, and what cannot be deleted stays in the
// account and is named.
func TestForcedDeletion(t *testing.T) {
	w := newWorld(t, nil)
	id := w.create("chain", chain)
	w.settle("chain", "CREATE_COMPLETE")
	force := &api.DeleteStackInput{StackName: "chain", DeletionMode: "FORCE_DELETE_STACK"}
	_, err := w.DeleteStack(w.ctx, force)
	refused(t, err, fault.ValidationError, "only when the stack is in the DELETE_FAILED state.")
	w.cloud.delete = func(_ context.Context, r cfn.Request) error {
		if r.LogicalID == "B" {
			return fault.New("InUse", "B is in use")
		}
		return nil
	}
	w.drop("chain")
	w.settle(id, "DELETE_FAILED")
	if _, err := w.DeleteStack(w.ctx, force); err != nil {
		t.Fatal(err)
	}
	if st := w.settle(id, "DELETE_COMPLETE"); st.DeletionMode != "FORCE_DELETE_STACK" {
		t.Errorf("deletion mode %q", st.DeletionMode)
	}
	if left := w.cloud.things(); len(left) != 1 || !strings.HasPrefix(left[0], "chain-B-") {
		t.Errorf("left: %v, want B", left)
	}
	events := w.events(id)
	if i := slices.Index(events, "B DELETE_SKIPPED"); i < 1 || !strings.HasPrefix(events[i-1], "B DELETE_FAILED ") {
		t.Errorf("events %v", events)
	}
}

// TestSnapshots: a resource leaves a snapshot before it goes, whichever way it
// goes; where that fails, it stays.
func TestSnapshots(t *testing.T) {
	const body = `
Resources:
  V: {Type: 'AWS::EC2::Volume', DeletionPolicy: Snapshot, UpdateReplacePolicy: Snapshot, Properties: {Name: NAME}}
  D: {Type: 'AWS::RDS::DBCluster', UpdateReplacePolicy: Snapshot, Properties: {Name: dNAME}}
`
	named := func(name string) string { return strings.ReplaceAll(body, "NAME", name) }
	w := newWorld(t, nil)
	id := w.create("s", named("one"))
	w.settle(id, "CREATE_COMPLETE")
	w.updateTo("s", named("two"))
	w.settle(id, "UPDATE_COMPLETE")
	for _, what := range []string{"V", "D"} {
		calls := w.cloud.calls()
		snapshot, gone := slices.Index(calls, "snapshot "+what), slices.Index(calls, "delete "+what)
		if snapshot < 0 || gone < snapshot {
			t.Errorf("%s was replaced without a snapshot before: %v", what, calls)
		}
	}
	w.cloud.snapshot = func(context.Context, cfn.Request) error { return fault.New("SnapshotLimit", "too many") }
	before := len(w.cloud.calls())
	w.drop("s")
	w.settle(id, "DELETE_FAILED")
	if calls := w.cloud.calls()[before:]; len(calls) > 0 {
		t.Errorf("without a snapshot there was %v", calls)
	}
	w.cloud.snapshot = nil
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
	for _, what := range []string{"V", "D"} { // the cluster by its type's own policy
		calls := w.cloud.calls()[before:]
		if snapshot := slices.Index(calls, "snapshot "+what); snapshot < 0 || slices.Index(calls, "delete "+what) < snapshot {
			t.Errorf("%s was deleted without a snapshot before: %v", what, calls)
		}
	}
}

// TestRetainedIsInTheWay: of a type that cannot exist twice, a resource that is to
// be retained is not replaced.
func TestRetainedIsInTheWay(t *testing.T) {
	const body = "Resources:\n  A: {Type: 'AWS::Test::Single', UpdateReplacePolicy: Retain, Properties: {Name: one}}\n"
	w := newWorld(t, nil)
	id := w.create("s", body)
	w.settle(id, "CREATE_COMPLETE")
	w.updateTo("s", strings.Replace(body, "one", "two", 1))
	w.settle(id, "UPDATE_ROLLBACK_COMPLETE")
	if things := w.cloud.things(); !slices.Equal(things, []string{"one"}) {
		t.Errorf("things %v", things)
	}
}

func TestTerminationProtection(t *testing.T) {
	w := newWorld(t, nil)
	id := w.create("s", chain, func(in *api.CreateStackInput) { in.EnableTerminationProtection = yes() })
	w.settle("s", "CREATE_COMPLETE")
	_, err := w.DeleteStack(w.ctx, &api.DeleteStackInput{StackName: "s"})
	refused(t, err, fault.ValidationError, "Stack [s] cannot be deleted while TerminationProtection is enabled")
	no := false
	if _, err := w.UpdateTerminationProtection(w.ctx, &api.UpdateTerminationProtectionInput{StackName: "s", EnableTerminationProtection: &no}); err != nil {
		t.Fatal(err)
	}
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
	w.drop("s") // there is none: no error
	w.drop(id)
}

func TestDeleteDuringCreate(t *testing.T) {
	w := newWorld(t, nil)
	reached, goOn := make(chan struct{}), make(chan struct{})
	w.cloud.create = func(_ context.Context, r cfn.Request) error {
		if r.LogicalID == "A" {
			close(reached)
			<-goOn
		}
		return nil
	}
	id := w.create("chain", chain)
	<-reached
	w.drop("chain")
	if st := w.stack(id); st.StackStatus != "DELETE_IN_PROGRESS" {
		t.Errorf("status %s", st.StackStatus)
	}
	close(goOn)
	w.settle(id, "DELETE_COMPLETE")
	if left := w.cloud.things(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
