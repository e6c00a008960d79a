package crash

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

const (
	eventFunction = "crash-harness-events"
	eventQueue    = "crash-harness-told"
	functionsPath = "/2015-03-31/functions/"
	// mostEvents bounds the events of a round, three at a time: each runs a program.
	mostEvents = 8
	// eventProgram is what the function is: it answers with what it was given.
	eventProgram = "def handler(event, context):\n    return event\n"
)

// events is use of a function that nobody waits for: each event that was
// acknowledged is handled, and its destination is told so, once or more. An update
// that was acknowledged comes to its end.
type events struct {
	queueURL string
	n        int
	acked    map[int]bool
	told     map[int]bool
}

func newEvents(ctx context.Context, c *client) (*events, error) {
	e := &events{acked: map[int]bool{}, told: map[int]bool{}}
	var q struct{ QueueUrl string }
	if err := c.json(ctx, "sqs", "CreateQueue", map[string]any{"QueueName": eventQueue}, &q); err != nil {
		return nil, err
	}
	e.queueURL = q.QueueUrl
	code, err := archive(map[string][]byte{"index.py": []byte(eventProgram)})
	if err != nil {
		return nil, err
	}
	err = c.lambda(ctx, "POST", functionsPath, map[string]any{
		"FunctionName": eventFunction, "Runtime": "python3.12", "Handler": "index.handler", "Role": "arn:aws:iam::000000000000:role/crash", "Timeout": 30,
		"Code": map[string]string{"ZipFile": base64.StdEncoding.EncodeToString(code)},
	}, nil)
	if err != nil {
		return nil, err
	}
	if err := c.functionSettled(ctx, eventFunction); err != nil {
		return nil, err
	}
	return e, c.lambda(ctx, "PUT", "/2019-09-25/functions/"+eventFunction+"/event-invoke-config", map[string]any{
		"DestinationConfig": map[string]any{"OnSuccess": map[string]string{"Destination": "arn:aws:sqs:us-east-1:000000000000:" + eventQueue}},
	}, nil)
}

// lambda makes a call of Lambda's, in JSON.
func (c *client) lambda(ctx context.Context, method, path string, in, out any) error {
	body := []byte{}
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	answer, err := c.send(ctx, "lambda", method, path, map[string]string{"Content-Type": "application/json"}, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// functionSettled waits until nothing of a function is under way.
func (c *client) functionSettled(ctx context.Context, name string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var is struct{ State, LastUpdateStatus, StateReason, LastUpdateStatusReason string }
		if err := c.lambda(ctx, "GET", functionsPath+name+"/configuration", nil, &is); err != nil {
			return err
		}
		switch {
		case is.State == "Failed" || is.LastUpdateStatus == "Failed":
			return fmt.Errorf("the function %s has failed: %s %s", name, is.StateReason, is.LastUpdateStatusReason)
		case is.State == "Active" && is.LastUpdateStatus == "Successful":
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the function %s is %s, %s and stays so", name, is.State, is.LastUpdateStatus)
		}
	}
}

func (e *events) owned(i inventory) {
	i.add("AWS::SQS::Queue", e.queueURL)
	i.add("AWS::Lambda::Function", eventFunction)
}

func (e *events) flow(ctx context.Context, c *client) error {
	return repeat(ctx, c, mostEvents, e.send, e.send, e.send, e.update)
}

func (e *events) send(ctx context.Context, c *client) error {
	e.n++
	_, err := c.send(ctx, "lambda", "POST", functionsPath+eventFunction+"/invocations", map[string]string{"X-Amz-Invocation-Type": "Event"}, []byte(strconv.Itoa(e.n)))
	e.acked[e.n] = err == nil
	return err
}

// update changes the function: what runs goes on, and what comes later runs anew.
func (e *events) update(ctx context.Context, c *client) error {
	err := c.lambda(ctx, "PUT", functionsPath+eventFunction+"/configuration", map[string]any{"Timeout": 30 + e.n%30}, nil)
	if refused(err, "ResourceConflictException") {
		return nil // the one before is under way
	}
	return err
}

func (e *events) check(ctx context.Context, c *client) (wrong []string, err error) {
	if err := c.functionSettled(ctx, eventFunction); err != nil {
		return nil, err
	}
	// The function may start again after each kill, and takes a while to.
	for end := time.Now().Add(time.Minute); len(e.lost()) > 0 && time.Now().Before(end); {
		if err := e.receive(ctx, c); err != nil {
			return nil, err
		}
	}
	for _, n := range e.lost() {
		wrong = append(wrong, fmt.Sprintf("event %d was acknowledged and its destination is not told", n))
	}
	for n := range e.told {
		if n > e.n {
			wrong = append(wrong, fmt.Sprintf("event %d is told of and nobody sent it", n))
		}
	}
	slices.Sort(wrong)
	e.acked = map[int]bool{}
	return wrong, nil
}

// lost are the events that were acknowledged and not told of.
func (e *events) lost() (list []int) {
	for n, acked := range e.acked {
		if acked && !e.told[n] {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

func (e *events) receive(ctx context.Context, c *client) error {
	var out struct {
		Messages []struct{ Body, ReceiptHandle string }
	}
	if err := c.json(ctx, "sqs", "ReceiveMessage", map[string]any{"QueueUrl": e.queueURL, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}, &out); err != nil {
		return err
	}
	for _, m := range out.Messages {
		var told struct {
			RequestPayload  int
			RequestContext  struct{ Condition string }
			ResponsePayload int
		}
		if err := json.Unmarshal([]byte(m.Body), &told); err != nil {
			return err
		}
		if told.RequestContext.Condition != "Success" || told.ResponsePayload != told.RequestPayload {
			return fmt.Errorf("the destination is told %s", m.Body)
		}
		e.told[told.RequestPayload] = true
		if err := c.json(ctx, "sqs", "DeleteMessage", map[string]string{"QueueUrl": e.queueURL, "ReceiptHandle": m.ReceiptHandle}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (i inventory) functions(ctx context.Context, c *client) error {
	var out struct {
		Functions []struct{ FunctionName string }
	}
	if err := c.lambda(ctx, "GET", functionsPath, nil, &out); err != nil {
		return err
	}
	for _, f := range out.Functions {
		i.add("AWS::Lambda::Function", f.FunctionName)
	}
	return nil
}
