package sns

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/sns"
	sqsapi "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/store/sqlite"
)

const clients = 16

// BenchmarkFanOut tells how many messages a second 16 clients publish, durably, until
// all of them are in the topic's queues; beside it, how many they send to one queue
// themselves in the same run. And how long a message takes from Publish to its queue
// where nothing else is under way.
func BenchmarkFanOut(b *testing.B) {
	for _, r := range []struct {
		name   string
		queues int
		raw    string
		fifo   bool
	}{{"raw/1", 1, "true", false}, {"raw/4", 4, "true", false}, {"signed/1", 1, "false", false}, {"fifo/1", 1, "true", true}} {
		b.Run(r.name, func(b *testing.B) {
			st, err := sqlite.Open(b.Context(), b.TempDir(), sqlite.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer st.Close()
			s := start(b, benchConfig{account: account, store: st, ring: keyring.Ephemeral(), started: true})
			defer s.Stop()
			suffix, topicARN := "", ""
			if r.fifo {
				suffix, topicARN = fifoSuffix, s.fifo("t.fifo")
			} else {
				topicARN = s.topic("t", nil)
			}
			var queues []string
			for i := range r.queues {
				queues = append(queues, s.open(fmt.Sprint("q", i, suffix)))
				s.subscribe(topicARN, queues[i], map[string]string{"RawMessageDelivery": r.raw})
			}
			s.publish(api.PublishInput{TopicArn: topicARN, Message: "first", MessageGroupId: group(r.fifo, 0)}) // makes the key
			s.settled()
			begun := time.Now()
			share(b, func(i int) error {
				_, err := s.Publish(s.ctx, &api.PublishInput{TopicArn: topicARN, Message: fmt.Sprint("m", i), MessageGroupId: group(r.fifo, i)})
				return err
			})
			b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "acknowledged/s")
			s.settled()
			delivered := float64(b.N*r.queues) / time.Since(begun).Seconds()
			b.ReportMetric(delivered, "delivered/s")
			peer := s.open("peer")
			begun = time.Now()
			share(b, func(i int) error {
				_, err := s.queue.SendMessage(s.ctx, &sqsapi.SendMessageInput{QueueUrl: urlOf(peer), MessageBody: fmt.Sprint("m", i)})
				return err
			})
			sent := float64(b.N) / time.Since(begun).Seconds()
			b.ReportMetric(sent, "sent/s")
			b.ReportMetric(delivered/sent, "of-sends")
			b.ReportMetric(float64(latency(s, topicARN, r.fifo).Microseconds()), "µs/median")
		})
	}
}

func group(fifo bool, i int) string {
	if !fifo {
		return ""
	}
	return fmt.Sprint("g", i%clients)
}

// latency is the median time from the begin of Publish until the message is settled in
// all queues.
func latency(s *bench, topicARN string, fifo bool) time.Duration {
	var took []time.Duration
	for i := range 200 {
		begun := time.Now()
		s.publish(api.PublishInput{TopicArn: topicARN, Message: fmt.Sprint("one ", i), MessageGroupId: group(fifo, i)})
		for s.waiting() > 0 {
			time.Sleep(50 * time.Microsecond)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// share has all clients together run fn for the numbers below b.N.
func share(b *testing.B, fn func(i int) error) {
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
	for i := range b.N {
		next <- i
	}
	close(next)
	running.Wait()
}
