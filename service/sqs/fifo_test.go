package sqs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

var byContent = map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"}

// sendTo sends messages named by their group: "g1-m1".
func (b *bench) sendTo(url string, names ...string) {
	b.t.Helper()
	for _, name := range names {
		group, _, _ := strings.Cut(name, "-")
		if _, err := b.SendMessage(b.ctx, &api.SendMessageInput{QueueUrl: url, MessageBody: name, MessageGroupId: group}); err != nil {
			b.t.Fatalf("send %s: %v", name, err)
		}
	}
}

func (b *bench) take(url string, n int32) []api.Message {
	b.t.Helper()
	return b.receive(api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: &n})
}

func (b *bench) delete(url string, ms ...api.Message) {
	b.t.Helper()
	for _, m := range ms {
		if _, err := b.DeleteMessage(b.ctx, &api.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			b.t.Fatalf("delete %s: %v", m.Body, err)
		}
	}
}

func (b *bench) hideFor(url string, m api.Message, seconds int32) {
	b.t.Helper()
	if _, err := b.ChangeMessageVisibility(b.ctx, &api.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: &seconds}); err != nil {
		b.t.Fatalf("hide %s: %v", m.Body, err)
	}
}

// The orders are those in which AWS was recorded to answer.
func TestGroupsAreReceivedInOrder(t *testing.T) {
	b := newBench(t)
	url := b.create("q.fifo", byContent)
	want := func(what string, got []api.Message, want ...string) {
		t.Helper()
		if !slices.Equal(bodies(got), want) {
			t.Errorf("%s: %v, want %v", what, bodies(got), want)
		}
	}
	b.sendTo(url, "g1-m1", "g2-m1", "g1-m2", "g2-m2", "g1-m2", "g1-m3", "g1-m4", "g3-m1")
	first := b.take(url, 2)
	want("as many of a group as possible", first, "g1-m1", "g1-m2")
	b.delete(url, first[0])
	rest := b.take(url, 10)
	want("a group is locked while one is in flight", rest, "g2-m1", "g2-m2", "g3-m1")
	b.delete(url, first[1])
	last := b.take(url, 10)
	want("and goes on after it", last, "g1-m3", "g1-m4")
	if got := b.counts(url); got != "0 5 0" {
		t.Errorf("counts %s", got)
	}
	b.hideFor(url, last[1], 60)
	b.clock.pass(31 * time.Second)
	want("up to the one that is hidden", b.receive(api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(10)), VisibilityTimeout: new(int32(0))}),
		"g2-m1", "g2-m2", "g1-m3", "g3-m1")
	b.sendTo(url, "g4-m1")
	want("groups take turns", b.take(url, 10), "g2-m1", "g2-m2", "g1-m3", "g3-m1", "g4-m1")
}

func TestGroupAfterItsVisibilityEnds(t *testing.T) {
	b := newBench(t)
	url := b.create("q.fifo", byContent)
	b.sendTo(url, "g1-m1", "g1-m2", "g2-m1")
	first := b.take(url, 2)
	b.clock.pass(time.Second)
	b.hideFor(url, first[0], 0)
	if got := bodies(b.take(url, 3)); !slices.Equal(got, []string{"g2-m1", "g1-m1"}) {
		t.Errorf("received %v", got)
	}
}

func TestExpiredHandleOfFIFOQueue(t *testing.T) {
	b := newBench(t)
	url := b.create("q.fifo", byContent)
	b.sendTo(url, "g1-m1")
	m := b.take(url, 1)[0]
	b.clock.pass(30 * time.Second)
	_, err := b.DeleteMessage(b.ctx, &api.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle})
	if !fault.Is(err, fault.InvalidParameterValue) || !strings.HasSuffix(err.Error(), "Reason: The receipt handle has expired.") {
		t.Errorf("deleted with an expired handle: %v", err)
	}
	b.delete(url, b.take(url, 1)...)
	b.delete(url, m) // gone: no error
}

func TestFIFORefusals(t *testing.T) {
	b := newBench(t)
	url := b.create("q.fifo", map[string]string{"FifoQueue": "true"})
	standard := b.create("q", nil)
	set := func(at, name, value string) error {
		_, err := b.SetQueueAttributes(b.ctx, &api.SetQueueAttributesInput{QueueUrl: at, Attributes: map[string]string{name: value}})
		return err
	}
	send := func(in api.SendMessageInput) error {
		if in.QueueUrl == "" {
			in.QueueUrl = url
		}
		in.MessageBody = "m"
		_, err := b.SendMessage(b.ctx, &in)
		return err
	}
	_, batch := b.SendMessageBatch(b.ctx, &api.SendMessageBatchInput{QueueUrl: url, Entries: []api.SendMessageBatchRequestEntry{
		{Id: "a", MessageBody: "a", MessageGroupId: "g", MessageDeduplicationId: "1"}, {Id: "b", MessageBody: "b", MessageGroupId: "g"}}})
	const neither = "InvalidParameterValue: The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
	const notHere = "is invalid. Reason: The request include parameter that is not valid for this queue type."
	long := strings.Repeat("a", 129)
	redriveTo := func(name string) string {
		return `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:` + account + `:` + name + `","maxReceiveCount":"1"}`
	}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"no deduplication id", send(api.SendMessageInput{MessageGroupId: "g"}), neither},
		{"one in a batch", batch, neither},
		{"no group", send(api.SendMessageInput{MessageDeduplicationId: "d"}), "MissingParameter: The request must contain the parameter MessageGroupId."},
		{"a delay", send(api.SendMessageInput{MessageGroupId: "g", MessageDeduplicationId: "d", DelaySeconds: new(int32(2))}), "InvalidParameterValue: Value 2 for parameter DelaySeconds " + notHere},
		{"a long id", send(api.SendMessageInput{MessageGroupId: "g", MessageDeduplicationId: long}), "InvalidParameterValue: Value " + long + " for parameter MessageDeduplicationId is invalid. Reason: MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length."},
		{"a bad group", send(api.SendMessageInput{MessageGroupId: "a b", MessageDeduplicationId: "d"}), "InvalidParameterValue: Value a b for parameter MessageGroupId is invalid."},
		{"deduplication in a standard queue", send(api.SendMessageInput{QueueUrl: standard, MessageDeduplicationId: "d"}), "InvalidParameterValue: Value d for parameter MessageDeduplicationId " + notHere},
		{"FifoQueue of a standard queue", set(standard, "FifoQueue", "true"), "InvalidAttributeName: Unknown Attribute FifoQueue."},
		{"scope of a standard queue", set(standard, "DeduplicationScope", "queue"), "InvalidAttributeName: Unknown Attribute DeduplicationScope."},
		{"FifoQueue said again", set(url, "FifoQueue", "true"), ""},
		{"FifoQueue taken back", set(url, "FifoQueue", "false"), "InvalidAttributeValue"},
		{"a bad scope", set(url, "DeduplicationScope", "group"), "InvalidAttributeValue"},
		{"a limit by group without the scope", set(url, "FifoThroughputLimit", "perMessageGroupId"), "InvalidAttributeValue"},
		{"a standard dead-letter queue", set(url, "RedrivePolicy", redriveTo("q")), "InvalidParameterValue: Value " + redriveTo("q") + " for parameter RedrivePolicy is invalid. Reason: Dead-letter queue must be same type of queue as the source."},
		{"a FIFO dead-letter queue of a standard one", set(standard, "RedrivePolicy", redriveTo("q.fifo")), "InvalidParameterValue"},
		{"another attribute", func() error {
			_, err := b.CreateQueue(b.ctx, &api.CreateQueueInput{QueueName: "q.fifo", Attributes: byContent})
			return err
		}(), "QueueNameExists: A queue already exists with the same name and a different value for attribute ContentBasedDeduplication"},
		{"an attempt in a standard queue", func() error {
			_, err := b.ReceiveMessage(b.ctx, &api.ReceiveMessageInput{QueueUrl: standard, ReceiveRequestAttemptId: "a"})
			return err
		}(), "InvalidParameterValue: Value a for parameter ReceiveRequestAttemptId " + notHere},
	} {
		got := ""
		if c.err != nil {
			got = c.err.Error()
		}
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := b.counts(url); got != "0 0 0" {
		t.Errorf("what was refused was kept: %s", got)
	}
}

func TestDeduplication(t *testing.T) {
	b := newBench(t)
	url := b.create("q.fifo", map[string]string{"FifoQueue": "true"})
	send := func(group, id, body string) *api.SendMessageOutput {
		t.Helper()
		out, err := b.SendMessage(b.ctx, &api.SendMessageInput{QueueUrl: url, MessageBody: body, MessageGroupId: group, MessageDeduplicationId: id})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := send("g1", "d", "Test1")
	second := send("g2", "d", "Test2")
	if second.MessageId != first.MessageId || second.SequenceNumber != first.SequenceNumber || second.MD5OfMessageBody != md5Hex("Test2") {
		t.Errorf("a duplicate is answered %+v, the first %+v", second, first)
	}
	if len(first.SequenceNumber) != 20 || send("g1", "e", "x").SequenceNumber <= first.SequenceNumber {
		t.Errorf("sequence number %s", first.SequenceNumber)
	}
	b.delete(url, b.take(url, 10)...)
	// A restart remembers.
	b.Service = New(Config{Store: b.store, Ring: b.ring, Now: b.clock.Now})
	if send("g1", "d", "Test1"); len(b.take(url, 10)) != 0 {
		t.Error("a duplicate after a delete and a restart was received")
	}
	// By group, as recorded: what the queue had met before still counts.
	if _, err := b.SetQueueAttributes(b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}}); err != nil {
		t.Fatal(err)
	}
	if send("g2", "d", "Test3"); len(b.take(url, 10)) != 0 {
		t.Error("what was sent before the scope changed was forgotten")
	}
	send("g1", "f", "Test4")
	send("g1", "f", "Test5")
	send("g2", "f", "Test6")
	if got := bodies(b.take(url, 10)); !slices.Equal(got, []string{"Test4", "Test6"}) {
		t.Errorf("by group: %v", got)
	}
	// And back: the groups' are not the queue's.
	if _, err := b.SetQueueAttributes(b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"}}); err != nil {
		t.Fatal(err)
	}
	if send("g3", "f", "Test7"); len(b.take(url, 10)) != 1 {
		t.Error("the regular queue deduplicated by a group's id")
	}
	b.clock.pass(5 * time.Minute)
	if send("g4", "d", "late"); len(b.take(url, 1)) != 1 {
		t.Error("still a duplicate after five minutes")
	}
	// A purge forgets, as AWS was recorded to.
	if _, err := b.PurgeQueue(b.ctx, &api.PurgeQueueInput{QueueUrl: url}); err != nil {
		t.Fatal(err)
	}
	if send("g4", "d", "purged"); len(b.take(url, 1)) != 1 {
		t.Error("a duplicate of what was purged")
	}
	if _, err := b.PurgeQueue(b.ctx, &api.PurgeQueueInput{QueueUrl: url}); !fault.Is(err, fault.PurgeQueueInProgress) {
		t.Errorf("purged twice within a minute: %v", err)
	}
}

func TestReceiveAttempt(t *testing.T) {
	b := newBench(t)
	url := b.create("q.fifo", byContent)
	b.sendTo(url, "g1-m1", "g1-m2", "g2-m1")
	try := func() []api.Message {
		return b.receive(api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(2)), ReceiveRequestAttemptId: "try"})
	}
	first := try()
	b.clock.pass(20 * time.Second)
	again := try()
	if len(first) != 2 || len(again) != 2 || again[0].ReceiptHandle != first[0].ReceiptHandle || again[1].MessageId != first[1].MessageId {
		t.Fatalf("the attempt gave %v, then %v", bodies(first), bodies(again))
	}
	b.clock.pass(20 * time.Second) // the repetition began the timeout anew
	if got := bodies(b.take(url, 10)); !slices.Equal(got, []string{"g2-m1"}) {
		t.Errorf("meanwhile: %v", got)
	}
	b.delete(url, first[0])
	if got := bodies(try()); len(got) != 0 {
		t.Errorf("after a delete the attempt gave %v", got)
	}
}

func TestFIFODeadLetters(t *testing.T) {
	b := newBench(t)
	dead := b.create("dead.fifo", byContent)
	url := b.create("q.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "0",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:` + account + `:dead.fifo","maxReceiveCount":2}`})
	b.sendTo(url, "g1-m1", "g1-m2")
	for range 2 {
		if got := bodies(b.take(url, 1)); !slices.Equal(got, []string{"g1-m1"}) {
			t.Fatalf("received %v", got)
		}
		b.clock.pass(time.Second)
	}
	if got := bodies(b.take(url, 1)); !slices.Equal(got, []string{"g1-m2"}) {
		t.Errorf("behind it: %v", got)
	}
	b.sendTo(dead, "g1-late")
	got := b.receive(api.ReceiveMessageInput{QueueUrl: dead, MaxNumberOfMessages: new(int32(10)), AttributeNames: []string{"All"}})
	if !slices.Equal(bodies(got), []string{"g1-m1", "g1-late"}) || got[0].Attributes["MessageGroupId"] != "g1" || got[0].Attributes["ApproximateReceiveCount"] != "3" ||
		got[0].Attributes["MessageDeduplicationId"] != hashOf("g1-m1") || got[0].Attributes["SequenceNumber"] >= got[1].Attributes["SequenceNumber"] {
		t.Errorf("dead letters %+v", got)
	}
}

func TestInFlightLimit(t *testing.T) {
	b := newBench(t)
	b.maxInFlight = 3
	standard, ordered := b.create("q", nil), b.create("q.fifo", byContent)
	for i := range 5 {
		b.send(standard, fmt.Sprint(i))
		b.sendTo(ordered, fmt.Sprintf("g%d-m", i))
	}
	for _, url := range []string{standard, ordered} {
		if got := b.take(url, 10); len(got) != 3 {
			t.Errorf("%s: %d received", url, len(got))
		}
	}
	if _, err := b.ReceiveMessage(b.ctx, &api.ReceiveMessageInput{QueueUrl: standard}); !fault.Is(err, fault.OverLimit) {
		t.Errorf("over the limit: %v", err)
	}
	if got := b.take(ordered, 10); len(got) != 0 {
		t.Errorf("over the limit of a FIFO queue: %v", bodies(got))
	}
	b.clock.pass(30 * time.Second)
	if got := b.take(standard, 10); len(got) != 3 {
		t.Errorf("when they are back: %d received", len(got))
	}
}

// check holds what is counted and ordered against what is there.
func (b *bench) check(url string) {
	b.t.Helper()
	err := b.view(b.ctx, url, func(tx store.Tx, _ place, q *queue) error {
		var real counts
		heads := map[string]string{}
		now := b.clock.Now().UnixMilli()
		if q.Attributes.Fifo {
			now = now/1000*1000 + 999 // as it is counted
		}
		for doc, err := range tx.Scan(q.stored(), store.PrefixEnd(q.stored())) {
			var st state
			if err != nil || decode(doc.Value, &st) != nil {
				return fmt.Errorf("%s: %w", doc.Key, err)
			}
			id := idOf(doc.Key)
			if q.stands(id, st.Visible) != doc.Key {
				return fmt.Errorf("%s is to be visible at %d", doc.Key, st.Visible)
			}
			var at int64
			if found, err := getJSON(tx, pointerKey(q.Data, id), &at); err != nil || found != st.Moved || found && at != st.Visible {
				return fmt.Errorf("p/ of %+v: %d (%v)", st, at, err)
			}
			switch {
			case st.Visible <= now:
				real.visible++
			case st.Receives > 0:
				real.inFlight++
			default:
				real.delayed++
			}
			if _, met := heads[st.Group]; !met && q.Attributes.Fifo {
				heads[st.Group] = headKey(q.Data, &st, id)
			}
		}
		told, err := count(tx, q, b.clock.Now())
		if err != nil || told != real {
			return fmt.Errorf("counted %+v, there are %+v (%v)", told, real, err)
		}
		n := 0
		for doc, err := range tx.Scan(root(q.Data)+"h/", store.PrefixEnd(root(q.Data)+"h/")) {
			if n++; err != nil || !slices.Contains(slices.Collect(maps.Values(heads)), doc.Key) {
				return fmt.Errorf("%s is no first message (%v)", doc.Key, err)
			}
		}
		if n != len(heads) {
			return fmt.Errorf("%d first messages, want %v", n, heads)
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestAnyOrderOfCalls: whatever is called, the counts and the groups' first
// messages are right after it.
func TestAnyOrderOfCalls(t *testing.T) {
	const seed = 7
	for _, fifo := range []bool{false, true} {
		b := newBench(t)
		r := rand.New(rand.NewPCG(seed, 1))
		name, attrs := "q", map[string]string{"MessageRetentionPeriod": "120", "VisibilityTimeout": "7"}
		if fifo {
			name, attrs["FifoQueue"], attrs["ContentBasedDeduplication"], attrs["DelaySeconds"] = "q.fifo", "true", "true", "2"
		}
		url := b.create(name, attrs)
		var held []api.Message
		for i := range 300 {
			switch r.IntN(6) {
			case 0, 1:
				in := &api.SendMessageInput{QueueUrl: url, MessageBody: fmt.Sprint(i), MessageGroupId: fmt.Sprint("g", r.IntN(4))}
				if !fifo {
					in.DelaySeconds = new(int32(r.IntN(5)))
				}
				if _, err := b.SendMessage(b.ctx, in); err != nil {
					t.Fatal(err)
				}
			case 2:
				held = append(held, b.receive(api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(r.IntN(4) + 1)), VisibilityTimeout: new(int32(r.IntN(9)))})...)
			case 3:
				b.clock.pass(time.Duration(r.IntN(6000)) * time.Millisecond)
			case 4:
				if len(held) > 0 {
					m := held[r.IntN(len(held))]
					_, _ = b.ChangeMessageVisibility(b.ctx, &api.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: new(int32(r.IntN(20)))}) // may be over
				}
			default:
				if len(held) > 0 {
					at := r.IntN(len(held))
					_, _ = b.DeleteMessage(b.ctx, &api.DeleteMessageInput{QueueUrl: url, ReceiptHandle: held[at].ReceiptHandle}) // may have expired
					held = slices.Delete(held, at, at+1)
				}
			}
			b.check(url)
			if i%50 == 49 {
				if err := b.sweepOnce(b.ctx); err != nil {
					t.Fatal(err)
				}
				b.check(url)
			}
		}
		b.clock.pass(time.Hour)
		if err := b.sweepOnce(b.ctx); err != nil || b.documents() != 0 {
			t.Errorf("at the end %d documents are left (%v)", b.documents(), err)
		}
	}
}
