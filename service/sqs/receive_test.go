package sqs

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/store"
)

func TestLongPollWakes(t *testing.T) {
	b := newBench(t)
	url := b.create("q", map[string]string{"ReceiveMessageWaitTimeSeconds": "20"})
	type answer struct {
		out *api.ReceiveMessageOutput
		err error
	}
	got := make(chan answer, 1)
	go func() {
		out, err := b.ReceiveMessage(b.ctx, &api.ReceiveMessageInput{QueueUrl: url})
		got <- answer{out, err}
	}()
	b.send(url, "m")
	if a := <-got; a.err != nil || !slices.Equal(bodies(a.out.Messages), []string{"m"}) {
		t.Fatalf("%+v", a)
	}
	ctx, cancel := context.WithCancel(b.ctx)
	go func() {
		out, err := b.ReceiveMessage(ctx, &api.ReceiveMessageInput{QueueUrl: url})
		got <- answer{out, err}
	}()
	cancel()
	if a := <-got; a.err == nil {
		t.Fatalf("a caller that left was answered: %+v", a)
	}
}

// watched tells when a long poll begins to wait.
type watched struct {
	store.Store
	began chan struct{}
}

func (w watched) Watch(ctx context.Context, prefix string) <-chan struct{} {
	defer func() { w.began <- struct{}{} }()
	return w.Store.Watch(ctx, prefix)
}

func TestDrainEndsLongPolls(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	w := watched{b.store, make(chan struct{}, 2)}
	b.store = w
	// Less than the poll's 20 seconds: a poll that goes on ends with an error.
	ctx, cancel := context.WithTimeout(b.ctx, 15*time.Second)
	defer cancel()
	poll := func() error {
		out, err := b.ReceiveMessage(ctx, &api.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: new(int32(20))})
		if err == nil && len(out.Messages) != 0 {
			return fmt.Errorf("received %v", bodies(out.Messages))
		}
		return err
	}
	got := make(chan error, 1)
	go func() { got <- poll() }()
	<-w.began
	b.Drain()
	if err := <-got; err != nil {
		t.Errorf("waiting: %v", err)
	}
	if err := poll(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
