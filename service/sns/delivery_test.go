package sns

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" // #nosec G505 -- SignatureVersion 1 is of SHA-1
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	kmsapi "github.com/slipway/slipway/api/kms"
	api "github.com/slipway/slipway/api/sns"
	sqsapi "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func TestQueuesPoliciesDecide(t *testing.T) {
	b := newBench(t)
	topicARN, other := b.topic("topic", nil), b.topic("other", nil)
	dead := b.open("dead")
	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"` + topicARN + `"},"StringEquals":{"aws:SourceAccount":"` + account + `"}}}}`
	q := b.closed("q", map[string]string{"Policy": policy})
	redrive := map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `"}`, "RawMessageDelivery": "true"}
	b.subscribe(topicARN, q, redrive)
	b.subscribe(other, q, redrive)
	b.publish(api.PublishInput{TopicArn: topicARN, Message: "let in"})
	b.publish(api.PublishInput{TopicArn: other, Message: "kept out"})
	if got := b.receive(q).Body; got != "let in" {
		t.Errorf("the queue has %q", got)
	}
	if got := b.receive(dead).Body; got != "kept out" {
		t.Errorf("the dead-letter queue has %q", got)
	}
	b.settled()
	if more := b.look(q); len(more) > 0 {
		t.Errorf("the queue also has %q", more[0].Body)
	}
}

func TestTriesAgainWhatIsNotTheOwnersToMend(t *testing.T) {
	b := newBench(t)
	topicARN, q := b.topic("topic", nil), b.open("q")
	b.subscribe(topicARN, q, map[string]string{"RawMessageDelivery": "true"})
	var mu sync.Mutex
	failures := 7 // through the first two phases
	b.queue.failing(func(*sqsapi.SendMessageInput) error {
		mu.Lock()
		defer mu.Unlock()
		if failures--; failures >= 0 {
			return errors.New("the disk is busy")
		}
		return nil
	})
	b.publish(api.PublishInput{TopicArn: topicARN, Message: "at last"})
	if got := b.receive(q).Body; got != "at last" {
		t.Errorf("the queue has %q", got)
	}
	b.settled()
}

func TestFIFOKeepsTheOrderOfAGroupThroughFailures(t *testing.T) {
	b := newBench(t)
	topicARN := b.fifo("orders.fifo")
	first, second := b.open("first.fifo"), b.open("second.fifo")
	raw := map[string]string{"RawMessageDelivery": "true"}
	b.subscribe(topicARN, first, raw)
	b.subscribe(topicARN, second, raw)
	var mu sync.Mutex
	tries := map[string]int{}
	b.queue.failing(func(in *sqsapi.SendMessageInput) error {
		mu.Lock()
		defer mu.Unlock()
		key := in.QueueUrl + in.MessageBody
		if tries[key]++; tries[key] == 1 && strings.HasSuffix(in.MessageBody, "3") {
			return errors.New("once")
		}
		return nil
	})
	const groups, each = 3, 12
	for i := range each {
		for g := range groups {
			b.publish(api.PublishInput{TopicArn: topicARN, Message: fmt.Sprintf("g%d/%02d", g, i), MessageGroupId: fmt.Sprint("g", g)})
		}
	}
	for _, q := range []string{first, second} {
		next := map[string]int{}
		for range groups * each {
			m := b.receive(q)
			g, text, _ := strings.Cut(m.Body, "/")
			if want := fmt.Sprintf("%02d", next[g]); text != want {
				t.Fatalf("%s: group %s gives %s, want %s", q, g, text, want)
			}
			next[g]++
		}
	}
	b.settled()
}

func TestFIFODropsDuplicates(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	b := start(t, benchConfig{account: account, clock: c})
	topicARN := b.topic("t.fifo", map[string]string{"FifoTopic": "true", "ContentBasedDeduplication": "true"})
	in := api.PublishInput{TopicArn: topicARN, Message: "m", MessageGroupId: "g"}
	first := b.publish(in)
	if again := b.publish(in); *again != *first || len(first.SequenceNumber) != 20 {
		t.Errorf("published %+v, then %+v", first, again)
	}
	in.MessageGroupId = "h"
	if again := b.publish(in); again.MessageId != first.MessageId {
		t.Error("a topic deduplicates by group without being asked to")
	}
	if _, err := b.SetTopicAttributes(b.ctx, &api.SetTopicAttributesInput{TopicArn: topicARN, AttributeName: "FifoThroughputScope", AttributeValue: "MessageGroup"}); err != nil {
		t.Fatal(err)
	}
	in.MessageGroupId = "i"
	if again := b.publish(in); again.MessageId == first.MessageId || again.SequenceNumber <= first.SequenceNumber {
		t.Errorf("by group, published %+v after %+v", again, first)
	}
	c.pass(dedupInterval)
	if err := b.keepUp(b.ctx); err != nil {
		t.Fatal(err)
	}
	in.MessageGroupId = "g"
	if again := b.publish(in); again.MessageId == first.MessageId {
		t.Error("a duplicate is known for more than five minutes")
	}
	for text, bad := range map[string]api.PublishInput{
		"MessageGroupId parameter is required": {TopicArn: topicARN, Message: "m"},
		"MessageGroupId parameter is invalid":  {TopicArn: topicARN, Message: "m", MessageGroupId: "a b"},
		"not valid for this topic type":        {TopicArn: b.topic("standard", nil), Message: "m", MessageDeduplicationId: "d"},
		"ContentBasedDeduplication enabled":    {TopicArn: b.topic("explicit.fifo", map[string]string{"FifoTopic": "true"}), Message: "m", MessageGroupId: "g"},
	} {
		_, err := b.Publish(b.ctx, &bad)
		refusedWith(t, err, fault.InvalidParameter, text)
	}
}

func TestSignaturesVerify(t *testing.T) {
	b := newBench(t)
	b.signing.Lock()
	b.signer = nil // as after a restart
	b.signing.Unlock()
	for _, version := range []string{"1", "2"} {
		topicARN := b.topic("signed-"+version, map[string]string{"SignatureVersion": version})
		q := b.open("signed-" + version)
		b.subscribe(topicARN, q, nil)
		b.publish(api.PublishInput{TopicArn: topicARN, Message: "sign me", Subject: "Important"})
		e := parsed(t, b.receive(q).Body)
		answer := httptest.NewRecorder()
		path := strings.TrimPrefix(e.SigningCertURL, endpoint)
		if !IsCertificate(path) {
			t.Fatalf("the certificate is at %s", e.SigningCertURL)
		}
		b.ServeCertificate(answer, httptest.NewRequest(http.MethodGet, path, nil))
		block, _ := pem.Decode(answer.Body.Bytes())
		if block == nil {
			t.Fatalf("the certificate is %d %s", answer.Code, answer.Body)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		text := []byte("Message\nsign me\nMessageId\n" + e.MessageId + "\nSubject\nImportant\nTimestamp\n" + e.Timestamp + "\nTopicArn\n" + topicARN + "\nType\nNotification\n")
		hash, digest := crypto.SHA256, []byte(nil)
		if version == "1" {
			sum := sha1.Sum(text) // #nosec G401
			hash, digest = crypto.SHA1, sum[:]
		} else {
			sum := sha256.Sum256(text)
			digest = sum[:]
		}
		signature, err := base64.StdEncoding.DecodeString(e.Signature)
		if err != nil {
			t.Fatal(err)
		}
		if err := rsa.VerifyPKCS1v15(cert.PublicKey.(*rsa.PublicKey), hash, digest, signature); err != nil || e.SignatureVersion != version {
			t.Errorf("version %s: %v", version, err)
		}
		other := httptest.NewRecorder()
		b.ServeCertificate(other, httptest.NewRequest(http.MethodGet, CertificatePath+"0000.pem", nil))
		if other.Code != http.StatusNotFound {
			t.Errorf("another certificate is %d", other.Code)
		}
	}
}

func (b *bench) hook(topicARN string, w *webhook, attrs map[string]string) string {
	b.t.Helper()
	out, err := b.Subscribe(b.ctx, &api.SubscribeInput{TopicArn: topicARN, Protocol: "http", Endpoint: w.URL, Attributes: attrs, ReturnSubscriptionArn: new(true)})
	if err != nil {
		b.t.Fatal(err)
	}
	token := parsed(b.t, w.next().body).Token
	if _, err := b.ConfirmSubscription(b.ctx, &api.ConfirmSubscriptionInput{TopicArn: topicARN, Token: token, AuthenticateOnUnsubscribe: "true"}); err != nil {
		b.t.Fatal(err)
	}
	return out.SubscriptionArn
}

func TestEndpointsAreTriedByTheirPolicy(t *testing.T) {
	b := newBench(t)
	dead := b.open("dead")
	for _, r := range []struct {
		name    string
		answers []int
		tries   int
		dead    bool
	}{
		{"recovers", []int{500, 503, 429}, 4, false}, {"gives-up", []int{500, 500, 500, 500}, 4, true}, {"refuses", []int{403}, 1, true}, {"redirects", []int{302}, 1, true},
	} {
		topicARN, w := b.topic(r.name, nil), newWebhook(t, r.answers...)
		b.hook(topicARN, w, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `"}`})
		id := b.publish(api.PublishInput{TopicArn: topicARN, Message: r.name}).MessageId
		for range r.tries {
			if got := w.next().header.Get("X-Amz-Sns-Message-Id"); got != id {
				t.Errorf("%s: got %s, want %s", r.name, got, id)
			}
		}
		b.settled()
		if r.dead {
			if e := parsed(t, b.receive(dead).Body); e.Message != r.name {
				t.Errorf("%s: the dead-letter queue has %s", r.name, e.Message)
			}
		}
		if len(w.got) > 0 || len(b.look(dead)) > 0 {
			t.Errorf("%s: more came", r.name)
		}
	}
}

func TestAddressesThatNoNotificationGoesTo(t *testing.T) {
	for address, want := range map[string][2]bool{ // free, bound
		"169.254.169.254:80": {false, false}, "[fe80::1]:80": {false, false}, "0.0.0.0:80": {false, false}, "224.0.0.1:80": {false, false},
		"[::ffff:169.254.169.254]:80": {false, false}, "127.0.0.1:80": {true, false}, "[::1]:80": {true, false}, "192.0.2.1:80": {true, true},
	} {
		if free, bound := reachable("tcp", address, nil) == nil, reachableWhenBound("tcp", address, nil) == nil; free != want[0] || bound != want[1] {
			t.Errorf("%s is reachable: %v, for the bound %v", address, free, bound)
		}
	}
}

func TestSubscribersWhomPoliciesBindReachNoLoopback(t *testing.T) {
	b := newBench(t)
	call := auth.From(b.ctx)
	call.Principal.Enforced = true
	topicARN, w := b.topic("bound", nil), newWebhook(t)
	if _, err := b.Subscribe(auth.With(t.Context(), call), &api.SubscribeInput{TopicArn: topicARN, Protocol: "http", Endpoint: w.URL}); err != nil {
		t.Fatal(err)
	}
	b.settled()
	if len(w.got) > 0 {
		t.Error("the host's own port was reached")
	}
}

func TestWhoMayUnsubscribe(t *testing.T) {
	b := newBench(t)
	topicARN, w := b.topic("t", nil), newWebhook(t)
	q := b.open("q")
	for _, sub := range []string{b.hook(topicARN, w, nil), b.subscribe(topicARN, q, nil)} {
		_, err := b.Unsubscribe(nobody(t), &api.UnsubscribeInput{SubscriptionArn: sub})
		refusedWith(t, err, fault.AuthorizationError, "must be signed")
		_, err = b.Unsubscribe(as(t, "999999999999", ""), &api.UnsubscribeInput{SubscriptionArn: sub})
		refusedWith(t, err, fault.AuthorizationError, "not authorized")
		for range 2 {
			if _, err := b.Unsubscribe(b.ctx, &api.UnsubscribeInput{SubscriptionArn: sub}); err != nil {
				t.Error(err)
			}
		}
	}
	out, err := b.GetTopicAttributes(b.ctx, &api.GetTopicAttributesInput{TopicArn: topicARN})
	if err != nil || out.Attributes["SubscriptionsDeleted"] != "2" || out.Attributes["SubscriptionsConfirmed"] != "0" {
		t.Errorf("the topic counts %v, %v", out, err)
	}
}

func TestSubscriptionsThatNobodyConfirmsEnd(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	b := start(t, benchConfig{account: account, clock: c})
	topicARN := b.topic("t", nil)
	if _, err := b.Subscribe(b.ctx, &api.SubscribeInput{TopicArn: topicARN, Protocol: "https", Endpoint: "https://example.test/"}); err != nil {
		t.Fatal(err)
	}
	list := func() int {
		out, err := b.ListSubscriptions(b.ctx, &api.ListSubscriptionsInput{})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Subscriptions)
	}
	c.pass(confirmable - time.Minute)
	if err := b.keepUp(b.ctx); err != nil || list() != 1 {
		t.Errorf("within the time: %d, %v", list(), err)
	}
	c.pass(2 * time.Minute)
	if err := b.keepUp(b.ctx); err != nil || list() != 0 {
		t.Errorf("after the time: %d, %v", list(), err)
	}
}

func TestTopicsWithAKey(t *testing.T) {
	b := newBench(t)
	key, err := b.kms.CreateKey(b.ctx, &kmsapi.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	id := key.KeyMetadata.KeyId
	topicARN, q := b.topic("sealed", map[string]string{"KmsMasterKeyId": id}), b.open("q")
	b.subscribe(topicARN, q, map[string]string{"RawMessageDelivery": "true"})
	b.publish(api.PublishInput{TopicArn: topicARN, Message: "under a key"})
	if got := b.receive(q).Body; got != "under a key" {
		t.Errorf("the queue has %q", got)
	}
	none := b.topic("none", map[string]string{"KmsMasterKeyId": "alias/none"})
	_, err = b.Publish(b.ctx, &api.PublishInput{TopicArn: none, Message: "m"})
	refusedWith(t, err, fault.TopicKMSNotFound, "")
	if _, err := b.kms.DisableKey(b.ctx, &kmsapi.DisableKeyInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	call := auth.From(b.ctx)
	call.Principal.ARN += "-2" // another caller has no data key yet
	_, err = b.Publish(auth.With(t.Context(), call), &api.PublishInput{TopicArn: topicARN, Message: "m"})
	refusedWith(t, err, fault.TopicKMSDisabled, "")
}

func TestWhatWaitsIsSealed(t *testing.T) {
	b := start(t, benchConfig{account: account})
	topicARN := b.topic("t", nil)
	b.subscribe(topicARN, b.open("q"), nil)
	b.publish(api.PublishInput{TopicArn: topicARN, Message: "find-me", Subject: "find-me"})
	found := false
	err := b.store.View(context.Background(), func(tx store.Tx) error {
		for doc, err := range tx.Scan("", "") {
			if err != nil {
				return err
			}
			found = found || strings.Contains(string(doc.Value), "find-me")
		}
		return nil
	})
	if err != nil || found || b.waiting() != 1 {
		t.Errorf("found in the clear: %v, %v, waiting %d", found, err, b.waiting())
	}
}

func TestFunctionsThatRefuse(t *testing.T) {
	b := newBench(t)
	topicARN, dead := b.topic("t", nil), b.open("dead")
	b.functions.refuse = fault.New(fault.AccessDeniedException, "no")
	in := &api.SubscribeInput{
		TopicArn: topicARN, Protocol: "lambda", Endpoint: "arn:aws:lambda:us-east-1:" + account + ":function:f",
		Attributes: map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `"}`},
	}
	if _, err := b.Subscribe(b.ctx, in); err != nil {
		t.Fatal(err)
	}
	b.publish(api.PublishInput{TopicArn: topicARN, Message: "m"})
	if e := parsed(t, b.receive(dead).Body); e.Message != "m" {
		t.Errorf("the dead-letter queue has %+v", e)
	}
	in.Endpoint = "f"
	_, err := b.Subscribe(b.ctx, in)
	refusedWith(t, err, fault.InvalidParameter, "Lambda endpoint ARN")
	in.TopicArn, in.Endpoint = b.fifo("f.fifo"), "arn:aws:lambda:us-east-1:"+account+":function:f"
	_, err = b.Subscribe(b.ctx, in)
	refusedWith(t, err, fault.InvalidParameter, "FIFO SQS queue")
}
