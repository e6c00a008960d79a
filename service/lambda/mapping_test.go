package lambda

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	sqs "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
)

// line stands for SQS with one queue: what was received and not deleted comes again
// when it is told to.
type line struct {
	sqs.Unimplemented
	mu      sync.Mutex
	ready   []sqs.Message
	taken   map[string]sqs.Message // by receipt
	deleted []string               // bodies
	come    chan struct{}
}

func newLine() *line { return &line{taken: map[string]sqs.Message{}, come: make(chan struct{}, 1000)} }

func (l *line) send(bodies ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range bodies {
		id := arn.NewUUID()
		l.ready = append(l.ready, sqs.Message{MessageId: id, ReceiptHandle: "r-" + id, Body: b, Attributes: map[string]string{"ApproximateReceiveCount": "1"}})
		l.come <- struct{}{}
	}
}

// again makes what was taken and not deleted visible.
func (l *line) again() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r, m := range l.taken {
		l.ready = append(l.ready, m)
		delete(l.taken, r)
		select {
		case l.come <- struct{}{}:
		default: // there is enough to wake whoever waits
		}
	}
}

func (l *line) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput) (*sqs.GetQueueAttributesOutput, error) {
	if !strings.HasSuffix(in.QueueUrl, "/q") {
		return nil, fault.New(fault.QueueDoesNotExist, "The specified queue does not exist.")
	}
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"VisibilityTimeout": "30"}}, nil
}

func (l *line) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
	wait := time.NewTimer(time.Duration(*in.WaitTimeSeconds) * time.Second)
	defer wait.Stop()
	for {
		l.mu.Lock()
		n := min(len(l.ready), int(*in.MaxNumberOfMessages))
		out := slices.Clone(l.ready[:n])
		l.ready = l.ready[n:]
		for _, m := range out {
			l.taken[m.ReceiptHandle] = m
		}
		l.mu.Unlock()
		if n > 0 {
			return &sqs.ReceiveMessageOutput{Messages: out}, nil
		}
		select {
		case <-l.come:
		case <-wait.C:
			return &sqs.ReceiveMessageOutput{}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *line) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput) (*sqs.DeleteMessageBatchOutput, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range in.Entries {
		if m, ok := l.taken[e.ReceiptHandle]; ok {
			l.deleted = append(l.deleted, m.Body)
			delete(l.taken, e.ReceiptHandle)
			continue
		}
		// It may be visible again by now, or deleted already.
		if i := slices.IndexFunc(l.ready, func(m sqs.Message) bool { return m.ReceiptHandle == e.ReceiptHandle }); i >= 0 {
			l.deleted = append(l.deleted, l.ready[i].Body)
			l.ready = slices.Delete(l.ready, i, i+1)
		}
	}
	return &sqs.DeleteMessageBatchOutput{}, nil
}

func (l *line) gone() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(slices.Values(l.deleted))
}

func (w *world) mapping(change func(*api.CreateEventSourceMappingInput)) string {
	w.Helper()
	in := &api.CreateEventSourceMappingInput{EventSourceArn: queueARN, FunctionName: "f"}
	if change != nil {
		change(in)
	}
	out, err := w.CreateEventSourceMapping(w.ctx, in)
	if err != nil {
		w.Fatal(err)
	}
	return out.UUID
}

func (w *world) state(id, want string) {
	w.Helper()
	until(w, "the mapping is "+want, func() bool {
		out, err := w.GetEventSourceMapping(w.ctx, &api.GetEventSourceMappingInput{UUID: id})
		if err != nil {
			w.Fatal(err)
		}
		return out.State == want
	})
}

func TestMessagesReachAFunction(t *testing.T) {
	l := newLine()
	w := newWorld(t, func(c *Config) { c.SQS = l })
	w.make("f")
	id := w.mapping(func(in *api.CreateEventSourceMappingInput) {
		in.FilterCriteria = &api.FilterCriteria{Filters: []api.Filter{{Pattern: `{"body":{"n":[{"numeric":[">",1]}]}}`}}}
	})
	w.state(id, mappingEnabled)
	l.send(`{"n":1}`, `{"n":2}`, "text")
	until(t, "all are deleted", func() bool { return len(l.gone()) == 3 })
	var event struct{ Records []sqsRecord }
	_, inv := w.runner.last(t)
	if err := json.Unmarshal(inv.Payload, &event); err != nil || len(event.Records) != 1 || event.Records[0].Body != `{"n":2}` || event.Records[0].EventSourceARN != queueARN || event.Records[0].EventSource != "aws:sqs" {
		t.Errorf("the function got %s, %v", inv.Payload, err)
	}

	// Disabled, nothing is taken; enabled again, everything.
	if out, err := w.UpdateEventSourceMapping(w.ctx, &api.UpdateEventSourceMappingInput{UUID: id, Enabled: new(false)}); err != nil || out.State != mappingDisabling {
		t.Fatalf("%+v, %v", out, err)
	}
	w.state(id, mappingDisabled)
	l.send(`{"n":3}`)
	if len(w.pollers.running) != 0 {
		t.Error("a poller runs")
	}
	if _, err := w.UpdateEventSourceMapping(w.ctx, &api.UpdateEventSourceMappingInput{UUID: id, Enabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	until(t, "it is taken", func() bool { return len(l.gone()) == 4 })
	if _, err := w.DeleteEventSourceMapping(w.ctx, &api.DeleteEventSourceMappingInput{UUID: id}); err != nil {
		t.Fatal(err)
	}
	until(t, "the mapping is gone", func() bool {
		_, err := w.GetEventSourceMapping(w.ctx, &api.GetEventSourceMappingInput{UUID: id})
		return fault.Is(err, fault.ResourceNotFoundException)
	})
}

// What a function fails to handle comes again: all of it, or what it reports.
func TestMessagesThatFail(t *testing.T) {
	l := newLine()
	w := newWorld(t, func(c *Config) { c.SQS = l })
	w.make("f")
	var mu sync.Mutex
	answer := func(records []sqsRecord) function.Result { return function.Result{FunctionError: "Unhandled"} }
	w.runner.handle = func(_ function.Spec, inv function.Invocation) (function.Result, error) {
		var e struct{ Records []sqsRecord }
		err := json.Unmarshal(inv.Payload, &e)
		mu.Lock()
		defer mu.Unlock()
		return answer(e.Records), err
	}
	set := func(f func(records []sqsRecord) function.Result) {
		mu.Lock()
		defer mu.Unlock()
		answer = f
	}
	w.mapping(func(in *api.CreateEventSourceMappingInput) {
		in.FunctionResponseTypes = []string{api.FunctionResponseTypeReportBatchItemFailures}
	})
	l.send("a", "b", "c")
	until(t, "it fails", func() bool { return w.runner.count() > 0 })
	if g := l.gone(); len(g) != 0 {
		t.Errorf("deleted: %v", g)
	}
	set(func(records []sqsRecord) function.Result {
		for _, r := range records {
			if r.Body == "b" {
				return function.Result{Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":"` + r.MessageID + `"}]}`)}
			}
		}
		return function.Result{Payload: []byte(`{"batchItemFailures":[]}`)}
	})
	until(t, "two are done with", func() bool { l.again(); return len(l.gone()) == 2 })
	if g := l.gone(); !slices.Equal(g, []string{"a", "c"}) {
		t.Errorf("deleted: %v", g)
	}
	set(func([]sqsRecord) function.Result { return function.Result{Payload: []byte("null")} })
	until(t, "all are", func() bool { l.again(); return len(l.gone()) == 3 })
}

func TestReportsOfFailures(t *testing.T) {
	records := []sqsRecord{{MessageID: "1"}, {MessageID: "2"}}
	for report, want := range map[string]int{ // how many have failed
		`{"batchItemFailures":[]}`: 0, `{}`: 0, `null`: 0, ``: 0, `{"batchItemFailures":null}`: 0, `"text"`: 0,
		`{"batchItemFailures":[{"itemIdentifier":"2"}]}`: 1, `{"batchItemFailures":[{"itemIdentifier":"3"}]}`: 2,
		`{"batchItemFailures":[{"itemIdentifier":""}]}`: 2, `{"batchItemFailures":[{}]}`: 2, `{"batchItemFailures":"x"}`: 2, `{no`: 2,
	} {
		failed, all := failures([]byte(report), records)
		n := len(failed)
		if all {
			n = 2
		}
		if n != want {
			t.Errorf("%s: %d have failed, want %d", report, n, want)
		}
	}
}

func TestABatchGathersInItsWindow(t *testing.T) {
	l := newLine()
	w := newWorld(t, func(c *Config) { c.SQS = l })
	w.make("f")
	l.send(slices.Repeat([]string{"x"}, 25)...)
	w.mapping(func(in *api.CreateEventSourceMappingInput) {
		in.BatchSize, in.MaximumBatchingWindowInSeconds = new(int32(25)), new(int32(60))
	})
	until(t, "all are deleted", func() bool { return len(l.gone()) == 25 })
	if n := w.runner.count(); n != 1 {
		t.Errorf("%d batches", n)
	}
}

func TestMappingsThatAreRefused(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SQS = newLine() })
	w.make("f")
	w.make("slow", func(in *api.CreateFunctionInput) { in.Timeout = new(int32(60)) })
	for name, c := range map[string]struct {
		change  func(*api.CreateEventSourceMappingInput)
		code    string
		message string
	}{
		"function": {func(in *api.CreateEventSourceMappingInput) { in.FunctionName = "g" }, fault.InvalidParameterValueException, "Function does not exist"},
		"queue":    {func(in *api.CreateEventSourceMappingInput) { in.EventSourceArn = queueARN + "2" }, fault.InvalidParameterValueException, "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue."},
		"source":   {func(in *api.CreateEventSourceMappingInput) { in.EventSourceArn = "" }, fault.InvalidParameterValueException, "Unrecognized event source."},
		"stream": {func(in *api.CreateEventSourceMappingInput) {
			in.EventSourceArn = "arn:aws:kinesis:us-east-1:111111111111:stream/s"
		}, fault.NotImplemented, "kinesis"},
		"window": {func(in *api.CreateEventSourceMappingInput) { in.BatchSize = new(int32(11)) }, fault.InvalidParameterValueException, "Maximum batch window in seconds must be greater than 0"},
		"pattern": {func(in *api.CreateEventSourceMappingInput) {
			in.FilterCriteria = &api.FilterCriteria{Filters: []api.Filter{{Pattern: "simple string"}}}
		}, fault.InvalidParameterValueException, "Invalid filter pattern definition."},
		"slow": {func(in *api.CreateEventSourceMappingInput) { in.FunctionName = "slow" }, fault.InvalidParameterValueException, "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds"},
		"destination": {func(in *api.CreateEventSourceMappingInput) {
			in.DestinationConfig = &api.DestinationConfig{OnFailure: &api.OnFailure{Destination: queueARN}}
		}, fault.InvalidParameterValueException, "Unsupported DestinationConfig"},
	} {
		in := &api.CreateEventSourceMappingInput{EventSourceArn: queueARN, FunctionName: "f"}
		c.change(in)
		_, err := w.CreateEventSourceMapping(w.ctx, in)
		t.Run(name, func(t *testing.T) { refused(t, err, c.code, c.message) })
	}
	w.mapping(nil)
	_, err := w.CreateEventSourceMapping(w.ctx, &api.CreateEventSourceMappingInput{EventSourceArn: queueARN, FunctionName: "f"})
	refused(t, err, fault.ResourceConflictException, "already exists")
}
