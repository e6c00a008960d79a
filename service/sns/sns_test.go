package sns

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	kmsapi "github.com/slipway/slipway/api/kms"
	lambdaapi "github.com/slipway/slipway/api/lambda"
	api "github.com/slipway/slipway/api/sns"
	sqsapi "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/kms"
	"github.com/slipway/slipway/service/sqs"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

const (
	account  = "123456789012"
	region   = "us-east-1"
	endpoint = "http://127.0.0.1:4566"
	patience = 30 * time.Second
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

// queues is SQS with refusals that tests ask for.
type queues struct {
	sqsapi.Service
	mu   sync.Mutex
	fail func(in *sqsapi.SendMessageInput) error
	sent int
}

func (q *queues) SendMessage(ctx context.Context, in *sqsapi.SendMessageInput) (*sqsapi.SendMessageOutput, error) {
	q.mu.Lock()
	q.sent++
	fail := q.fail
	q.mu.Unlock()
	if fail != nil {
		if err := fail(in); err != nil {
			return nil, err
		}
	}
	return q.Service.SendMessage(ctx, in)
}

func (q *queues) failing(fail func(in *sqsapi.SendMessageInput) error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fail = fail
}

// functions is a Lambda that keeps what it is to do.
type functions struct {
	lambdaapi.Unimplemented
	mu      sync.Mutex
	refuse  error
	got     []lambdaapi.InvokeInput
	callers []auth.Call
}

func (f *functions) Invoke(ctx context.Context, in *lambdaapi.InvokeInput) (*lambdaapi.InvokeOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	f.got, f.callers = append(f.got, *in), append(f.callers, auth.From(ctx))
	return &lambdaapi.InvokeOutput{StatusCode: new(int32(202))}, nil
}

// bench is a service with what tests need around it.
type bench struct {
	*Service
	t         testing.TB
	ctx       context.Context
	queue     *queues
	kms       *kms.Service
	store     store.Store
	clock     *clock // nil: the real one
	functions *functions
}

// newBench makes a service whose couriers run by themselves, with the waits between
// tries all but gone.
func newBench(t testing.TB) *bench {
	t.Helper()
	return start(t, benchConfig{account: account, started: true})
}

// made is the key that all tests sign with: to make one takes seconds under the race
// detector.
var (
	madeOnce sync.Once
	made     *signer
)

type benchConfig struct {
	account string
	started bool
	clock   *clock
	store   store.Store
	ring    *keyring.Ring
}

func start(t testing.TB, c benchConfig) *bench {
	t.Helper()
	if c.store == nil {
		c.store = storetest.New(t)
	}
	if c.ring == nil {
		c.ring = keyring.Ephemeral()
	}
	now := time.Now
	if c.clock != nil {
		now = c.clock.Now
	}
	b := &bench{t: t, ctx: as(t, c.account, ""), store: c.store, clock: c.clock, functions: &functions{}}
	b.kms = kms.New(kms.Config{Store: c.store, Ring: c.ring, Now: now})
	b.queue = &queues{Service: guarded(sqs.New(sqs.Config{Store: c.store, Ring: c.ring, KMS: b.kms, Now: now}))}
	b.Service = New(Config{
		Store: c.store, Ring: c.ring, KMS: kmsapi.Intercept(b.kms, auth.Guard(auth.Everyone{})), SQS: b.queue, Now: now, WaitScale: 1e-3,
		Lambda: func() lambdaapi.Service { return b.functions },
	})
	madeOnce.Do(func() {
		var err error
		if made, err = b.signingKey(b.ctx); err != nil {
			t.Fatal(err)
		}
	})
	b.signer = made
	if c.started {
		b.Start(t.Context())
	}
	t.Cleanup(b.Stop)
	return b
}

// guarded is what other services call: it tells them what is called.
func guarded(s sqsapi.Service) sqsapi.Service {
	return sqsapi.Intercept(s, auth.Guard(auth.Everyone{}))
}

func as(t testing.TB, account, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf(account), Scope: arn.Scope{Account: account, Region: region}, Endpoint: endpoint, Token: token, Service: "sns",
	})
}

func nobody(t testing.TB) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.Principal{Kind: auth.Anonymous}, Scope: arn.Scope{Account: arn.DefaultAccount, Region: arn.DefaultRegion}, Service: "sns",
	})
}

func (b *bench) topic(name string, attrs map[string]string) string {
	b.t.Helper()
	out, err := b.CreateTopic(b.ctx, &api.CreateTopicInput{Name: name, Attributes: attrs})
	if err != nil {
		b.t.Fatalf("create topic %s: %v", name, err)
	}
	return out.TopicArn
}

func (b *bench) fifo(name string) string {
	return b.topic(name, map[string]string{"FifoTopic": "true", "ContentBasedDeduplication": "true"})
}

// open is a queue that lets SNS in.
func (b *bench) open(name string) string {
	b.t.Helper()
	attrs := map[string]string{"Policy": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}}`}
	if strings.HasSuffix(name, fifoSuffix) {
		attrs["FifoQueue"] = "true"
	}
	return b.closed(name, attrs)
}

// closed is a queue with the attributes; its ARN.
func (b *bench) closed(name string, attrs map[string]string) string {
	b.t.Helper()
	if _, err := b.queue.CreateQueue(b.ctx, &sqsapi.CreateQueueInput{QueueName: name, Attributes: attrs}); err != nil {
		b.t.Fatalf("create queue %s: %v", name, err)
	}
	return "arn:aws:sqs:" + region + ":" + auth.From(b.ctx).Scope.Account + ":" + name
}

func urlOf(queueARN string) string {
	a, _ := arn.Parse(queueARN)
	return endpoint + "/" + a.Account + "/" + a.Resource
}

func (b *bench) subscribe(topicARN, queueARN string, attrs map[string]string) string {
	b.t.Helper()
	out, err := b.Subscribe(b.ctx, &api.SubscribeInput{TopicArn: topicARN, Protocol: "sqs", Endpoint: queueARN, Attributes: attrs})
	if err != nil {
		b.t.Fatalf("subscribe %s: %v", queueARN, err)
	}
	return out.SubscriptionArn
}

func (b *bench) publish(in api.PublishInput) *api.PublishOutput {
	b.t.Helper()
	out, err := b.Publish(b.ctx, &in)
	if err != nil {
		b.t.Fatalf("publish: %v", err)
	}
	return out
}

// receive takes the next message of a queue.
func (b *bench) receive(queueARN string) sqsapi.Message {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		if got := b.look(queueARN); len(got) > 0 {
			return got[0]
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("nothing arrives in %s", queueARN)
		}
		b.Service.pause(b.ctx, 2*time.Millisecond)
	}
}

// look takes a message of a queue, if there is one, away.
func (b *bench) look(queueARN string) []sqsapi.Message {
	b.t.Helper()
	one := int32(1)
	out, err := b.queue.ReceiveMessage(b.ctx, &sqsapi.ReceiveMessageInput{
		QueueUrl: urlOf(queueARN), MaxNumberOfMessages: &one, MessageAttributeNames: []string{"All"}, AttributeNames: []string{"All"},
	})
	if err != nil {
		b.t.Fatalf("receive: %v", err)
	}
	for _, m := range out.Messages {
		if _, err := b.queue.DeleteMessage(b.ctx, &sqsapi.DeleteMessageInput{QueueUrl: urlOf(queueARN), ReceiptHandle: m.ReceiptHandle}); err != nil {
			b.t.Fatalf("delete: %v", err)
		}
	}
	return out.Messages
}

// settled waits until nothing waits to be delivered.
func (b *bench) settled() {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		n := b.waiting()
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%d deliveries wait", n)
		}
		b.Service.pause(b.ctx, 2*time.Millisecond)
	}
}

func (b *bench) waiting() (n int) {
	b.t.Helper()
	err := b.store.View(b.ctx, func(tx store.Tx) error {
		n = 0
		for _, work := range works {
			for _, err := range work.Scan(tx, "") {
				if err != nil {
					return err
				}
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

// envelopeOf is a message as it stands in a queue.
type envelopeOf struct {
	Type, MessageId, SequenceNumber, TopicArn, Subject, Message, Timestamp           string
	SignatureVersion, Signature, SigningCertURL, UnsubscribeURL, SubscribeURL, Token string
	MessageAttributes                                                                map[string]struct{ Type, Value string }
}

func parsed(t testing.TB, body string) envelopeOf {
	t.Helper()
	var e envelopeOf
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return e
}

func refusedWith(t testing.TB, err error, code, text string) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok || f.Code != code || !strings.Contains(f.Message, text) {
		t.Errorf("got %v, want %s: %s", err, code, text)
	}
}

func TestFansOut(t *testing.T) {
	b := newBench(t)
	topicARN := b.topic("orders", nil)
	plain, raw := b.open("plain"), b.open("raw")
	b.subscribe(topicARN, plain, nil)
	b.subscribe(topicARN, raw, map[string]string{"RawMessageDelivery": "true"})
	out := b.publish(api.PublishInput{
		TopicArn: topicARN, Message: "<b>fish & chips</b>", Subject: "Menu",
		MessageAttributes: map[string]api.MessageAttributeValue{"n": {DataType: "Number", StringValue: "7"}, "b": {DataType: "Binary", BinaryValue: []byte{2, 3, 4}}},
	})
	e := parsed(t, *body(b.receive(plain)))
	if e.Type != "Notification" || e.MessageId != out.MessageId || e.TopicArn != topicARN || e.Message != "<b>fish & chips</b>" || e.Subject != "Menu" {
		t.Errorf("the envelope is %+v", e)
	}
	if e.MessageAttributes["b"].Value != "AgME" || e.MessageAttributes["n"].Type != "Number" {
		t.Errorf("its attributes are %+v", e.MessageAttributes)
	}
	m := b.receive(raw)
	if m.Body != "<b>fish & chips</b>" || m.MessageAttributes["n"].StringValue != "7" || string(m.MessageAttributes["b"].BinaryValue) != "\x02\x03\x04" {
		t.Errorf("the raw message is %+v", m)
	}
	b.settled()
}

func body(m sqsapi.Message) *string { return &m.Body }

func TestPublishIsDeliveredByTheNextStart(t *testing.T) {
	st, ring := storetest.New(t), keyring.Ephemeral()
	b := start(t, benchConfig{account: account, store: st, ring: ring})
	topicARN, q := b.topic("later", nil), b.open("later")
	b.subscribe(topicARN, q, map[string]string{"RawMessageDelivery": "true"})
	for i := range 20 {
		b.publish(api.PublishInput{TopicArn: topicARN, Message: fmt.Sprint(i)})
	}
	if got := b.look(q); len(got) > 0 {
		t.Fatal("a message arrived before the couriers began")
	}
	b.Stop()
	b = start(t, benchConfig{account: account, store: st, ring: ring, started: true})
	seen := map[string]bool{}
	for len(seen) < 20 {
		seen[b.receive(q).Body] = true
	}
	b.settled()
}
