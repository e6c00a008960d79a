package sqs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

const (
	account  = "123456789012"
	endpoint = "http://127.0.0.1:4566"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is a service with what tests need around it.
type bench struct {
	*Service
	t     *testing.T
	ctx   context.Context
	clock *clock
}

func newBench(t *testing.T) *bench {
	t.Helper()
	c := &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	b := &bench{t: t, clock: c, ctx: as(t, "")}
	b.Service = New(Config{Store: storetest.New(t), Ring: keyring.Ephemeral(), Now: c.Now})
	return b
}

func as(t testing.TB, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf(account), Scope: arn.Scope{Account: account, Region: "us-east-1"}, Endpoint: endpoint, Token: token,
	})
}

func (b *bench) create(name string, attrs map[string]string) string {
	b.t.Helper()
	out, err := b.CreateQueue(b.ctx, &api.CreateQueueInput{QueueName: name, Attributes: attrs})
	if err != nil {
		b.t.Fatalf("create %s: %v", name, err)
	}
	return out.QueueUrl
}

func (b *bench) send(url, body string) string {
	b.t.Helper()
	out, err := b.SendMessage(b.ctx, &api.SendMessageInput{QueueUrl: url, MessageBody: body})
	if err != nil {
		b.t.Fatalf("send: %v", err)
	}
	return out.MessageId
}

func (b *bench) receive(in api.ReceiveMessageInput) []api.Message {
	b.t.Helper()
	out, err := b.ReceiveMessage(b.ctx, &in)
	if err != nil {
		b.t.Fatalf("receive: %v", err)
	}
	return out.Messages
}

func (b *bench) attributes(url string, names ...string) map[string]string {
	b.t.Helper()
	out, err := b.GetQueueAttributes(b.ctx, &api.GetQueueAttributesInput{QueueUrl: url, AttributeNames: names})
	if err != nil {
		b.t.Fatalf("attributes: %v", err)
	}
	return out.Attributes
}

func (b *bench) counts(url string) string {
	a := b.attributes(url, "All")
	return a["ApproximateNumberOfMessages"] + " " + a["ApproximateNumberOfMessagesNotVisible"] + " " + a["ApproximateNumberOfMessagesDelayed"]
}

// documents counts what the store holds below the bulk prefix, apart from the
// queues' own counts.
func (b *bench) documents() int {
	b.t.Helper()
	n := 0
	err := b.store.View(b.ctx, func(tx store.Tx) error {
		for doc, err := range tx.Scan(store.BulkPrefix, store.PrefixEnd(store.BulkPrefix)) {
			if err != nil {
				return err
			}
			if !strings.HasSuffix(doc.Key, "/n") && !strings.Contains(doc.Key, "/c/") {
				n++
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func bodies(ms []api.Message) []string {
	var out []string
	for _, m := range ms {
		out = append(out, m.Body)
	}
	return out
}

// The attributes are those that AWS was recorded to give a new queue.
func TestNewQueue(t *testing.T) {
	b := newBench(t)
	url := b.create("orders", nil)
	if url != endpoint+"/"+account+"/orders" {
		t.Errorf("url %s", url)
	}
	want := map[string]string{
		"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesDelayed": "0", "ApproximateNumberOfMessagesNotVisible": "0",
		"CreatedTimestamp": "1795348800", "LastModifiedTimestamp": "1795348800", "DelaySeconds": "0", "MaximumMessageSize": "1048576",
		"MessageRetentionPeriod": "345600", "QueueArn": "arn:aws:sqs:us-east-1:123456789012:orders", "ReceiveMessageWaitTimeSeconds": "0",
		"SqsManagedSseEnabled": "true", "VisibilityTimeout": "30",
	}
	if got := b.attributes(url, "All"); !maps.Equal(got, want) {
		t.Errorf("attributes %v\nwant %v", got, want)
	}
	if got := b.attributes(url); got != nil {
		t.Errorf("no names asked for: %v", got)
	}
	out, err := b.GetQueueUrl(b.ctx, &api.GetQueueUrlInput{QueueName: "orders"})
	if err != nil || out.QueueUrl != url {
		t.Errorf("GetQueueUrl: %v, %v", out, err)
	}
}

func TestQueueRefusals(t *testing.T) {
	b := newBench(t)
	url := b.create("q", map[string]string{"DelaySeconds": "5"})
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}]}`
	create := func(name string, attrs map[string]string) error {
		_, err := b.CreateQueue(b.ctx, &api.CreateQueueInput{QueueName: name, Attributes: attrs})
		return err
	}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"same again", create("q", map[string]string{"DelaySeconds": "5"}), ""},
		{"nothing said", create("q", nil), ""},
		{"other attribute", create("q", map[string]string{"DelaySeconds": "6"}), "QueueNameExists: A queue already exists with the same name and a different value for attribute DelaySeconds"},
		{"bad name", create("a b", nil), "InvalidParameterValue: Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"},
		{"fifo name alone", create("a.fifo", nil), "InvalidParameterValue: Can only include"},
		{"fifo without the suffix", create("a", map[string]string{"FifoQueue": "true"}), "InvalidParameterValue: The name of a FIFO queue can only include"},
		{"not fifo", create("a", map[string]string{"FifoQueue": "false"}), "InvalidAttributeName: Unknown Attribute FifoQueue."},
		{"too large", create("a", map[string]string{"VisibilityTimeout": "43201"}), "InvalidAttributeValue: Invalid value for the parameter VisibilityTimeout."},
		{"no number", create("a", map[string]string{"DelaySeconds": "x"}), "InvalidAttributeValue: Invalid value for the parameter DelaySeconds."},
		{"bad policy", create("a", map[string]string{"Policy": "{}"}), "InvalidAttributeValue: Invalid value for the parameter Policy."},
		{"good policy", create("p", map[string]string{"Policy": policy}), ""},
		{"good policy, other form", create("p", map[string]string{"Policy": strings.Replace(policy, ",", " , ", 1)}), ""},
		{"no dead-letter queue", create("a", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:none","maxReceiveCount":1}`}), "InvalidParameterValue"},
		{"no such queue", func() error {
			_, err := b.SendMessage(b.ctx, &api.SendMessageInput{QueueUrl: url + "x", MessageBody: "m"})
			return err
		}(), "QueueDoesNotExist: The specified queue does not exist."},
		{"another account's", func() error {
			_, err := b.DeleteQueue(b.ctx, &api.DeleteQueueInput{QueueUrl: endpoint + "/999999999999/q"})
			return err
		}(), "QueueDoesNotExist"},
		{"no URL", func() error {
			_, err := b.DeleteQueue(b.ctx, &api.DeleteQueueInput{QueueUrl: "q"})
			return err
		}(), "InvalidAddress: The address q is not valid for this endpoint."},
		{"unknown attribute", func() error {
			_, err := b.GetQueueAttributes(b.ctx, &api.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []string{"Colour"}})
			return err
		}(), "InvalidAttributeName: Unknown Attribute Colour."},
	} {
		got := ""
		if c.err != nil {
			got = c.err.Error()
		}
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSetAttributes(t *testing.T) {
	b := newBench(t)
	url := b.create("q", map[string]string{"MessageRetentionPeriod": "604800", "ReceiveMessageWaitTimeSeconds": "10", "VisibilityTimeout": "20"})
	b.clock.pass(time.Minute)
	if _, err := b.SetQueueAttributes(b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"MaximumMessageSize": "2048", "DelaySeconds": "420", "VisibilityTimeout": ""}}); err != nil {
		t.Fatal(err)
	}
	got := b.attributes(url, "All")
	for name, want := range map[string]string{"MaximumMessageSize": "2048", "DelaySeconds": "420", "VisibilityTimeout": "30", "MessageRetentionPeriod": "604800", "LastModifiedTimestamp": "1795348860"} {
		if got[name] != want {
			t.Errorf("%s = %s, want %s", name, got[name], want)
		}
	}
}

func TestDurableStepOwnsItsQueue(t *testing.T) {
	b := newBench(t)
	in := &api.CreateQueueInput{QueueName: "q", Tags: map[string]string{"aws:cloudformation:stack-name": "s"}}
	for range 2 {
		if _, err := b.CreateQueue(as(t, "step-1"), in); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.CreateQueue(as(t, "step-2"), in); !fault.Is(err, fault.QueueNameExists) {
		t.Fatalf("another step took the queue: %v", err)
	}
	if _, err := b.CreateQueue(b.ctx, &api.CreateQueueInput{QueueName: "r", Tags: in.Tags}); !fault.Is(err, fault.InvalidParameterValue) {
		t.Fatalf("a caller set an aws: tag: %v", err)
	}
}

func TestTags(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	list := func() map[string]string {
		out, err := b.ListQueueTags(b.ctx, &api.ListQueueTagsInput{QueueUrl: url})
		if err != nil {
			t.Fatal(err)
		}
		return out.Tags
	}
	if _, err := b.TagQueue(b.ctx, &api.TagQueueInput{QueueUrl: url, Tags: map[string]string{"tag1": "value1", "tag2": "value2", "tag3": ""}}); err != nil {
		t.Fatal(err)
	}
	if got := list(); !maps.Equal(got, map[string]string{"tag1": "value1", "tag2": "value2", "tag3": ""}) {
		t.Errorf("tags %v", got)
	}
	if _, err := b.UntagQueue(b.ctx, &api.UntagQueueInput{QueueUrl: url, TagKeys: []string{"tag1", "tag3", "none"}}); err != nil {
		t.Fatal(err)
	}
	if got := list(); !maps.Equal(got, map[string]string{"tag2": "value2"}) {
		t.Errorf("tags %v", got)
	}
}

func TestListQueuesPages(t *testing.T) {
	b := newBench(t)
	var want []string
	for i := range 5 {
		want = append(want, b.create(fmt.Sprintf("test-%d", i), nil))
	}
	b.create("other", nil)
	var got []string
	in := &api.ListQueuesInput{QueueNamePrefix: "test-", MaxResults: new(int32(2))}
	for pages := 0; ; pages++ {
		out, err := b.ListQueues(b.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, out.QueueUrls...)
		if out.NextToken == "" {
			if pages != 2 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
		in.NextToken = out.NextToken
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v", got)
	}
	in.NextToken = "nonsense"
	if _, err := b.ListQueues(b.ctx, in); !fault.Is(err, fault.InvalidParameterValue) {
		t.Errorf("a broken token: %v", err)
	}
}
