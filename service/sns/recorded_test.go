package sns

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/sns"
	sqsapi "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// records is a service whose caller is a user of the recorded account.
func records(t *testing.T, file string) (*bench, *replay.Records) {
	b := start(t, benchConfig{account: replay.Account, started: true})
	call := auth.From(b.ctx)
	call.Principal = auth.Principal{Kind: auth.User, Account: replay.Account, Name: "tester", ARN: "arn:aws:iam::" + replay.Account + ":user/tester", UserID: "AIDATESTER"}
	b.ctx = auth.With(t.Context(), call)
	return b, replay.Open(t, "sns/"+file, api.Describe(), b.Service)
}

// holdMessages holds what a queue has against an entry: n messages, in the order in
// which they come.
func holdMessages(c *replay.Case, b *bench, entry, queueARN string, n int, attributes bool) {
	c.Helper()
	list := []any{}
	for range n {
		m := b.receive(queueARN)
		if !attributes {
			m.Attributes = nil
		}
		out := &sqsapi.ReceiveMessageOutput{Messages: []sqsapi.Message{m}}
		tree := replay.Tree(sqsapi.Describe(), "ReceiveMessage", out)["Messages"].([]any)[0].(map[string]any)
		if e := (envelopeOf{}); strings.HasPrefix(m.Body, "{\n") {
			e = parsed(c, m.Body)
			tree["Body"] = strings.Replace(m.Body, e.Timestamp, "date", 1)
		}
		if a, ok := tree["MessageAttributes"].(map[string]any); ok {
			for name, v := range m.MessageAttributes {
				if v.BinaryValue != nil {
					a[name].(map[string]any)["BinaryValue"] = fmt.Sprintf(`b'\x%02x\x%02x\x%02x'`, v.BinaryValue[0], v.BinaryValue[1], v.BinaryValue[2])
				}
			}
		}
		if a, ok := tree["Attributes"].(map[string]any); ok {
			for _, name := range []string{"ApproximateFirstReceiveTimestamp", "SentTimestamp"} {
				a[name] = "timestamp"
			}
		}
		list = append(list, tree)
	}
	got := map[string]any{"Messages": list}
	if n == 0 {
		b.settled()
		if left := b.look(queueARN); len(left) > 0 {
			c.Errorf("%s: %s has %q", entry, queueARN, left[0].Body)
		}
		got = map[string]any{}
	}
	name, collected := strings.CutPrefix(entry, collected)
	if !collected {
		got["ResponseMetadata"] = map[string]any{"HTTPHeaders": map[string]any{}, "HTTPStatusCode": 200.0}
	}
	c.Hold(name, got)
}

// collected begins the entries that the records collected out of several answers.
const collected = "several "

func TestRecordedTopics(t *testing.T) {
	b, records := records(t, "test_sns")
	const crud, crud2 = "TestSNSTopicCrud::", "TestSNSTopicCrudV2::"
	create := func(name string, attrs map[string]string, tags ...api.Tag) *api.CreateTopicInput {
		return &api.CreateTopicInput{Name: name, Attributes: attrs, Tags: tags}
	}
	attributes := func(topicARN string) *api.GetTopicAttributesInput {
		return &api.GetTopicAttributesInput{TopicArn: topicARN}
	}

	c := records.Case(t, crud+"test_tags")
	topicARN := b.topic("tags", nil)
	tag := func(tags ...api.Tag) *api.TagResourceInput {
		return &api.TagResourceInput{ResourceArn: topicARN, Tags: tags}
	}
	list := &api.ListTagsForResourceInput{ResourceArn: topicARN}
	c.Call("duplicate-key-error", b.ctx, tag(api.Tag{Key: "k1", Value: "v1"}, api.Tag{Key: "k1", Value: "v2"}))
	c.Call("", b.ctx, tag(api.Tag{Key: "k1", Value: "v1"}, api.Tag{Key: "k2", Value: "v2"}))
	c.Call("list-created-tags", b.ctx, list)
	c.Call("", b.ctx, &api.UntagResourceInput{ResourceArn: topicARN, TagKeys: []string{"k1"}})
	c.Call("list-after-delete-tags", b.ctx, list)
	c.Call("", b.ctx, tag(api.Tag{Key: "k2", Value: "v2b"}))
	c.Call("list-after-update-tags", b.ctx, list)

	c = records.Case(t, crud+"test_create_duplicate_topic_with_more_tags")
	b.topic("more", nil)
	c.Call("exception-duplicate", b.ctx, create("more", nil, api.Tag{Key: "k1", Value: "v1"}))

	c = records.Case(t, crud+"test_topic_delivery_policy_crud")
	topicARN = b.topic("policy.fifo", map[string]string{
		"FifoTopic": "true", "DisplayName": "TestTopic", "SignatureVersion": "2",
		"DeliveryPolicy": `{"http":{"defaultRequestPolicy":{"headerContentType":"application/json"}}}`,
	})
	c.Call("get-topic-attrs", b.ctx, attributes(topicARN))
	set := func(value string) *api.SetTopicAttributesInput {
		return &api.SetTopicAttributesInput{TopicArn: topicARN, AttributeName: "DeliveryPolicy", AttributeValue: value}
	}
	c.Call("set-topic-attrs", b.ctx, set(`{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1}}}`))
	c.Call("get-topic-attrs-after-update", b.ctx, attributes(topicARN))
	c.Call("set-topic-attrs-none", b.ctx, set(`{"http":{"defaultHealthyRetryPolicy":null}}`))
	c.Call("get-topic-attrs-after-none", b.ctx, attributes(topicARN))
	c.Call("set-topic-attrs-full-none", b.ctx, set(""))
	c.Call("get-topic-attrs-after-delete", b.ctx, attributes(topicARN))

	c = records.Case(t, crud2+"test_create_topic_name_constraints")
	c.Call("valid-name-max-length", b.ctx, create(strings.Repeat("a", 256), nil))
	c.Leave("name-too-short", "an empty name is given, which replay cannot tell from none")
	_, err := b.CreateTopic(b.ctx, create("", nil))
	refusedWith(t, err, "InvalidParameter", "Invalid parameter: Topic Name")
	c.Call("name-too-long", b.ctx, create(strings.Repeat("a", 257), nil))
	c.Call("name-contains-fifo", b.ctx, create("a.fifo", nil))
	c.Call("fifo-name-not-contains-fifo", b.ctx, create("a", map[string]string{"FifoTopic": "true"}))
	for i, char := range []string{"@", "!", "?", " ", "$", "/", ":", "*"} {
		c.Call(fmt.Sprint("name-invalid-char-", i), b.ctx, create("topic"+char, nil))
	}

	c = records.Case(t, crud2+"test_topic_get_attributes_with_fifo_false")
	topicARN = b.topic("standard", map[string]string{"FifoTopic": "false"})
	c.Call("get-attrs-standard-topic", b.ctx, attributes(topicARN))
	c.Call("set-fifo-false-after-creation", b.ctx, &api.SetTopicAttributesInput{TopicArn: topicARN, AttributeName: "FifoTopic", AttributeValue: "false"})

	c = records.Case(t, crud2+"test_create_topic_different_attrs")
	named := map[string]string{"DisplayName": "Value1"}
	topicARN = replay.As[api.CreateTopicOutput](c.Call("create-topic", b.ctx, create("different", named))).TopicArn
	c.Call("create-topic-no-attrs", b.ctx, create("different", nil))
	c.Call("topic-attrs", b.ctx, attributes(topicARN))
	c.Call("create-topic-diff-attrs", b.ctx, create("different", map[string]string{"DisplayName": "Value2"}))
	c.Call("create-topic-new-attrs-fifo", b.ctx, create("different", map[string]string{"FifoTopic": "true"}))
	c.Call("create-topic-new-attrs", b.ctx, create("different", map[string]string{"SignatureVersion": "2"}))
	c.Call("create-topic-new-and-same-attrs", b.ctx, create("different", map[string]string{"SignatureVersion": "2", "DisplayName": "Value1"}))

	c = records.Case(t, crud2+"test_create_topic_in_multiple_regions")
	c.Bind("<region-primary>", "us-east-1")
	c.Bind("<region-secondary>", "eu-central-1")
	west := auth.From(b.ctx)
	west.Scope.Region = "eu-central-1"
	east := auth.From(b.ctx)
	east.Scope.Region = "us-east-1"
	for name := range names(t, b) {
		c.Call("", b.ctx, &api.DeleteTopicInput{TopicArn: name})
	}
	var arns [2]string
	for i, call := range []auth.Call{east, west} {
		arns[i] = replay.As[api.CreateTopicOutput](c.Call("", auth.With(t.Context(), call), create("everywhere", nil))).TopicArn
	}
	c.Call("list-primary", auth.With(t.Context(), east), &api.ListTopicsInput{})
	c.Call("list-secondary", auth.With(t.Context(), west), &api.ListTopicsInput{})
	c.Call("topic-east", auth.With(t.Context(), east), attributes(arns[0]))
	c.Call("topic-west", auth.With(t.Context(), west), attributes(arns[1]))
}

// names are the topics that there are.
func names(t *testing.T, b *bench) map[string]bool {
	t.Helper()
	out, err := b.ListTopics(b.ctx, &api.ListTopicsInput{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, topic := range out.Topics {
		all[topic.TopicArn] = true
	}
	return all
}

func TestRecordedPermissions(t *testing.T) {
	b, records := records(t, "test_sns")
	policy := func(topicARN string) string {
		out, err := b.GetTopicAttributes(b.ctx, &api.GetTopicAttributesInput{TopicArn: topicARN})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes["Policy"]
	}
	add := func(topicARN string, actions ...string) *api.AddPermissionInput {
		return &api.AddPermissionInput{TopicArn: topicARN, Label: "test", AWSAccountId: []string{replay.Account}, ActionName: actions}
	}
	c := records.Case(t, "test_topic_add_permission")
	topicARN := b.topic("one", nil)
	c.Call("add-permission-response", b.ctx, add(topicARN, "Publish"))
	c.Hold("topic-policy-after-permission", policy(topicARN))

	c = records.Case(t, "test_topic_remove_permission")
	c.Call("", b.ctx, &api.RemovePermissionInput{TopicArn: topicARN, Label: "test"})
	c.Hold("topic-policy", policy(topicARN))

	c = records.Case(t, "test_topic_add_multiple_permissions")
	topicARN = b.topic("two", nil)
	c.Call("add-permission-response", b.ctx, add(topicARN, "Publish", "Subscribe"))
	c.Hold("topic-policy-after-permission", policy(topicARN))

	c = records.Case(t, "test_remove_permission_errors")
	c.Call("topic-not-found", b.ctx, &api.RemovePermissionInput{TopicArn: "arn:aws:sns:us-east-1:" + replay.Account + ":none", Label: "test"})
}

func TestRecordedPublications(t *testing.T) {
	b, records := records(t, "test_sns")
	const class = "TestSNSPublishCrud::"
	topicARN, q := b.topic("published", nil), b.open("published")
	b.subscribe(topicARN, q, nil)

	c := records.Case(t, class+"test_publish_message_by_target_arn")
	c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "test-msg-1"})
	holdMessages(c, b, "receive-topic-arn", q, 1, false)
	c.Call("", b.ctx, &api.PublishInput{TargetArn: topicARN, Message: "test-msg-2"})
	holdMessages(c, b, "receive-target-arn", q, 1, false)

	c = records.Case(t, class+"test_empty_sns_message")
	c.Leave("empty-msg-error", "an empty message is given, which replay cannot tell from none")
	_, err := b.Publish(b.ctx, &api.PublishInput{TopicArn: topicARN})
	refusedWith(t, err, "InvalidParameter", "Invalid parameter: Empty message")
	out, err := b.queue.GetQueueAttributes(b.ctx, &sqsapi.GetQueueAttributesInput{QueueUrl: urlOf(q), AttributeNames: []string{"ApproximateNumberOfMessages"}})
	if err != nil {
		t.Fatal(err)
	}
	c.Hold("queue-attrs", map[string]any{"Attributes": map[string]any{"ApproximateNumberOfMessages": out.Attributes["ApproximateNumberOfMessages"]},
		"ResponseMetadata": map[string]any{"HTTPHeaders": map[string]any{}, "HTTPStatusCode": 200.0}})

	long := strings.Repeat("a", 256<<10)
	attr := map[string]api.MessageAttributeValue{"k": {DataType: "String", StringValue: "a"}}
	c = records.Case(t, class+"test_publish_too_long_message")
	c.Call("error", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: long + "a"})
	c.Call("error-with-attrs", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: long[2:], MessageAttributes: attr})

	batch := func(entries ...api.PublishBatchRequestEntry) *api.PublishBatchInput {
		return &api.PublishBatchInput{TopicArn: topicARN, PublishBatchRequestEntries: entries}
	}
	c = records.Case(t, class+"test_publish_batch_too_long_message")
	c.Call("error-no-attrs", b.ctx, batch(api.PublishBatchRequestEntry{Id: "1", Message: long}, api.PublishBatchRequestEntry{Id: "2", Message: "a"}))
	c.Call("error-with-attrs", b.ctx, batch(api.PublishBatchRequestEntry{Id: "1", Message: long[2:], MessageAttributes: attr}))

	c = records.Case(t, class+"test_publish_batch_invalid_entry_id")
	for _, e := range []struct{ entry, id string }{
		{"invalid-char-dot", "message.id"}, {"invalid-char-special", "msg@123#test"}, {"id-too-long-81", strings.Repeat("a", 81)},
		{"id-too-long-91", "my" + strings.Repeat("really", 13) + "longid"}, {"valid-id-80-chars", strings.Repeat("a", 80)},
		{"valid-id-with-hyphen-underscore", "valid-message_123"},
	} {
		if e.entry == "id-too-long-91" {
			c.Leave(e.entry, "another id of the same kind")
			continue
		}
		c.Call(e.entry, b.ctx, batch(api.PublishBatchRequestEntry{Id: e.id, Message: "m"}))
	}

	c = records.Case(t, "test_publish_batch_messages_without_topic")
	none := batch(api.PublishBatchRequestEntry{Id: "1", Message: "m"})
	none.TopicArn += "none"
	c.Call("publish-batch-no-topic", b.ctx, none)
}

func TestRecordedSubscriptions(t *testing.T) {
	b, records := records(t, "test_sns")
	const crud, crud2 = "TestSNSSubscriptionCrud::", "TestSNSSubscriptionCrudV2::"
	topicARN, q := b.topic("topic", nil), b.open("queue")
	subscribe := func(queueARN string, attrs map[string]string) *api.SubscribeInput {
		return &api.SubscribeInput{TopicArn: topicARN, Protocol: "sqs", Endpoint: queueARN, Attributes: attrs}
	}
	get := func(sub string) *api.GetSubscriptionAttributesInput {
		return &api.GetSubscriptionAttributesInput{SubscriptionArn: sub}
	}
	again := func() { topicARN = b.topic("topic-"+arn.NewUUID(), nil) }

	c := records.Case(t, crud+"test_subscribe_with_invalid_protocol")
	c.Call("exception", b.ctx, &api.SubscribeInput{TopicArn: topicARN, Protocol: "test-protocol", Endpoint: "localstack@yopmail.com"})
	c = records.Case(t, crud+"test_create_subscriptions_with_attributes")
	c.Call("subscribe-wrong-attr", b.ctx, subscribe(q, map[string]string{"RawMessageDelivery": "wrongvalue"}))
	sub := replay.As[api.SubscribeOutput](c.Call("subscribe", b.ctx, subscribe(q, map[string]string{"RawMessageDelivery": "true"}))).SubscriptionArn
	c.Call("get-attrs", b.ctx, get(sub))
	c.Call("get-attrs-nonexistent-sub", b.ctx, get(topicARN+":"+arn.NewUUID()))

	c = records.Case(t, crud+"test_validate_set_sub_attributes")
	for _, s := range []struct{ entry, name, value string }{
		{"fake-attribute", "FakeAttribute", "test-value"}, {"raw-message-wrong-value", "RawMessageDelivery", "test-ValUe"},
		{"raw-message-empty-value", "RawMessageDelivery", ""},
		{"fake-arn-redrive-policy", "RedrivePolicy", `{"deadLetterTargetArn":"fake-arn"}`},
		{"invalid-json-redrive-policy", "RedrivePolicy", "{invalidjson}"}, {"invalid-json-filter-policy", "FilterPolicy", "{invalidjson}"},
	} {
		c.Call(s.entry, b.ctx, &api.SetSubscriptionAttributesInput{SubscriptionArn: sub, AttributeName: s.name, AttributeValue: s.value})
	}

	c = records.Case(t, crud+"test_sns_confirm_subscription_wrong_token")
	unknown := newToken("us-east-1")
	confirm := func(arn, token string) *api.ConfirmSubscriptionInput {
		return &api.ConfirmSubscriptionInput{TopicArn: arn, Token: token}
	}
	c.Call("topic-not-exists", b.ctx, confirm(topicARN+"none", unknown))
	c.Call("invalid-token", b.ctx, confirm(topicARN, "randomtoken"))
	c.Call("token-not-exists", b.ctx, confirm(topicARN, unknown))

	c = records.Case(t, crud+"test_unsubscribe_wrong_arn_format")
	for i, arn := range []string{"randomstring", "arn:aws:sns:us-east-1:random", topicARN + ":randomid"} {
		c.Call(fmt.Sprint("invalid-unsubscribe-arn-", i+1), b.ctx, &api.UnsubscribeInput{SubscriptionArn: arn})
	}
	c.Leave("invalid-unsubscribe-arn-4", "an empty ARN is given, which replay cannot tell from none")
	_, err := b.Unsubscribe(b.ctx, &api.UnsubscribeInput{})
	refusedWith(t, err, "InvalidParameter", "Invalid parameter: SubscriptionArn Reason: no value for required parameter")

	c = records.Case(t, crud+"test_subscribe_idempotency")
	again()
	sub = replay.As[api.SubscribeOutput](c.Call("subscribe", b.ctx, subscribe(q, map[string]string{"RawMessageDelivery": "true"}))).SubscriptionArn
	c.Call("get-sub-attrs", b.ctx, get(sub))
	for _, s := range []struct {
		entry string
		attrs map[string]string
	}{
		{"subscribe-exact-same-raw", map[string]string{"RawMessageDelivery": "true"}}, {"subscribe-idempotent", map[string]string{"RawMessageDelivery": "true"}},
		{"subscribe-idempotent-no-attributes", nil}, {"subscribe-idempotent-empty-attributes", map[string]string{}}, {"subscribe-missing-attributes", nil},
		{"subscribe-diff-attributes", map[string]string{"RawMessageDelivery": "false"}},
	} {
		c.Call(s.entry, b.ctx, subscribe(q, s.attrs))
	}

	c = records.Case(t, crud2+"test_subscribe_unknown_topic")
	in := subscribe(q, nil)
	in.TopicArn += "none"
	c.Call("subscribe-unknown-topic", b.ctx, in)

	c = records.Case(t, crud2+"test_subscribe_unknown_sqs_queue")
	c.Call("subscribe-unknown-sqs", b.ctx, subscribe("arn:aws:sqs:us-east-1:"+replay.Account+":unknown", nil))
	c.Call("subscribe-unknown-sqs-invalid_arn", b.ctx, subscribe("unknown", nil))

	for name, entry := range map[string]string{
		crud2 + "test_subscribe_sqs_queue_url": "subscribe-sqs-via-url-error", "TestSNSSubscriptionSQS::test_subscribe_to_sqs_with_queue_url": "sub-queue-url",
	} {
		records.Case(t, name).Call(entry, b.ctx, subscribe(urlOf(q), nil))
	}

	c = records.Case(t, crud2+"test_double_subscription")
	topicARN = b.topic("double-sub-befdfdff", nil)
	c.Call("double-subscription-first", b.ctx, subscribe(q, nil))
	c.Call("double-subscription-second", b.ctx, subscribe(q, nil))

	c = records.Case(t, crud2+"test_unsubscribe_from_deleted_topic")
	c.Call("unsubscribe-deleted-topic", b.ctx, &api.UnsubscribeInput{SubscriptionArn: "None"})

	for name, entry := range map[string]string{"test_subscribe_attributes": "get-subscription-attributes", "test_creating_subscription_with_attributes": "subscription-with-attributes"} {
		c = records.Case(t, crud2+name)
		again()
		var attrs map[string]string
		if strings.Contains(name, "creating") {
			attrs = map[string]string{"RawMessageDelivery": "true"}
		}
		c.Call(entry, b.ctx, get(replay.As[api.SubscribeOutput](c.Call("", b.ctx, subscribe(q, attrs))).SubscriptionArn))
	}

	c = records.Case(t, crud2+"test_subscribe_invalid_filter_policy")
	c.Call("subscribe-invalid-filter-policy", b.ctx, subscribe(q, map[string]string{"FilterPolicy": "invalid"}))

	c = records.Case(t, crud2+"test_get_subscription_attributes_error_not_exists")
	c.Call("get-sub-attrs-nonexistent", b.ctx, get(topicARN+":"+arn.NewUUID()))

	c = records.Case(t, "TestSNSSubscriptionSQS::test_sqs_topic_subscription_confirmation")
	again()
	out, err := b.GetSubscriptionAttributes(b.ctx, get(replay.As[api.SubscribeOutput](c.Call("", b.ctx, subscribe(q, nil))).SubscriptionArn))
	if err != nil {
		t.Fatal(err)
	}
	c.Hold("subscription-attrs", texts(out.Attributes))
}

func texts(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func TestRecordedDeliveriesToQueues(t *testing.T) {
	b, records := records(t, "test_sns")
	const class = "TestSNSSubscriptionSQS::"
	topicARN, q := b.topic("topic", nil), b.open("queue")
	sub := b.subscribe(topicARN, q, map[string]string{"RawMessageDelivery": "true"})
	get := &api.GetSubscriptionAttributesInput{SubscriptionArn: sub}
	raw := func(on string) {
		if _, err := b.SetSubscriptionAttributes(b.ctx, &api.SetSubscriptionAttributesInput{SubscriptionArn: sub, AttributeName: "RawMessageDelivery", AttributeValue: on}); err != nil {
			t.Fatal(err)
		}
	}
	number := func(v string) map[string]api.MessageAttributeValue {
		return map[string]api.MessageAttributeValue{"attr1": {DataType: "Number", StringValue: v}}
	}
	binary := api.MessageAttributeValue{DataType: "Binary", BinaryValue: []byte{2, 3, 4}}

	c := records.Case(t, class+"test_attribute_raw_subscribe")
	c.Call("subscription-attributes", b.ctx, get)
	c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "This is a test message", MessageAttributes: map[string]api.MessageAttributeValue{"store": binary}})
	holdMessages(c, b, "messages-response", q, 1, false)

	c = records.Case(t, class+"test_publish_sqs_from_sns")
	c.Call("sub-attrs-raw-true", b.ctx, get)
	c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "Test msg", MessageAttributes: number("99.12")})
	holdMessages(c, b, "message-raw-true", q, 1, false)
	raw("false")
	c.Call("sub-attrs-raw-false", b.ctx, get)
	c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "Test msg", MessageAttributes: number("100.12")})
	holdMessages(c, b, "message-raw-false", q, 1, false)

	c = records.Case(t, class+"test_message_attributes_not_missing")
	raw("true")
	both := map[string]api.MessageAttributeValue{"an-attribute-key": {DataType: "String", StringValue: "an-attribute-value"}, "binary-attribute": binary}
	in := &api.PublishInput{TopicArn: topicARN, Message: "text", MessageAttributes: both}
	c.Call("publish-msg-raw", b.ctx, in)
	holdMessages(c, b, "raw-delivery-msg-attrs", q, 1, true)
	raw("false")
	c.Call("publish-msg-json", b.ctx, in)
	holdMessages(c, b, "json-delivery-msg-attrs", q, 1, true)

	c = records.Case(t, class+"test_publish_message_group_id")
	c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "test signature value with attributes", MessageAttributes: number("1"), MessageGroupId: "my-group-id-1"})
	holdMessages(c, b, "messages", q, 1, true)

	c = records.Case(t, class+"test_publish_sqs_verify_signature[2]")
	c.Call("", b.ctx, &api.SetTopicAttributesInput{TopicArn: topicARN, AttributeName: "SignatureVersion", AttributeValue: "2"})
	c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "test signature value with attributes", MessageAttributes: number("1")})
	holdMessages(c, b, "messages", q, 1, true)

	for _, isRaw := range []string{"True", "False"} {
		c = records.Case(t, class+"test_redrive_policy_sqs_queue_subscription["+isRaw+"]")
		topicARN = b.topic("redrive-"+isRaw, nil)
		gone, dead := b.open("gone-"+isRaw), b.open("dead-"+isRaw)
		b.subscribe(topicARN, gone, map[string]string{"RawMessageDelivery": strings.ToLower(isRaw), "RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `"}`})
		if _, err := b.queue.DeleteQueue(b.ctx, &sqsapi.DeleteQueueInput{QueueUrl: urlOf(gone)}); err != nil {
			t.Fatal(err)
		}
		attrs := number("111")
		attrs["attr2"] = binary
		c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "test_dlq_after_sqs_endpoint_deleted", MessageAttributes: attrs})
		holdMessages(c, b, "messages", dead, 1, true)
	}
}

func TestRecordedOrderedDeliveries(t *testing.T) {
	b, records := records(t, "test_sns")
	const class = "TestSNSSubscriptionSQSFifo::"
	entries := func(subject string) []api.PublishBatchRequestEntry {
		number := func(v string) api.MessageAttributeValue {
			return api.MessageAttributeValue{DataType: "Number", StringValue: v}
		}
		e := func(id, dedup, text string, attrs map[string]api.MessageAttributeValue) api.PublishBatchRequestEntry {
			return api.PublishBatchRequestEntry{Id: id, Message: "Test Message " + text, Subject: subject, MessageAttributes: attrs,
				MessageGroupId: "complexMessageGroupId", MessageDeduplicationId: "MessageDeduplicationId-" + dedup}
		}
		return []api.PublishBatchRequestEntry{
			e("1", "1", "with two attributes", map[string]api.MessageAttributeValue{"attr1": number("99.12"), "attr2": number("109.12")}),
			e("2", "2", "with one attribute", map[string]api.MessageAttributeValue{"attr1": number("19.12")}), e("3", "3", "without attribute", nil),
		}
	}
	for _, isRaw := range []string{"True", "False"} {
		c := records.Case(t, class+"test_publish_fifo_messages_to_dlq["+isRaw+"]")
		topicARN := b.topic("dlq-"+isRaw+".fifo", map[string]string{"FifoTopic": "true"})
		c.Call("topic-attrs", b.ctx, &api.GetTopicAttributesInput{TopicArn: topicARN})
		gone, dead := b.open("gone-"+isRaw+".fifo"), b.open("dead-"+isRaw+".fifo")
		b.subscribe(topicARN, gone, map[string]string{"RawMessageDelivery": strings.ToLower(isRaw), "RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `"}`})
		if _, err := b.queue.DeleteQueue(b.ctx, &sqsapi.DeleteQueueInput{QueueUrl: urlOf(gone)}); err != nil {
			t.Fatal(err)
		}
		c.Call("publish-batch-response-fifo", b.ctx, &api.PublishBatchInput{TopicArn: topicARN, PublishBatchRequestEntries: entries("Subject")})
		holdMessages(c, b, collected+"batch-messages-in-dlq", dead, 3, true)
		c.Call("publish-response-fifo", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "test-message", MessageGroupId: "message-group-id-1", MessageDeduplicationId: "message-deduplication-id-1"})
		holdMessages(c, b, collected+"messages-in-dlq", dead, 1, true)
	}

	c := records.Case(t, class+"test_publish_batch_messages_from_fifo_topic_to_fifo_queue[False]")
	topicARN := b.topic("batch.fifo", map[string]string{"FifoTopic": "true"})
	c.Call("topic-attrs", b.ctx, &api.GetTopicAttributesInput{TopicArn: topicARN})
	q := b.open("batched.fifo")
	sub := b.subscribe(topicARN, q, map[string]string{"RawMessageDelivery": "true"})
	c.Call("sub-attrs-raw-true", b.ctx, &api.GetSubscriptionAttributesInput{SubscriptionArn: sub})
	list := entries("Subject")
	for i := range list {
		list[i].MessageDeduplicationId = fmt.Sprint("MessageDeduplicationId-", i)
	}
	in := &api.PublishBatchInput{TopicArn: topicARN, PublishBatchRequestEntries: list}
	c.Call("publish-batch-response-fifo", b.ctx, in)
	holdMessages(c, b, collected+"messages", q, 3, true)
	c.Call("republish-batch-response-fifo", b.ctx, in)
	holdMessages(c, b, "duplicate-messages", q, 0, true)

	c = records.Case(t, class+"test_fifo_topic_to_regular_sqs[True]")
	topicARN = b.fifo("regular.fifo")
	q = b.open("regular")
	b.subscribe(topicARN, q, nil)
	one := &api.PublishInput{TopicArn: topicARN, Message: "Test", MessageGroupId: "g"}
	c.Call("", b.ctx, one)
	holdMessages(c, b, "messages", q, 1, true)
	c.Call("", b.ctx, one)
	holdMessages(c, b, "dedup-messages", q, 0, true)
}
