package s3

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// inbox is a destination that keeps what it gets.
type inbox struct {
	mu     sync.Mutex
	bodies []string
	source string
	refuse error
}

func (i *inbox) Send(ctx context.Context, _ arn.ARN, body string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.refuse != nil {
		return i.refuse
	}
	i.source = auth.From(ctx).Principal.Name + " for " + auth.From(ctx).SourceARN
	i.bodies = append(i.bodies, body)
	return nil
}

func (i *inbox) Try(ctx context.Context, to arn.ARN, testEvent string) error {
	return i.Send(ctx, to, testEvent)
}

// take gives what came, by event and key, and empties the box.
func (i *inbox) take(t *testing.T) []string {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	var out []string
	for _, b := range i.bodies {
		var m message
		if err := json.Unmarshal([]byte(b), &m); err != nil {
			t.Fatal(err)
		}
		for _, r := range m.Records {
			out = append(out, r.EventName+" "+r.S3.Object.Key)
		}
	}
	i.bodies = nil
	slices.Sort(out)
	return out
}

const queueARN = "arn:aws:sqs:us-east-1:111111111111:events"

func notifying(t *testing.T) (*fixture, *inbox) {
	f, box := newFixture(t).bucket("bkt"), &inbox{}
	f.destinations = map[string]Destination{"sqs": box}
	return f, box
}

func (f *fixture) notify(queues ...api.QueueConfiguration) error {
	_, err := f.PutBucketNotificationConfiguration(f.ctx, &api.PutBucketNotificationConfigurationInput{
		Bucket: "bkt", NotificationConfiguration: &api.NotificationConfiguration{QueueConfigurations: queues}})
	return err
}

func queueOf(filter []api.FilterRule, events ...string) api.QueueConfiguration {
	q := api.QueueConfiguration{QueueArn: queueARN, Events: events}
	if filter != nil {
		q.Filter = &api.NotificationConfigurationFilter{Key: &api.S3KeyFilter{FilterRules: filter}}
	}
	return q
}

func (f *fixture) delivered(box *inbox, want ...string) {
	f.t.Helper()
	noError(f.t, f.deliver(context.Background()))
	if got := box.take(f.t.(*testing.T)); !slices.Equal(got, want) {
		f.t.Errorf("delivered %q, want %q", got, want)
	}
}

func TestEventsAreDelivered(t *testing.T) {
	f, box := notifying(t)
	noError(t, f.notify(queueOf([]api.FilterRule{{Name: "prefix", Value: "in/"}}, "s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*")))
	if len(box.bodies) != 1 || !strings.Contains(box.bodies[0], `"Event":"s3:TestEvent"`) || box.source != "s3.amazonaws.com for arn:aws:s3:::bkt" {
		t.Fatalf("test event: %q from %q", box.bodies, box.source)
	}
	box.take(t)
	f.put("bkt", "in/a b", "hello")
	f.put("bkt", "out/a", "x")
	f.reopen() // a restart loses none
	f.destinations = map[string]Destination{"sqs": box}
	noError(t, f.deliver(context.Background()))
	var m message
	if len(box.bodies) != 1 || json.Unmarshal([]byte(box.bodies[0]), &m) != nil {
		t.Fatalf("got %q", box.bodies)
	}
	r := m.Records[0]
	if r.EventVersion != "2.1" || r.EventSource != "aws:s3" || r.S3.Object.Key != "in/a+b" || *r.S3.Object.Size != 5 ||
		r.S3.Object.ETag != "5d41402abc4b2a76b9719d911017c592" || r.S3.Object.Sequencer == "" || r.S3.Bucket.ARN != "arn:aws:s3:::bkt" {
		t.Errorf("record %+v", r)
	}
	box.take(t)
	_, err := f.PutObjectTagging(f.ctx, &api.PutObjectTaggingInput{Bucket: "bkt", Key: "in/a b", Tagging: &api.Tagging{TagSet: []api.Tag{{Key: "a"}}}})
	noError(t, err)
	_, err = f.CopyObject(user(account, "root", "CopyObject"), &api.CopyObjectInput{Bucket: "bkt", Key: "in/c", CopySource: "bkt/out/a"})
	noError(t, err)
	_, err = f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: "in/a b"})
	noError(t, err)
	f.version("bkt", enabled)
	_, err = f.DeleteObjects(f.ctx, &api.DeleteObjectsInput{Bucket: "bkt", Delete: &api.Delete{Objects: []api.ObjectIdentifier{{Key: "in/c"}, {Key: "out/a"}}}})
	noError(t, err)
	f.delivered(box, "ObjectCreated:Copy in/c", "ObjectRemoved:Delete in/a+b", "ObjectRemoved:DeleteMarkerCreated in/c", "ObjectTagging:Put in/a+b")
	f.delivered(box) // each once
}

func TestRefusedWritesTellNothing(t *testing.T) {
	f, box := notifying(t)
	noError(t, f.notify(queueOf(nil, "s3:ObjectCreated:*")))
	box.take(t)
	f.put("bkt", "k", "x")
	_, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text("y"), IfNoneMatch: "*"})
	wantFault(t, err, fault.PreconditionFailed, "")
	f.delivered(box, "ObjectCreated:Put k")
}

func TestDeliveryIsTriedAgain(t *testing.T) {
	f, box := notifying(t)
	noError(t, f.notify(queueOf(nil, "s3:ObjectCreated:*")))
	box.take(t)
	f.put("bkt", "k", "x")
	box.refuse = errors.New("away")
	f.delivered(box)
	box.refuse = nil
	f.delivered(box) // not before its time
	f.clock.Add(time.Minute)
	f.delivered(box, "ObjectCreated:Put k")
	f.put("bkt", "k", "x")
	box.refuse = errors.New("gone")
	for range 400 {
		f.clock.Add(deliveryMaxRetry)
		f.delivered(box)
	}
	box.refuse = nil
	f.clock.Add(time.Hour)
	f.delivered(box) // given up
}

func TestLifecycleTells(t *testing.T) {
	f, box := notifying(t)
	noError(t, f.notify(queueOf(nil, "s3:LifecycleExpiration:*")))
	box.take(t)
	f.put("bkt", "k", "x")
	f.rules("bkt", expireAfter(1, nil))
	f.after(3 * day)
	f.delivered(box, "LifecycleExpiration:Delete k")
}

// Answers of AWS: test_multiple_invalid_sqs_arns, test_filter_rules_*.
func TestNotificationConfiguration(t *testing.T) {
	f, box := notifying(t)
	box.refuse = fault.New(fault.InvalidArgument, "The destination queue does not exist")
	wantFault(t, f.notify(queueOf(nil, "s3:ObjectCreated:*")), fault.InvalidArgument, "Unable to validate the following destination configurations")
	box.refuse = nil
	created := []string{"s3:ObjectCreated:*"}
	suffix := func(s string) []api.FilterRule { return []api.FilterRule{{Name: "suffix", Value: s}} }
	for _, tt := range []struct {
		name          string
		in            []api.QueueConfiguration
		code, message string
	}{
		{"arn", []api.QueueConfiguration{{QueueArn: "invalid_arn", Events: created}}, fault.InvalidArgument, "The ARN could not be parsed"},
		{"region", []api.QueueConfiguration{{QueueArn: "arn:aws:sqs:eu-west-1:111111111111:q", Events: created}}, fault.InvalidArgument, "The notification destination service region is not valid for the bucket location constraint"},
		{"fifo", []api.QueueConfiguration{{QueueArn: queueARN + ".fifo", Events: created}}, fault.InvalidArgument, ""},
		{"event", []api.QueueConfiguration{queueOf(nil, "s3:Nothing")}, fault.InvalidArgument, "A specified event is not supported for notifications."},
		{"unbuilt event", []api.QueueConfiguration{queueOf(nil, "s3:Replication:*")}, fault.NotImplemented, ""},
		{"filter", []api.QueueConfiguration{queueOf([]api.FilterRule{{Name: "infix", Value: "a"}}, created...)}, fault.InvalidArgument, "filter rule name must be either prefix or suffix"},
		{"overlap", []api.QueueConfiguration{queueOf(nil, created...), queueOf(suffix(".jpg"), "s3:ObjectCreated:Put")}, fault.InvalidArgument, ""},
		{"suffixes", []api.QueueConfiguration{queueOf(suffix(".png"), created...), queueOf(suffix(".jpg"), created...)}, "", ""},
	} {
		err := f.notify(tt.in...)
		if tt.code == "" {
			noError(t, err)
			continue
		}
		if e, ok := fault.As(err); !ok || e.Code != tt.code || tt.message != "" && e.Message != tt.message {
			t.Errorf("%s: %v, want %s: %s", tt.name, err, tt.code, tt.message)
		}
	}
	in := &api.PutBucketNotificationConfigurationInput{Bucket: "bkt"}
	in.NotificationConfiguration = &api.NotificationConfiguration{TopicConfigurations: []api.TopicConfiguration{{TopicArn: "arn:aws:sns:us-east-1:111111111111:t", Events: created}}}
	_, err := f.PutBucketNotificationConfiguration(f.ctx, in)
	wantFault(t, err, fault.NotImplemented, "s3: the notification destination Topic (sns) is not implemented")
	in.NotificationConfiguration = &api.NotificationConfiguration{EventBridgeConfiguration: &api.EventBridgeConfiguration{}}
	_, err = f.PutBucketNotificationConfiguration(f.ctx, in)
	wantFault(t, err, fault.NotImplemented, "s3: the notification destination EventBridge is not implemented")
	out, err := f.GetBucketNotificationConfiguration(f.ctx, &api.GetBucketNotificationConfigurationInput{Bucket: "bkt"})
	noError(t, err)
	if q := out.QueueConfigurations; len(q) != 2 || q[0].Filter.Key.FilterRules[0].Name != "Suffix" || q[0].Id == "" {
		t.Errorf("= %+v", q)
	}
	noError(t, f.notify())
	f.put("bkt", "k.png", "x")
	box.take(t)
	f.delivered(box)
}
