package logs

import (
	"testing"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/fault"
	kmsservice "github.com/slipway/slipway/service/kms"
)

// letsLogs is a key's policy as the documentation has it ("Encrypt log data in
// CloudWatch Logs using AWS Key Management Service", User Guide).
const letsLogs = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"},
	{"Effect":"Allow","Principal":{"Service":"logs.us-east-1.amazonaws.com"},"Action":["kms:Encrypt*","kms:Decrypt*","kms:GenerateDataKey*"],"Resource":"*",
	 "Condition":{"ArnLike":{"kms:EncryptionContext:aws:logs:arn":"arn:aws:logs:us-east-1:111111111111:log-group:*"}}}]}`

// withKeys gives a world a KMS.
func (w *world) withKeys() *kmsservice.Service {
	k := kmsservice.New(kmsservice.Config{Store: w.store, Ring: w.ring, Now: w.time})
	w.kms = k
	return k
}

func makeKey(w *world, k *kmsservice.Service, policy string) string {
	w.t.Helper()
	out, err := k.CreateKey(w.ctx, &kms.CreateKeyInput{Policy: policy})
	w.check(err)
	return out.KeyMetadata.Arn
}

func TestEventsAreSealedUnderTheGroupsKey(t *testing.T) {
	w := newWorld(t)
	k := w.withKeys()
	key := makeKey(w, k, letsLogs)
	w.group("g", "s")
	w.put("g", "s", w.ago(3*time.Hour), "before")
	_, err := w.AssociateKmsKey(w.ctx, &api.AssociateKmsKeyInput{LogGroupName: "g", KmsKeyId: key})
	w.check(err)
	if got := w.described("g").KmsKeyId; got != key {
		t.Errorf("key %s", got)
	}
	w.put("g", "s", w.ago(2*time.Hour), "under")
	_, err = w.DisassociateKmsKey(w.ctx, &api.DisassociateKmsKeyInput{ResourceIdentifier: "arn:aws:logs:us-east-1:111111111111:log-group:g"})
	w.check(err)
	w.put("g", "s", w.ago(time.Hour), "after")
	if _, got := w.filter(&api.FilterLogEventsInput{LogGroupName: "g"}); got != "s:before s:under s:after" {
		t.Errorf("found %s", got)
	}

	// A disabled key closes what was sealed under it, once its data key has lapsed.
	_, err = k.DisableKey(w.ctx, &kms.DisableKeyInput{KeyId: key})
	w.check(err)
	w.pass(dataKeyReuse)
	_, err = w.GetLogEvents(w.ctx, &api.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s"})
	wants(t, err, fault.InvalidParameterException, key)
	if out, got := w.get(&api.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s", StartTime: new(w.ago(90 * time.Minute))}); got != "after" {
		t.Errorf("what is not under it: %+v", out)
	}
	_, err = w.AssociateKmsKey(w.ctx, &api.AssociateKmsKeyInput{LogGroupName: "g", KmsKeyId: key})
	wants(t, err, fault.InvalidParameterException, "The specified KMS key does not exist or is not allowed to be used")
	_, err = k.EnableKey(w.ctx, &kms.EnableKeyInput{KeyId: key})
	w.check(err)
	if _, got := w.get(&api.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s"}); got != "before under after" {
		t.Errorf("enabled again: %s", got)
	}

	// A key's own policy is asked.
	_, err = w.CreateLogGroup(w.ctx, &api.CreateLogGroupInput{LogGroupName: "other", KmsKeyId: makeKey(w, k, "")})
	wants(t, err, fault.InvalidParameterException, "is not allowed to be used with Arn 'arn:aws:logs:us-east-1:111111111111:log-group:other'")
}
