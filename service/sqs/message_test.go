package sqs

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

// The digests are those that AWS was recorded to answer with.
func TestDigests(t *testing.T) {
	for _, c := range []struct {
		attributes map[string]attributeValue
		want       string
	}{
		{map[string]attributeValue{"Foo": {Type: "String", Text: "Bar"}}, "ae7155c6026991b6d54b11589678bf9c"},
		{map[string]attributeValue{"MyAttribute": {Type: "String", Text: "foobar"}}, "adb59cd4678ea5a855436b949cd07ab6"},
		{map[string]attributeValue{"attr1": {Type: "Binary", Binary: []byte("traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01")}}, "8cbe4db156db8a94db8b801b7addb984"},
		{nil, ""},
	} {
		if got := md5Attributes(c.attributes); got != c.want {
			t.Errorf("%v: %s, want %s", c.attributes, got, c.want)
		}
	}
	if got := md5Hex("test"); got != "098f6bcd4621d373cade4e832627b4f6" {
		t.Errorf("body: %s", got)
	}
}

func TestMessageLife(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	id := b.send(url, "hello <&> wörld")
	if got := b.counts(url); got != "1 0 0" {
		t.Fatalf("sent: %s", got)
	}
	b.clock.pass(time.Second)
	first := b.receive(api.ReceiveMessageInput{QueueUrl: url, AttributeNames: []string{"All"}})
	if len(first) != 1 || first[0].MessageId != id || first[0].Body != "hello <&> wörld" || first[0].MD5OfBody != md5Hex("hello <&> wörld") {
		t.Fatalf("received %+v", first)
	}
	want := map[string]string{"SenderId": account, "SentTimestamp": "1795348800000", "ApproximateReceiveCount": "1", "ApproximateFirstReceiveTimestamp": "1795348801000"}
	if fmt.Sprint(first[0].Attributes) != fmt.Sprint(want) {
		t.Errorf("attributes %v", first[0].Attributes)
	}
	if got := b.receive(api.ReceiveMessageInput{QueueUrl: url}); len(got) != 0 || b.counts(url) != "0 1 0" {
		t.Fatalf("in flight: %v, %s", got, b.counts(url))
	}
	b.clock.pass(30 * time.Second)
	second := b.receive(api.ReceiveMessageInput{QueueUrl: url, AttributeNames: []string{"ApproximateReceiveCount"}})
	if len(second) != 1 || second[0].Attributes["ApproximateReceiveCount"] != "2" || len(second[0].Attributes) != 1 {
		t.Fatalf("received again: %+v", second)
	}
	// A handle of an earlier receive still deletes; so does a repetition.
	for range 2 {
		if _, err := b.DeleteMessage(b.ctx, &api.DeleteMessageInput{QueueUrl: url, ReceiptHandle: first[0].ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	b.clock.pass(time.Hour)
	if got := b.receive(api.ReceiveMessageInput{QueueUrl: url}); len(got) != 0 || b.documents() != 0 {
		t.Fatalf("deleted: %v, %d documents left", got, b.documents())
	}
	if _, err := b.DeleteMessage(b.ctx, &api.DeleteMessageInput{QueueUrl: url, ReceiptHandle: "garbage"}); !fault.Is(err, fault.ReceiptHandleIsInvalid) {
		t.Errorf("a broken handle: %v", err)
	}
}

func TestMessagesSurviveAndStaySealed(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	plain := b.create("plain", map[string]string{"SqsManagedSseEnabled": "false"})
	b.send(url, "top-secret")
	b.send(plain, "common-news")
	var all bytes.Buffer
	err := b.store.View(b.ctx, func(tx store.Tx) error {
		for doc, err := range tx.Scan("", "") {
			if err != nil {
				return err
			}
			all.Write(doc.Value)
		}
		return nil
	})
	if err != nil || bytes.Contains(all.Bytes(), []byte("top-secret")) || bytes.Contains(all.Bytes(), []byte("dG9wLXNlY3JldA")) {
		t.Fatalf("the message stands in the store as it is (%v)", err)
	}
	again := New(Config{Store: b.store, Ring: b.ring, Now: b.clock.Now})
	for u, want := range map[string]string{url: "top-secret", plain: "common-news"} {
		out, err := again.ReceiveMessage(b.ctx, &api.ReceiveMessageInput{QueueUrl: u})
		if err != nil || !slices.Equal(bodies(out.Messages), []string{want}) {
			t.Errorf("after a restart: %v, %v", out, err)
		}
	}
}

func TestOrderDelayAndLimits(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	var entries []api.SendMessageBatchRequestEntry
	for i := range 10 {
		entries = append(entries, api.SendMessageBatchRequestEntry{Id: fmt.Sprint(i), MessageBody: fmt.Sprint(i)})
	}
	entries[9].DelaySeconds = new(int32(5))
	if out, err := b.SendMessageBatch(b.ctx, &api.SendMessageBatchInput{QueueUrl: url, Entries: entries}); err != nil || len(out.Successful) != 10 {
		t.Fatalf("%v, %v", out, err)
	}
	if got := b.counts(url); got != "9 0 1" {
		t.Errorf("counts %s", got)
	}
	got := bodies(b.receive(api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(4))}))
	got = append(got, bodies(b.receive(api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(10))}))...)
	if strings.Join(got, "") != "012345678" {
		t.Errorf("received %v", got)
	}
	b.clock.pass(5 * time.Second)
	if got := bodies(b.receive(api.ReceiveMessageInput{QueueUrl: url})); !slices.Equal(got, []string{"9"}) {
		t.Errorf("the delayed one: %v", got)
	}
}

func TestMessageAttributes(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	_, err := b.SendMessage(b.ctx, &api.SendMessageInput{
		QueueUrl: url, MessageBody: "m", MessageGroupId: "g",
		MessageAttributes: map[string]api.MessageAttributeValue{
			"Foo": {DataType: "String", StringValue: "Bar"}, "n.one": {DataType: "Number.int", StringValue: "1"}, "bin": {DataType: "Binary", BinaryValue: []byte{0, 255}},
		},
		MessageSystemAttributes: map[string]api.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: "String", StringValue: "Root=1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		asked []string
		want  string
		md5   string
	}{
		{nil, "", ""},
		{[]string{"Foo"}, "Foo", "ae7155c6026991b6d54b11589678bf9c"},
		{[]string{"n.*"}, "n.one", ""},
		{[]string{"All"}, "Foo bin n.one", ""},
		{[]string{".*"}, "Foo bin n.one", ""},
		{[]string{"none"}, "", ""},
	} {
		got := b.receive(api.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: c.asked, VisibilityTimeout: new(int32(0)), MessageSystemAttributeNames: []string{"AWSTraceHeader", "MessageGroupId"}})
		if len(got) != 1 || strings.Join(sortedKeys(got[0].MessageAttributes), " ") != c.want || c.md5 != "" && got[0].MD5OfMessageAttributes != c.md5 {
			t.Fatalf("%v: %+v", c.asked, got)
		}
		if a := got[0].Attributes; a["AWSTraceHeader"] != "Root=1" || a["MessageGroupId"] != "g" || len(a) != 2 {
			t.Errorf("system attributes %v", a)
		}
		if c.want == "Foo bin n.one" && !bytes.Equal(got[0].MessageAttributes["bin"].BinaryValue, []byte{0, 255}) {
			t.Errorf("binary %v", got[0].MessageAttributes["bin"])
		}
	}
}

func TestSendRefusals(t *testing.T) {
	b := newBench(t)
	url := b.create("q", map[string]string{"MaximumMessageSize": "1024"})
	attribute := func(name string, v api.MessageAttributeValue) api.SendMessageInput {
		return api.SendMessageInput{MessageBody: "m", MessageAttributes: map[string]api.MessageAttributeValue{name: v}}
	}
	for _, c := range []struct {
		name string
		in   api.SendMessageInput
		want string
	}{
		{"empty", api.SendMessageInput{}, "MissingParameter: The request must contain the parameter MessageBody."},
		{"too long", api.SendMessageInput{MessageBody: strings.Repeat("a", 1025)}, "InvalidParameterValue: One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."},
		{"long enough with attributes", attribute("a", api.MessageAttributeValue{DataType: "String", StringValue: strings.Repeat("a", 1017)}), "InvalidParameterValue: One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."},
		{"control character", api.SendMessageInput{MessageBody: "a\x00"}, "InvalidMessageContents: Invalid characters found."},
		{"bad UTF-8", api.SendMessageInput{MessageBody: "\xff"}, "InvalidMessageContents"},
		{"delay", api.SendMessageInput{MessageBody: "m", DelaySeconds: new(int32(901))}, "InvalidParameterValue: Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."},
		{"empty attribute", attribute("ErrorDetails", api.MessageAttributeValue{DataType: "String"}), "InvalidParameterValue: Message (user) attribute 'ErrorDetails' must contain a non-empty value of type 'String'."},
		{"attribute type", attribute("a", api.MessageAttributeValue{DataType: "Date", StringValue: "x"}), "InvalidParameterValue: The type of message (user) attribute 'a' is invalid."},
		{"attribute number", attribute("a", api.MessageAttributeValue{DataType: "Number", StringValue: "x"}), "InvalidParameterValue: Can't cast the value of message (user) attribute 'a' to a number."},
		{"attribute name", attribute("AWS.a", api.MessageAttributeValue{DataType: "String", StringValue: "x"}), "InvalidParameterValue: Message (user) attribute name 'AWS.a' is invalid"},
		{"deduplication", api.SendMessageInput{MessageBody: "m", MessageDeduplicationId: "d"}, "InvalidParameterValue: Value d for parameter MessageDeduplicationId is invalid."},
		{"group", api.SendMessageInput{MessageBody: "m", MessageGroupId: "a b"}, "InvalidParameterValue: Value a b for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length."},
	} {
		c.in.QueueUrl = url
		_, err := b.SendMessage(b.ctx, &c.in)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if b.documents() != 0 {
		t.Errorf("%d documents of refused messages", b.documents())
	}
}

func TestReceiveRefusals(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	for want, in := range map[string]api.ReceiveMessageInput{
		"InvalidParameterValue: Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.":                                  {MaxNumberOfMessages: new(int32(11))},
		"InvalidParameterValue: Value 0 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.":                                   {MaxNumberOfMessages: new(int32(0))},
		"InvalidParameterValue: Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.":                                        {WaitTimeSeconds: new(int32(21))},
		"InvalidParameterValue: Value -1 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.":                                        {WaitTimeSeconds: new(int32(-1))},
		"InvalidParameterValue: Value a for parameter ReceiveRequestAttemptId is invalid. Reason: The request include parameter that is not valid for this queue type.": {ReceiveRequestAttemptId: "a"},
		"InvalidAttributeName: Unknown Attribute Colour.": {AttributeNames: []string{"Colour"}},
	} {
		in.QueueUrl = url
		if _, err := b.ReceiveMessage(b.ctx, &in); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestBatchesAsAWhole(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	entries := func(ids ...string) (out []api.DeleteMessageBatchRequestEntry) {
		for _, id := range ids {
			out = append(out, api.DeleteMessageBatchRequestEntry{Id: id, ReceiptHandle: "x"})
		}
		return out
	}
	many := make([]string, 20)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for _, c := range []struct {
		ids  []string
		want string
	}{
		{nil, "EmptyBatchRequest: There should be at least one DeleteMessageBatchRequestEntry in the request."},
		{many, "TooManyEntriesInBatchRequest: Maximum number of entries per request are 10. You have sent 20."},
		{[]string{"invalid:id"}, "InvalidBatchEntryId: A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."},
		{[]string{""}, "InvalidBatchEntryId"},
		{[]string{"a", "a"}, "BatchEntryIdsNotDistinct: Id a repeated."},
	} {
		_, err := b.DeleteMessageBatch(b.ctx, &api.DeleteMessageBatchInput{QueueUrl: url, Entries: entries(c.ids...)})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.ids, err, c.want)
		}
	}
	half := strings.Repeat("a", maxSize/2+1)
	_, err := b.SendMessageBatch(b.ctx, &api.SendMessageBatchInput{QueueUrl: url, Entries: []api.SendMessageBatchRequestEntry{{Id: "1", MessageBody: half}, {Id: "2", MessageBody: half}}})
	if !fault.Is(err, fault.BatchRequestTooLong) {
		t.Errorf("too long: %v", err)
	}
}

func TestBatchesInPart(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	sent, err := b.SendMessageBatch(b.ctx, &api.SendMessageBatchInput{QueueUrl: url, Entries: []api.SendMessageBatchRequestEntry{
		{Id: "good", MessageBody: "a"}, {Id: "bad", MessageBody: "\x01"}, {Id: "also", MessageBody: "b"},
	}})
	if err != nil || len(sent.Successful) != 2 || len(sent.Failed) != 1 || sent.Failed[0].Id != "bad" || sent.Failed[0].Code != fault.InvalidMessageContents {
		t.Fatalf("%+v, %v", sent, err)
	}
	got := b.receive(api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(10))})
	changed, err := b.ChangeMessageVisibilityBatch(b.ctx, &api.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: []api.ChangeMessageVisibilityBatchRequestEntry{
		{Id: "1", ReceiptHandle: got[0].ReceiptHandle, VisibilityTimeout: new(int32(0))}, {Id: "2", ReceiptHandle: "x", VisibilityTimeout: new(int32(0))},
	}})
	if err != nil || len(changed.Successful) != 1 || len(changed.Failed) != 1 || b.counts(url) != "1 1 0" {
		t.Fatalf("%+v, %v, %s", changed, err, b.counts(url))
	}
	deleted, err := b.DeleteMessageBatch(b.ctx, &api.DeleteMessageBatchInput{QueueUrl: url, Entries: []api.DeleteMessageBatchRequestEntry{
		{Id: "1", ReceiptHandle: got[0].ReceiptHandle}, {Id: "2", ReceiptHandle: got[1].ReceiptHandle}, {Id: "3", ReceiptHandle: "x"},
	}})
	if err != nil || len(deleted.Successful) != 2 || len(deleted.Failed) != 1 || b.documents() != 0 {
		t.Fatalf("%+v, %v, %d documents", deleted, err, b.documents())
	}
}

func TestChangeVisibility(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	b.send(url, "m")
	old := b.receive(api.ReceiveMessageInput{QueueUrl: url})[0].ReceiptHandle
	change := func(handle string, seconds int32) error {
		_, err := b.ChangeMessageVisibility(b.ctx, &api.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: handle, VisibilityTimeout: &seconds})
		return err
	}
	if err := change(old, 600); err != nil {
		t.Fatal(err)
	}
	b.clock.pass(599 * time.Second)
	if got := b.receive(api.ReceiveMessageInput{QueueUrl: url}); len(got) != 0 {
		t.Fatalf("received early: %v", got)
	}
	b.clock.pass(time.Second)
	if err := change(old, 5); !fault.Is(err, fault.InvalidParameterValue) || !strings.Contains(err.Error(), "not available for visibility timeout change") {
		t.Errorf("a visible message was hidden: %v", err)
	}
	newer := b.receive(api.ReceiveMessageInput{QueueUrl: url})[0].ReceiptHandle
	if err := change(old, 0); !fault.Is(err, fault.InvalidParameterValue) {
		t.Errorf("the earlier receiver took the message from the later: %v", err)
	}
	if err := change(newer, 43201); !fault.Is(err, fault.InvalidParameterValue) {
		t.Errorf("too long: %v", err)
	}
	if err := change(newer, 0); err != nil || len(b.receive(api.ReceiveMessageInput{QueueUrl: url})) != 1 {
		t.Errorf("given back: %v", err)
	}
}

// The dead-letter queue's message is what AWS was recorded to give: same id,
// the count goes on, the source is told.
func TestDeadLetters(t *testing.T) {
	b := newBench(t)
	dead := b.create("dead", nil)
	url := b.create("q", map[string]string{"VisibilityTimeout": "10", "RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":"1"}`})
	id := b.send(url, "m")
	if got := b.receive(api.ReceiveMessageInput{QueueUrl: url}); len(got) != 1 {
		t.Fatal("not received")
	}
	b.clock.pass(10 * time.Second)
	if got := b.receive(api.ReceiveMessageInput{QueueUrl: url}); len(got) != 0 || b.counts(url) != "0 0 0" {
		t.Fatalf("received too often: %v", got)
	}
	got := b.receive(api.ReceiveMessageInput{QueueUrl: dead, AttributeNames: []string{"All"}})
	if len(got) != 1 || got[0].MessageId != id || got[0].Body != "m" || got[0].Attributes["ApproximateReceiveCount"] != "2" ||
		got[0].Attributes["DeadLetterQueueSourceArn"] != "arn:aws:sqs:us-east-1:123456789012:q" || got[0].Attributes["SentTimestamp"] != "1795348800000" {
		t.Fatalf("dead letter %+v", got)
	}
	out, err := b.ListDeadLetterSourceQueues(b.ctx, &api.ListDeadLetterSourceQueuesInput{QueueUrl: dead})
	if err != nil || !slices.Equal(out.QueueUrls, []string{url}) {
		t.Errorf("sources %v, %v", out, err)
	}
	if _, err := b.SetQueueAttributes(b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"RedrivePolicy": ""}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SetQueueAttributes(b.ctx, &api.SetQueueAttributesInput{QueueUrl: dead, Attributes: map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`}}); err != nil {
		t.Fatal(err)
	}
	_, err = b.SetQueueAttributes(b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":3}`}})
	if !fault.Is(err, fault.InvalidParameterValue) {
		t.Errorf("a queue that allows none: %v", err)
	}
}

func TestSweep(t *testing.T) {
	b := newBench(t)
	old := b.create("old", map[string]string{"MessageRetentionPeriod": "60"})
	kept := b.create("kept", nil)
	purged := b.create("purged", nil)
	gone := b.create("gone", nil)
	for _, u := range []string{old, kept, purged, gone} {
		b.send(u, "m")
	}
	if _, err := b.PurgeQueue(b.ctx, &api.PurgeQueueInput{QueueUrl: purged}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.DeleteQueue(b.ctx, &api.DeleteQueueInput{QueueUrl: gone}); err != nil {
		t.Fatal(err)
	}
	if got := b.receive(api.ReceiveMessageInput{QueueUrl: purged}); len(got) != 0 {
		t.Errorf("purged: %v", got)
	}
	if b.create("gone", nil); len(b.receive(api.ReceiveMessageInput{QueueUrl: gone})) != 0 {
		t.Error("a new queue has the messages of the old")
	}
	b.clock.pass(time.Minute)
	if got := b.receive(api.ReceiveMessageInput{QueueUrl: old}); len(got) != 0 {
		t.Errorf("expired: %v", got)
	}
	for range 2 { // the second run finds nothing
		if err := b.sweepOnce(b.ctx); err != nil {
			t.Fatal(err)
		}
		if n := b.documents(); n != 1 {
			t.Fatalf("%d documents left, want that of one message", n)
		}
	}
	if got := bodies(b.receive(api.ReceiveMessageInput{QueueUrl: kept})); !slices.Equal(got, []string{"m"}) {
		t.Errorf("kept: %v", got)
	}
}

// TestManyReceiversShare: every message is received once while it is in flight.
func TestManyReceiversShare(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	const messages, receivers = 40, 8
	ctx, cancel := context.WithCancel(b.ctx)
	got := make(chan string, messages*2)
	var running sync.WaitGroup
	for range receivers {
		running.Go(func() {
			for {
				out, err := b.ReceiveMessage(ctx, &api.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: new(int32(20)), MaxNumberOfMessages: new(int32(3))})
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				for _, m := range out.Messages {
					got <- m.Body
				}
			}
		})
	}
	for i := range messages {
		b.send(url, fmt.Sprint(i))
	}
	seen := map[string]int{}
	for range messages {
		seen[<-got]++
	}
	cancel()
	running.Wait()
	close(got)
	for m := range got {
		seen[m]++
	}
	for i := range messages {
		if seen[fmt.Sprint(i)] != 1 {
			t.Errorf("message %d was received %d times", i, seen[fmt.Sprint(i)])
		}
	}
}

func TestStartAndStop(t *testing.T) {
	s := New(Config{Store: storetest.New(t), Ring: keyring.Ephemeral()})
	s.Start(t.Context())
	s.Stop()
	s.Stop()
}

func BenchmarkSendReceiveDelete(b *testing.B) {
	svc := New(Config{Store: storetest.New(b), Ring: keyring.Ephemeral()})
	ctx := as(b, "")
	q, err := svc.CreateQueue(ctx, &api.CreateQueueInput{QueueName: "q"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := svc.SendMessage(ctx, &api.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: "m"}); err != nil {
			b.Fatal(err)
		}
		out, err := svc.ReceiveMessage(ctx, &api.ReceiveMessageInput{QueueUrl: q.QueueUrl})
		if err != nil || len(out.Messages) != 1 {
			b.Fatal(err)
		}
		if _, err := svc.DeleteMessage(ctx, &api.DeleteMessageInput{QueueUrl: q.QueueUrl, ReceiptHandle: out.Messages[0].ReceiptHandle}); err != nil {
			b.Fatal(err)
		}
	}
}
