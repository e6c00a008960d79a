package sqs

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/store/sqlite"
)

// -deep 1000000 measures what the issue asks for; filling takes a minute or two.
var deep = flag.Int("deep", 200000, "messages that stand in the full queue of BenchmarkQueue")

// BenchmarkQueue tells how many messages a second are sent, received and deleted
// one by one, by 16 clients, durably, in a queue that holds a thousand others and
// in one that holds -deep of them; and what GetQueueAttributes takes there. The
// two are to be near each other.
func BenchmarkQueue(b *testing.B) {
	for _, fifo := range []bool{false, true} {
		for _, depth := range []int{1000, *deep} {
			name := fmt.Sprintf("standard/%d", depth)
			if fifo {
				name = fmt.Sprintf("fifo/%d", depth)
			}
			b.Run(name, func(b *testing.B) { benchmarkQueue(b, fifo, depth) })
		}
	}
}

const clients = 16

func benchmarkQueue(b *testing.B, fifo bool, depth int) {
	st, err := sqlite.Open(b.Context(), b.TempDir(), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	s := New(Config{Store: st, Ring: keyring.Ephemeral(), Now: time.Now})
	ctx := auth.With(b.Context(), auth.Call{
		Principal: auth.RootOf(account), Scope: arn.Scope{Account: account, Region: "us-east-1"}, Endpoint: endpoint,
	})
	in := &api.CreateQueueInput{QueueName: "q"}
	if fifo {
		in.QueueName, in.Attributes = "q.fifo", map[string]string{"FifoQueue": "true"}
	}
	q, err := s.CreateQueue(ctx, in)
	if err != nil {
		b.Fatal(err)
	}
	fill(ctx, b, s, q.QueueUrl, depth, fifo)
	share(b, func(yield func(int)) {
		for i := 0; b.Loop(); i++ { // this way the queue is filled once
			yield(i)
		}
	}, func(i int) error { return cycle(ctx, s, q.QueueUrl, fmt.Sprint("n", i), fifo) })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cycles/s")
	begun := time.Now()
	if _, err := s.GetQueueAttributes(ctx, &api.GetQueueAttributesInput{QueueUrl: q.QueueUrl, AttributeNames: []string{"All"}}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(time.Since(begun).Microseconds()), "µs/attributes")
}

// share has all clients together run fn for each number.
func share(b *testing.B, numbers func(yield func(int)), fn func(i int) error) {
	b.Helper()
	next := make(chan int)
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for i := range next {
				if err := fn(i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	numbers(func(i int) { next <- i })
	close(next)
	running.Wait()
}

func fill(ctx context.Context, b *testing.B, s *Service, url string, depth int, fifo bool) {
	b.Helper()
	share(b, func(yield func(int)) {
		for i := range depth / 10 {
			yield(i)
		}
	}, func(i int) error {
		in := &api.SendMessageBatchInput{QueueUrl: url}
		for j := range 10 {
			e := api.SendMessageBatchRequestEntry{Id: fmt.Sprint(j), MessageBody: "one of many"}
			if fifo {
				e.MessageGroupId, e.MessageDeduplicationId = fmt.Sprint("g", (i*10+j)%1000), fmt.Sprint(i, "-", j)
			}
			in.Entries = append(in.Entries, e)
		}
		_, err := s.SendMessageBatch(ctx, in)
		return err
	})
}

// cycle sends a message, receives one and deletes it.
func cycle(ctx context.Context, s *Service, url, name string, fifo bool) error {
	in := &api.SendMessageInput{QueueUrl: url, MessageBody: name}
	if fifo {
		in.MessageGroupId, in.MessageDeduplicationId = name, name
	}
	if _, err := s.SendMessage(ctx, in); err != nil {
		return err
	}
	out, err := s.ReceiveMessage(ctx, &api.ReceiveMessageInput{QueueUrl: url})
	if err != nil || len(out.Messages) != 1 {
		return fmt.Errorf("received %d: %w", len(out.Messages), err)
	}
	_, err = s.DeleteMessage(ctx, &api.DeleteMessageInput{QueueUrl: url, ReceiptHandle: out.Messages[0].ReceiptHandle})
	return err
}
