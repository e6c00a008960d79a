package crash

import (
	"context"
	"fmt"
	"slices"
	"strconv"
)

// topic is use of SNS: what was acknowledged arrives in the topic's queue, of a FIFO
// topic once and in the order of each group.
type topic struct {
	fifo     bool
	arn      string
	queueURL string
	n        int
	sent     map[int]bool // acknowledged, or published without an answer
	came     map[int]int
	order    []int
}

const (
	topicName   = "crash-harness-topic"
	topicGroups = 2
)

const letTopicsIn = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}}`

func newTopic(ctx context.Context, c *client, fifo bool) (*topic, error) {
	t := &topic{fifo: fifo, sent: map[int]bool{}, came: map[int]int{}}
	name, queue := topicName, map[string]string{"Policy": letTopicsIn}
	params := []string{"Name", name}
	if fifo {
		name += ".fifo"
		queue["FifoQueue"] = "true"
		params = []string{"Name", name, "Attributes.entry.1.key", "FifoTopic", "Attributes.entry.1.value", "true"}
	}
	out, err := c.query(ctx, "sns", "CreateTopic", params...)
	if err != nil {
		return nil, err
	}
	t.arn = out.text("TopicArn")
	var q struct{ QueueUrl string }
	if err := c.json(ctx, "sqs", "CreateQueue", map[string]any{"QueueName": name, "Attributes": queue}, &q); err != nil {
		return nil, err
	}
	t.queueURL = q.QueueUrl
	var a struct{ Attributes map[string]string }
	if err := c.json(ctx, "sqs", "GetQueueAttributes", map[string]any{"QueueUrl": q.QueueUrl, "AttributeNames": []string{"QueueArn"}}, &a); err != nil {
		return nil, err
	}
	_, err = c.query(ctx, "sns", "Subscribe", "TopicArn", t.arn, "Protocol", "sqs", "Endpoint", a.Attributes["QueueArn"],
		"Attributes.entry.1.key", "RawMessageDelivery", "Attributes.entry.1.value", "true")
	return t, err
}

func (t *topic) owned(i inventory) { i.add("AWS::SQS::Queue", t.queueURL) }

func (t *topic) flow(ctx context.Context, c *client) error {
	return repeat(ctx, c, mostSent/4, t.publish)
}

func (t *topic) publish(ctx context.Context, c *client) error {
	t.n++
	number := strconv.Itoa(t.n)
	params := []string{"TopicArn", t.arn, "Message", number}
	if t.fifo {
		params = append(params, "MessageGroupId", strconv.Itoa(t.n%topicGroups), "MessageDeduplicationId", number)
	}
	t.sent[t.n] = false
	_, err := c.query(ctx, "sns", "Publish", params...)
	t.sent[t.n] = err == nil
	return err
}

// receive takes messages off the queue.
func (t *topic) receive(ctx context.Context, c *client) (n int, err error) {
	wait := 0
	if len(t.missing()) > 0 {
		wait = 1
	}
	var out struct {
		Messages []struct{ Body, ReceiptHandle string }
	}
	if err := c.json(ctx, "sqs", "ReceiveMessage", map[string]any{"QueueUrl": t.queueURL, "MaxNumberOfMessages": 10, "WaitTimeSeconds": wait}, &out); err != nil {
		return 0, err
	}
	for _, m := range out.Messages {
		number, err := strconv.Atoi(m.Body)
		if err != nil {
			return 0, err
		}
		t.came[number]++
		t.order = append(t.order, number)
		if err := c.json(ctx, "sqs", "DeleteMessage", map[string]string{"QueueUrl": t.queueURL, "ReceiptHandle": m.ReceiptHandle}, nil); err != nil {
			return 0, err
		}
	}
	return len(out.Messages), nil
}

// missing are the acknowledged ones that have not come.
func (t *topic) missing() (list []int) {
	for number, acked := range t.sent {
		if acked && t.came[number] == 0 {
			list = append(list, number)
		}
	}
	slices.Sort(list)
	return list
}

// lostAfter is how many looks in a row, of a second each, find nothing before what is
// missing counts as lost.
const lostAfter = 20

func (t *topic) check(ctx context.Context, c *client) (wrong []string, err error) {
	for empty := 0; empty < 1 || len(t.missing()) > 0 && empty < lostAfter; {
		n, err := t.receive(ctx, c)
		if err != nil {
			return nil, err
		}
		if empty++; n > 0 {
			empty = 0
		}
	}
	for _, number := range t.missing() {
		wrong = append(wrong, fmt.Sprintf("message %d was published to %s, acknowledged, and is lost", number, t.arn))
	}
	last := map[int]int{}
	for _, number := range t.order {
		group := number % topicGroups
		switch _, known := t.sent[number]; {
		case !known:
			wrong = append(wrong, fmt.Sprintf("message %d came of %s and nobody published it", number, t.arn))
		case t.fifo && t.came[number] > 1:
			wrong = append(wrong, fmt.Sprintf("message %d of %s came %d times", number, t.arn, t.came[number]))
		case t.fifo && number < last[group]:
			wrong = append(wrong, fmt.Sprintf("message %d of %s came after %d of its group", number, t.arn, last[group]))
		}
		last[group] = max(last[group], number)
	}
	t.order = nil // what nobody acknowledged, or is a duplicate, may still come
	return wrong, nil
}
