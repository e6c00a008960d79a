package sns

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/sns"
	"github.com/slipway/slipway/store/storetest"
)

const (
	topicARN = "arn:aws:sns:us-east-1:123456789012:"
	queueARN = "arn:aws:sqs:us-east-1:123456789012:"
)

func newTypes(t *testing.T) (api.Service, *cfn.Registry) {
	svc := sns.New(sns.Config{Store: storetest.New(t), Ring: keyring.Ephemeral()})
	types := &cfn.Registry{}
	types.Add(Types(svc)...)
	return svc, types
}

func as(t *testing.T, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf("123456789012"), Scope: arn.Scope{Account: "123456789012", Region: "us-east-1"}, Token: token,
	})
}

func request(token, physicalID string, properties, prior cfn.Properties) cfn.Request {
	return cfn.Request{
		StackName: "stack", LogicalID: "Topic", PhysicalID: physicalID, Token: token, Name: "stack-Topic-ABCDEF123456",
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

func inlineOf(queues ...string) []any {
	out := []any{}
	for _, q := range queues {
		out = append(out, map[string]any{"Endpoint": queueARN + q, "Protocol": "sqs"})
	}
	return out
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestTopic(t *testing.T) {
	_, types := newTypes(t)
	typ := lookup(t, types, topicName)
	props := cfn.Properties{
		"DisplayName": "Orders", "SignatureVersion": "2", "Subscription": inlineOf("a", "b"), "Tags": []any{map[string]any{"Key": "k", "Value": "v"}},
	}
	ctx := as(t, "step")
	made := must[cfn.Result](t)(typ.Create(ctx, request("step", "", props, nil)))
	again := must[cfn.Result](t)(typ.Create(ctx, request("step", "", props, nil)))
	if made.PhysicalID != topicARN+"stack-Topic-ABCDEF123456" || again.PhysicalID != made.PhysicalID || made.Attributes["TopicName"] != "stack-Topic-ABCDEF123456" {
		t.Fatalf("made %+v, then %+v", made, again)
	}
	if _, err := typ.Create(as(t, "other"), request("other", "", props, nil)); err == nil {
		t.Error("another step took the topic")
	}
	got := must[cfn.Properties](t)(typ.Read(ctx, request("", made.PhysicalID, props, nil)))
	want := cfn.Properties{
		"TopicArn": made.PhysicalID, "TopicName": "stack-Topic-ABCDEF123456", "DisplayName": "Orders", "SignatureVersion": "2",
		"Subscription": got["Subscription"], "Tags": []any{map[string]any{"Key": "k", "Value": "v"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got["Subscription"].([]any)) != 2 {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	next := cfn.Properties{"TracingConfig": "PassThrough", "Subscription": inlineOf("b", "c")}
	must[cfn.Result](t)(typ.Update(ctx, request("step2", made.PhysicalID, next, props)))
	got = must[cfn.Properties](t)(typ.Read(ctx, request("", made.PhysicalID, cfn.Properties{"Subscription": inlineOf("a", "b", "c")}, nil)))
	if len(got["Subscription"].([]any)) != 2 || got["DisplayName"] != nil || got["SignatureVersion"] != "1" || got["Tags"] != nil {
		t.Errorf("after the update: %v", got)
	}
	if names := must[[]string](t)(typ.List(ctx)); len(names) != 1 || names[0] != made.PhysicalID {
		t.Errorf("listed %v", names)
	}
	for range 2 {
		if err := typ.Delete(ctx, request("step3", made.PhysicalID, next, nil)); err != nil {
			t.Error(err)
		}
	}
	if _, err := typ.Read(ctx, request("", made.PhysicalID, nil, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after the deletion: %v", err)
	}
}

func TestFIFOTopicsNameEndsAsItsTypeAsks(t *testing.T) {
	_, types := newTypes(t)
	typ := lookup(t, types, topicName)
	props := cfn.Properties{"FifoTopic": true, "ContentBasedDeduplication": true, "FifoThroughputScope": "MessageGroup"}
	made := must[cfn.Result](t)(typ.Create(as(t, "s"), request("s", "", props, nil)))
	got := must[cfn.Properties](t)(typ.Read(as(t, ""), request("", made.PhysicalID, props, nil)))
	if made.PhysicalID != topicARN+"stack-Topic-ABCDEF123456.fifo" || got["FifoThroughputScope"] != "MessageGroup" || got["ContentBasedDeduplication"] != true {
		t.Errorf("made %s: %v", made.PhysicalID, got)
	}
}

func TestWhatTopicsLackIsRefusedByName(t *testing.T) {
	_, types := newTypes(t)
	for typ, props := range map[string]cfn.Properties{
		topicName:        {"ArchivePolicy": map[string]any{"MessageRetentionPeriod": 30}},
		subscriptionName: {"TopicArn": topicARN + "t", "Protocol": "sqs", "Endpoint": queueARN + "q", "SubscriptionRoleArn": "arn:aws:iam::123456789012:role/r"},
	} {
		if _, err := lookup(t, types, typ).Create(as(t, "s"), request("s", "", props, nil)); !fault.Is(err, fault.NotImplemented) {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

func TestSubscription(t *testing.T) {
	svc, types := newTypes(t)
	typ := lookup(t, types, subscriptionName)
	ctx := as(t, "")
	must[*api.CreateTopicOutput](t)(svc.CreateTopic(ctx, &api.CreateTopicInput{Name: "t"}))
	props := cfn.Properties{
		"TopicArn": topicARN + "t", "Protocol": "sqs", "Endpoint": queueARN + "q", "Region": "us-east-1", "RawMessageDelivery": true,
		"FilterPolicyScope": "MessageBody", "FilterPolicy": map[string]any{"a": map[string]any{"b": []any{"c"}}},
		"RedrivePolicy": map[string]any{"deadLetterTargetArn": queueARN + "dead"},
	}
	made := must[cfn.Result](t)(typ.Create(as(t, "s"), request("s", "", props, nil)))
	if again := must[cfn.Result](t)(typ.Create(as(t, "s"), request("s", "", props, nil))); again.PhysicalID != made.PhysicalID {
		t.Errorf("made %s and %s", made.PhysicalID, again.PhysicalID)
	}
	got := must[cfn.Properties](t)(typ.Read(ctx, request("", made.PhysicalID, props, nil)))
	want := cfn.Properties{
		"Arn": made.PhysicalID, "TopicArn": topicARN + "t", "Protocol": "sqs", "Endpoint": queueARN + "q", "RawMessageDelivery": true,
		"FilterPolicyScope": "MessageBody", "FilterPolicy": map[string]any{"a": map[string]any{"b": []any{"c"}}},
		"RedrivePolicy": map[string]any{"deadLetterTargetArn": queueARN + "dead"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	next := cfn.Properties{"TopicArn": topicARN + "t", "Protocol": "sqs", "Endpoint": queueARN + "q", "FilterPolicy": `{"a":["b"]}`}
	must[cfn.Result](t)(typ.Update(as(t, "s2"), request("s2", made.PhysicalID, next, props)))
	got = must[cfn.Properties](t)(typ.Read(ctx, request("", made.PhysicalID, next, nil)))
	if got["RawMessageDelivery"] != false || got["FilterPolicyScope"] != "MessageAttributes" || got["RedrivePolicy"] != nil {
		t.Errorf("after the update: %v", got)
	}
	if names := must[[]string](t)(typ.List(ctx)); len(names) != 1 || names[0] != made.PhysicalID {
		t.Errorf("listed %v", names)
	}
	for range 2 {
		if err := typ.Delete(ctx, request("s3", made.PhysicalID, next, nil)); err != nil {
			t.Error(err)
		}
	}
	if _, err := typ.Read(ctx, request("", made.PhysicalID, nil, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after the deletion: %v", err)
	}
}

func TestPoliciesOfTopics(t *testing.T) {
	svc, types := newTypes(t)
	ctx := as(t, "")
	for _, name := range []string{"one", "two"} {
		must[*api.CreateTopicOutput](t)(svc.CreateTopic(ctx, &api.CreateTopicInput{Name: name}))
	}
	document := func(sid string) map[string]any {
		return map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Sid": sid, "Effect": "Allow", "Principal": map[string]any{"Service": "s3.amazonaws.com"}, "Action": "sns:Publish", "Resource": "*",
		}}}
	}
	for name, key := range map[string]string{topicPolicyName: "Topics", inlinePolicyName: "TopicArn"} {
		typ := lookup(t, types, name)
		of := func(topics ...any) any {
			if key == "TopicArn" {
				return topics[0]
			}
			return topics
		}
		props := cfn.Properties{"PolicyDocument": document("first"), key: of(topicARN+"one", topicARN+"two")}
		made := must[cfn.Result](t)(typ.Create(ctx, request("s", "", props, nil)))
		got := must[cfn.Properties](t)(typ.Read(ctx, request("", made.PhysicalID, props, nil)))
		if diff := cmp.Diff(props["PolicyDocument"], got["PolicyDocument"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		next := cfn.Properties{"PolicyDocument": document("second"), key: of(topicARN + "one")}
		must[cfn.Result](t)(typ.Update(ctx, request("s2", made.PhysicalID, next, props)))
		got = must[cfn.Properties](t)(typ.Read(ctx, request("", made.PhysicalID, props, nil)))
		if diff := cmp.Diff(next[key], got[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for range 2 {
			if err := typ.Delete(ctx, request("s3", made.PhysicalID, next, nil)); err != nil {
				t.Error(err)
			}
		}
		if _, err := typ.Read(ctx, request("", made.PhysicalID, next, nil)); !fault.Is(err, cfn.NotFound) {
			t.Errorf("%s: read after the deletion: %v", name, err)
		}
	}
}
