package sns

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/sns"
	sqsapi "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// posted is a request that an endpoint got.
type posted struct {
	header http.Header
	host   string
	body   string
}

// webhook is an HTTP endpoint that takes what it is sent.
type webhook struct {
	*httptest.Server
	t       testing.TB
	mu      sync.Mutex
	answers []int // statuses, before 200
	got     chan posted
}

func newWebhook(t testing.TB, answers ...int) *webhook {
	w := &webhook{t: t, answers: answers, got: make(chan posted, 100)}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		status := http.StatusOK
		if r.Header.Get("X-Amz-Sns-Message-Type") == "Notification" && len(w.answers) > 0 {
			status, w.answers = w.answers[0], w.answers[1:]
		}
		w.mu.Unlock()
		w.got <- posted{r.Header, r.Host, string(b)}
		rw.WriteHeader(status)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *webhook) next() posted {
	w.t.Helper()
	select {
	case p := <-w.got:
		return p
	case <-time.After(patience):
		w.t.Fatal("the endpoint is sent nothing")
	}
	return posted{}
}

// headers are a request's as the records have them.
func (p posted) headers() map[string]any {
	out := map[string]any{"Connection": "connection", "Content-Length": "content--length", "Host": p.host}
	for name := range p.header {
		if name != "Content-Length" {
			out[name] = p.header.Get(name)
		}
	}
	return out
}

// document is a request's body as the records have it.
func (p posted) document(t testing.TB) map[string]any {
	var out map[string]any
	if err := json.Unmarshal([]byte(p.body), &out); err != nil {
		t.Fatalf("%v in %s", err, p.body)
	}
	if _, ok := out["Timestamp"]; ok {
		out["Timestamp"] = "date"
	}
	return out
}

func TestRecordedEndpoints(t *testing.T) {
	b, records := records(t, "test_sns")
	const class = "TestSNSSubscriptionHttp::"

	c := records.Case(t, class+"test_http_subscription_response")
	topicARN := replay.As[api.CreateTopicOutput](c.Call("", b.ctx, &api.CreateTopicInput{Name: "responses"})).TopicArn
	c.Hold("topic-arn", map[string]any{"TopicArn": topicARN})
	subscribe := &api.SubscribeInput{TopicArn: topicARN, Protocol: "http", Endpoint: newWebhook(t).URL}
	c.Call("subscription", b.ctx, subscribe)
	subscribe.ReturnSubscriptionArn = new(true)
	c.Call("subscription-with-arn", b.ctx, subscribe)

	hook := newWebhook(t)
	c = records.Case(t, class+"test_subscribe_external_http_endpoint[True]")
	topicARN = b.topic("external", nil)
	c.Call("", b.ctx, &api.SubscribeInput{TopicArn: topicARN, Protocol: "http", Endpoint: hook.URL + "/sns-endpoint", Attributes: map[string]string{"RawMessageDelivery": "true"}})
	p := hook.next()
	c.Hold("subscription-confirmation", p.document(t))
	c.Hold("http-confirm-sub-headers", p.headers())
	e := parsed(t, p.body)
	broken := func(entry, arn, token string) {
		_, err := b.ConfirmSubscription(nobody(t), &api.ConfirmSubscriptionInput{TopicArn: arn, Token: token})
		c.Hold(entry, map[string]any{"ErrorResponse": map[string]any{"Error": refusal(t, err), "RequestId": entry}})
	}
	broken("broken-topic-arn-confirm", "arn:aws:sns", e.Token)
	broken("broken-token-confirm", topicARN, "abc123")
	broken("different-region-arn-confirm", strings.Replace(topicARN, "us-east-1", "eu-west-1", 1), e.Token)
	c.Leave("nonexistent-token-confirm", "AWS takes a token of which the end was changed; here nobody can guess one")
	out, err := b.ConfirmSubscription(nobody(t), &api.ConfirmSubscriptionInput{TopicArn: topicARN, Token: e.Token})
	if err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{"HTTPHeaders": map[string]any{}, "HTTPStatusCode": 200.0}
	c.Hold("confirm-subscribe", map[string]any{"ConfirmSubscriptionResponse": map[string]any{
		"ConfirmSubscriptionResult": map[string]any{"SubscriptionArn": out.SubscriptionArn}, "ResponseMetadata": answer}})
	b.publish(api.PublishInput{TopicArn: topicARN, Message: "test_external_http_endpoint"})
	if p = hook.next(); p.body != "test_external_http_endpoint" {
		t.Errorf("the raw message is %q", p.body)
	}
	c.Hold("http-message-headers-raw", p.headers())
	if _, err := b.Unsubscribe(nobody(t), &api.UnsubscribeInput{SubscriptionArn: out.SubscriptionArn}); err != nil {
		t.Fatal(err)
	}
	c.Hold("unsubscribe-response", map[string]any{"UnsubscribeResponse": map[string]any{"ResponseMetadata": answer}})
	c.Hold("unsubscribe-request", hook.next().document(t))
}

// refusal is an error as Query writes it.
func refusal(t testing.TB, err error) map[string]any {
	f, ok := err.(interface{ Error() string })
	if !ok {
		t.Fatal("nothing was refused")
	}
	code, message, _ := strings.Cut(f.Error(), ": ")
	return map[string]any{"Code": code, "Message": message, "Type": "Sender"}
}

func TestRecordedContentTypes(t *testing.T) {
	b, records := records(t, "test_sns")
	for _, raw := range []string{"True", "False"} {
		c := records.Case(t, "test_subscribe_external_http_endpoint_content_type["+raw+"]")
		hook := newWebhook(t)
		topicAttrs, subAttrs := map[string]string{}, map[string]string{"RawMessageDelivery": strings.ToLower(raw)}
		if raw == "True" {
			subAttrs["DeliveryPolicy"] = `{"requestPolicy":{"headerContentType":"text/csv"}}`
		} else {
			topicAttrs["DeliveryPolicy"] = `{"http":{"defaultRequestPolicy":{"headerContentType":"application/json"}}}`
			subAttrs["DeliveryPolicy"] = `{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":0},"throttlePolicy":{"maxReceivesPerSecond":1000}}`
		}
		topicARN := b.topic("content-"+raw, topicAttrs)
		c.Call("topic-attrs", b.ctx, &api.GetTopicAttributesInput{TopicArn: topicARN})
		sub := replay.As[api.SubscribeOutput](c.Call("", b.ctx, &api.SubscribeInput{
			TopicArn: topicARN, Protocol: "http", Endpoint: hook.URL + "/sns-endpoint", Attributes: subAttrs, ReturnSubscriptionArn: new(true),
		})).SubscriptionArn
		c.Call("sub-attrs", b.ctx, &api.GetSubscriptionAttributesInput{SubscriptionArn: sub})
		p := hook.next()
		c.Hold("subscription-confirmation", p.document(t))
		c.Hold("http-confirm-sub-headers", p.headers())
		u, err := url.Parse(parsed(t, p.body).SubscribeURL)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if _, err := b.ConfirmSubscription(nobody(t), &api.ConfirmSubscriptionInput{TopicArn: q.Get("TopicArn"), Token: q.Get("Token")}); err != nil {
			t.Fatal(err)
		}
		b.publish(api.PublishInput{TopicArn: topicARN, Message: "test_external_http_endpoint"})
		p = hook.next()
		if raw == "True" {
			c.Hold("http-message-headers-raw", p.headers())
		} else {
			c.Hold("http-message", p.document(t))
			c.Hold("http-message-headers", p.headers())
		}
	}
}

func TestRecordedRegions(t *testing.T) {
	b, records := records(t, "test_sns")
	c := records.Case(t, "test_cross_region_delivery_sqs")
	call := auth.From(b.ctx)
	call.Scope.Region = "eu-west-1"
	far := auth.With(t.Context(), call)
	topicARN := b.topic("cross", nil)
	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"` + topicARN + `"}}}}`
	if _, err := b.queue.CreateQueue(far, &sqsapi.CreateQueueInput{QueueName: "far", Attributes: map[string]string{"Policy": policy}}); err != nil {
		t.Fatal(err)
	}
	in := &api.SubscribeInput{TopicArn: topicARN, Protocol: "sqs", Endpoint: "arn:aws:sqs:eu-west-1:" + replay.Account + ":far"}
	c.Call("subscribe-cross-region", far, in)
	c.Call("subscribe-same-region", b.ctx, in)
	c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "This is a test message", MessageAttributes: map[string]api.MessageAttributeValue{"attr1": {DataType: "Number", StringValue: "99.12"}}})
	near := b.ctx
	b.ctx = far
	holdMessages(c, b, "messages", in.Endpoint, 1, false)
	b.ctx = near

	c = records.Case(t, "TestSNSSubscriptionCrudV2::test_confirm_subscription")
	hook := newWebhook(t)
	topicARN = b.topic("confirm-sub-e46f689a", nil)
	c.Call("", b.ctx, &api.SubscribeInput{TopicArn: topicARN, Protocol: "http", Endpoint: hook.URL})
	c.Call("confirm-subscription", b.ctx, &api.ConfirmSubscriptionInput{TopicArn: topicARN, Token: parsed(t, hook.next().body).Token})
}

func TestRecordedFunctions(t *testing.T) {
	b, records := records(t, "test_sns")
	for name, version := range map[string]string{"test_python_lambda_subscribe_sns_topic": "", "test_publish_lambda_verify_signature[2]": "2"} {
		c := records.Case(t, "TestSNSSubscriptionLambda::"+name)
		topicARN := b.topic("functions"+version, map[string]string{"SignatureVersion": version})
		function := "arn:aws:lambda:us-east-1:" + replay.Account + ":function:f" + version
		c.Call("", b.ctx, &api.SubscribeInput{TopicArn: topicARN, Protocol: "lambda", Endpoint: function})
		subject := "[Subject] Test subject"
		if version != "" {
			subject += " Signature v2"
		}
		c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "Hello world.", Subject: subject})
		b.settled()
		got := b.functions.got[len(b.functions.got)-1]
		var event struct{ Records []map[string]any }
		if err := json.Unmarshal(got.Payload, &event); err != nil || got.FunctionName != function || got.InvocationType != "Event" {
			t.Fatalf("invoked %+v: %v", got, err)
		}
		message := event.Records[0]["Sns"].(map[string]any)
		message["Timestamp"] = "date"
		c.Hold("notification", message)
	}
	if call := b.functions.callers[0]; call.Principal.Name != "sns.amazonaws.com" || call.SourceAccount != replay.Account || call.Scope.Account != "" {
		t.Errorf("the function is invoked by %+v", call)
	}
}

func TestRecordedFilterRefusals(t *testing.T) {
	b, records := records(t, "test_sns_filter_policy")
	topicARN, q := b.topic("refused", nil), b.open("refused")
	refuse := func(c *replay.Case, entry, policy string) {
		c.Call(entry, b.ctx, &api.SubscribeInput{TopicArn: topicARN, Protocol: "sqs", Endpoint: q, Attributes: map[string]string{"FilterPolicy": policy}})
	}
	c := records.Case(t, "test_validate_policy_string_operators")
	for entry, policy := range map[string]string{
		"error-condition-empty-array": `{"key":[]}`, "error-condition-is-numeric": `{"key":[{"suffix":100}]}`, "error-condition-is-none": `{"key":[{"suffix":null}]}`,
		"error-condition-is-not-list-and-operator": `{"key":{"suffix":"value"}}`, "error-condition-empty-list": `{"key":[{"suffix":[]}]}`,
		"error-condition-list-wrong-type": `{"key":[{"suffix":["test","test2"]}]}`, "error-condition-is-not-list-two-ops": `{"key":{"suffix":"value","prefix":"value"}}`,
		"error-condition-is-not-list-and-no-operator": `{"key":{"not-an-operator":"value"}}`, "error-condition-bad-type": `{"key":[{"cidr":["bad-filter"]}]}`,
		"error-condition-bad-cidr-str": `{"key":[{"cidr":"bad-filter"}]}`, "error-condition-bad-cidr-str-slash": `{"key":[{"cidr":"bad-filter/30"}]}`,
		"error-condition-bad-cidr-str-slash-2": `{"key":[{"cidr":"192.168.1.1/xx"}]}`, "error-condition-bad-cidr-v4": `{"key":[{"cidr":"xx.11.xx/24"}]}`,
		"error-condition-bad-cidr-v6": `{"key":[{"cidr":"xxxx:db8:1234:1a00::/64"}]}`,
	} {
		normalized(c, entry)
		refuse(c, entry, policy)
	}
	c = records.Case(t, "test_validate_policy_exists_operator")
	normalized(c, "error-condition-none")
	refuse(c, "error-condition-none", `{"key":[{"exists":null}]}`)
	normalized(c, "error-condition-string")
	refuse(c, "error-condition-string", `{"key":[{"exists":"no"}]}`)

	c = records.Case(t, "test_policy_complexity")
	values := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("%q", fmt.Sprint("v", i))
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	refuse(c, "error-complexity-in-one-condition", `{"a":`+values(151)+`}`)
	refuse(c, "error-complexity-in-two-conditions", `{"a":`+values(10)+`,"b":`+values(16)+`}`)
	refuse(c, "error-complexity-too-many-fields", `{"a":["1"],"b":["1"],"c":["1"],"d":["1"],"e":["1"],"f":["1"]}`)
}

// normalized is what the recorder wrote beside a message that tells a place.
func normalized(c *replay.Case, entry string) {
	c.Except(entry+"/Error/_normalized", "the recorder's own")
}

func TestRecordedFilters(t *testing.T) {
	b, records := records(t, "test_sns_filter_policy")
	topicARN, q := b.topic("filtered", nil), b.open("matching")
	sub := b.subscribe(topicARN, q, nil)
	get := &api.GetSubscriptionAttributesInput{SubscriptionArn: sub}
	set := func(name, value string) *api.SetSubscriptionAttributesInput {
		return &api.SetSubscriptionAttributesInput{SubscriptionArn: sub, AttributeName: name, AttributeValue: value}
	}
	c := records.Case(t, "test_set_subscription_filter_policy_scope")
	c.Call("sub-attrs-default", b.ctx, get)
	c.Call("", b.ctx, set("FilterPolicyScope", "MessageBody"))
	c.Call("sub-attrs-filter-scope-body", b.ctx, get)
	c.Call("sub-attrs-filter-scope-error", b.ctx, set("FilterPolicyScope", "RandomValue"))
	c.Call("", b.ctx, set("FilterPolicy", `{"attr":["match-this"]}`))
	c.Call("sub-attrs-after-setting-policy", b.ctx, get)

	number := func(name, v string) map[string]api.MessageAttributeValue {
		return map[string]api.MessageAttributeValue{name: {DataType: "Number", StringValue: v}}
	}
	c = records.Case(t, "TestSNSFilterPolicyAttributes::test_filter_policy")
	c.Call("", b.ctx, set("FilterPolicyScope", "MessageAttributes"))
	c.Call("", b.ctx, set("FilterPolicy", `{"attr1":[{"numeric":[">",0,"<=",100]}]}`))
	c.Call("subscription-attributes", b.ctx, get)
	holdMessages(c, b, "messages-0", q, 0, false)
	c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "This is a test message", MessageAttributes: number("attr1", "99")})
	c.Leave("messages-1", "the same message as in messages-2, which was not taken away in between")
	holdMessages(c, b, "messages-2", q, 1, false)
	c.Call("", b.ctx, set("FilterPolicy", `{"attr1":[null,{"anything-but":"whatever"}]}`))
	c.Call("subscription-attributes-2", b.ctx, get)
	c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "m", MessageAttributes: map[string]api.MessageAttributeValue{"attr1": {DataType: "String", StringValue: "whatever"}}})
	holdMessages(c, b, "messages-3", q, 0, false)
	c.Call("", b.ctx, &api.PublishInput{TopicArn: topicARN, Message: "This the test message for null"})
	holdMessages(c, b, "messages-4", q, 1, false)
}
