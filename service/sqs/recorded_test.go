package sqs

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// recorded is a bench in the account that AWS's answers were recorded in.
func recorded(t *testing.T, file string) (*bench, *replay.Records) {
	t.Helper()
	b := newBench(t)
	b.ctx = auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf(replay.Account), Scope: arn.Scope{Account: replay.Account, Region: "us-east-1"}, Endpoint: endpoint,
	})
	return b, replay.Open(t, "sqs/"+file, api.Describe(), b.Service)
}

func entries(n int, body string) (out []api.SendMessageBatchRequestEntry) {
	for i := range n {
		out = append(out, api.SendMessageBatchRequestEntry{Id: fmt.Sprint(i), MessageBody: body})
	}
	return out
}

func TestRecordedRefusals(t *testing.T) {
	b, records := recorded(t, "test_sqs")
	url, fifo := b.create("q", nil), b.create("q.fifo", map[string]string{"FifoQueue": "true"})
	send := func(m api.SendMessageInput) *api.SendMessageInput { m.QueueUrl = url; return &m }
	ordered := func(m api.SendMessageInput) *api.SendMessageInput { m.QueueUrl = fifo; return &m }
	const class = "TestSqsProvider::"
	for _, r := range []struct {
		name, entry string
		in          any
	}{
		{"test_send_receive_max_number_of_messages[sqs_query]", "send_max_number_of_messages", &api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(11))}},
		{"test_send_oversized_message[sqs]", "send_oversized_message", send(api.SendMessageInput{MessageBody: strings.Repeat("a", 1048577)})},
		{"test_create_queue_with_different_attributes_raises_exception[sqs]", "create_queue_01", &api.CreateQueueInput{QueueName: "q", Attributes: map[string]string{"DelaySeconds": "2"}}},
		{"test_create_fifo_queue_with_different_attributes_raises_error[sqs]", "queue-already-exists", &api.CreateQueueInput{QueueName: "q.fifo", Attributes: map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"}}},
		{"test_fifo_queue_send_message_with_delay_seconds_fails[sqs]", "send_message", ordered(api.SendMessageInput{MessageBody: "m", MessageGroupId: "1", MessageDeduplicationId: "1", DelaySeconds: new(int32(2))})},
		{"test_too_many_entries_in_batch_request[sqs_query]", "test_too_many_entries_in_batch_request", &api.SendMessageBatchInput{QueueUrl: url, Entries: entries(20, "m")}},
		{"test_send_batch_missing_deduplication_id_for_fifo_queue[sqs]", "test_missing_deduplication_id_for_fifo_queue", &api.SendMessageBatchInput{QueueUrl: fifo, Entries: []api.SendMessageBatchRequestEntry{{Id: "1", MessageBody: "m", MessageGroupId: "g"}}}},
		{"test_delete_message_batch_invalid_msg_id[sqs-invalid:id]", "error_response", &api.DeleteMessageBatchInput{QueueUrl: url, Entries: []api.DeleteMessageBatchRequestEntry{{Id: "invalid:id", ReceiptHandle: "h"}}}},
		{"test_delete_message_batch_invalid_msg_id[sqs_query-]", "error_response", &api.DeleteMessageBatchInput{QueueUrl: url, Entries: []api.DeleteMessageBatchRequestEntry{{Id: "-:", ReceiptHandle: "h"}}}},
		{"test_send_message_with_empty_string_attribute[sqs]", "empty-string-attr", send(api.SendMessageInput{MessageBody: "m", MessageAttributes: map[string]api.MessageAttributeValue{"ErrorDetails": {DataType: "String"}}})},
		{"test_send_empty_message[sqs_query]", "send_empty_message", send(api.SendMessageInput{})},
		{"test_message_deduplication_id_invalid[too_long]", "error-response", ordered(api.SendMessageInput{MessageBody: "m", MessageGroupId: "1", MessageDeduplicationId: strings.Repeat("a", 129)})},
		{"test_set_unsupported_attribute_standard[sqs]", "invalid-attr-name-1", &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"FifoQueue": "true"}}},
		{"test_send_receive_wait_time_seconds[sqs]", "recieve_message_error_too_large", &api.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: new(int32(21))}},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := records.Case(t, class+r.name)
			c.Call(r.entry, b.ctx, r.in)
			switch r.entry {
			case "create_queue_01":
				c.Leave("create_queue_02", "the same again")
			case "invalid-attr-name-1":
				c.Call("invalid-attr-name-2", b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"FifoQueue": "false"}})
			case "recieve_message_error_too_large":
				c.Call("recieve_message_error_too_small", b.ctx, &api.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: new(int32(-1))})
				for _, entry := range []string{"empty_short_poll_by_default_resp", "empty_short_poll_explicit_resp"} {
					b.send(url, "message")
					c.Call(entry, b.ctx, &api.ReceiveMessageInput{QueueUrl: url})
				}
			}
		})
	}
	t.Run("too large a batch of changes", func(t *testing.T) {
		in := &api.ChangeMessageVisibilityBatchInput{QueueUrl: url}
		for i := range 20 {
			in.Entries = append(in.Entries, api.ChangeMessageVisibilityBatchRequestEntry{Id: fmt.Sprint(i), ReceiptHandle: "h", VisibilityTimeout: new(int32(1))})
		}
		records.Case(t, class+"test_change_message_visibility_batch_with_too_large_batch[sqs]").Call("error_response", b.ctx, in)
	})
	t.Run("what FIFO queues need", func(t *testing.T) {
		c := records.Case(t, class+"test_posting_to_fifo_requires_deduplicationid_group_id[sqs]")
		c.Call("invalid-parameter-value", b.ctx, ordered(api.SendMessageInput{MessageBody: "m", MessageGroupId: "g"}))
		c.Call("missing-parameter", b.ctx, ordered(api.SendMessageInput{MessageBody: "m", MessageDeduplicationId: "d"}))
		c.Leave("invalid-parameter-value-query", "the same over Query")
		c.Leave("missing-parameter-query", "the same over Query")
	})
}

func TestRecordedAttributes(t *testing.T) {
	b, records := recorded(t, "test_sqs")
	all := func(url string) *api.GetQueueAttributesInput {
		return &api.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []string{"All"}}
	}
	c := records.Case(t, "TestSqsProvider::test_create_and_update_queue_attributes[sqs]")
	url := b.create("updated", map[string]string{"MessageRetentionPeriod": "604800", "ReceiveMessageWaitTimeSeconds": "10", "VisibilityTimeout": "20"})
	c.Call("get_queue_attributes", b.ctx, all(url))
	c.Call("", b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"MaximumMessageSize": "2048", "VisibilityTimeout": "69", "DelaySeconds": "420"}})
	c.Call("get_updated_queue_attributes", b.ctx, all(url))

	c = records.Case(t, "TestSqsProvider::test_fifo_set_content_based_deduplication_strategy[sqs]")
	url = b.create("strategy.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
	c.Call("before-update", b.ctx, all(url))
	c.Call("", b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"ContentBasedDeduplication": "false"}})
	c.Call("after-update", b.ctx, all(url))

	c = records.Case(t, "TestSqsProvider::test_set_queue_attributes_default_values[sqs]")
	url = b.create("defaults", nil)
	c.Call("get-queue-attributes-initial-values", b.ctx, all(url))
	c.Call("", b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"KmsMasterKeyId": "testKeyId", "KmsDataKeyReusePeriodSeconds": "6000"}})
	c.Call("get-queue-attributes-after-update", b.ctx, all(url))
	c.Call("", b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"KmsMasterKeyId": "", "KmsDataKeyReusePeriodSeconds": ""}})
	c.Call("get-queue-attributes-after-set-to-defaults", b.ctx, all(url))

	c = records.Case(t, "TestSqsProvider::test_tag_untag_queue[sqs_query]")
	url = b.create("tagged", nil)
	c.Call("", b.ctx, &api.TagQueueInput{QueueUrl: url, Tags: map[string]string{"tag1": "value1", "tag2": "value2", "tag3": ""}})
	c.Call("get-tag-1", b.ctx, &api.ListQueueTagsInput{QueueUrl: url})
	c.Call("", b.ctx, &api.UntagQueueInput{QueueUrl: url, TagKeys: []string{"tag1", "tag3"}})
	c.Call("get-tag-2", b.ctx, &api.ListQueueTagsInput{QueueUrl: url})
	c.Call("", b.ctx, &api.UntagQueueInput{QueueUrl: url, TagKeys: []string{"tag2"}})
	c.Call("get-tag-after-untag", b.ctx, &api.ListQueueTagsInput{QueueUrl: url})
}

func TestRecordedMessages(t *testing.T) {
	b, records := recorded(t, "test_sqs")
	receive := func(url string) *api.ReceiveMessageInput {
		return &api.ReceiveMessageInput{QueueUrl: url, AttributeNames: []string{"All"}, VisibilityTimeout: new(int32(0))}
	}
	c := records.Case(t, "TestSqsProvider::test_fifo_message_attributes[sqs_query]")
	url := b.create("attributes.fifo", map[string]string{"FifoQueue": "true"})
	c.Call("send_message", b.ctx, &api.SendMessageInput{QueueUrl: url, MessageBody: "message-body-1", MessageGroupId: "group-1", MessageDeduplicationId: "dedup-1"})
	c.Call("receive_message_0", b.ctx, receive(url))
	c.Call("receive_message_1", b.ctx, receive(url))

	for _, name := range []string{"test_receive_message_attribute_names_filters[sqs]", "test_receive_message_message_system_attribute_names_filters[sqs]"} {
		c = records.Case(t, "TestSqsProvider::"+name)
		url = b.create("filters-"+fmt.Sprint(len(name)), nil)
		c.Call("", b.ctx, &api.SendMessageInput{QueueUrl: url, MessageBody: "msg", MessageAttributes: map[string]api.MessageAttributeValue{"Foo": {DataType: "String", StringValue: "Bar"}}})
		for _, asked := range []struct {
			entry             string
			names, attributes []string
		}{
			{"all_attributes", []string{"All"}, nil}, {"all_system_and_message_attributes", []string{"All"}, []string{"All"}},
			{"single_attribute", []string{"SenderId"}, nil},
		} {
			in := &api.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: asked.attributes, VisibilityTimeout: new(int32(0))}
			if in.AttributeNames = asked.names; strings.Contains(name, "system") {
				in.AttributeNames, in.MessageSystemAttributeNames = nil, asked.names
			}
			c.Call(asked.entry, b.ctx, in)
		}
		c.Leave("multiple_attributes", "the record does not tell which")
	}

	c = records.Case(t, "TestSqsProvider::test_fifo_empty_message_groups_added_back_to_queue[sqs]")
	url = b.create("groups.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
	again := &api.ReceiveMessageInput{QueueUrl: url}
	c.Call("", b.ctx, &api.SendMessageInput{QueueUrl: url, MessageBody: "Message 1", MessageGroupId: "g"})
	out := replay.As[api.ReceiveMessageOutput](c.Call("inital-fifo-receive", b.ctx, again))
	c.Call("", b.ctx, &api.DeleteMessageInput{QueueUrl: url, ReceiptHandle: out.Messages[0].ReceiptHandle})
	c.Call("empty-fifo-receive", b.ctx, again)
	c.Call("", b.ctx, &api.SendMessageInput{QueueUrl: url, MessageBody: "Message 2", MessageGroupId: "g"})
	c.Call("final-fifo-receive", b.ctx, again)

	for visible, name := range map[int]string{0: "sqs-0-visible", 1: "sqs-1-visible", 2: "sqs_query-2-visible"} {
		c = records.Case(t, "TestSqsProvider::test_fifo_group_visibility_extends_with_change_message_visibility["+name+"]")
		url = b.create(fmt.Sprint("extended-", visible, ".fifo"), map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
		for _, body := range []string{"foo", "bar", "baz"} {
			c.Call("", b.ctx, &api.SendMessageInput{QueueUrl: url, MessageBody: body, MessageGroupId: "g"})
		}
		in := &api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(3))}
		got := replay.As[api.ReceiveMessageOutput](c.Call("receive_all_messages", b.ctx, in)).Messages
		for _, m := range got[:visible] {
			c.Call("", b.ctx, &api.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: new(int32(0))})
		}
		c.Call("some-messages-invisible", b.ctx, in)
	}

	c = records.Case(t, "TestSqsProvider::test_fair_queue_with_message_group_id[sqs_query]")
	url = b.create("fair", nil)
	c.Call("send_message", b.ctx, &api.SendMessageInput{QueueUrl: url, MessageBody: "message", MessageGroupId: "test"})
	c.Call("get-message-with-deduplication-id", b.ctx, &api.ReceiveMessageInput{QueueUrl: url, AttributeNames: []string{"All"}})
}

func TestRecordedMoveTasks(t *testing.T) {
	b, records := recorded(t, "test_sqs_move_task")
	dead, url := b.create("dead", nil), b.create("q", nil)
	arnOf := func(url string) string { return b.attributes(url, "QueueArn")["QueueArn"] }
	c := records.Case(t, "test_source_needs_redrive_policy")
	c.Call("error", b.ctx, &api.StartMessageMoveTaskInput{SourceArn: arnOf(url)})
	c.Call("", b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, arnOf(dead))}})
	c = records.Case(t, "test_cancel_with_invalid_task_handle")
	c.Call("error", b.ctx, &api.CancelMessageMoveTaskInput{TaskHandle: "foobared"})
	c = records.Case(t, "test_destination_needs_to_exist")
	c.Call("error", b.ctx, &api.StartMessageMoveTaskInput{SourceArn: arnOf(dead), DestinationArn: "arn:aws:sqs:us-east-1:111111111111:nowhere"})

	c = records.Case(t, "test_basic_move_task_workflow")
	b.send(dead, "message-1")
	b.send(dead, "message-2")
	c.Call("start-message-move-task-response", b.ctx, &api.StartMessageMoveTaskInput{SourceArn: arnOf(dead), DestinationArn: arnOf(url)})
	if err := b.moveOnce(b.ctx); err != nil {
		t.Fatal(err)
	}
	c.Call("list-message-move-task-response", b.ctx, &api.ListMessageMoveTasksInput{SourceArn: arnOf(dead)})

	c = records.Case(t, "test_start_multiple_move_tasks")
	b.clock.pass(1000000000)
	for range 3 {
		b.send(dead, "m")
	}
	in := &api.StartMessageMoveTaskInput{SourceArn: arnOf(dead), DestinationArn: arnOf(url), MaxNumberOfMessagesPerSecond: new(int32(1))}
	c.Call("", b.ctx, in)
	c.Call("error", b.ctx, in)
}
