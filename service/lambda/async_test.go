package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	api "github.com/slipway/slipway/api/lambda"
	sqs "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

func (w *world) event(name, payload string) {
	w.Helper()
	out, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: name, InvocationType: api.InvocationTypeEvent, Payload: []byte(payload)})
	if err != nil || *out.StatusCode != 202 {
		w.Fatalf("%+v, %v", out, err)
	}
}

// queues stand for SQS: they keep what they are sent.
type queues struct {
	sqs.Unimplemented
	mu    sync.Mutex
	fail  []error
	sent  []*sqs.SendMessageInput
	calls []auth.Call
}

func (q *queues) SendMessage(ctx context.Context, in *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.fail) > 0 {
		err := q.fail[0]
		q.fail = q.fail[1:]
		return nil, err
	}
	q.sent, q.calls = append(q.sent, in), append(q.calls, auth.From(ctx))
	return &sqs.SendMessageOutput{}, nil
}

func (q *queues) all() []*sqs.SendMessageInput {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.sent)
}

// left counts the events that are not done with.
func (w *world) left() (n int) {
	w.Helper()
	err := w.store.View(w.ctx, func(tx store.Tx) error {
		n = 0
		for _, err := range events.Scan(tx, "") {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return n
}

const queueARN = "arn:aws:sqs:us-east-1:111111111111:q"

func withQueues(q *queues, scale float64) func(*Config) {
	return func(c *Config) { c.SQS, c.WaitScale = q, scale }
}

func failing(function.Spec, function.Invocation) (function.Result, error) {
	return function.Result{FunctionError: "Unhandled", Payload: []byte(`{"errorMessage":"on purpose","errorType":"E"}`)}, nil
}

func TestEventsAndTheirDestinations(t *testing.T) {
	q := &queues{}
	w := newWorld(t, withQueues(q, 0.0005))
	w.make("f", func(in *api.CreateFunctionInput) {
		in.DeadLetterConfig = &api.DeadLetterConfig{TargetArn: queueARN + "-dead"}
	})
	_, err := w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{FunctionName: "f", DestinationConfig: &api.DestinationConfig{
		OnSuccess: &api.OnSuccess{Destination: queueARN}, OnFailure: &api.OnFailure{Destination: queueARN},
	}})
	if err != nil {
		t.Fatal(err)
	}
	type told struct {
		RequestContext struct {
			RequestID, FunctionArn, Condition string
			ApproximateInvokeCount            int
		}
		RequestPayload  json.RawMessage
		ResponseContext struct{ FunctionError, ExecutedVersion string }
		ResponsePayload json.RawMessage
	}
	read := func(i int) (out told) {
		t.Helper()
		until(t, "a letter", func() bool { return len(q.all()) > i })
		if err := json.Unmarshal([]byte(q.all()[i].MessageBody), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	w.event("f", `{"n":1}`)
	if r := read(0); r.RequestContext.Condition != "Success" || r.RequestContext.FunctionArn != "arn:aws:lambda:us-east-1:111111111111:function:f:$LATEST" ||
		string(r.RequestPayload) != `{"n":1}` || string(r.ResponsePayload) != `{"n":1}` || r.RequestContext.ApproximateInvokeCount != 1 {
		t.Errorf("told %+v", r)
	}
	w.runner.mu.Lock()
	w.runner.handle = failing
	w.runner.mu.Unlock()
	w.event("f", `{"n":2}`)
	r := read(1)
	if r.RequestContext.Condition != "RetriesExhausted" || r.RequestContext.ApproximateInvokeCount != 3 || r.ResponseContext.FunctionError != "Unhandled" {
		t.Errorf("told %+v", r)
	}
	until(t, "the dead letter", func() bool { return len(q.all()) == 3 })
	dead := q.all()[2]
	if dead.MessageBody != `{"n":2}` || dead.MessageAttributes["ErrorMessage"].StringValue != "on purpose" || dead.MessageAttributes["RequestID"].StringValue != r.RequestContext.RequestID {
		t.Errorf("the dead letter is %+v", dead)
	}
	until(t, "nothing is left", func() bool { return w.left() == 0 })
	if n := w.runner.count(); n != 4 {
		t.Errorf("it ran %d times", n)
	}
}

// A durable step that is repeated while its event stands there adds none; an event of
// a step whose request has its answer is not handled any more.
func TestEventsOfSteps(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Answered = func(_ context.Context, payload []byte) (bool, error) { return string(payload) == `"answered"`, nil }
	})
	w.make("f")
	release := make(chan struct{})
	w.runner.mu.Lock()
	w.runner.handle = func(function.Spec, function.Invocation) (function.Result, error) {
		<-release
		return function.Result{}, nil
	}
	w.runner.mu.Unlock()
	outside := w.ctx
	step := func(token string) { w.ctx = auth.WithToken(outside, token) }
	step("one")
	w.event("f", `"asked"`)
	w.event("f", `"asked"`)
	if n := w.left(); n != 1 {
		t.Errorf("a repeated step has left %d events", n)
	}
	step("two")
	w.event("f", `"asked"`)
	w.event("f", `"answered"`)
	w.ctx = outside
	w.event("f", `"answered"`)
	close(release)
	until(t, "nothing is left", func() bool { return w.left() == 0 })
	if n := w.runner.count(); n != 3 {
		t.Errorf("it ran %d times, want 3", n)
	}
}

func TestRetriesAndAges(t *testing.T) {
	for name, c := range map[string]struct {
		retries, age *int32
		runs         int
		condition    string
		still        bool // no time passes, however slow the host is
	}{
		"none":  {retries: new(int32(0)), runs: 1, condition: "RetriesExhausted"},
		"one":   {retries: new(int32(1)), runs: 2, condition: "RetriesExhausted"},
		"old":   {age: new(int32(60)), runs: 1, condition: "EventAgeExceeded", still: true},
		"older": {age: new(int32(21600)), runs: 3, condition: "RetriesExhausted"},
	} {
		t.Run(name, func(t *testing.T) {
			q := &queues{}
			w := newWorld(t, withQueues(q, 0.001), func(cfg *Config) {
				if c.still {
					cfg.Now = newClock().time
				}
			})
			w.make("f")
			w.runner.handle = failing
			_, err := w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{
				FunctionName: "f", MaximumRetryAttempts: c.retries, MaximumEventAgeInSeconds: c.age,
				DestinationConfig: &api.DestinationConfig{OnFailure: &api.OnFailure{Destination: queueARN}},
			})
			if err != nil {
				t.Fatal(err)
			}
			w.event("f", "{}")
			until(t, "a letter", func() bool { return len(q.all()) == 1 })
			if body := q.all()[0].MessageBody; !strings.Contains(body, `"condition":"`+c.condition+`"`) || w.runner.count() != c.runs {
				t.Errorf("%d runs, told %s", w.runner.count(), body)
			}
		})
	}
}

// A function that is throttled is not reached; that is no attempt.
func TestThrottledEventsWait(t *testing.T) {
	w := newWorld(t, withQueues(&queues{}, 0.001))
	w.make("f")
	if _, err := w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{FunctionName: "f", ReservedConcurrentExecutions: new(int32(0))}); err != nil {
		t.Fatal(err)
	}
	w.event("f", "{}")
	until(t, "it was throttled", func() bool {
		throttled := false
		err := w.store.View(w.ctx, func(tx store.Tx) error {
			for e, err := range events.Scan(tx, "") {
				if err != nil {
					return err
				}
				throttled = e.Value.Throttled > 1
			}
			return nil
		})
		return err == nil && throttled
	})
	if _, err := w.DeleteFunctionConcurrency(w.ctx, &api.DeleteFunctionConcurrencyInput{FunctionName: "f"}); err != nil {
		t.Fatal(err)
	}
	until(t, "it ran", func() bool { return w.runner.count() == 1 && w.left() == 0 })
}

// An event that was acknowledged is handled, whatever happens to the process.
func TestEventsOutliveTheProcess(t *testing.T) {
	dir, st, ring, q := t.TempDir(), storetest.New(t), keyring.Ephemeral(), &queues{}
	again := func(c *Config) { c.Dir, c.Store, c.Ring, c.SQS, c.WaitScale = dir, st, ring, q, 0.001 }
	w := newWorld(t, again)
	w.make("f")
	if _, err := w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{FunctionName: "f", DestinationConfig: &api.DestinationConfig{OnSuccess: &api.OnSuccess{Destination: queueARN}}}); err != nil {
		t.Fatal(err)
	}
	begun := make(chan bool, 1)
	w.runner.handle = func(function.Spec, function.Invocation) (function.Result, error) {
		select {
		case begun <- true:
		default: // it is tried again until the service stops
		}
		return function.Result{}, function.ErrStopped // as when the host ends under it
	}
	w.event("f", `"once"`)
	<-begun
	w.Stop()
	w = newWorld(t, again)
	until(t, "it is handled", func() bool { return len(q.all()) == 1 && w.left() == 0 })
	if _, inv := w.runner.last(t); string(inv.Payload) != `"once"` {
		t.Errorf("it was given %s", inv.Payload)
	}

	// A letter that could not be sent is sent later; one that is refused is lost.
	q.mu.Lock()
	q.fail = []error{errors.New("the network")}
	q.mu.Unlock()
	w.event("f", `"twice"`)
	until(t, "it is told", func() bool { return len(q.all()) == 2 && w.left() == 0 })
	q.mu.Lock()
	q.fail = []error{fault.New(fault.QueueDoesNotExist, "no")}
	q.mu.Unlock()
	w.event("f", `"thrice"`)
	until(t, "it is given up", func() bool { return w.left() == 0 })
	if n := len(q.all()); n != 2 {
		t.Errorf("%d letters", n)
	}
}

// Where policies bind, a function's role sends what is told of its events.
func TestLettersAreTheRoles(t *testing.T) {
	q := &queues{}
	w := newWorld(t, withQueues(q, 0.001), func(c *Config) {
		c.Assume = func(_ context.Context, _ arn.Scope, role, session string) (auth.Principal, error) {
			return auth.Principal{Kind: auth.AssumedRole, Account: account, ARN: "arn:aws:sts::111111111111:assumed-role/runner/" + session, Name: "runner", Enforced: true}, nil
		}
	})
	c := auth.From(w.ctx)
	c.Principal.Enforced = true
	w.ctx = auth.With(w.ctx, c)
	w.make("f")
	if _, err := w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{FunctionName: "f", DestinationConfig: &api.DestinationConfig{OnSuccess: &api.OnSuccess{Destination: queueARN}}}); err != nil {
		t.Fatal(err)
	}
	w.event("f", "{}")
	until(t, "a letter", func() bool { return len(q.all()) == 1 })
	if who := q.calls[0].Principal; who.ARN != "arn:aws:sts::111111111111:assumed-role/runner/f-" || !who.Enforced {
		t.Errorf("%+v sent it", who)
	}
	if url := q.all()[0].QueueUrl; url != "https://sqs.us-east-1.amazonaws.com/111111111111/q" {
		t.Errorf("it was sent to %s", url)
	}
}

// A function can be told what became of another one's events.
func TestAFunctionAsDestination(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.WaitScale = 0.001 })
	w.make("f")
	g := w.make("g")
	if _, err := w.PutFunctionEventInvokeConfig(w.ctx, &api.PutFunctionEventInvokeConfigInput{FunctionName: "f", DestinationConfig: &api.DestinationConfig{OnSuccess: &api.OnSuccess{Destination: g.FunctionArn}}}); err != nil {
		t.Fatal(err)
	}
	w.event("f", `1`)
	until(t, "both ran", func() bool { return w.runner.count() == 2 && w.left() == 0 })
	if spec, inv := w.runner.last(t); spec.Name != "g" || !strings.Contains(string(inv.Payload), `"requestPayload":1`) {
		t.Errorf("%s was given %s", spec.Name, inv.Payload)
	}
}
