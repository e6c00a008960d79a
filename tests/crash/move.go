package crash

import (
	"context"
	"fmt"
	"strconv"
)

const (
	moveQueue = "crash-harness-moved"
	deadQueue = "crash-harness-dead"
)

// move sends messages to a dead-letter queue and has them moved: each is in one
// of the two queues, whenever the server is killed.
type move struct {
	dead, back       string // URLs
	deadARN, backARN string
	n                int
	sent             map[string]bool
}

func newMove(ctx context.Context, c *client) (*move, error) {
	m := &move{sent: map[string]bool{}}
	for name, to := range map[string]*[2]string{deadQueue: {}, moveQueue: {}} {
		var q struct{ QueueUrl string }
		if err := c.json(ctx, "sqs", "CreateQueue", map[string]any{"QueueName": name}, &q); err != nil {
			return nil, err
		}
		var a struct{ Attributes map[string]string }
		if err := c.json(ctx, "sqs", "GetQueueAttributes", map[string]any{"QueueUrl": q.QueueUrl, "AttributeNames": []string{"QueueArn"}}, &a); err != nil {
			return nil, err
		}
		*to = [2]string{q.QueueUrl, a.Attributes["QueueArn"]}
		if name == deadQueue {
			m.dead, m.deadARN = to[0], to[1]
		} else {
			m.back, m.backARN = to[0], to[1]
		}
	}
	return m, c.json(ctx, "sqs", "SetQueueAttributes", map[string]any{
		"QueueUrl": m.back, "Attributes": map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1000}`, m.deadARN)},
	}, nil)
}

func (m *move) owned(i inventory) { i.add("AWS::SQS::Queue", m.dead, m.back) }

func (m *move) flow(ctx context.Context, c *client) error {
	send := func(ctx context.Context, c *client) error {
		m.n++
		text := strconv.Itoa(m.n)
		m.sent[text] = false
		err := c.json(ctx, "sqs", "SendMessage", map[string]string{"QueueUrl": m.dead, "MessageBody": text}, nil)
		m.sent[text] = err == nil
		return err
	}
	start := func(ctx context.Context, c *client) error {
		err := c.json(ctx, "sqs", "StartMessageMoveTask", map[string]any{"SourceArn": m.deadARN, "DestinationArn": m.backARN}, nil)
		if refused(err, "UnsupportedOperation") {
			return nil // one task at a time: the last is still at it
		}
		return err
	}
	return repeat(ctx, c, mostSent/10, send, send, send, send, send, start)
}

func (m *move) check(ctx context.Context, c *client) (wrong []string, err error) {
	if err := m.rest(ctx, c); err != nil {
		return nil, err
	}
	got := map[string]int{}
	for _, queue := range []string{m.dead, m.back} {
		for empty := 0; empty < 2; {
			var out struct {
				Messages []struct{ Body, ReceiptHandle string }
			}
			if err := c.json(ctx, "sqs", "ReceiveMessage", map[string]any{"QueueUrl": queue, "MaxNumberOfMessages": 10}, &out); err != nil {
				return nil, err
			}
			if len(out.Messages) == 0 {
				empty++
			}
			for _, message := range out.Messages {
				got[message.Body]++
				if err := c.json(ctx, "sqs", "DeleteMessage", map[string]string{"QueueUrl": queue, "ReceiptHandle": message.ReceiptHandle}, nil); err != nil {
					return nil, err
				}
			}
		}
	}
	for text, acked := range m.sent {
		if n := got[text]; n > 1 || acked && n == 0 {
			wrong = append(wrong, fmt.Sprintf("message %s, sent to be moved, is there %d times", text, n))
		}
	}
	m.sent = map[string]bool{}
	return wrong, nil
}

// rest waits until no task moves messages.
func (m *move) rest(ctx context.Context, c *client) error {
	for {
		var out struct{ Results []struct{ Status string } }
		if err := c.json(ctx, "sqs", "ListMessageMoveTasks", map[string]any{"SourceArn": m.deadARN}, &out); err != nil {
			return err
		}
		if len(out.Results) == 0 || out.Results[0].Status != "RUNNING" {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("a message move task does not end: %w", err)
		}
	}
}
