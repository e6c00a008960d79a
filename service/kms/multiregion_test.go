package kms

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func in(ctx context.Context, region string) context.Context {
	call := auth.From(ctx)
	call.Scope.Region = region
	return auth.With(ctx, call)
}

const west = "us-west-2"

// must ends the test where a call fails.
func must[T any](out T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// TestReplicasAreOneKey: what one Region encrypts, the other decrypts, before and
// after a rotation and a move of the primary.
func TestReplicasAreOneKey(t *testing.T) {
	b, ctx := newBench(t)
	made := must(b.CreateKey(ctx, &api.CreateKeyInput{MultiRegion: new(true)}))(t).KeyMetadata
	home, id := auth.From(ctx).Scope.Region, made.KeyId
	if !strings.HasPrefix(id, "mrk-") || made.MultiRegionConfiguration.MultiRegionKeyType != "PRIMARY" {
		t.Fatalf("%+v", made)
	}
	there := in(ctx, west)
	_, err := b.DescribeKey(there, &api.DescribeKeyInput{KeyId: id})
	wantCode(t, err, fault.NotFoundException)
	replica := must(b.ReplicateKey(ctx, &api.ReplicateKeyInput{KeyId: id, ReplicaRegion: west, Tags: []api.Tag{{TagKey: "a", TagValue: "b"}}}))(t)
	if m := replica.ReplicaKeyMetadata; m.KeyId != id || m.MultiRegionConfiguration.MultiRegionKeyType != "REPLICA" || !strings.Contains(m.Arn, west) || len(replica.ReplicaTags) != 1 {
		t.Fatalf("%+v", replica)
	}
	_, err = b.ReplicateKey(ctx, &api.ReplicateKeyInput{KeyId: id, ReplicaRegion: west})
	wantCode(t, err, fault.AlreadyExistsException)
	crosses := func(from, to context.Context) {
		t.Helper()
		sealed := must(b.Encrypt(from, &api.EncryptInput{KeyId: id, Plaintext: []byte("x")}))(t)
		back, err := b.Decrypt(to, &api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
		if err != nil || !bytes.Equal(back.Plaintext, []byte("x")) {
			t.Errorf("%+v, %v", back, err)
		}
	}
	crosses(ctx, there)
	old := must(b.Encrypt(there, &api.EncryptInput{KeyId: id, Plaintext: []byte("old")}))(t).CiphertextBlob
	_, err = b.RotateKeyOnDemand(there, &api.RotateKeyOnDemandInput{KeyId: id})
	wantCode(t, err, fault.UnsupportedOperationException)
	must(b.RotateKeyOnDemand(ctx, &api.RotateKeyOnDemandInput{KeyId: id}))(t)
	crosses(there, ctx)
	if back, err := b.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: old}); err != nil || string(back.Plaintext) != "old" {
		t.Errorf("%+v, %v", back, err)
	}
	// A replica's own state is its own.
	must(b.DisableKey(there, &api.DisableKeyInput{KeyId: id}))(t)
	_, err = b.UpdatePrimaryRegion(ctx, &api.UpdatePrimaryRegionInput{KeyId: id, PrimaryRegion: west})
	wantCode(t, err, fault.DisabledException)
	must(b.EnableKey(there, &api.EnableKeyInput{KeyId: id}))(t)
	_, err = b.UpdatePrimaryRegion(there, &api.UpdatePrimaryRegionInput{KeyId: id, PrimaryRegion: home})
	wantCode(t, err, fault.UnsupportedOperationException)
	must(b.UpdatePrimaryRegion(ctx, &api.UpdatePrimaryRegionInput{KeyId: id, PrimaryRegion: west}))(t)
	for _, at := range []context.Context{ctx, there} {
		c := must(b.DescribeKey(at, &api.DescribeKeyInput{KeyId: id}))(t).KeyMetadata.MultiRegionConfiguration
		if c.PrimaryKey.Region != west || len(c.ReplicaKeys) != 1 || c.ReplicaKeys[0].Region != home {
			t.Errorf("%+v", c)
		}
	}
	must(b.EnableKeyRotation(there, &api.EnableKeyRotationInput{KeyId: id}))(t)
	if out := must(b.GetKeyRotationStatus(ctx, &api.GetKeyRotationStatusInput{KeyId: id}))(t); !*out.KeyRotationEnabled {
		t.Error("the replica does not rotate with its primary")
	}
	crosses(ctx, there)
}

// TestPoliciesOfBothRegions: who moves the primary must be let by the policies of
// both keys.
func TestPoliciesOfBothRegions(t *testing.T) {
	b, ctx := newBench(t)
	id := must(b.CreateKey(ctx, &api.CreateKeyInput{MultiRegion: new(true)}))(t).KeyMetadata.KeyId
	must(b.ReplicateKey(ctx, &api.ReplicateKeyInput{KeyId: id, ReplicaRegion: west}))(t)
	call := auth.From(ctx)
	call.Principal = auth.Principal{Kind: auth.User, Account: call.Scope.Account, ARN: "arn:aws:iam::111111111111:user/ann", Name: "ann", Enforced: true}
	ann := auth.With(ctx, call)
	shut := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"kms:*","Resource":"*"},` +
		`{"Effect":"Deny","Principal":{"AWS":"` + call.Principal.ARN + `"},"Action":"kms:UpdatePrimaryRegion","Resource":"*"}]}`
	must(b.PutKeyPolicy(in(ctx, west), &api.PutKeyPolicyInput{KeyId: id, Policy: shut}))(t)
	_, err := b.UpdatePrimaryRegion(ann, &api.UpdatePrimaryRegionInput{KeyId: id, PrimaryRegion: west})
	wantCode(t, err, fault.AccessDeniedException)
	must(b.PutKeyPolicy(in(ctx, west), &api.PutKeyPolicyInput{KeyId: id, Policy: defaultPolicy(call.Scope.Account)}))(t)
	must(b.UpdatePrimaryRegion(ann, &api.UpdatePrimaryRegionInput{KeyId: id, PrimaryRegion: west}))(t)
}

// TestPrimariesWaitForReplicas: a primary's waiting period begins when its last
// replica has gone.
func TestPrimariesWaitForReplicas(t *testing.T) {
	b, ctx := newBench(t)
	id := must(b.CreateKey(ctx, &api.CreateKeyInput{MultiRegion: new(true)}))(t).KeyMetadata.KeyId
	must(b.ReplicateKey(ctx, &api.ReplicateKeyInput{KeyId: id, ReplicaRegion: west}))(t)
	there := in(ctx, west)
	state := func(at context.Context) string {
		return must(b.DescribeKey(at, &api.DescribeKeyInput{KeyId: id}))(t).KeyMetadata.KeyState
	}
	out := must(b.ScheduleKeyDeletion(ctx, &api.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: new(int32(10))}))(t)
	if out.KeyState != "PendingReplicaDeletion" || out.DeletionDate != nil || state(there) != "Enabled" {
		t.Fatalf("%+v, the replica %s", out, state(there))
	}
	must(b.ScheduleKeyDeletion(there, &api.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: new(int32(7))}))(t)
	b.now = b.now.Add(8 * 24 * time.Hour)
	if err := b.keepUp(ctx); err != nil {
		t.Fatal(err)
	}
	if got := state(ctx); got != "PendingDeletion" {
		t.Errorf("the primary is %s", got)
	}
	_, err := b.DescribeKey(there, &api.DescribeKeyInput{KeyId: id})
	wantCode(t, err, fault.NotFoundException)
	b.now = b.now.Add(11 * 24 * time.Hour)
	_, err = b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: id})
	wantCode(t, err, fault.NotFoundException)
}

// TestRecordedReplicas holds replicas against AWS's records.
func TestRecordedReplicas(t *testing.T) {
	records, ctx := recorded(t)
	const asia = "ap-southeast-1"
	c := records.Case(t, "TestKMS::test_replicate_key")
	k := created(c, ctx, &api.CreateKeyInput{Description: "test replicated key", MultiRegion: new(true)})
	c.Bind("<key-id:1>", k.KeyId)
	c.Call("describe-key-from-different-region", in(ctx, asia), &api.DescribeKeyInput{KeyId: k.KeyId})
	c.Except("replicate-key/ReplicaKeyMetadata/KeyState", "AWS's replica is ready seconds later, ours at once")
	c.Except("replicate-key/ReplicaKeyMetadata/Enabled", "AWS's replica is ready seconds later, ours at once")
	c.Except("replicate-key/ReplicaKeyMetadata/CurrentKeyMaterialId", "AWS's replica is ready seconds later, ours at once")
	c.Except("replicate-key/ReplicaKeyMetadata/Description", "an empty text is left off")
	c.Except("describe-replicated-key/KeyMetadata/Description", "an empty text is left off")
	c.Call("replicate-key", ctx, &api.ReplicateKeyInput{KeyId: k.KeyId, ReplicaRegion: asia})
	c.Call("describe-key-from-region", ctx, &api.DescribeKeyInput{KeyId: k.KeyId})
	c.Call("describe-replicated-key", in(ctx, asia), &api.DescribeKeyInput{KeyId: k.KeyId})

	c = records.Case(t, "TestKMS::test_replicate_replica_key_should_fail")
	c.Bind("<mrk-key-arn>", strings.Replace(k.Arn, "us-east-1", asia, 1))
	c.Call("fail-replicate-non-primary-key", in(ctx, asia), &api.ReplicateKeyInput{KeyId: k.KeyId, ReplicaRegion: "eu-west-1"})
}
