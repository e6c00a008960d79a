package sns

import (
	"encoding/json"
	"testing"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// TestRecordedBodies publishes the recorded messages, with others that a filter keeps
// out, and holds what arrives against the record.
func TestRecordedBodies(t *testing.T) {
	b, records := records(t, "test_sns_filter_policy")
	body := func(c *replay.Case, topicARN string, messages ...string) {
		for _, m := range messages {
			c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: m})
			b.settled() // so that they come in this order
		}
	}
	subscribe := func(name, policy string) (topicARN, queueARN string) {
		topicARN, queueARN = b.topic(name, nil), b.open(name+"-queue")
		b.subscribe(topicARN, queueARN, map[string]string{"RawMessageDelivery": "true", "FilterPolicyScope": "MessageBody", "FilterPolicy": policy})
		return topicARN, queueARN
	}
	c := records.Case(t, "test_filter_policy_on_message_body_array_attributes")
	for i, want := range []string{"queue1", "queue2"} {
		topicARN, q := subscribe("array-"+want, `{"headers":{"route-to":["`+want+`"]}}`)
		body(c, topicARN, `{"headers":{"route-to":["queue1","queue2"]}}`, `{"headers":{"route-to":["queue1"]}}`, `{"headers":{"route-to":["queue2"]}}`, `{"headers":{"route-to":[]}}`)
		holdMessages(c, b, collected+[]string{"messages-queue-0", "messages-queue-1"}[i], q, 2, true)
	}

	c = records.Case(t, "test_filter_policy_empty_array_payload")
	topicARN, q := subscribe("empty", `{"detail":{"eventVersion":[""]}}`)
	body(c, topicARN, event(t, map[string]any{"eventVersion": "", "responseElements": nil}), event(t, map[string]any{"eventVersion": "1"}))
	m := b.receive(q)
	if more := b.look(q); len(more) > 0 {
		t.Errorf("%s came, too", more[0].Body)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(m.Body), &got); err != nil || got["detail"].(map[string]any)["eventVersion"] != "" {
		t.Errorf("got %s", m.Body)
	}
	c.Leave("messages-queue", "its account and id are the recorder's; what came is held above")

	c = records.Case(t, "test_filter_policy_ip_address_condition")
	topicARN, q = subscribe("cidr", `{"detail":{"$or":[{"sourceIPAddress":[{"cidr":"10.0.0.0/24"}]},{"sourceIPAddressV6":[{"cidr":"2001:db8:1234:1a00::/64"}]}]}}`)
	at := func(id, name, address string) string {
		return `{"id":"` + id + `","source":"test-source","detail-type":"test-detail-type","account":"123456789012","region":"my-region","time":"date","detail":{"` + name + `":"` + address + `"}}`
	}
	body(c, topicARN, at("1", "sourceIPAddress", "10.0.0.255"), at("2", "sourceIPAddress", "10.0.0.256"),
		at("3", "sourceIPAddressV6", "2001:0db8:1234:1a00:0000:0000:0000:0000"), at("4", "sourceIPAddressV6", "2001:0db8:1234:2a00:0000:0000:0000:0000"))
	holdMessages(c, b, collected+"messages-queue", q, 2, true)
}

func event(t *testing.T, detail map[string]any) string {
	b, err := json.Marshal(map[string]any{"version": "0", "source": "aws.autoscaling", "resources": []any{}, "detail": detail})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
