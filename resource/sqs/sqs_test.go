package sqs

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/sqs"
	"github.com/slipway/slipway/store/storetest"
)

const (
	queueURL = "http://127.0.0.1:4566/123456789012/"
	queueARN = "arn:aws:sqs:us-east-1:123456789012:"
)

func newTypes(t *testing.T) (api.Service, *cfn.Registry) {
	svc := sqs.New(sqs.Config{Store: storetest.New(t), Ring: keyring.Ephemeral()})
	types := &cfn.Registry{}
	types.Add(Types(svc)...)
	return svc, types
}

func as(t *testing.T, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf("123456789012"), Scope: arn.Scope{Account: "123456789012", Region: "us-east-1"},
		Endpoint: "http://127.0.0.1:4566", Token: token,
	})
}

func request(token, physicalID string, properties, prior cfn.Properties) cfn.Request {
	return cfn.Request{
		StackName: "stack", LogicalID: "Queue", PhysicalID: physicalID, Token: token, Name: "stack-Queue-ABCDEF123456",
		Properties: properties, Prior: prior, Tags: map[string]string{"aws:cloudformation:stack-name": "stack"},
		Progress: func(string) {}, Initiated: func(string) {},
	}
}

func lookup(t *testing.T, types *cfn.Registry, name string) cfn.Type {
	t.Helper()
	typ, ok := types.Lookup(name)
	if !ok {
		t.Fatalf("no type %s", name)
	}
	return typ
}

func TestQueue(t *testing.T) {
	svc, types := newTypes(t)
	queue := lookup(t, types, "AWS::SQS::Queue")
	props := cfn.Properties{"DelaySeconds": int64(5), "MaximumMessageSize": int64(2048), "Tags": []any{map[string]any{"Key": "k", "Value": "v"}}}
	want := cfn.Result{PhysicalID: queueURL + "stack-Queue-ABCDEF123456", Attributes: cfn.Properties{
		"Arn": queueARN + "stack-Queue-ABCDEF123456", "QueueName": "stack-Queue-ABCDEF123456", "QueueUrl": queueURL + "stack-Queue-ABCDEF123456",
	}}
	for range 2 { // the second is the step repeated after a crash
		got, err := queue.Create(as(t, "create"), request("create", "", props, nil))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	}
	if _, err := queue.Create(as(t, "other"), request("other", "", props, nil)); !fault.Is(err, fault.QueueNameExists) {
		t.Errorf("another resource took the queue: %v", err)
	}
	read, err := queue.Read(as(t, "read"), request("read", want.PhysicalID, props, nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{"DelaySeconds": int64(5), "MaximumMessageSize": int64(2048), "VisibilityTimeout": int64(30), "Arn": want.Attributes["Arn"],
		"Tags": []any{map[string]any{"Key": "k", "Value": "v"}}} {
		if d := cmp.Diff(value, read[name]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	next := cfn.Properties{"VisibilityTimeout": int64(60), "Tags": []any{map[string]any{"Key": "k2", "Value": "v2"}}}
	for range 2 {
		if _, err := queue.Update(as(t, "update"), request("update", want.PhysicalID, next, props)); err != nil {
			t.Fatal(err)
		}
	}
	read, err = queue.Read(as(t, "read"), request("read", want.PhysicalID, next, nil))
	if err != nil || read["DelaySeconds"] != int64(0) || read["MaximumMessageSize"] != int64(1048576) || read["VisibilityTimeout"] != int64(60) {
		t.Errorf("updated %v, %v", read, err)
	}
	tags, err := svc.ListQueueTags(as(t, ""), &api.ListQueueTagsInput{QueueUrl: want.PhysicalID})
	if d := cmp.Diff(map[string]string{"k2": "v2", "aws:cloudformation:stack-name": "stack"}, tags.Tags); d != "" || err != nil {
		t.Errorf("tags %s, %v", d, err)
	}
	if urls, err := queue.List(as(t, "")); err != nil || len(urls) != 1 || urls[0] != want.PhysicalID {
		t.Errorf("listed %v, %v", urls, err)
	}
	for range 2 {
		if err := queue.Delete(as(t, "delete"), request("delete", want.PhysicalID, next, nil)); err != nil {
			t.Fatal(err)
		}
	}
	for name, call := range map[string]func() error{
		"read":   func() error { _, err := queue.Read(as(t, ""), request("", want.PhysicalID, next, nil)); return err },
		"update": func() error { _, err := queue.Update(as(t, ""), request("", want.PhysicalID, next, props)); return err },
	} {
		if err := call(); !fault.Is(err, cfn.NotFound) {
			t.Errorf("%s of a queue that is gone: %v", name, err)
		}
	}
}

func TestQueueUnderAKey(t *testing.T) {
	_, types := newTypes(t)
	queue := lookup(t, types, "AWS::SQS::Queue")
	keyed := cfn.Properties{"KmsMasterKeyId": "alias/x", "KmsDataKeyReusePeriodSeconds": int64(60)}
	plain := cfn.Properties{"DelaySeconds": int64(1)}
	made, err := queue.Create(as(t, "c"), request("c", "", keyed, nil))
	if err != nil {
		t.Fatal(err)
	}
	read := func() cfn.Properties {
		t.Helper()
		got, err := queue.Read(as(t, ""), request("", made.PhysicalID, nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := read(); got["KmsMasterKeyId"] != "alias/x" || got["KmsDataKeyReusePeriodSeconds"] != int64(60) || got["SqsManagedSseEnabled"] != false {
		t.Errorf("read %v", got)
	}
	if _, err := queue.Update(as(t, "u"), request("u", made.PhysicalID, plain, keyed)); err != nil {
		t.Fatal(err)
	}
	if got := read(); got["KmsMasterKeyId"] != nil || got["SqsManagedSseEnabled"] != true {
		t.Errorf("read without the key: %v", got)
	}
}

func TestInlinePolicy(t *testing.T) {
	_, types := newTypes(t)
	queue, policy := lookup(t, types, "AWS::SQS::Queue"), lookup(t, types, "AWS::SQS::QueueInlinePolicy")
	q, err := queue.Create(as(t, "q"), request("q", "", cfn.Properties{"QueueName": "q"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	document := map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": "*", "Action": []any{"sqs:SendMessage"}, "Resource": "*",
	}}}
	props := cfn.Properties{"PolicyDocument": document, "Queue": q.PhysicalID}
	made, err := policy.Create(as(t, "p"), request("p", "", props, nil))
	if err != nil || made.PhysicalID != q.PhysicalID {
		t.Fatalf("%+v, %v", made, err)
	}
	got, err := policy.Read(as(t, ""), request("", made.PhysicalID, props, nil))
	if d := cmp.Diff(props, got); d != "" || err != nil {
		t.Error(d, err)
	}
	for range 2 {
		if err := policy.Delete(as(t, "d"), request("d", made.PhysicalID, props, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := policy.Read(as(t, ""), request("", made.PhysicalID, props, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after the deletion: %v", err)
	}
}

func TestDeadLetterQueue(t *testing.T) {
	_, types := newTypes(t)
	queue := lookup(t, types, "AWS::SQS::Queue")
	dead, err := queue.Create(as(t, "1"), request("1", "", cfn.Properties{"QueueName": "dead"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	props := cfn.Properties{"QueueName": "q", "RedrivePolicy": map[string]any{"deadLetterTargetArn": dead.Attributes["Arn"], "maxReceiveCount": int64(3)}}
	made, err := queue.Create(as(t, "2"), request("2", "", props, nil))
	if err != nil {
		t.Fatal(err)
	}
	read, err := queue.Read(as(t, ""), request("", made.PhysicalID, props, nil))
	if d := cmp.Diff(props["RedrivePolicy"], read["RedrivePolicy"]); d != "" || err != nil {
		t.Errorf("%s, %v", d, err)
	}
}

func TestQueuePolicy(t *testing.T) {
	svc, types := newTypes(t)
	queue, policy := lookup(t, types, "AWS::SQS::Queue"), lookup(t, types, "AWS::SQS::QueuePolicy")
	var urls []any
	for _, name := range []string{"a", "b"} {
		q, err := queue.Create(as(t, name), request(name, "", cfn.Properties{"QueueName": name}, nil))
		if err != nil {
			t.Fatal(err)
		}
		urls = append(urls, q.PhysicalID)
	}
	document := map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": "*", "Action": []any{"sqs:SendMessage"}, "Resource": "*",
	}}}
	stored := func(url any) (out any) {
		t.Helper()
		got, err := svc.GetQueueAttributes(as(t, ""), &api.GetQueueAttributesInput{QueueUrl: url.(string), AttributeNames: []string{"Policy"}})
		if err != nil {
			t.Fatal(err)
		}
		if text := got.Attributes["Policy"]; text != "" {
			if err := json.Unmarshal([]byte(text), &out); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	props := cfn.Properties{"PolicyDocument": document, "Queues": []any{urls[0]}}
	made, err := policy.Create(as(t, "p"), request("p", "", props, nil))
	if err != nil || made.PhysicalID != "stack-Queue-ABCDEF123456" {
		t.Fatalf("%+v, %v", made, err)
	}
	if d := cmp.Diff(any(document), stored(urls[0])); d != "" {
		t.Error(d)
	}
	next := cfn.Properties{"PolicyDocument": document, "Queues": []any{urls[1]}}
	if _, err := policy.Update(as(t, "u"), request("u", made.PhysicalID, next, props)); err != nil {
		t.Fatal(err)
	}
	if stored(urls[0]) != nil || stored(urls[1]) == nil {
		t.Error("the policy did not move to the other queue")
	}
	read, err := policy.Read(as(t, ""), request("", made.PhysicalID, next, nil))
	if d := cmp.Diff(cfn.Properties{"PolicyDocument": document, "Queues": []any{urls[1]}, "Id": made.PhysicalID}, read); d != "" || err != nil {
		t.Errorf("%s, %v", d, err)
	}
	for range 2 {
		if err := policy.Delete(as(t, "d"), request("d", made.PhysicalID, next, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := policy.Read(as(t, ""), request("", made.PhysicalID, next, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after delete: %v", err)
	}
}

func TestFIFOQueue(t *testing.T) {
	svc, types := newTypes(t)
	queue := lookup(t, types, "AWS::SQS::Queue")
	props := cfn.Properties{"FifoQueue": true, "ContentBasedDeduplication": true, "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
	made, err := queue.Create(as(t, "create"), request("create", "", props, nil))
	if err != nil || made.Attributes["QueueName"] != "stack-Queue-ABCDEF123456.fifo" {
		t.Fatalf("made %+v: %v", made, err)
	}
	read := func() cfn.Properties {
		t.Helper()
		out, err := queue.Read(as(t, ""), request("", made.PhysicalID, nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		got := cfn.Properties{}
		for name := range props {
			got[name] = out[name]
		}
		return got
	}
	if d := cmp.Diff(props, read()); d != "" {
		t.Errorf("made, then read: %s", d)
	}
	// A property that the template no longer has goes back to its default.
	if _, err := queue.Update(as(t, "update"), request("update", made.PhysicalID, cfn.Properties{"FifoQueue": true}, props)); err != nil {
		t.Fatal(err)
	}
	want := cfn.Properties{"FifoQueue": true, "ContentBasedDeduplication": false, "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"}
	if d := cmp.Diff(want, read()); d != "" {
		t.Errorf("updated, then read: %s", d)
	}
	if _, err := svc.SendMessage(as(t, ""), &api.SendMessageInput{QueueUrl: made.PhysicalID, MessageBody: "m", MessageGroupId: "g", MessageDeduplicationId: "d"}); err != nil {
		t.Errorf("to the queue: %v", err)
	}
	long := request("long", "", cfn.Properties{"FifoQueue": true}, nil)
	long.Name = strings.Repeat("a", 90) + "-ABCDEF123456"
	if made, err := queue.Create(as(t, "long"), long); err != nil || !strings.HasSuffix(made.PhysicalID, "-ABCDEF123456.fifo") {
		t.Errorf("a long name: %+v, %v", made, err)
	}
}
