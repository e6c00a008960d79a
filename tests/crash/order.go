package crash

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	orderQueue  = "crash-harness-order.fifo"
	orderGroups = 3
)

// order is use of a FIFO queue: messages of a group come in the order in which
// they were sent, each once, and those that were deleted come never again.
type order struct {
	queueURL string
	n        int
	sent     map[int]bool // acknowledged, or sent without an answer, by number
	gone     map[int]bool // deletion acknowledged, or asked for without an answer
	last     map[int]int  // the highest number that a group gave out
	wrong    []string
}

func newOrder(ctx context.Context, c *client) (*order, error) {
	o := &order{sent: map[int]bool{}, gone: map[int]bool{}, last: map[int]int{}}
	var q struct{ QueueUrl string }
	err := c.json(ctx, "sqs", "CreateQueue", map[string]any{
		"QueueName": orderQueue, "Attributes": map[string]string{"FifoQueue": "true", "VisibilityTimeout": "1"},
	}, &q)
	o.queueURL = q.QueueUrl
	return o, err
}

func (o *order) owned(i inventory) { i.add("AWS::SQS::Queue", o.queueURL) }

func (o *order) flow(ctx context.Context, c *client) error {
	return repeat(ctx, c, mostSent, o.send, o.send, o.take)
}

func (o *order) send(ctx context.Context, c *client) error {
	o.n++
	number := strconv.Itoa(o.n)
	o.sent[o.n] = false
	err := c.json(ctx, "sqs", "SendMessage", map[string]string{
		"QueueUrl": o.queueURL, "MessageBody": number, "MessageGroupId": strconv.Itoa(o.n % orderGroups), "MessageDeduplicationId": number,
	}, nil)
	o.sent[o.n] = err == nil
	return err
}

func (o *order) take(ctx context.Context, c *client) error {
	_, err := o.receive(ctx, c, 0)
	return err
}

// receive takes messages off the queue and notes what is wrong with them.
func (o *order) receive(ctx context.Context, c *client, wait int) (n int, err error) {
	var out struct {
		Messages []struct{ Body, ReceiptHandle string }
	}
	if err := c.json(ctx, "sqs", "ReceiveMessage", map[string]any{
		"QueueUrl": o.queueURL, "MaxNumberOfMessages": 10, "WaitTimeSeconds": wait,
	}, &out); err != nil {
		return 0, err
	}
	for _, m := range out.Messages {
		number, err := strconv.Atoi(m.Body)
		if err != nil {
			return 0, err
		}
		o.see(number)
		o.gone[number] = false
		err = c.json(ctx, "sqs", "DeleteMessage", map[string]string{"QueueUrl": o.queueURL, "ReceiptHandle": m.ReceiptHandle}, nil)
		if refused(err, "InvalidParameterValueException") && strings.Contains(err.Error(), "expired") {
			return len(out.Messages), nil // it took too long on this host: this one and those after it come again
		}
		if err != nil {
			return 0, err
		}
		o.gone[number] = true
	}
	return len(out.Messages), nil
}

// see notes that a message came.
func (o *order) see(number int) {
	group := number % orderGroups
	if _, known := o.sent[number]; !known {
		o.wrong = append(o.wrong, fmt.Sprintf("FIFO message %d came and nobody sent it", number))
	}
	if o.gone[number] {
		o.wrong = append(o.wrong, fmt.Sprintf("FIFO message %d was deleted and came again", number))
	}
	// One whose deletion was not acknowledged may come again; a later one of its
	// group cannot have come before.
	if number < o.last[group] {
		o.wrong = append(o.wrong, fmt.Sprintf("FIFO message %d came after %d of its group", number, o.last[group]))
	}
	o.last[group] = max(o.last[group], number)
}

func (o *order) check(ctx context.Context, c *client) (wrong []string, err error) {
	for empty := 0; empty < 2; {
		n, err := o.receive(ctx, c, 2) // longer than messages stay invisible
		if err != nil {
			return nil, err
		}
		if n == 0 {
			empty++
		}
	}
	for number, acked := range o.sent {
		if _, came := o.gone[number]; acked && !came {
			o.wrong = append(o.wrong, fmt.Sprintf("FIFO message %d was acknowledged and is lost", number))
		}
	}
	wrong, o.wrong = o.wrong, nil
	slices.Sort(wrong)
	o.sent, o.gone = map[int]bool{}, map[int]bool{}
	return wrong, nil
}
