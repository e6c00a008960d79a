package sqs

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// keys is a KMS with the key "alias/mine". refuse is what it answers instead.
type keys struct {
	kms.Unimplemented
	ring         *keyring.Ring
	refuse       error
	made, opened int
}

func (k *keys) GenerateDataKey(_ context.Context, in *kms.GenerateDataKeyInput) (*kms.GenerateDataKeyOutput, error) {
	if k.refuse != nil {
		return nil, k.refuse
	}
	if in.KeyId != "alias/mine" {
		return nil, fault.New(fault.NotFoundException, "Alias %s is not found.", in.KeyId)
	}
	k.made++
	plain := make([]byte, 32)
	_, _ = rand.Read(plain)
	b, err := k.ring.Seal(fmt.Sprint(in.EncryptionContext), plain)
	return &kms.GenerateDataKeyOutput{Plaintext: plain, CiphertextBlob: b}, err
}

func (k *keys) Decrypt(_ context.Context, in *kms.DecryptInput) (*kms.DecryptOutput, error) {
	if k.refuse != nil {
		return nil, k.refuse
	}
	k.opened++
	plain, err := k.ring.Open(fmt.Sprint(in.EncryptionContext), bytes.Clone(in.CiphertextBlob))
	return &kms.DecryptOutput{Plaintext: plain}, err
}

func newKeyBench(t *testing.T) (*bench, *keys) {
	b, k := newBench(t), &keys{ring: keyring.Ephemeral()}
	b.kms = k
	return b, k
}

func TestQueuesUnderKMSKeys(t *testing.T) {
	b, k := newKeyBench(t)
	url := b.create("q", map[string]string{"KmsMasterKeyId": "alias/mine", "KmsDataKeyReusePeriodSeconds": "60"})
	for _, body := range []string{"top-secret-1", "top-secret-2"} {
		b.send(url, body)
		b.clock.pass(time.Second)
	}
	b.clock.pass(time.Minute)
	b.send(url, "top-secret-3")
	if k.made != 2 {
		t.Errorf("%d data keys were made, want one for each reuse period: 2", k.made)
	}
	var all bytes.Buffer
	err := b.store.View(b.ctx, func(tx store.Tx) error {
		for doc, err := range tx.Scan("", "") {
			if err != nil {
				return err
			}
			all.Write(doc.Value)
		}
		return nil
	})
	if err != nil || bytes.Contains(all.Bytes(), []byte("top-secret")) {
		t.Fatalf("a message stands in the store as it is (%v)", err)
	}
	k.refuse = fault.New(fault.AccessDeniedException, "User: x is not authorized")
	if _, err := b.ReceiveMessage(b.ctx, &api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(10))}); !fault.Is(err, fault.KmsAccessDenied) {
		t.Errorf("without leave: %v", err)
	}
	k.refuse = nil
	got := b.receive(api.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: new(int32(10)), AttributeNames: []string{"ApproximateReceiveCount"}})
	if len(got) != 3 || got[0].Body != "top-secret-1" || got[2].Body != "top-secret-3" || got[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("received %+v: a receive that was refused must not count", got)
	}
	if k.opened != 2 {
		t.Errorf("%d data keys were opened, want 2", k.opened)
	}
	none := b.create("none", map[string]string{"KmsMasterKeyId": "alias/none"})
	if _, err := b.SendMessage(b.ctx, &api.SendMessageInput{QueueUrl: none, MessageBody: "x"}); !fault.Is(err, fault.KmsNotFound) {
		t.Errorf("under a key that is not there: %v", err)
	}
}

// TestKeysStayWithMovedMessages: a dead letter is still sealed under the key of
// the queue that it was sent to.
func TestKeysStayWithMovedMessages(t *testing.T) {
	b, _ := newKeyBench(t)
	dead := b.create("dead", nil)
	url := b.create("q", map[string]string{
		"KmsMasterKeyId": "alias/mine", "VisibilityTimeout": "0",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":1}`,
	})
	b.send(url, "failing")
	for range 2 {
		b.receive(api.ReceiveMessageInput{QueueUrl: url})
	}
	if got := bodies(b.receive(api.ReceiveMessageInput{QueueUrl: dead})); len(got) != 1 || got[0] != "failing" {
		t.Errorf("dead letters are %v", got)
	}
}

func TestOneEncryption(t *testing.T) {
	b, _ := newKeyBench(t)
	url := b.create("q", map[string]string{"KmsMasterKeyId": "alias/mine"})
	set := func(attributes map[string]string) error {
		_, err := b.SetQueueAttributes(b.ctx, &api.SetQueueAttributesInput{QueueUrl: url, Attributes: attributes})
		return err
	}
	want := func(sse, key, reuse string) {
		t.Helper()
		out, err := b.GetQueueAttributes(b.ctx, &api.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []string{"All"}})
		a := out.Attributes
		if err != nil || a["SqsManagedSseEnabled"] != sse || a["KmsMasterKeyId"] != key || a["KmsDataKeyReusePeriodSeconds"] != reuse {
			t.Errorf("attributes are %v, %v", a, err)
		}
	}
	want("false", "alias/mine", "300")
	if err := set(map[string]string{"SqsManagedSseEnabled": "true"}); !fault.Is(err, fault.InvalidAttributeName) {
		t.Errorf("both kinds: %v", err)
	}
	for _, reuse := range []string{"59", "86401", "x"} {
		if err := set(map[string]string{"KmsDataKeyReusePeriodSeconds": reuse}); !fault.Is(err, fault.InvalidAttributeValue) {
			t.Errorf("reuse %s: %v", reuse, err)
		}
	}
	if err := set(map[string]string{"KmsMasterKeyId": "", "SqsManagedSseEnabled": "true"}); err != nil {
		t.Fatal(err)
	}
	want("true", "", "")
	if err := set(map[string]string{"KmsMasterKeyId": "alias/mine", "KmsDataKeyReusePeriodSeconds": "60"}); err != nil {
		t.Fatal(err)
	}
	want("false", "alias/mine", "60")
}
