package cloudformation_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

const moving = `
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: first}}
`

const movingFails = `
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: second}}
  B: {Type: 'AWS::Test::Thing', DependsOn: A, Properties: {Fail: create}}
`

// An association of an address ends when the address is associated anew: what a
// rollback goes back to has to be made again.
func TestRollBackToWhatItsReplacementEnded(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", moving)
	w.settle("s", "CREATE_COMPLETE")
	w.cloud.create = func(_ context.Context, r cfnRequest) error {
		w.cloud.mu.Lock()
		defer w.cloud.mu.Unlock()
		if r.Properties["Name"] == "second" {
			delete(w.cloud.there, "first")
		}
		return nil
	}
	w.updateTo("s", movingFails)
	st := w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	if got := w.cloud.things(); !slices.Equal(got, []string{"first"}) {
		t.Errorf("things %v, want the first again and the second gone", got)
	}
	w.drop("s")
	if w.settle(st.StackId, "DELETE_COMPLETE"); len(w.cloud.things()) > 0 {
		t.Errorf("left %v", w.cloud.things())
	}
}

// What was replaced by deleting it first cannot be gone back to in place.
func TestRollBackOfReplacementThatDeletedFirst(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", `Resources: {A: {Type: 'AWS::Test::Single', Properties: {Name: first}}}`)
	w.settle("s", "CREATE_COMPLETE")
	n := len(w.cloud.calls())
	w.updateTo("s", `
Resources:
  A: {Type: 'AWS::Test::Single', Properties: {Name: second}}
  B: {Type: 'AWS::Test::Thing', DependsOn: A, Properties: {Fail: create}}
`)
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	want := []string{"delete A", "create A", "delete A", "create A", "delete B"}
	if diff := cmp.Diff(want, w.cloud.calls()[n:]); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if got := w.cloud.things(); !slices.Equal(got, []string{"first"}) {
		t.Errorf("things %v", got)
	}
}

// loseTemplates stops the engine and goes on with one that finds no templates.
func (w *world) loseTemplates() {
	w.t.Helper()
	w.engine.Stop()
	err := w.store.Update(w.ctx, func(tx store.Tx) error {
		for e, err := range apply.Templates.Scan(tx, "") {
			if err != nil {
				return err
			}
			if err := apply.Templates.Delete(tx, e.Key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.engine = workflow.New(workflow.Config{Store: w.store})
	w.Service = service(w.store, w.engine, w.cloud, nil)
	if err := w.engine.Start(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.engine.Stop)
}

// An operation that a later build cannot go on with ends, and what it made can
// be deleted.
func TestOperationThatCannotGoOn(t *testing.T) {
	w := newWorld(t, nil)
	reached := make(chan struct{})
	w.cloud.create = func(ctx context.Context, r cfnRequest) error {
		if r.LogicalID != "B" {
			return nil
		}
		close(reached)
		<-ctx.Done()
		return ctx.Err()
	}
	id := w.create("s", pair)
	<-reached
	w.cloud.create = nil
	w.loseTemplates()
	w.settle("s", "CREATE_FAILED")
	w.sound()
	w.drop("s")
	if w.settle(id, "DELETE_COMPLETE"); len(w.cloud.things()) > 0 {
		t.Errorf("left %v", w.cloud.things())
	}
}
