package cloudformation_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
)

func (w *world) signal(ctx context.Context, stack, id, unique, status string) error {
	_, err := w.SignalResource(ctx, &api.SignalResourceInput{StackName: stack, LogicalResourceId: id, UniqueId: unique, Status: status})
	return err
}

// until waits for an event.
func (w *world) until(stack, event string) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.ctx, 20*time.Second)
	defer stop()
	changed := w.store.Watch(ctx, "cloudformation/event/")
	for !slices.Contains(w.events(stack), event) {
		if _, ok := <-changed; !ok {
			w.t.Fatalf("no event %q in %v", event, w.events(stack))
		}
	}
}

const signalled = `
Resources:
  A:
    Type: AWS::Test::Thing
    CreationPolicy: {ResourceSignal: {Count: 2, Timeout: PT10M}}
  B: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref A}}
`

func TestCreationPolicy(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", signalled)
	w.until("s", "A CREATE_IN_PROGRESS Resource creation Initiated")
	if err := w.signal(w.ctx, "s", "A", "i-1", "SUCCESS"); err != nil {
		t.Fatal(err)
	}
	refused(t, w.signal(w.ctx, "s", "A", "i-1", "SUCCESS"), fault.ValidationError, "Signal with ID i-1 for resource A already exists. Signals may only be updated with a FAILURE status.")
	refused(t, w.signal(w.ctx, "s", "Z", "i-1", "SUCCESS"), fault.ValidationError, "Resource Z does not exist for stack s")
	if st := w.stack("s"); st.StackStatus != "CREATE_IN_PROGRESS" {
		t.Errorf("status %s after one signal of two", st.StackStatus)
	}
	if err := w.signal(w.ctx, "s", "A", "i-2", "SUCCESS"); err != nil {
		t.Fatal(err)
	}
	st := w.settle("s", "CREATE_COMPLETE")
	events := w.events("s")
	for _, want := range []string{"A CREATE_IN_PROGRESS Received SUCCESS signal with UniqueId i-1", "A CREATE_IN_PROGRESS Received SUCCESS signal with UniqueId i-2"} {
		if !slices.Contains(events, want) {
			t.Errorf("no event %q in %v", want, events)
		}
	}
	refused(t, w.signal(w.ctx, "s", "A", "i-3", "SUCCESS"), fault.ValidationError, "Stack "+st.StackId+" is in CREATE_COMPLETE state and cannot be signaled")
}

func TestCreationPolicyFails(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", strings.Replace(signalled, "Count: 2, ", "", 1))
	w.until("s", "A CREATE_IN_PROGRESS Resource creation Initiated")
	if err := w.signal(w.ctx, "s", "A", "i-1", "FAILURE"); err != nil {
		t.Fatal(err)
	}
	w.settle("s", "ROLLBACK_COMPLETE")
	want := "A CREATE_FAILED Received 1 FAILURE signal(s) out of 1. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement"
	if events := w.events("s"); !slices.Contains(events, want) {
		t.Errorf("no event %q in %v", want, events)
	}
	if left := w.cloud.things(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestCreationPolicyTimesOut(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", strings.Replace(signalled, "PT10M", "PT0S", 1))
	w.settle("s", "ROLLBACK_COMPLETE")
	want := "A CREATE_FAILED Failed to receive 2 resource signal(s) within the specified duration"
	if events := w.events("s"); !slices.Contains(events, want) {
		t.Errorf("no event %q in %v", want, events)
	}
}

// Another resource's failure ends the waiting.
func TestWaitingIsCancelled(t *testing.T) {
	w := newWorld(t, nil)
	begun := make(chan struct{})
	w.cloud.create = func(_ context.Context, r cfn.Request) error {
		if r.LogicalID == "A" {
			close(begun)
		} else {
			<-begun
		}
		return nil
	}
	w.create("s", `
Resources:
  A: {Type: 'AWS::Test::Thing', CreationPolicy: {ResourceSignal: {Timeout: PT12H}}}
  B: {Type: 'AWS::Test::Thing', Properties: {Fail: create}}
`)
	st := w.settle("s", "ROLLBACK_COMPLETE")
	if events := w.events("s"); !slices.Contains(events, "A CREATE_FAILED Resource creation cancelled") {
		t.Errorf("events %v of %s", events, st.StackId)
	}
}

const conditioned = `
Resources:
  Handle: {Type: 'AWS::CloudFormation::WaitConditionHandle'}
  Wait:
    Type: AWS::CloudFormation::WaitCondition
    Properties: {Handle: !Ref Handle, Timeout: 600, Count: 2}
Outputs:
  Data: {Value: !GetAtt Wait.Data}
  Url: {Value: !Ref Handle}
`

func put(t testing.TB, base, path, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

func (w *world) handlePath(stack string) string {
	w.t.Helper()
	out, err := w.DescribeStackResource(w.ctx, &api.DescribeStackResourceInput{StackName: stack, LogicalResourceId: "Handle"})
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(out.StackResourceDetail.PhysicalResourceId)
	if err != nil || u.Host != "127.0.0.1:4566" || !strings.HasPrefix(u.Path, cloudformation.SignalPath) {
		w.t.Fatalf("handle %s: %v", out.StackResourceDetail.PhysicalResourceId, err)
	}
	return u.Path
}

func TestWaitCondition(t *testing.T) {
	w := newWorld(t, nil)
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	id := w.create("s", conditioned)
	w.until("s", "Wait CREATE_IN_PROGRESS Resource creation Initiated")
	path := w.handlePath("s")
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{path[:len(path)-1] + "x", `{"Status":"SUCCESS","UniqueId":"a"}`, http.StatusForbidden},
		{cloudformation.SignalPath + "../../x", `{"Status":"SUCCESS","UniqueId":"a"}`, http.StatusForbidden},
		{path, `nonsense`, http.StatusBadRequest},
		{path, `{"Status":"PERHAPS","UniqueId":"a"}`, http.StatusBadRequest},
		{path, `{"Status":"SUCCESS"}`, http.StatusBadRequest},
		{path, strings.Repeat(" ", 70<<10), http.StatusRequestEntityTooLarge},
		{path, `{"Status":"SUCCESS","UniqueId":"a","Data":"one","Reason":"fine"}`, http.StatusOK},
		{path, `{"Status":"SUCCESS","UniqueId":"a","Data":"again"}`, http.StatusOK},
	} {
		if got := put(t, srv.URL, c.path, c.body); got != c.status {
			t.Errorf("PUT %.60s: %d, want %d", c.body, got, c.status)
		}
	}
	if st := w.stack("s"); st.StackStatus != "CREATE_IN_PROGRESS" {
		t.Errorf("status %s", st.StackStatus)
	}
	put(t, srv.URL, path, `{"Status":"SUCCESS","UniqueId":"b","Data":"two"}`)
	st := w.settle("s", "CREATE_COMPLETE")
	if got := st.Outputs[0].OutputValue; got != `{"a":"one","b":"two"}` {
		t.Errorf("data %s", got)
	}
	r, err := w.DescribeStackResource(w.ctx, &api.DescribeStackResourceInput{StackName: "s", LogicalResourceId: "Wait"})
	if err != nil || r.StackResourceDetail.PhysicalResourceId != id+"/Handle" {
		t.Errorf("%v %+v", err, r)
	}
	_, err = w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "s", TemplateBody: conditioned})
	refused(t, err, fault.ValidationError, "No updates are to be performed.")
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
	if got := put(t, srv.URL, path, `{"Status":"SUCCESS","UniqueId":"c"}`); got != http.StatusForbidden {
		t.Errorf("PUT to a deleted handle: %d", got)
	}
}

func TestWaitConditionFails(t *testing.T) {
	w := newWorld(t, nil)
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	w.create("s", conditioned)
	w.until("s", "Wait CREATE_IN_PROGRESS Resource creation Initiated")
	put(t, srv.URL, w.handlePath("s"), `{"Status":"FAILURE","UniqueId":"a","Reason":"no disk"}`)
	w.settle("s", "ROLLBACK_COMPLETE")
	want := "Wait CREATE_FAILED WaitCondition received failed message: 'no disk' for uniqueId: a"
	if events := w.events("s"); !slices.Contains(events, want) {
		t.Errorf("no event %q in %v", want, events)
	}
}

func TestWaitConditionTimesOut(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", strings.Replace(conditioned, "Timeout: 600", "Timeout: 0", 1))
	w.settle("s", "ROLLBACK_COMPLETE")
	want := "Wait CREATE_FAILED WaitCondition timed out. Received 0 conditions when expecting 2"
	if events := w.events("s"); !slices.Contains(events, want) {
		t.Errorf("no event %q in %v", want, events)
	}
}

// An instance by its identity may signal and read its own stack, nothing else.
func TestInstancesKeepToTheirStack(t *testing.T) {
	own := ""
	w := newWorld(t, func(c *cloudformation.Config) {
		c.InstanceStack = func(context.Context, string) (string, error) { return own, nil }
	})
	own = w.create("own", signalled)
	w.create("other", strings.Replace(signalled, "Count: 2, ", "", 1))
	w.until("own", "A CREATE_IN_PROGRESS Resource creation Initiated")
	w.until("other", "A CREATE_IN_PROGRESS Resource creation Initiated")
	c := auth.From(w.ctx)
	c.Principal = auth.Principal{Kind: auth.Instance, Account: scope.Account, Name: "i-1", ARN: "arn:aws:ec2:us-east-1:111111111111:instance/i-1"}
	ctx := auth.With(w.ctx, c)
	if err := w.signal(ctx, "own", "A", "i-1", "SUCCESS"); err != nil {
		t.Errorf("signal to its own stack: %v", err)
	}
	refused(t, w.signal(ctx, "other", "A", "i-1", "SUCCESS"), fault.AccessDenied, "not authorized")
	if _, err := w.DescribeStackResource(ctx, &api.DescribeStackResourceInput{StackName: "own", LogicalResourceId: "A"}); err != nil {
		t.Errorf("DescribeStackResource of its own stack: %v", err)
	}
	_, err := w.DescribeStackResource(ctx, &api.DescribeStackResourceInput{StackName: "other", LogicalResourceId: "A"})
	refused(t, err, fault.AccessDenied, "not authorized")
	_, err = w.DescribeStacks(ctx, &api.DescribeStacksInput{StackName: "own"})
	refused(t, err, fault.AccessDenied, "own stack only")
	_, err = w.DeleteStack(ctx, &api.DeleteStackInput{StackName: "own"})
	refused(t, err, fault.AccessDenied, "own stack only")
	_ = w.signal(w.ctx, "own", "A", "i-2", "SUCCESS")
	_ = w.signal(w.ctx, "other", "A", "i-2", "SUCCESS")
	w.settle("own", "CREATE_COMPLETE")
	w.settle("other", "CREATE_COMPLETE")
}
