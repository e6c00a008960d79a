package kms

import (
	"bytes"
	"context"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store/storetest"
)

type bench struct {
	*Service
	now time.Time
}

func newBench(t *testing.T) (*bench, context.Context) {
	b := &bench{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	b.Service = New(Config{Store: storetest.New(t), Ring: keyring.Ephemeral(), Now: func() time.Time { return b.now }})
	return b, auth.With(context.Background(), auth.Call{Scope: arn.Scope{Account: "111111111111", Region: "us-east-1"}})
}

func (b *bench) key(t *testing.T, ctx context.Context) string {
	t.Helper()
	out, err := b.CreateKey(ctx, &api.CreateKeyInput{Description: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return out.KeyMetadata.KeyId
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Errorf("error is %v, want code %s", err, code)
	}
}

func TestEncryptDecrypt(t *testing.T) {
	b, ctx := newBench(t)
	id := b.key(t, ctx)
	where := map[string]string{"app": "web", "stage": "live"}
	sealed, err := b.Encrypt(ctx, &api.EncryptInput{KeyId: id, Plaintext: []byte("secret"), EncryptionContext: where})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed.CiphertextBlob, []byte("secret")) {
		t.Error("the ciphertext shows the plaintext")
	}
	for name, tc := range map[string]struct {
		in   api.DecryptInput
		code string
	}{
		"right":             {api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: where}, ""},
		"right, by key":     {api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: where, KeyId: id}, ""},
		"other context":     {api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: map[string]string{"app": "web"}}, fault.InvalidCiphertext},
		"no context":        {api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob}, fault.InvalidCiphertext},
		"other key":         {api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: where, KeyId: b.key(t, ctx)}, fault.IncorrectKey},
		"changed":           {api.DecryptInput{CiphertextBlob: append(bytes.Clone(sealed.CiphertextBlob), 0), EncryptionContext: where}, fault.InvalidCiphertext},
		"noise":             {api.DecryptInput{CiphertextBlob: []byte("noise")}, fault.InvalidCiphertext},
		"unknown algorithm": {api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: where, EncryptionAlgorithm: "RSAES_OAEP_SHA_1"}, fault.InvalidKeyUsage},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := b.Decrypt(ctx, &tc.in)
			if tc.code != "" {
				wantCode(t, err, tc.code)
				return
			}
			if err != nil || string(out.Plaintext) != "secret" {
				t.Errorf("Decrypt gives %v, error %v", out, err)
			}
		})
	}
	elsewhere := auth.With(ctx, auth.Call{Scope: arn.Scope{Account: "222222222222", Region: "us-east-1"}})
	_, err = b.Decrypt(elsewhere, &api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: where})
	wantCode(t, err, fault.AccessDeniedException)
}

func TestKeyStates(t *testing.T) {
	b, ctx := newBench(t)
	id := b.key(t, ctx)
	encrypt := func() error {
		_, err := b.Encrypt(ctx, &api.EncryptInput{KeyId: id, Plaintext: []byte("x")})
		return err
	}
	state := func(want string) {
		t.Helper()
		out, err := b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: id})
		if err != nil || out.KeyMetadata.KeyState != want {
			t.Errorf("state is %+v, error %v, want %s", out, err, want)
		}
	}
	state(api.KeyStateEnabled)
	if _, err := b.DisableKey(ctx, &api.DisableKeyInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	state(api.KeyStateDisabled)
	wantCode(t, encrypt(), fault.DisabledException)
	if _, err := b.EnableKey(ctx, &api.EnableKeyInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	if err := encrypt(); err != nil {
		t.Fatal(err)
	}
	days := int32(7)
	if _, err := b.ScheduleKeyDeletion(ctx, &api.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: &days}); err != nil {
		t.Fatal(err)
	}
	state(api.KeyStatePendingDeletion)
	wantCode(t, encrypt(), fault.KMSInvalidState)
	if _, err := b.CancelKeyDeletion(ctx, &api.CancelKeyDeletionInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	state(api.KeyStateDisabled)
	if _, err := b.ScheduleKeyDeletion(ctx, &api.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: &days}); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.AddDate(0, 0, 7)
	_, err := b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: id})
	wantCode(t, err, fault.NotFoundException)
	if list, err := b.ListKeys(ctx, &api.ListKeysInput{}); err != nil || len(list.Keys) != 0 {
		t.Errorf("ListKeys gives %v, error %v, want no key", list, err)
	}
}

func TestAliases(t *testing.T) {
	b, ctx := newBench(t)
	first, second := b.key(t, ctx), b.key(t, ctx)
	create := func(name, key string) error {
		_, err := b.CreateAlias(ctx, &api.CreateAliasInput{AliasName: name, TargetKeyId: key})
		return err
	}
	if err := create("alias/app", first); err != nil {
		t.Fatal(err)
	}
	wantCode(t, create("alias/app", second), fault.AlreadyExistsException)
	wantCode(t, create("app", first), fault.ValidationException)
	wantCode(t, create("alias/aws/app", first), fault.NotAuthorized)
	wantCode(t, create("alias/other", "alias/app"), fault.ValidationException)
	if _, err := b.UpdateAlias(ctx, &api.UpdateAliasInput{AliasName: "alias/app", TargetKeyId: second}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alias/app", "arn:aws:kms:us-east-1:111111111111:alias/app", second, "arn:aws:kms:us-east-1:111111111111:key/" + second} {
		out, err := b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: name})
		if err != nil || out.KeyMetadata.KeyId != second {
			t.Errorf("DescribeKey(%s) gives %+v, error %v", name, out, err)
		}
	}
	list, err := b.ListAliases(ctx, &api.ListAliasesInput{KeyId: second})
	if err != nil || len(list.Aliases) != 1 || list.Aliases[0].AliasName != "alias/app" {
		t.Errorf("ListAliases gives %+v, error %v", list, err)
	}
	if _, err := b.DeleteAlias(ctx, &api.DeleteAliasInput{AliasName: "alias/app"}); err != nil {
		t.Fatal(err)
	}
	_, err = b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: "alias/app"})
	wantCode(t, err, fault.NotFoundException)
}

func TestNamesThatDoNotFit(t *testing.T) {
	b, ctx := newBench(t)
	for _, name := range []string{
		"fake-key-id", "134f2428cec14b25a1ae9048164dba47", "134f2428-cec1-4b25-a1ae-9048164dba47", "alias/none",
		"arn:aws:kms:us-east-1:999999999999:key/134f2428-cec1-4b25-a1ae-9048164dba47",
	} {
		_, err := b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: name})
		wantCode(t, err, fault.NotFoundException)
	}
}

func TestDataKeys(t *testing.T) {
	b, ctx := newBench(t)
	id := b.key(t, ctx)
	out, err := b.GenerateDataKey(ctx, &api.GenerateDataKeyInput{KeyId: id, KeySpec: api.DataKeySpecAes256})
	if err != nil || len(out.Plaintext) != 32 {
		t.Fatalf("GenerateDataKey gives %+v, error %v", out, err)
	}
	back, err := b.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: out.CiphertextBlob})
	if err != nil || !bytes.Equal(back.Plaintext, out.Plaintext) {
		t.Errorf("Decrypt gives %v, error %v, want the data key", back, err)
	}
	_, err = b.GenerateDataKey(ctx, &api.GenerateDataKeyInput{KeyId: id})
	wantCode(t, err, fault.ValidationException)
	n := int32(16)
	blind, err := b.GenerateDataKeyWithoutPlaintext(ctx, &api.GenerateDataKeyWithoutPlaintextInput{KeyId: id, NumberOfBytes: &n})
	if err != nil {
		t.Fatal(err)
	}
	if back, err := b.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: blind.CiphertextBlob}); err != nil || len(back.Plaintext) != 16 {
		t.Errorf("Decrypt gives %v, error %v, want 16 bytes", back, err)
	}
}

func TestCreateRepeatsUnderItsToken(t *testing.T) {
	b, ctx := newBench(t)
	ctx = auth.WithToken(ctx, "run/step")
	if one, two := b.key(t, ctx), b.key(t, ctx); one != two {
		t.Errorf("a repeated step made %s and %s", one, two)
	}
	if list, err := b.ListKeys(ctx, &api.ListKeysInput{}); err != nil || len(list.Keys) != 1 {
		t.Errorf("ListKeys gives %+v, error %v, want one key", list, err)
	}
}

func TestUnbuiltIsRefusedByName(t *testing.T) {
	b, ctx := newBench(t)
	for _, in := range []*api.CreateKeyInput{
		{KeySpec: "ECC_SECG_P256K1", KeyUsage: "SIGN_VERIFY"}, {KeySpec: "SM2", KeyUsage: "SIGN_VERIFY"}, {KeySpec: "ML_DSA_44", KeyUsage: "SIGN_VERIFY"},
		{Origin: "AWS_CLOUDHSM"}, {CustomKeyStoreId: "cks-1"}, {XksKeyId: "x"}, {MultiRegion: new(true), Origin: "EXTERNAL"},
	} {
		_, err := b.CreateKey(ctx, in)
		wantCode(t, err, fault.NotImplemented)
	}
}
