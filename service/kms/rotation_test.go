package kms

import (
	"context"
	"testing"

	api "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func TestRotation(t *testing.T) {
	b, ctx := newBench(t)
	id := b.key(t, ctx)
	material := func() string {
		t.Helper()
		out, err := b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: id})
		if err != nil {
			t.Fatal(err)
		}
		return out.KeyMetadata.CurrentKeyMaterialId
	}
	old, err := b.Encrypt(ctx, &api.EncryptInput{KeyId: id, Plaintext: []byte("old")})
	if err != nil {
		t.Fatal(err)
	}
	before := material()
	if _, err := b.EnableKeyRotation(ctx, &api.EnableKeyRotationInput{KeyId: id, RotationPeriodInDays: new(int32(90))}); err != nil {
		t.Fatal(err)
	}
	_, err = b.EnableKeyRotation(ctx, &api.EnableKeyRotationInput{KeyId: id, RotationPeriodInDays: new(int32(89))})
	wantCode(t, err, fault.ValidationException)
	b.now = b.now.AddDate(0, 0, 90)
	next := b.now.AddDate(0, 0, 90)
	for range 2 { // the second run has nothing to do
		if err := b.keepUp(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if material() == before {
		t.Error("the key has its old material after its period")
	}
	status, err := b.GetKeyRotationStatus(ctx, &api.GetKeyRotationStatusInput{KeyId: id})
	if err != nil || !*status.KeyRotationEnabled || *status.RotationPeriodInDays != 90 || !status.NextRotationDate.Equal(next) {
		t.Errorf("GetKeyRotationStatus gives %+v, error %v", status, err)
	}
	if _, err := b.RotateKeyOnDemand(ctx, &api.RotateKeyOnDemandInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	out, err := b.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: old.CiphertextBlob})
	if err != nil || string(out.Plaintext) != "old" || out.KeyMaterialId != before {
		t.Errorf("Decrypt gives %+v, error %v", out, err)
	}
	list, err := b.ListKeyRotations(ctx, &api.ListKeyRotationsInput{KeyId: id})
	if err != nil || len(list.Rotations) != 2 || list.Rotations[0].RotationType != "AUTOMATIC" || list.Rotations[1].RotationType != "ON_DEMAND" {
		t.Errorf("ListKeyRotations gives %+v, error %v", list, err)
	}
	all, err := b.ListKeyRotations(ctx, &api.ListKeyRotationsInput{KeyId: id, IncludeKeyMaterial: "ALL_KEY_MATERIAL", Limit: new(int32(2))})
	if err != nil || len(all.Rotations) != 2 || !*all.Truncated || all.Rotations[0].KeyMaterialId != before || all.Rotations[0].KeyMaterialState != "NON_CURRENT" {
		t.Errorf("ListKeyRotations gives %+v, error %v", all, err)
	}
	if _, err := b.DisableKeyRotation(ctx, &api.DisableKeyRotationInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = b.EnableKeyRotation(ctx, &api.EnableKeyRotationInput{KeyId: b.keyOf(t, ctx, &api.CreateKeyInput{KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY"})})
	wantCode(t, err, fault.UnsupportedOperationException)
}

func TestOnDemandLimit(t *testing.T) {
	b, ctx := newBench(t)
	id := b.key(t, ctx)
	for range maxOnDemand {
		if _, err := b.RotateKeyOnDemand(ctx, &api.RotateKeyOnDemandInput{KeyId: id}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.RotateKeyOnDemand(ctx, &api.RotateKeyOnDemandInput{KeyId: id})
	wantCode(t, err, fault.KMSLimitExceeded)
}

// TestOldKeysStillOpen: a key and a ciphertext that the first build wrote.
func TestOldKeysStillOpen(t *testing.T) {
	b, ctx := newBench(t)
	id := b.key(t, ctx)
	var k *key
	err := b.cfg.Store.Update(ctx, func(tx store.Tx) (err error) {
		if k, err = b.resolve(ctx, tx, id); err != nil {
			return err
		}
		old := *k
		old.Material, old.Materials, old.Spec, old.Usage, old.Policy = k.Materials[0].Sealed, nil, "", "", ""
		return b.keys.Put(tx, k.path(), &old)
	})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := b.ring(k, 0)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := ring.Seal(purpose(nil), []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	blob := append(append([]byte{oldBlobVersion}, id...), sealed...)
	if _, err := b.RotateKeyOnDemand(ctx, &api.RotateKeyOnDemandInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	out, err := b.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: blob})
	if err != nil || string(out.Plaintext) != "secret" {
		t.Errorf("Decrypt gives %+v, error %v", out, err)
	}
}

func TestReEncrypt(t *testing.T) {
	b, ctx := newBench(t)
	one, two := b.key(t, ctx), b.key(t, ctx)
	sealed, err := b.Encrypt(ctx, &api.EncryptInput{KeyId: one, Plaintext: []byte("secret"), EncryptionContext: map[string]string{"a": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	in := &api.ReEncryptInput{
		CiphertextBlob: sealed.CiphertextBlob, SourceEncryptionContext: map[string]string{"a": "1"},
		DestinationKeyId: two, DestinationEncryptionContext: map[string]string{"b": "2"},
	}
	moved, err := b.ReEncrypt(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.Decrypt(ctx, &api.DecryptInput{KeyId: two, CiphertextBlob: moved.CiphertextBlob, EncryptionContext: map[string]string{"b": "2"}})
	if err != nil || string(out.Plaintext) != "secret" {
		t.Errorf("Decrypt gives %+v, error %v", out, err)
	}
	in.SourceEncryptionContext = nil
	_, err = b.ReEncrypt(ctx, in)
	wantCode(t, err, fault.InvalidCiphertext)
}

func TestTags(t *testing.T) {
	b, ctx := newBench(t)
	id := b.keyOf(t, ctx, &api.CreateKeyInput{Tags: []api.Tag{{TagKey: "tag1", TagValue: "value1"}}})
	if _, err := b.TagResource(ctx, &api.TagResourceInput{KeyId: id, Tags: []api.Tag{{TagKey: "tag2", TagValue: "value2"}}}); err != nil {
		t.Fatal(err)
	}
	list := func(ctx context.Context, limit int32, marker string) *api.ListResourceTagsOutput {
		t.Helper()
		out, err := b.ListResourceTags(ctx, &api.ListResourceTagsInput{KeyId: id, Limit: &limit, Marker: marker})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := list(ctx, 1, "")
	second := list(ctx, 1, first.NextMarker)
	if !*first.Truncated || *second.Truncated || first.Tags[0].TagKey != "tag1" || second.Tags[0].TagKey != "tag2" {
		t.Errorf("pages are %+v and %+v", first, second)
	}
	if _, err := b.UntagResource(ctx, &api.UntagResourceInput{KeyId: id, TagKeys: []string{"tag1", "tag2"}}); err != nil {
		t.Fatal(err)
	}
	if out := list(ctx, 10, ""); len(out.Tags) != 0 {
		t.Errorf("tags are %+v, want none", out.Tags)
	}
	_, err := b.TagResource(ctx, &api.TagResourceInput{KeyId: id, Tags: []api.Tag{{TagKey: "AWS:x", TagValue: "y"}}})
	wantMessage(t, err, fault.TagException, "Tags beginning with aws: are reserved")
	var many []api.Tag
	for i := range 51 {
		many = append(many, api.Tag{TagKey: string(rune('A' + i)), TagValue: "x"})
	}
	_, err = b.CreateKey(ctx, &api.CreateKeyInput{Tags: many})
	wantMessage(t, err, fault.TagException, "Too many tags")
}
