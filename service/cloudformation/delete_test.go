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
