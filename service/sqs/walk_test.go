package sqs

import (
	"testing"
	"time"

	api "github.com/slipway/slipway/api/sqs"
)

// TestWalk: what was received and came back stands behind what was sent later, and
// is swept when it expires, not when those in front of it do.
func TestWalk(t *testing.T) {
	b := newBench(t)
	url := b.create("q", map[string]string{"MessageRetentionPeriod": "600", "VisibilityTimeout": "100"})
	if err := b.sweepOnce(b.ctx); err != nil { // from now on it knows the queue
		t.Fatal(err)
	}
	b.send(url, "old")
	b.clock.pass(time.Second)
	first := b.receive(api.ReceiveMessageInput{QueueUrl: url})
	b.clock.pass(50 * time.Second)
	b.send(url, "young")
	b.clock.pass(551 * time.Second) // old has expired; young stands in front of it
	if err := b.sweepOnce(b.ctx); err != nil {
		t.Fatal(err)
	}
	if got := b.counts(url); got != "1 0 0" || b.documents() != 1 {
		t.Fatalf("after the sweep: %s, %d documents", got, b.documents())
	}
	if _, err := b.DeleteMessage(b.ctx, &api.DeleteMessageInput{QueueUrl: url, ReceiptHandle: first[0].ReceiptHandle}); err != nil {
		t.Errorf("one that has expired: %v", err)
	}
	if got := bodies(b.receive(api.ReceiveMessageInput{QueueUrl: url})); len(got) != 1 || got[0] != "young" {
		t.Errorf("received %v", got)
	}
}

// TestHandlesFollow: each handle of a standard queue's message finds it, however
// often it was received or hidden since.
func TestHandlesFollow(t *testing.T) {
	for receives := range 4 {
		for hides := range 3 {
			for used := range receives + 1 {
				b := newBench(t)
				url := b.create("q", map[string]string{"VisibilityTimeout": "10"})
				b.send(url, "m")
				var handles []string
				for range receives + 1 {
					b.clock.pass(20 * time.Second)
					m := b.receive(api.ReceiveMessageInput{QueueUrl: url})
					handles = append(handles, m[0].ReceiptHandle)
					for i := range hides {
						_, err := b.ChangeMessageVisibility(b.ctx, &api.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m[0].ReceiptHandle, VisibilityTimeout: new(int32(5 + i))})
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				if _, err := b.DeleteMessage(b.ctx, &api.DeleteMessageInput{QueueUrl: url, ReceiptHandle: handles[used]}); err != nil || b.documents() != 0 {
					t.Errorf("%d receives, %d hides, handle %d: %d documents left (%v)", receives+1, hides, used, b.documents(), err)
				}
			}
		}
	}
}
