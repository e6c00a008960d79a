package s3

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	lambdaapi "github.com/slipway/slipway/api/lambda"
	snsapi "github.com/slipway/slipway/api/sns"
	sqsapi "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Destination takes events. A refusal that the owner of the bucket can mend is a
// *fault.Error; its message is what PutBucketNotificationConfiguration answers.
type Destination interface {
	Send(ctx context.Context, to arn.ARN, body string) error
	// Try finds out whether events could be sent; some get the test event for it.
	Try(ctx context.Context, to arn.ARN, testEvent string) error
}

const servicePrincipal = "s3.amazonaws.com"

// Delivery of events, at least once.
const (
	deliveryBatch    = 100
	deliveryParallel = 16
	deliveryResync   = 5 * time.Second
	deliveryRetry    = time.Second
	deliveryMaxRetry = 5 * time.Minute
	deliveryGiveUp   = 24 * time.Hour
)

// Queues are SQS queues as destinations.
type Queues struct{ SQS sqsapi.Service }

// Send sends a message, by leave of the queue's policy.
func (q Queues) Send(ctx context.Context, to arn.ARN, body string) error {
	_, err := q.SQS.SendMessage(ctx, &sqsapi.SendMessageInput{
		QueueUrl: "https://sqs." + to.Region + ".amazonaws.com/" + to.Account + "/" + to.Resource, MessageBody: body,
	})
	switch {
	case fault.Is(err, fault.QueueDoesNotExist):
		return fault.New(fault.InvalidArgument, "The destination queue does not exist").Because(err)
	case fault.Is(err, fault.AccessDenied):
		return fault.New(fault.InvalidArgument, "Permissions on the destination queue do not allow S3 to publish notifications from this bucket").Because(err)
	}
	return err
}

// Try sends the test event.
func (q Queues) Try(ctx context.Context, to arn.ARN, testEvent string) error {
	return q.Send(ctx, to, testEvent)
}

// Topics are SNS topics as destinations.
type Topics struct{ SNS snsapi.Service }

// Send publishes a message, by leave of the topic's policy.
func (t Topics) Send(ctx context.Context, to arn.ARN, body string) error {
	_, err := t.SNS.Publish(ctx, &snsapi.PublishInput{TopicArn: to.String(), Subject: notificationSubject, Message: body})
	switch {
	case fault.Is(err, fault.SNSNotFound):
		return fault.New(fault.InvalidArgument, "The destination topic does not exist").Because(err)
	case fault.Is(err, fault.AuthorizationError):
		return fault.New(fault.InvalidArgument, "Permissions on the destination topic do not allow S3 to publish notifications from this bucket").Because(err)
	}
	return err
}

// Try sends the test event.
func (t Topics) Try(ctx context.Context, to arn.ARN, testEvent string) error {
	return t.Send(ctx, to, testEvent)
}

// Functions are Lambda functions as destinations ("Process Amazon S3 event
// notifications with Lambda", AWS Lambda Developer Guide).
type Functions struct {
	Lambda func() lambdaapi.Service // which is made later than S3
}

// Send has the function invoked later, by leave of its policy.
func (f Functions) Send(ctx context.Context, to arn.ARN, body string) error {
	return f.invoke(ctx, to, lambdaapi.InvocationTypeEvent, []byte(body))
}

// Try asks whether the function could be invoked. It gets no test event.
func (f Functions) Try(ctx context.Context, to arn.ARN, _ string) error {
	err := f.invoke(ctx, to, lambdaapi.InvocationTypeDryRun, nil)
	if fault.Is(err, fault.ResourceConflictException) { // it is being made, and may be invoked
		return nil
	}
	return err
}

func (f Functions) invoke(ctx context.Context, to arn.ARN, how string, payload []byte) error {
	_, err := f.Lambda().Invoke(ctx, &lambdaapi.InvokeInput{FunctionName: to.String(), InvocationType: how, Payload: payload})
	switch {
	case fault.Is(err, fault.ResourceNotFoundException):
		return fault.New(fault.InvalidArgument, "The destination Lambda does not exist").Because(err)
	case fault.Is(err, fault.AccessDeniedException):
		return fault.New(fault.InvalidArgument, "Not authorized to invoke function [%s]", to).Because(err)
	}
	return err
}

// notificationSubject is that of the events that topics get.
const notificationSubject = "Amazon S3 Notification"

// asS3 is the context in which S3 itself calls on behalf of a bucket. It acts in
// no account, so that what it calls asks its own policy.
func (s *Service) asS3(ctx context.Context, b *bucket, region string) context.Context {
	return auth.With(ctx, auth.Call{
		Principal: auth.Principal{Kind: auth.Service, Name: servicePrincipal, ARN: servicePrincipal, UserID: servicePrincipal},
		Scope:     arn.Scope{Region: region}, Service: "s3", Time: s.now(), RequestID: arn.NewID("req-"),
		SourceIP: servicePrincipal, UserAgent: servicePrincipal, SourceARN: bucketARN(b.Name), SourceAccount: b.Account,
	})
}

// send brings an event to its destination.
func (s *Service) send(ctx context.Context, b *bucket, destination, body string) error {
	to, d, err := s.destination(destination)
	if err != nil {
		return err
	}
	return d.Send(s.asS3(ctx, b, to.Region), to, body)
}

// try asks a destination whether it takes the bucket's events.
func (s *Service) try(ctx context.Context, b *bucket, destination string) error {
	to, d, err := s.destination(destination)
	if err != nil {
		return err
	}
	return d.Try(s.asS3(ctx, b, to.Region), to, s.testEvent(ctx, b))
}

func (s *Service) destination(name string) (arn.ARN, Destination, error) {
	to, err := arn.Parse(name)
	if err == nil && s.destinations[to.Service] == nil {
		err = notBuilt("the notification destination " + to.Service)
	}
	return to, s.destinations[to.Service], err
}

// testEvent is what a destination gets when it is configured.
func (s *Service) testEvent(ctx context.Context, b *bucket) string {
	call := auth.From(ctx)
	body, _ := json.Marshal(map[string]string{ // strings only: it never fails
		"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": s.now().UTC().Format("2006-01-02T15:04:05.000Z"),
		"Bucket": b.Name, "RequestId": call.RequestID, "HostId": hostID(call.RequestID),
	})
	return string(body)
}

// due is an event whose time has come, and what became of its delivery.
type due struct {
	key    string
	event  *event
	bucket *bucket
	err    error
}

// deliver sends what is due, and again what could not be sent. Retry rule: each
// event by itself, later and later, for a day.
func (s *Service) deliver(ctx context.Context) error {
	for {
		batch, err := s.dueEvents(ctx)
		if err != nil || len(batch) == 0 {
			return err
		}
		var sending sync.WaitGroup
		slots := make(chan struct{}, deliveryParallel)
		for i := range batch {
			slots <- struct{}{}
			sending.Go(func() {
				d := &batch[i]
				d.err = s.send(ctx, d.bucket, d.event.Destination, d.event.Body)
				<-slots
			})
		}
		sending.Wait()
		if err := ctx.Err(); err != nil {
			return nil // what was sent is sent again: at least once
		}
		if err := s.settle(ctx, batch); err != nil {
			return err
		}
	}
}

func (s *Service) dueEvents(ctx context.Context) ([]due, error) {
	var out []due
	err := s.store.View(ctx, func(tx store.Tx) error {
		out = nil
		limit := eventKey(s.now().Add(time.Nanosecond), "")
		for e, err := range events.Scan(tx, "") {
			if err != nil {
				return err
			}
			if e.Key >= limit || len(out) == deliveryBatch {
				return nil
			}
			b, err := buckets.Get(tx, e.Value.Bucket)
			if err != nil {
				if ignoreNotFound(err) != nil {
					return err
				}
				b = &bucket{Name: e.Value.Bucket} // deleted since; its events still go out
			}
			out = append(out, due{key: e.Key, event: e.Value, bucket: b})
		}
		return nil
	})
	return out, err
}

// settle removes what was sent, and puts off or gives up the rest.
func (s *Service) settle(ctx context.Context, batch []due) error {
	now := s.now().UTC()
	return s.store.Update(ctx, func(tx store.Tx) error {
		for _, d := range batch {
			if err := ignoreNotFound(events.Delete(tx, d.key)); err != nil {
				return err
			}
			if d.err == nil {
				continue
			}
			if now.Sub(d.event.Made) > deliveryGiveUp {
				s.log.Warn("gave up an event", "bucket", d.event.Bucket, "destination", d.event.Destination, "error", d.err)
				continue
			}
			again := *d.event
			again.Failures++
			wait := min(deliveryRetry<<min(again.Failures-1, 20), deliveryMaxRetry)
			_, id, _ := strings.Cut(d.key, "/")
			if err := events.Put(tx, eventKey(now.Add(wait), id), &again); err != nil {
				return err
			}
		}
		return nil
	})
}
