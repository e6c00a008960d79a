package sqs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/fault"
)

const arnOf = "arn:aws:sqs:us-east-1:" + account + ":"

// failing makes a queue "q" and its dead-letter queue "dead" with messages that
// went from the one to the other.
func (b *bench) failing(suffix string, messages ...string) (url, dead string) {
	b.t.Helper()
	attrs := map[string]string{}
	if suffix != "" {
		attrs = map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"}
	}
	dead = b.create("dead"+suffix, attrs)
	attrs["RedrivePolicy"] = `{"deadLetterTargetArn":"` + arnOf + "dead" + suffix + `","maxReceiveCount":1}`
	attrs["VisibilityTimeout"] = "0"
	url = b.create("q"+suffix, attrs)
	for _, m := range messages {
		b.clock.pass(time.Millisecond) // in one instant a standard queue has no order
		if suffix != "" {
			b.sendTo(url, m)
		} else {
			b.send(url, m)
		}
	}
	for range 2 * len(messages) {
		b.take(url, 10)
		b.clock.pass(time.Millisecond)
	}
	if got := b.counts(url); got != "0 0 0" {
		b.t.Fatalf("not all have failed: %s", got)
	}
	return url, dead
}

func (b *bench) start(in *api.StartMessageMoveTaskInput) string {
	b.t.Helper()
	out, err := b.StartMessageMoveTask(b.ctx, in)
	if err != nil {
		b.t.Fatal(err)
	}
	return out.TaskHandle
}

// tasks are a queue's, in words.
func (b *bench) tasks(source string) []string {
	b.t.Helper()
	out, err := b.ListMessageMoveTasks(b.ctx, &api.ListMessageMoveTasksInput{SourceArn: source, MaxResults: new(int32(10))})
	if err != nil {
		b.t.Fatal(err)
	}
	var all []string
	for _, r := range out.Results {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %d/%d %s", r.Status, *r.ApproximateNumberOfMessagesMoved, *r.ApproximateNumberOfMessagesToMove, r.FailureReason)))
		if (r.TaskHandle != "") != (r.Status == "RUNNING") {
			b.t.Errorf("a task that is %s has handle %q", r.Status, r.TaskHandle)
		}
	}
	return all
}

func TestMoveTaskBringsMessagesBack(t *testing.T) {
	for suffix, messages := range map[string][]string{"": {"g1-a", "g2-b", "g3-c"}, ".fifo": {"g1-a", "g1-b", "g2-c"}} {
		b := newBench(t)
		url, dead := b.failing(suffix, messages...)
		b.start(&api.StartMessageMoveTaskInput{SourceArn: arnOf + "dead" + suffix})
		if err := b.moveOnce(b.ctx); err != nil {
			t.Fatal(err)
		}
		if got := b.tasks(arnOf + "dead" + suffix); !slices.Equal(got, []string{"COMPLETED 3/3"}) {
			t.Errorf("tasks %v", got)
		}
		b.check(url)
		b.check(dead)
		got := b.receive(api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(10)), AttributeNames: []string{"All"}})
		if slices.Sort(messages); !slices.Equal(bodies(got), messages) || b.counts(dead) != "0 0 0" {
			t.Errorf("moved %v, left %s", bodies(got), b.counts(dead))
		}
		if len(got) > 0 && (got[0].Attributes["ApproximateReceiveCount"] != "1" || got[0].Attributes["DeadLetterQueueSourceArn"] != "") {
			t.Errorf("not a new message: %v", got[0].Attributes)
		}
	}
}

func TestMoveTaskToAnotherQueue(t *testing.T) {
	b := newBench(t)
	_, dead := b.failing("", "a", "b")
	b.send(dead, "never failed")
	other := b.create("other", nil)
	b.start(&api.StartMessageMoveTaskInput{SourceArn: arnOf + "dead", DestinationArn: arnOf + "other"})
	if err := b.moveOnce(b.ctx); err != nil {
		t.Fatal(err)
	}
	if got := b.tasks(arnOf + "dead"); !slices.Equal(got, []string{"COMPLETED 3/3"}) || b.counts(other) != "3 0 0" {
		t.Errorf("tasks %v, there %s", got, b.counts(other))
	}
}

func TestMoveTaskFails(t *testing.T) {
	b := newBench(t)
	_, dead := b.failing("", "a", "b")
	other := b.create("other", nil)
	pass := func() {
		t.Helper()
		if _, _, err := b.movePass(b.ctx); err != nil {
			t.Fatal(err)
		}
	}
	b.start(&api.StartMessageMoveTaskInput{SourceArn: arnOf + "dead", DestinationArn: arnOf + "other", MaxNumberOfMessagesPerSecond: new(int32(1))})
	pass()
	pass() // not due yet
	if got := b.tasks(arnOf + "dead"); !slices.Equal(got, []string{"RUNNING 1/2"}) {
		t.Errorf("by its rate: %v", got)
	}
	if _, err := b.DeleteQueue(b.ctx, &api.DeleteQueueInput{QueueUrl: other}); err != nil {
		t.Fatal(err)
	}
	b.clock.pass(time.Second)
	pass()
	if got := b.tasks(arnOf + "dead"); !slices.Equal(got, []string{"FAILED 1/2 AWS.SimpleQueueService.NonExistentQueue"}) || b.counts(dead) != "1 0 0" {
		t.Errorf("without its destination: %v, left %s", got, b.counts(dead))
	}
	b.clock.pass(time.Second)
	b.take(dead, 1) // out of the way
	b.send(dead, "never failed")
	b.start(&api.StartMessageMoveTaskInput{SourceArn: arnOf + "dead"})
	pass()
	if got := b.tasks(arnOf + "dead"); got[0] != "FAILED 0/1 CouldNotDetermineMessageSource" {
		t.Errorf("without a source: %v", got)
	}
}

// A task is kept: another service on the same store goes on with it.
func TestMoveTaskSurvivesARestart(t *testing.T) {
	b := newBench(t)
	url, _ := b.failing("", "a", "b", "c")
	b.start(&api.StartMessageMoveTaskInput{SourceArn: arnOf + "dead", MaxNumberOfMessagesPerSecond: new(int32(1))})
	if _, _, err := b.movePass(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.Service = New(Config{Store: b.store, Ring: b.ring, Now: b.clock.Now})
	for range 3 {
		b.clock.pass(time.Second)
		if _, _, err := b.movePass(b.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.tasks(arnOf + "dead"); !slices.Equal(got, []string{"COMPLETED 3/3"}) || b.counts(url) != "3 0 0" {
		t.Errorf("tasks %v, back %s", got, b.counts(url))
	}
}

// The refusals are those that AWS was recorded to give.
func TestMoveTaskRefusals(t *testing.T) {
	b := newBench(t)
	b.failing("", "a")
	b.create("other.fifo", byContent)
	start := func(in api.StartMessageMoveTaskInput) error {
		_, err := b.StartMessageMoveTask(b.ctx, &in)
		return err
	}
	cancel := func(handle string) error {
		_, err := b.CancelMessageMoveTask(b.ctx, &api.CancelMessageMoveTaskInput{TaskHandle: handle})
		return err
	}
	before := []error{
		start(api.StartMessageMoveTaskInput{SourceArn: arnOf + "q"}),
		start(api.StartMessageMoveTaskInput{SourceArn: arnOf + "dead", DestinationArn: arnOf + "none"}),
		start(api.StartMessageMoveTaskInput{SourceArn: arnOf + "none"}),
		start(api.StartMessageMoveTaskInput{SourceArn: "arn:aws:sqs:us-east-1:999999999999:dead"}),
		start(api.StartMessageMoveTaskInput{SourceArn: "dead"}),
		start(api.StartMessageMoveTaskInput{SourceArn: arnOf + "dead", DestinationArn: arnOf + "other.fifo"}),
		start(api.StartMessageMoveTaskInput{SourceArn: arnOf + "dead", MaxNumberOfMessagesPerSecond: new(int32(501))}),
		cancel("invalid"),
	}
	handle := b.start(&api.StartMessageMoveTaskInput{SourceArn: arnOf + "dead"})
	again := start(api.StartMessageMoveTaskInput{SourceArn: arnOf + "dead"})
	ended := cancel(handle)
	for i, c := range []struct {
		err    error
		want   string
		status int
	}{
		{before[0], "InvalidParameterValue: Source queue must be configured as a Dead Letter Queue.", 0},
		{before[1], "ResourceNotFoundException: The resource that you specified for the DestinationArn parameter doesn't exist.", 404},
		{before[2], "ResourceNotFoundException: The resource that you specified for the SourceArn parameter doesn't exist.", 404},
		{before[3], "ResourceNotFoundException: The resource that you specified for the SourceArn parameter doesn't exist.", 404},
		{before[4], "InvalidParameterValue: You must use this format to specify the SourceArn: arn:<partition>:<service>:<region>:<account-id>:<resource-id>", 0},
		{before[5], "InvalidParameterValue: The destination must be another queue of the same type as the source.", 0},
		{before[6], "InvalidParameterValue: Value 501 for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and 500.", 0},
		{before[7], "InvalidParameterValue: Value for parameter TaskHandle is invalid.", 0},
		{again, "InvalidParameterValue: There is already a task running. Only one active task is allowed for a source queue arn at a given time.", 0},
		{cancel(handle), "ResourceNotFoundException: Task does not exist.", 404},
	} {
		f, ok := fault.As(c.err)
		if !ok || f.Error() != c.want || f.Status != c.status {
			t.Errorf("%d: %v, want %s", i, c.err, c.want)
		}
	}
	if got := b.tasks(arnOf + "dead"); ended != nil || !slices.Equal(got, []string{"CANCELLED 0/1"}) {
		t.Errorf("cancelled: %v, tasks %v", ended, got)
	}
}

// TestPermissions holds AddPermission and RemovePermission against what AWS was
// recorded to make of a policy.
func TestPermissions(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	add := func(label string, accounts ...string) error {
		_, err := b.AddPermission(b.ctx, &api.AddPermissionInput{QueueUrl: url, Label: label, AWSAccountIds: accounts, Actions: []string{"ReceiveMessage"}})
		return err
	}
	remove := func(label string) error {
		_, err := b.RemovePermission(b.ctx, &api.RemovePermissionInput{QueueUrl: url, Label: label})
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(statements ...string) {
		t.Helper()
		text := ""
		if len(statements) > 0 {
			text = `{"Version":"2008-10-17","Id":"` + arnOf + `q/SQSDefaultPolicy","Statement":[` + strings.Join(statements, ",") + `]}`
		}
		if got := b.attributes(url, "Policy")["Policy"]; got != text {
			t.Errorf("policy %s, want %s", got, text)
		}
	}
	statement := func(label, principal string) string {
		return `{"Sid":"` + label + `","Effect":"Allow","Principal":{"AWS":` + principal + `},"Action":"SQS:ReceiveMessage","Resource":"` + arnOf + `q"}`
	}
	const one, both = `"arn:aws:iam::` + account + `:root"`, `["arn:aws:iam::668614515564:root","arn:aws:iam::` + account + `:root"]`
	must(add("shared", "668614515564", account))
	want(statement("shared", both))
	must(remove("shared"))
	want()
	must(add("shared", account))
	if err := add("shared", "668614515564"); err == nil || err.Error() != "InvalidParameterValue: Value shared for parameter Label is invalid. Reason: Already exists." {
		t.Errorf("the same label: %v", err)
	}
	must(add("shared2", account))
	want(statement("shared", one), statement("shared2", one))
	must(remove("shared"))
	want(statement("shared2", one))
	must(remove("shared2"))
	want()
	if err := remove("shared2"); err == nil || err.Error() != "InvalidParameterValue: Value shared2 for parameter Label is invalid. Reason: can't find label." {
		t.Errorf("no such label: %v", err)
	}
	must(add("other", "999999999999"))
	if _, err := b.ReceiveMessage(user(t, "999999999999", "cid", "ReceiveMessage"), &api.ReceiveMessageInput{QueueUrl: url}); err != nil {
		t.Errorf("the account it was opened to: %v", err)
	}
	if _, err := b.AddPermission(b.ctx, &api.AddPermissionInput{QueueUrl: url, Label: "x", AWSAccountIds: []string{account}, Actions: []string{"DeleteQueue"}}); !fault.Is(err, fault.InvalidParameterValue) {
		t.Errorf("the owner's action: %v", err)
	}
}
