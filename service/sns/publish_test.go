package sns

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func TestMessagesByProtocol(t *testing.T) {
	b := newBench(t)
	topicARN, q, w := b.topic("t", nil), b.open("q"), newWebhook(t)
	b.subscribe(topicARN, q, map[string]string{"RawMessageDelivery": "true"})
	b.hook(topicARN, w, nil)
	b.publish(api.PublishInput{TopicArn: topicARN, MessageStructure: "json", Message: `{"default":"for all","sqs":"for queues","email":5}`})
	if got := b.receive(q).Body; got != "for queues" {
		t.Errorf("the queue gets %q", got)
	}
	if got := parsed(t, w.next().body).Message; got != "for all" {
		t.Errorf("the endpoint gets %q", got)
	}
	function := "arn:aws:lambda:us-east-1:" + account + ":function:f"
	if _, err := b.Subscribe(b.ctx, &api.SubscribeInput{TopicArn: topicARN, Protocol: "lambda", Endpoint: function}); err != nil {
		t.Fatal(err)
	}
	b.publish(api.PublishInput{TopicArn: topicARN, MessageStructure: "json", Message: `{"default":"for all","sqs":"for queues","lambda":"for functions"}`})
	if got := b.receive(q).Body; got != "for queues" {
		t.Errorf("beside a function, the queue gets %q", got)
	}
	b.settled()
	b.functions.mu.Lock()
	if len(b.functions.got) != 1 || !strings.Contains(string(b.functions.got[0].Payload), `"Message":"for functions"`) {
		t.Errorf("the function gets %+v", b.functions.got)
	}
	b.functions.mu.Unlock()
	for message, text := range map[string]string{`{"sqs":"x"}`: "No default entry", `x`: "failed to parse"} {
		_, err := b.Publish(b.ctx, &api.PublishInput{TopicArn: topicARN, MessageStructure: "json", Message: message})
		refusedWith(t, err, fault.InvalidParameter, text)
	}
	long := strings.Repeat("s", 101)
	for _, subject := range []string{long, " x", "a\nb", "é"} {
		_, err := b.Publish(b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "m", Subject: subject})
		refusedWith(t, err, fault.InvalidParameter, "Subject")
	}
	for _, a := range []api.MessageAttributeValue{{}, {DataType: "Date", StringValue: "x"}, {DataType: "Number", StringValue: "x"}, {DataType: "String"}, {DataType: "String.Array", StringValue: "x"}} {
		_, err := b.Publish(b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "m", MessageAttributes: map[string]api.MessageAttributeValue{"a": a}})
		refusedWith(t, err, fault.ParameterValueInvalid, "attribute")
	}
}

func TestABatchTellsEachEntry(t *testing.T) {
	b := newBench(t)
	topicARN, q := b.topic("t", nil), b.open("q")
	b.subscribe(topicARN, q, map[string]string{"RawMessageDelivery": "true"})
	out, err := b.PublishBatch(b.ctx, &api.PublishBatchInput{TopicArn: topicARN, PublishBatchRequestEntries: []api.PublishBatchRequestEntry{
		{Id: "good", Message: "m"}, {Id: "bad", Message: "m", Subject: "a\nb"},
	}})
	if err != nil || len(out.Successful) != 1 || len(out.Failed) != 1 || out.Failed[0].Id != "bad" || out.Failed[0].Code != fault.InvalidParameter || !*out.Failed[0].SenderFault {
		t.Fatalf("the batch: %+v, %v", out, err)
	}
	if got := b.receive(q).Body; got != "m" {
		t.Errorf("the queue has %q", got)
	}
	many := make([]api.PublishBatchRequestEntry, 11)
	for i := range many {
		many[i] = api.PublishBatchRequestEntry{Id: fmt.Sprint(i), Message: "m"}
	}
	for code, entries := range map[string][]api.PublishBatchRequestEntry{
		fault.EmptyBatchRequest: nil, fault.TooManyEntriesInBatch: many, fault.BatchEntryIdsNotDistinct: {many[0], many[0]},
	} {
		_, err := b.PublishBatch(b.ctx, &api.PublishBatchInput{TopicArn: topicARN, PublishBatchRequestEntries: entries})
		refusedWith(t, err, code, "")
	}
}

func TestListingsHavePages(t *testing.T) {
	b := start(t, benchConfig{account: account})
	topicARN := b.topic("t", nil)
	const n = 2*maxListed + 1
	for i := range n {
		b.subscribe(topicARN, fmt.Sprintf("arn:aws:sqs:us-east-1:%s:q%d", account, i), nil)
		b.topic(fmt.Sprint("t", i), nil)
	}
	seen := map[string]map[string]bool{"topics": {}, "all": {}, "topic's": {}}
	pages := 0
	for token := ""; token != "" || pages == 0; pages++ {
		out, err := b.ListTopics(b.ctx, &api.ListTopicsInput{NextToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range out.Topics {
			seen["topics"][x.TopicArn] = true
		}
		token = out.NextToken
	}
	for token, first := "", true; token != "" || first; first = false {
		out, err := b.ListSubscriptions(b.ctx, &api.ListSubscriptionsInput{NextToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range out.Subscriptions {
			seen["all"][x.SubscriptionArn] = true
		}
		token = out.NextToken
	}
	for token, first := "", true; token != "" || first; first = false {
		out, err := b.ListSubscriptionsByTopic(b.ctx, &api.ListSubscriptionsByTopicInput{TopicArn: topicARN, NextToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range out.Subscriptions {
			seen["topic's"][x.SubscriptionArn] = true
		}
		token = out.NextToken
	}
	if pages != 3 || len(seen["topics"]) != n+1 || len(seen["all"]) != n || len(seen["topic's"]) != n {
		t.Errorf("%d pages; %d topics, %d and %d subscriptions", pages, len(seen["topics"]), len(seen["all"]), len(seen["topic's"]))
	}
	for _, token := range []string{"x", "!!"} {
		if _, err := b.ListSubscriptions(b.ctx, &api.ListSubscriptionsInput{NextToken: token}); !fault.Is(err, fault.InvalidParameter) {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

func TestWhatIsNotBuiltSaysSo(t *testing.T) {
	b := start(t, benchConfig{account: account})
	topicARN := b.topic("t", nil)
	for _, protocol := range []string{"email", "email-json", "sms", "application", "firehose"} {
		_, err := b.Subscribe(b.ctx, &api.SubscribeInput{TopicArn: topicARN, Protocol: protocol, Endpoint: "x"})
		refusedWith(t, err, fault.NotImplemented, protocol)
	}
	for _, name := range []string{"LambdaSuccessFeedbackRoleArn", "ArchivePolicy"} {
		_, err := b.SetTopicAttributes(b.ctx, &api.SetTopicAttributesInput{TopicArn: topicARN, AttributeName: name, AttributeValue: "x"})
		refusedWith(t, err, fault.NotImplemented, name)
	}
	_, err := b.Publish(b.ctx, &api.PublishInput{PhoneNumber: "+1", Message: "m"})
	refusedWith(t, err, fault.NotImplemented, "phone")
}

func TestOtherAccountsNeedTheTopicsLeave(t *testing.T) {
	b := newBench(t)
	topicARN := b.topic("t", nil)
	stranger := as(t, "999999999999", "")
	svc := api.Intercept(b.Service, auth.Guard(auth.Everyone{})) // tells what is called
	_, err := svc.Publish(stranger, &api.PublishInput{TopicArn: topicARN, Message: "m"})
	refusedWith(t, err, fault.AuthorizationError, "SNS:Publish on resource: "+topicARN)
	if _, err := b.AddPermission(b.ctx, &api.AddPermissionInput{TopicArn: topicARN, Label: "l", AWSAccountId: []string{"999999999999"}, ActionName: []string{"Publish", "Subscribe"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Publish(stranger, &api.PublishInput{TopicArn: topicARN, Message: "m"}); err != nil {
		t.Error(err)
	}
	out, err := svc.Subscribe(stranger, &api.SubscribeInput{TopicArn: topicARN, Protocol: "sqs", Endpoint: "arn:aws:sqs:us-east-1:999999999999:q"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := svc.ListSubscriptions(stranger, &api.ListSubscriptionsInput{})
	if err != nil || len(list.Subscriptions) != 1 || list.Subscriptions[0].SubscriptionArn != out.SubscriptionArn {
		t.Errorf("the stranger's subscriptions: %v, %v", list, err)
	}
	_, err = svc.DeleteTopic(stranger, &api.DeleteTopicInput{TopicArn: topicARN})
	refusedWith(t, err, fault.AuthorizationError, "SNS:DeleteTopic")
}
