package logs

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	lambda "github.com/slipway/slipway/api/lambda"
	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

const function = "arn:aws:lambda:us-east-1:111111111111:function:f"

// functions is a Lambda of one function, which keeps what it was called with.
type functions struct {
	lambda.Unimplemented
	got  []message
	who  string
	fail error
}

func (f *functions) Invoke(ctx context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
	call := auth.From(ctx)
	f.who = call.Principal.Name + " for " + call.SourceARN
	switch {
	case in.FunctionName != function:
		return nil, fault.New(fault.ResourceNotFoundException, "Function not found: %s", in.FunctionName)
	case in.InvocationType == lambda.InvocationTypeDryRun:
		return &lambda.InvokeOutput{}, nil
	case f.fail != nil:
		return nil, f.fail
	}
	var payload struct {
		Logs struct {
			Data []byte `json:"data"`
		} `json:"awslogs"`
	}
	if err := json.Unmarshal(in.Payload, &payload); err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(payload.Logs.Data))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	var m message
	err = json.Unmarshal(plain, &m)
	f.got = append(f.got, m)
	return &lambda.InvokeOutput{}, err
}

func TestSubscriptionsSendOn(t *testing.T) {
	w := newWorld(t)
	f := &functions{}
	w.lambda = func() lambda.Service { return f }
	w.group("g", "s")
	subscribe := func(name, pattern, destination, role string) error {
		_, err := w.PutSubscriptionFilter(w.ctx, &api.PutSubscriptionFilterInput{LogGroupName: "g", FilterName: name, FilterPattern: pattern, DestinationArn: destination, RoleArn: role})
		return err
	}
	start := w.ago(time.Hour)
	w.put("g", "s", start, "before ERROR")
	w.check(subscribe("errors", "[level=ERROR, what]", function, ""))
	if f.who != "logs.amazonaws.com for arn:aws:logs:us-east-1:111111111111:log-group:g:*" {
		t.Errorf("asked as %s", f.who)
	}
	w.put("g", "s", start+60_000, "INFO a", "ERROR b", "ERROR c")
	w.put("g", "s", start+60_500, "ERROR d")
	f.fail = errors.New("not now")
	if err := w.deliver(w.ctx); err == nil {
		t.Error("a failure that passes was final")
	}
	f.fail = nil
	for range 2 {
		w.check(w.deliver(w.ctx))
	}
	var got []string
	for _, m := range f.got {
		line := m.MessageType + " " + m.Owner + " " + m.LogGroup + " " + m.LogStream + " " + strings.Join(m.SubscriptionFilters, ",")
		for _, e := range m.LogEvents {
			line += " | " + e.Message + " " + e.Extracted["$what"]
		}
		got = append(got, line)
	}
	const head = "DATA_MESSAGE 111111111111 g s errors"
	if d := cmp.Diff([]string{head + " | ERROR b b | ERROR c c", head + " | ERROR d d"}, got); d != "" {
		t.Error(d)
	}
	out, err := w.FilterLogEvents(w.ctx, &api.FilterLogEventsInput{LogGroupName: "g", FilterPattern: "ERROR", StartTime: new(start + 60_000)})
	w.check(err)
	// Events that are found have the ids that they were sent with: those of d and b.
	if e := f.got[0].LogEvents[0]; e.ID != out.Events[1].EventId || e.Timestamp != start+61_000 {
		t.Errorf("sent %+v, found %+v", e, out.Events)
	}

	// More than a message holds is sent in several.
	f.got = nil
	long := "ERROR " + strings.Repeat("x", maxPayload/2)
	w.put("g", "s", start+120_000, long, long, long)
	w.check(w.deliver(w.ctx))
	if len(f.got) != 3 {
		t.Errorf("%d messages", len(f.got))
	}

	// What is gone is not sent.
	f.got = nil
	w.put("g", "s", start+180_000, "ERROR e")
	_, err = w.DeleteSubscriptionFilter(w.ctx, &api.DeleteSubscriptionFilterInput{LogGroupName: "g", FilterName: "errors"})
	w.check(err)
	w.check(w.deliver(w.ctx))
	for _, key := range w.bulk() {
		if len(f.got) > 0 || strings.HasPrefix(key, deliveries.Prefix()) {
			t.Errorf("sent %v, left %s", f.got, key)
		}
	}

	wants(t, subscribe("x", "", function+"2", ""), fault.InvalidParameterException, "Could not execute the lambda function")
	wants(t, subscribe("x", "", "arn:aws:kinesis:us-east-1:111111111111:stream/s", ""), fault.InvalidParameterException, "destinationArn for vendor kinesis cannot be used without roleArn")
	wants(t, subscribe("x", "", "arn:aws:kinesis:us-east-1:111111111111:stream/s", "arn:aws:iam::111111111111:role/r"), fault.NotImplemented, "destinations of kinesis")
	wants(t, subscribe("x", "", strings.Replace(function, "111111111111", "222222222222", 1), ""), fault.AccessDeniedException, "Cross-account lambda invocation passing is not allowed.")
	for _, name := range []string{"one", "two", "one"} {
		w.check(subscribe(name, "", function, ""))
	}
	wants(t, subscribe("three", "", function, ""), fault.LimitExceededException, "")
	d, err := w.DescribeSubscriptionFilters(w.ctx, &api.DescribeSubscriptionFiltersInput{LogGroupName: "g", FilterNamePrefix: "t"})
	w.check(err)
	if len(d.SubscriptionFilters) != 1 || d.SubscriptionFilters[0].FilterName != "two" {
		t.Errorf("described %+v", d.SubscriptionFilters)
	}
}
