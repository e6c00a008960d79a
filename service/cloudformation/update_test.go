package cloudformation_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

const pair = `
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: first, Value: one}}
  B: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref A}}
`

func since(events []string, n int) []string { return trimTokens(events[n:]) }

func TestNoUpdates(t *testing.T) {
	w := newWorld(t, nil)
	w.create("pair", pair)
	w.settle("pair", "CREATE_COMPLETE")
	_, err := w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "pair", TemplateBody: pair})
	refused(t, err, fault.ValidationError, "No updates are to be performed.")
	_, err = w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "nobody", TemplateBody: pair})
	refused(t, err, fault.ValidationError, "Stack [nobody] does not exist")
	w.updateTo("pair", pair+"Outputs:\n  Out: {Value: !Ref A}\n")
	if st := w.settle("pair", "UPDATE_COMPLETE"); len(st.Outputs) != 1 {
		t.Errorf("outputs %v", st.Outputs)
	}
}

// As in test_change_set_ref's recording of a replacement.
func TestUpdateReplaces(t *testing.T) {
	w := newWorld(t, nil)
	w.create("pair", pair)
	w.settle("pair", "CREATE_COMPLETE")
	n := len(w.events("pair"))
	w.updateTo("pair", strings.Replace(pair, "Name: first", "Name: second", 1))
	w.settle("pair", "UPDATE_COMPLETE")
	want := []string{
		"(stack) UPDATE_IN_PROGRESS User Initiated",
		"A UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one.",
		"A UPDATE_IN_PROGRESS Resource creation Initiated",
		"A UPDATE_COMPLETE",
		"B UPDATE_IN_PROGRESS",
		"B UPDATE_COMPLETE",
		"(stack) UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
		"A DELETE_IN_PROGRESS",
		"A DELETE_COMPLETE",
		"(stack) UPDATE_COMPLETE",
	}
	if diff := cmp.Diff(want, since(w.events("pair"), n)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	things := w.cloud.things()
	if len(things) != 2 || things[1] != "second" {
		t.Errorf("things %v", things)
	}
	if v := w.cloud.there[things[0]]["Value"]; v != "second" {
		t.Errorf("B refers to %v", v)
	}
}

// The failed update changes A in place, replaces nothing yet, adds D, and fails
// at B: everything goes back.
func TestUpdateRollsBack(t *testing.T) {
	w := newWorld(t, nil)
	w.create("pair", pair)
	w.settle("pair", "CREATE_COMPLETE")
	before := w.cloud.things()
	n := len(w.events("pair"))
	w.updateTo("pair", `
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: second, Value: two}}
  D: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref A}}
  B: {Type: 'AWS::Test::Thing', DependsOn: D, Properties: {Value: !Ref A, Fail: update}}
`)
	st := w.settle("pair", "UPDATE_ROLLBACK_COMPLETE")
	want := []string{
		"(stack) UPDATE_IN_PROGRESS User Initiated",
		"A UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one.",
		"A UPDATE_IN_PROGRESS Resource creation Initiated",
		"A UPDATE_COMPLETE",
		"D CREATE_IN_PROGRESS",
		"D CREATE_IN_PROGRESS Resource creation Initiated",
		"D CREATE_COMPLETE",
		"B UPDATE_IN_PROGRESS",
		`B UPDATE_FAILED Resource handler returned message: "the thing cannot change (InvalidThing)" (RequestToken: `,
		"(stack) UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to update: [B].",
		"A UPDATE_IN_PROGRESS", "A UPDATE_COMPLETE",
		"B UPDATE_IN_PROGRESS", "B UPDATE_COMPLETE",
		"(stack) UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
		"D DELETE_IN_PROGRESS", "D DELETE_COMPLETE",
		"A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
		"(stack) UPDATE_ROLLBACK_COMPLETE",
	}
	if diff := cmp.Diff(want, since(w.events("pair"), n)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, w.cloud.things()); diff != "" {
		t.Errorf("things (-before +after):\n%s", diff)
	}
	if st.StackStatusReason != "" {
		t.Errorf("reason %q", st.StackStatusReason)
	}
	_, err := w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "pair", TemplateBody: pair})
	refused(t, err, fault.ValidationError, "No updates are to be performed.")
	w.drop("pair")
	if w.settle(st.StackId, "DELETE_COMPLETE"); len(w.cloud.things()) > 0 {
		t.Errorf("left %v", w.cloud.things())
	}
}

func TestRollbackFailsAndContinues(t *testing.T) {
	w := newWorld(t, nil)
	w.create("pair", pair)
	w.settle("pair", "CREATE_COMPLETE")
	broken := true
	w.cloud.update = func(context.Context, cfn.Request) error {
		if broken {
			return fault.New("InvalidThing", "broken")
		}
		return nil
	}
	w.updateTo("pair", strings.Replace(pair, "Value: one", "Value: two", 1))
	w.settle("pair", "UPDATE_ROLLBACK_FAILED")
	_, err := w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "pair", TemplateBody: pair})
	refused(t, err, fault.ValidationError, "is in UPDATE_ROLLBACK_FAILED state and can not be updated.")
	broken = false
	if _, err := w.ContinueUpdateRollback(w.ctx, &api.ContinueUpdateRollbackInput{StackName: "pair"}); err != nil {
		t.Fatal(err)
	}
	w.settle("pair", "UPDATE_ROLLBACK_COMPLETE")
	if v := w.cloud.there["first"]["Value"]; v != "one" {
		t.Errorf("A has %v", v)
	}
}

func TestContinueUpdateRollbackSkips(t *testing.T) {
	w := newWorld(t, nil)
	w.create("pair", pair)
	w.settle("pair", "CREATE_COMPLETE")
	w.cloud.update = func(context.Context, cfn.Request) error { return fault.New("InvalidThing", "broken") }
	w.updateTo("pair", strings.Replace(pair, "Value: one", "Value: two", 1))
	w.settle("pair", "UPDATE_ROLLBACK_FAILED")
	_, err := w.ContinueUpdateRollback(w.ctx, &api.ContinueUpdateRollbackInput{StackName: "pair", ResourcesToSkip: []string{"Z"}})
	refused(t, err, fault.ValidationError, "cannot be skipped")
	if _, err := w.ContinueUpdateRollback(w.ctx, &api.ContinueUpdateRollbackInput{StackName: "pair", ResourcesToSkip: []string{"A"}}); err != nil {
		t.Fatal(err)
	}
	w.settle("pair", "UPDATE_ROLLBACK_COMPLETE")
}

func TestUpdateWithoutRollback(t *testing.T) {
	w := newWorld(t, nil)
	w.create("pair", pair)
	w.settle("pair", "CREATE_COMPLETE")
	bad := strings.Replace(pair, "Value: one", "Value: two, Fail: update", 1)
	w.updateTo("pair", bad, func(in *api.UpdateStackInput) { in.DisableRollback = yes() })
	st := w.settle("pair", "UPDATE_FAILED")
	if !strings.Contains(st.StackStatusReason, "failed to update: [A]") {
		t.Errorf("reason %q", st.StackStatusReason)
	}
	// The same template again is tried again, since A never got there.
	w.updateTo("pair", strings.Replace(pair, "Value: one", "Value: two", 1))
	w.settle("pair", "UPDATE_COMPLETE")
	if v := w.cloud.there["first"]["Value"]; v != "two" {
		t.Errorf("A has %v", v)
	}
}

// A type without Update is replaced by every change.
func TestUpdateOfFixedReplaces(t *testing.T) {
	w := newWorld(t, nil)
	body := "Resources:\n  F: {Type: 'AWS::Test::Fixed', Properties: {Value: one}}\n"
	w.create("fixed", body)
	w.settle("fixed", "CREATE_COMPLETE")
	first := w.cloud.things()[0]
	w.updateTo("fixed", strings.Replace(body, "one", "two", 1))
	w.settle("fixed", "UPDATE_COMPLETE")
	if things := w.cloud.things(); len(things) != 1 || things[0] == first {
		t.Errorf("things %v, first was %s", things, first)
	}
}

func TestCleanupFailureIsTold(t *testing.T) {
	w := newWorld(t, nil)
	id := w.create("pair", pair)
	w.settle("pair", "CREATE_COMPLETE")
	stuck := true
	w.cloud.delete = func(context.Context, cfn.Request) error {
		if stuck {
			return fault.New("InUse", "in use")
		}
		return nil
	}
	w.updateTo("pair", "Resources:\n  A: {Type: 'AWS::Test::Thing', Properties: {Name: second, Value: one}}\n")
	st := w.settle("pair", "UPDATE_COMPLETE")
	if !strings.Contains(st.StackStatusReason, "could not be deleted") {
		t.Errorf("reason %q", st.StackStatusReason)
	}
	// What was left is still the stack's: its deletion takes it along.
	stuck = false
	w.drop("pair")
	w.settle(id, "DELETE_COMPLETE")
	if left := w.cloud.things(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCancelUpdateStack(t *testing.T) {
	w := newWorld(t, nil)
	w.create("pair", pair)
	w.settle("pair", "CREATE_COMPLETE")
	_, err := w.CancelUpdateStack(w.ctx, &api.CancelUpdateStackInput{StackName: "pair"})
	refused(t, err, fault.ValidationError, "CancelUpdateStack cannot be called from current stack status")
	reached, goOn := make(chan struct{}), make(chan struct{})
	first := true
	w.cloud.update = func(ctx context.Context, r cfn.Request) error {
		if first && r.LogicalID == "A" {
			first = false
			close(reached)
			<-goOn
		}
		return nil
	}
	w.updateTo("pair", "Resources:\n  A: {Type: 'AWS::Test::Thing', Properties: {Name: first, Value: two}}\n  B: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref A, Size: 5}, DependsOn: A}\n")
	<-reached
	_, err = w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "pair", TemplateBody: pair})
	refused(t, err, fault.ValidationError, "is in UPDATE_IN_PROGRESS state and can not be updated.")
	_, err = w.DeleteStack(w.ctx, &api.DeleteStackInput{StackName: "pair"})
	refused(t, err, fault.ValidationError, "cannot be deleted while in status UPDATE_IN_PROGRESS")
	if _, err := w.CancelUpdateStack(w.ctx, &api.CancelUpdateStackInput{StackName: "pair"}); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	w.settle("pair", "UPDATE_ROLLBACK_COMPLETE")
	if v := w.cloud.there["first"]["Value"]; v != "one" {
		t.Errorf("A has %v", v)
	}
	for _, c := range w.cloud.calls() {
		if c == "update B" {
			t.Error("B was begun after the update was cancelled")
		}
	}
}

// An error without a code is tried again.
func TestTransientErrorsAreRetried(t *testing.T) {
	w := newWorld(t, nil)
	tries := 0
	w.cloud.create = func(context.Context, cfn.Request) error {
		if tries++; tries < 3 {
			return errors.New("the connection broke")
		}
		return nil
	}
	w.create("one", "Resources:\n  A: {Type: 'AWS::Test::Thing'}\n")
	w.settle("one", "CREATE_COMPLETE")
	if tries != 3 {
		t.Errorf("%d tries", tries)
	}
}

func TestTagsReachResources(t *testing.T) {
	w := newWorld(t, nil)
	seen := make(chan map[string]string, 4)
	w.cloud.create = func(_ context.Context, r cfn.Request) error { seen <- r.Tags; return nil }
	w.cloud.update = w.cloud.create
	id := w.create("one", "Resources:\n  A: {Type: 'AWS::Test::Thing'}\n", func(in *api.CreateStackInput) { in.Tags = []api.Tag{{Key: "team", Value: "x"}} })
	w.settle("one", "CREATE_COMPLETE")
	want := map[string]string{"team": "x", "aws:cloudformation:stack-name": "one", "aws:cloudformation:stack-id": id, "aws:cloudformation:logical-id": "A"}
	if diff := cmp.Diff(want, <-seen); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	w.updateTo("one", "", func(in *api.UpdateStackInput) {
		in.UsePreviousTemplate = yes()
		in.Tags = []api.Tag{{Key: "team", Value: "y"}}
	})
	w.settle("one", "UPDATE_COMPLETE")
	if got := <-seen; got["team"] != "y" {
		t.Errorf("tags %v", got)
	}
}

// Tags and metadata go back, too, though no property tells them.
func TestTagsAndMetadataRollBack(t *testing.T) {
	w := newWorld(t, nil)
	body := "Resources:\n  A: {Type: 'AWS::Test::Thing', Metadata: {Is: one}}\n  M: {Type: 'AWS::Test::Thing', Metadata: {Is: one}}\n"
	tags := func(v string) []api.Tag { return []api.Tag{{Key: "team", Value: v}} }
	w.create("s", body, func(in *api.CreateStackInput) { in.Tags = tags("x") })
	w.settle("s", "CREATE_COMPLETE")
	var mu sync.Mutex
	last := ""
	w.cloud.update = func(_ context.Context, r cfn.Request) error {
		mu.Lock()
		defer mu.Unlock()
		last = r.Tags["team"]
		return nil
	}
	bad := strings.ReplaceAll(body, "one", "two") + "  B: {Type: 'AWS::Test::Thing', DependsOn: [A, M], Properties: {Fail: create}}\n"
	w.updateTo("s", bad, func(in *api.UpdateStackInput) { in.Tags = tags("y") })
	st := w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	if last != "x" || st.Tags[0].Value != "x" {
		t.Errorf("the resource has tag %q, the stack %v", last, st.Tags)
	}
	for _, id := range []string{"A", "M"} {
		r, err := w.DescribeStackResource(w.ctx, &api.DescribeStackResourceInput{StackName: "s", LogicalResourceId: id})
		if err != nil || r.StackResourceDetail.Metadata != `{"Is":"one"}` {
			t.Errorf("%s: %v %+v", id, err, r)
		}
	}
}
