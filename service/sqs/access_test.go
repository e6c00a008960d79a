package sqs

import (
	"context"
	"fmt"
	"testing"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// user is a principal that policies bind, calling an operation.
func user(t *testing.T, account, name, operation string) context.Context {
	p := auth.Principal{Kind: auth.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/" + name, Name: name}
	if name == "root" {
		p = auth.RootOf(account)
	}
	p.Enforced = true
	return auth.With(t.Context(), auth.Call{
		Principal: p, Scope: arn.Scope{Account: account, Region: "us-east-1"}, Endpoint: endpoint, Service: "sqs", Operation: operation,
	})
}

func TestQueuePolicyDecides(t *testing.T) {
	const other = "999999999999"
	b := newBench(t)
	url := b.create("q", map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"` + other + `"},"Action":["sqs:SendMessage","sqs:GetQueueUrl","sqs:DeleteQueue"],"Resource":"*"},
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:user/ann"},"Action":"sqs:ReceiveMessage","Resource":"arn:aws:sqs:us-east-1:` + account + `:q"},
		{"Effect":"Deny","Principal":{"AWS":["arn:aws:iam::` + account + `:user/bob","arn:aws:iam::` + account + `:root"]},"Action":["sqs:ReceiveMessage","sqs:SetQueueAttributes"],"Resource":"*"}]}`})
	closed := b.create("closed", nil)
	send := func(ctx context.Context) error {
		_, err := b.SendMessage(ctx, &api.SendMessageInput{QueueUrl: url, MessageBody: "x"})
		return err
	}
	sendBatch := func(ctx context.Context) error {
		_, err := b.SendMessageBatch(ctx, &api.SendMessageBatchInput{QueueUrl: url, Entries: []api.SendMessageBatchRequestEntry{{Id: "a", MessageBody: "x"}}})
		return err
	}
	receive := func(ctx context.Context) error {
		_, err := b.ReceiveMessage(ctx, &api.ReceiveMessageInput{QueueUrl: url})
		return err
	}
	find := func(ctx context.Context) error {
		out, err := b.GetQueueUrl(ctx, &api.GetQueueUrlInput{QueueName: "q", QueueOwnerAWSAccountId: account})
		if err == nil && out.QueueUrl != url {
			return fmt.Errorf("url %s", out.QueueUrl)
		}
		return err
	}
	set := func(ctx context.Context) error {
		_, err := b.SetQueueAttributes(ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"DelaySeconds": "0"}})
		return err
	}
	remove := func(ctx context.Context) error {
		_, err := b.DeleteQueue(ctx, &api.DeleteQueueInput{QueueUrl: url})
		return err
	}
	sendClosed := func(ctx context.Context) error {
		_, err := b.SendMessage(ctx, &api.SendMessageInput{QueueUrl: closed, MessageBody: "x"})
		return err
	}
	for _, c := range []struct {
		name, account, user, operation string
		do                             func(context.Context) error
		allowed                        bool
	}{
		{"own user", account, "eve", "SendMessage", send, true},
		{"own user, denied", account, "bob", "ReceiveMessage", receive, false},
		{"own user, denied with the account", account, "eve", "ReceiveMessage", receive, false},
		{"own user, denied another action", account, "bob", "SetQueueAttributes", set, false},
		{"own root, denied", account, "root", "ReceiveMessage", receive, false},
		{"own root takes the policy back", account, "root", "SetQueueAttributes", set, true},
		{"other account", other, "cid", "SendMessage", send, true},
		{"other account, a batch", other, "cid", "SendMessageBatch", sendBatch, true},
		{"other account finds it", other, "cid", "GetQueueUrl", find, true},
		{"other account receives", other, "cid", "ReceiveMessage", receive, false},
		{"the named user receives", other, "ann", "ReceiveMessage", receive, true},
		{"what no policy can share", other, "cid", "DeleteQueue", remove, false},
		{"other account, no policy", other, "cid", "SendMessage", sendClosed, false},
		{"third account", "888888888888", "dan", "SendMessage", send, false},
	} {
		err := c.do(user(t, c.account, c.user, c.operation))
		if c.allowed && err != nil || !c.allowed && !fault.Is(err, fault.AccessDenied) {
			t.Errorf("%s: %v, want allowed %v", c.name, err, c.allowed)
		}
	}
}

func TestListDeadLetterSourceQueuesPages(t *testing.T) {
	b := newBench(t)
	dead := b.create("dead", nil)
	for _, name := range []string{"c", "a", "b"} {
		b.create(name, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:` + account + `:dead","maxReceiveCount":1}`})
	}
	var got []string
	in := &api.ListDeadLetterSourceQueuesInput{QueueUrl: dead, MaxResults: new(int32(2))}
	for {
		out, err := b.ListDeadLetterSourceQueues(b.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(out.QueueUrls))
		if in.NextToken = out.NextToken; in.NextToken == "" {
			break
		}
	}
	base := endpoint + "/" + account + "/"
	if want := fmt.Sprintf("[[%sa %sb] [%sc]]", base, base, base); fmt.Sprint(got) != want {
		t.Errorf("pages %v, want %s", got, want)
	}
	for _, in := range []*api.ListDeadLetterSourceQueuesInput{{QueueUrl: dead, NextToken: "!"}, {QueueUrl: dead, MaxResults: new(int32(0))}} {
		if _, err := b.ListDeadLetterSourceQueues(b.ctx, in); !fault.Is(err, fault.InvalidParameterValue) {
			t.Errorf("%+v: %v", in, err)
		}
	}
}
