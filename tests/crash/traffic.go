package crash

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"strconv"
)

// The harness's own resources, which traffic goes to.
const (
	trafficBucket    = "crash-harness-traffic"
	trafficQueue     = "crash-harness-traffic"
	trafficParameter = "/crash-harness/traffic"
)

// mostSent bounds what one round sends of each kind: a page of a listing.
const mostSent = 900

// traffic is plain use of the services: what was acknowledged of it must be
// there whatever happens.
type traffic struct {
	queueURL string
	n        int             // numbers what is sent
	objects  map[string]bool // acknowledged (true) or sent without an answer (false), by key
	messages map[string]bool
	written  int // highest value of the parameter that was acknowledged
	tried    int // and sent
}

func newTraffic(ctx context.Context, c *client) (*traffic, error) {
	t := &traffic{objects: map[string]bool{}, messages: map[string]bool{}}
	if _, err := c.s3(ctx, "PUT", "/"+trafficBucket, nil); err != nil {
		return nil, err
	}
	var q struct{ QueueUrl string }
	if err := c.json(ctx, "sqs", "CreateQueue", map[string]string{"QueueName": trafficQueue}, &q); err != nil {
		return nil, err
	}
	t.queueURL = q.QueueUrl
	return t, t.parameter(ctx, c)
}

// owned adds the harness's own resources.
func (t *traffic) owned(i inventory) {
	i.add("AWS::S3::Bucket", trafficBucket)
	i.add("AWS::SQS::Queue", t.queueURL)
	i.add("AWS::SSM::Parameter", trafficParameter)
}

// flow sends until the server does not answer.
func (t *traffic) flow(ctx context.Context, c *client) error {
	return repeat(ctx, c, mostSent, t.object, t.message, t.parameter)
}

// body is the content of an object: small ones are kept in the store, large
// ones in files.
func body(n int) []byte {
	return bytes.Repeat([]byte(strconv.Itoa(n)+"\n"), 1+n%3*5000)
}

func (t *traffic) object(ctx context.Context, c *client) error {
	t.n++
	key := strconv.Itoa(t.n)
	t.objects[key] = false
	_, err := c.s3(ctx, "PUT", "/"+trafficBucket+"/"+key, body(t.n))
	t.objects[key] = err == nil
	return err
}

func (t *traffic) message(ctx context.Context, c *client) error {
	t.n++
	text := strconv.Itoa(t.n)
	t.messages[text] = false
	err := c.json(ctx, "sqs", "SendMessage", map[string]string{"QueueUrl": t.queueURL, "MessageBody": text}, nil)
	t.messages[text] = err == nil
	return err
}

func (t *traffic) parameter(ctx context.Context, c *client) error {
	t.tried++
	err := c.json(ctx, "ssm", "PutParameter", map[string]any{
		"Name": trafficParameter, "Type": "String", "Value": strconv.Itoa(t.tried), "Overwrite": true,
	}, nil)
	if err == nil {
		t.written = t.tried
	}
	return err
}

// check reads back what was sent. Objects that are there are whole, and
// messages are taken off the queue, each once.
func (t *traffic) check(ctx context.Context, c *client) (wrong []string, err error) {
	for _, part := range []func(context.Context, *client) ([]string, error){t.checkObjects, t.checkMessages, t.checkParameter} {
		found, err := part(ctx, c)
		if err != nil {
			return wrong, err
		}
		wrong = append(wrong, found...)
	}
	return wrong, nil
}

func (t *traffic) checkObjects(ctx context.Context, c *client) (wrong []string, err error) {
	answer, err := c.s3(ctx, "GET", "/"+trafficBucket, nil)
	if err != nil {
		return nil, err
	}
	var root node
	if err := xml.Unmarshal(answer, &root); err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, key := range root.texts("Contents/Key") {
		there[key] = true
		if _, known := t.objects[key]; !known {
			wrong = append(wrong, "object "+key+" is there and nobody put it")
		}
	}
	for key, acked := range t.objects {
		if !there[key] {
			if acked {
				wrong = append(wrong, "object "+key+" was acknowledged and is lost")
			}
			continue
		}
		n, _ := strconv.Atoi(key) // the harness wrote it
		got, err := c.s3(ctx, "GET", "/"+trafficBucket+"/"+key, nil)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(got, body(n)) {
			wrong = append(wrong, fmt.Sprintf("object %s has %d bytes that nobody put", key, len(got)))
		}
		// What was read back need not be again: the next round's are enough.
		if _, err := c.s3(ctx, "DELETE", "/"+trafficBucket+"/"+key, nil); err != nil {
			return nil, err
		}
	}
	t.objects = map[string]bool{}
	return wrong, nil
}

func (t *traffic) checkMessages(ctx context.Context, c *client) (wrong []string, err error) {
	got := map[string]int{}
	for empty := 0; empty < 2; {
		var out struct {
			Messages []struct{ Body, ReceiptHandle string }
		}
		if err := c.json(ctx, "sqs", "ReceiveMessage", map[string]any{"QueueUrl": t.queueURL, "MaxNumberOfMessages": 10}, &out); err != nil {
			return nil, err
		}
		if len(out.Messages) == 0 {
			empty++
			continue
		}
		for _, m := range out.Messages {
			got[m.Body]++
			if err := c.json(ctx, "sqs", "DeleteMessage", map[string]string{"QueueUrl": t.queueURL, "ReceiptHandle": m.ReceiptHandle}, nil); err != nil {
				return nil, err
			}
		}
	}
	for text, acked := range t.messages {
		if acked && got[text] == 0 {
			wrong = append(wrong, "message "+text+" was acknowledged and is lost")
		}
	}
	for text, n := range got {
		if _, known := t.messages[text]; !known || n > 1 {
			wrong = append(wrong, fmt.Sprintf("message %s came %d times (sent: %v)", text, n, known))
		}
	}
	t.messages = map[string]bool{}
	return wrong, nil
}

func (t *traffic) checkParameter(ctx context.Context, c *client) (wrong []string, err error) {
	var out struct{ Parameter struct{ Value string } }
	if err := c.json(ctx, "ssm", "GetParameter", map[string]string{"Name": trafficParameter}, &out); err != nil {
		return nil, err
	}
	if n, err := strconv.Atoi(out.Parameter.Value); err != nil || n < t.written || n > t.tried {
		wrong = append(wrong, fmt.Sprintf("the parameter is %q, acknowledged was %d, sent was %d", out.Parameter.Value, t.written, t.tried))
	}
	return wrong, nil
}
