package cloudformation_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

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

const drifting = `
Parameters:
  Secret: {Type: String, NoEcho: true, Default: hush}
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: a, Value: one}}
  B: {Type: 'AWS::Test::Thing', Properties: {Name: b, Value: !Ref Secret}}
  C: {Type: 'AWS::Test::Thing', Properties: {Name: c, Size: '3'}}
`

// detect runs a detection to its end.
func (w *world) detect(name string, only ...string) *api.DescribeStackDriftDetectionStatusOutput {
	w.t.Helper()
	out, err := w.DetectStackDrift(w.ctx, &api.DetectStackDriftInput{StackName: name, LogicalResourceIds: only})
	if err != nil {
		w.t.Fatal(err)
	}
	changed := w.store.Watch(w.ctx, "cloudformation/detection/")
	for {
		st, err := w.DescribeStackDriftDetectionStatus(w.ctx, &api.DescribeStackDriftDetectionStatusInput{StackDriftDetectionId: out.StackDriftDetectionId})
		if err != nil {
			w.t.Fatal(err)
		}
		if st.DetectionStatus != "DETECTION_IN_PROGRESS" {
			return st
		}
		if st.StackDriftStatus != "" || st.DriftedStackResourceCount != nil {
			w.t.Fatalf("a detection under way says %s", st.StackDriftStatus)
		}
		<-changed
	}
}

// drifts are the resources' results: "A MODIFIED NOT_EQUAL /Value one two".
func (w *world) drifts(name string, filter ...string) []string {
	w.t.Helper()
	out, err := w.DescribeStackResourceDrifts(w.ctx, &api.DescribeStackResourceDriftsInput{StackName: name, StackResourceDriftStatusFilters: filter})
	if err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for _, d := range out.StackResourceDrifts {
		line := d.LogicalResourceId + " " + d.StackResourceDriftStatus
		for _, p := range d.PropertyDifferences {
			line += fmt.Sprintf(" %s %s %s %s", p.DifferenceType, p.PropertyPath, p.ExpectedValue, p.ActualValue)
		}
		list = append(list, line)
	}
	return list
}

func (c *cloud) set(id string, p cfn.Properties) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p == nil {
		delete(c.there, id)
		return
	}
	c.there[id] = p
}

func TestDrift(t *testing.T) {
	w := newWorld(t, nil)
	id := w.create("s", drifting)
	w.settle("s", "CREATE_COMPLETE")
	if st := w.detect("s"); st.StackDriftStatus != "IN_SYNC" || *st.DriftedStackResourceCount != 0 {
		t.Errorf("just made, the stack is %s, %d drifted: %v", st.StackDriftStatus, *st.DriftedStackResourceCount, w.drifts("s"))
	}
	// A search among some says nothing of the others.
	w.updateTo("s", strings.Replace(drifting, "'3'", "'4'", 1))
	w.settle("s", "UPDATE_COMPLETE")
	if st := w.detect("s", "A"); st.DetectionStatus != "DETECTION_COMPLETE" || st.StackDriftStatus != "NOT_CHECKED" || *st.DriftedStackResourceCount != 0 {
		t.Errorf("with one of them in sync, the stack is %s, %d drifted", st.StackDriftStatus, *st.DriftedStackResourceCount)
	}
	w.updateTo("s", drifting)
	w.settle("s", "UPDATE_COMPLETE")
	w.cloud.set("a", cfn.Properties{"Name": "a", "Value": "two"})
	w.cloud.set("b", cfn.Properties{"Name": "b", "Value": "loud"})
	w.cloud.set("c", nil)
	if st := w.detect("s", "A"); st.StackDriftStatus != "DRIFTED" || *st.DriftedStackResourceCount != 1 {
		t.Errorf("with one of them looked at, the stack is %s, %d drifted", st.StackDriftStatus, *st.DriftedStackResourceCount)
	}
	if st := w.detect("s"); st.DetectionStatus != "DETECTION_COMPLETE" || st.StackDriftStatus != "DRIFTED" || *st.DriftedStackResourceCount != 3 {
		t.Errorf("the stack is %s, %d drifted", st.StackDriftStatus, *st.DriftedStackResourceCount)
	}
	want := []string{"A MODIFIED NOT_EQUAL /Value one two", "B MODIFIED NOT_EQUAL /Value **** ****", "C DELETED"}
	if diff := cmp.Diff(want, w.drifts("s")); diff != "" {
		t.Errorf("drifts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[2:], w.drifts("s", "DELETED")); diff != "" {
		t.Errorf("filtered (-want +got):\n%s", diff)
	}
	if st := w.stack("s"); st.DriftInformation.StackDriftStatus != "DRIFTED" || st.DriftInformation.LastCheckTimestamp == nil {
		t.Errorf("the stack says %+v", st.DriftInformation)
	}
	one, err := w.DescribeStackResource(w.ctx, &api.DescribeStackResourceInput{StackName: "s", LogicalResourceId: "A"})
	if err != nil || one.StackResourceDetail.DriftInformation.StackResourceDriftStatus != "MODIFIED" {
		t.Errorf("the resource says %+v, %v", one, err)
	}

	w.cloud.set("a", cfn.Properties{"Name": "a", "Value": "one"})
	checked, err := w.DetectStackResourceDrift(w.ctx, &api.DetectStackResourceDriftInput{StackName: "s", LogicalResourceId: "A"})
	if err != nil || checked.StackResourceDrift.StackResourceDriftStatus != "IN_SYNC" {
		t.Errorf("mended, the resource is %+v, %v", checked, err)
	}

	// What was compared before an update says nothing of the stack after it.
	w.updateTo("s", drifting+"  D: {Type: 'AWS::Test::Thing'}\n")
	w.settle("s", "UPDATE_COMPLETE")
	if st := w.stack("s"); st.DriftInformation.StackDriftStatus != "NOT_CHECKED" || len(w.drifts("s")) > 0 {
		t.Errorf("after an update the stack says %+v, %v", st.DriftInformation, w.drifts("s"))
	}
	last := w.detect("s").StackDriftDetectionId
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
	_, err = w.DescribeStackDriftDetectionStatus(w.ctx, &api.DescribeStackDriftDetectionStatusInput{StackDriftDetectionId: last})
	refused(t, err, fault.ValidationError, last)
}

// TestDriftThatCannotBeSeen: a resource that cannot be read makes the detection
// fail and the stack's drift unknown; it is never called in sync.
func TestDriftThatCannotBeSeen(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", drifting)
	w.settle("s", "CREATE_COMPLETE")
	w.cloud.read = func(r cfn.Request) error {
		switch r.LogicalID {
		case "B":
			return fault.New(fault.AccessDenied, "no")
		case "C":
			panic("a type's own mistake")
		}
		return nil
	}
	st := w.detect("s")
	if st.DetectionStatus != "DETECTION_FAILED" || st.StackDriftStatus != "UNKNOWN" || st.DetectionStatusReason != "Failed to detect drift on resources [B, C]" {
		t.Errorf("the detection is %s, the stack %s: %s", st.DetectionStatus, st.StackDriftStatus, st.DetectionStatusReason)
	}
	if diff := cmp.Diff([]string{"A IN_SYNC", "B UNKNOWN", "C UNKNOWN"}, w.drifts("s")); diff != "" {
		t.Errorf("drifts (-want +got):\n%s", diff)
	}
}

func TestDriftIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.DetectStackDrift(w.ctx, &api.DetectStackDriftInput{StackName: "s"})
	refused(t, err, fault.ValidationError, "Stack [s] does not exist")
	w.create("s", failing)
	w.settle("s", "ROLLBACK_COMPLETE")
	_, err = w.DetectStackDrift(w.ctx, &api.DetectStackDriftInput{StackName: "s"})
	refused(t, err, fault.ValidationError, "while it is in ROLLBACK_COMPLETE state")
	w.create("t", drifting)
	w.settle("t", "CREATE_COMPLETE")
	_, err = w.DetectStackDrift(w.ctx, &api.DetectStackDriftInput{StackName: "t", LogicalResourceIds: []string{"A", "X", "Y"}})
	refused(t, err, fault.ValidationError, "[X, Y]")
}

// TestDetectionSurvives crashes a detection at each entry of its journal.
func TestDetectionSurvives(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
		cl := &cloud{there: map[string]cfn.Properties{}}
		ctx := auth.WithToken(callContext(context.WithoutCancel(t.Context())), "the test")
		e := workflow.New(workflow.Config{Store: s})
		w := &world{Service: service(s, e, cl, nil), t: t, cloud: cl, store: s, engine: e, ctx: ctx}
		if err := e.Start(ctx); err != nil {
			t.Fatal(err)
		}
		w.create("s", drifting)
		w.settle("s", "CREATE_COMPLETE")
		e.Stop()
		cl.set("a", cfn.Properties{"Name": "a", "Value": "two"})
		var svc *cloudformation.Service
		return workflowtest.Scenario{
			Register: func(e *workflow.Engine) { svc = service(s, e, cl, nil) },
			Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
				return svc.BeginDetection(ctx, "s")(tx)
			},
			Check: func(t testing.TB, s store.Store, st workflow.Status) {
				w := &world{Service: svc, t: t, cloud: cl, store: s, ctx: ctx}
				if st.State != workflow.Done {
					t.Errorf("the workflow is %s: %v", st.State, st.Err)
				}
				if got := w.stack("s"); got.DriftInformation.StackDriftStatus != "DRIFTED" || got.StackStatus != "CREATE_COMPLETE" {
					t.Errorf("the stack is %s, %s", got.StackStatus, got.DriftInformation.StackDriftStatus)
				}
				want := []string{"A MODIFIED NOT_EQUAL /Value one two", "B IN_SYNC", "C IN_SYNC"}
				if diff := cmp.Diff(want, w.drifts("s")); diff != "" {
					t.Errorf("drifts (-want +got):\n%s", diff)
				}
			},
		}
	}})
}
