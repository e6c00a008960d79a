package secretsmanager

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

const (
	account = "111111111111"
	other   = "222222222222"
	region  = "us-east-1"
)

// keys is a KMS of the keys in it, which are usable unless their value says why
// not.
type keys struct {
	kms.Unimplemented
	ring      *keyring.Ring
	have      map[string]error
	used      []string
	meanwhile func() // runs once, while a value is encrypted
}

func newKeys() *keys {
	k := &keys{ring: keyring.Ephemeral(), have: map[string]error{}}
	for _, id := range []string{defaultKey, "alias/mine", "key/1234"} {
		k.have[arn.Scope{Account: account, Region: region}.ARN("kms", id).String()] = nil
	}
	return k
}

func (k *keys) seal(name string, plain []byte, about map[string]string) ([]byte, error) {
	err, there := k.have[name]
	if !there {
		return nil, fault.New(fault.NotFoundException, "Alias %s is not found.", name)
	}
	if err != nil {
		return nil, err
	}
	k.used = append(k.used, name[strings.LastIndexByte(name, ':')+1:])
	return k.ring.Seal(fmt.Sprint(about), plain)
}

func (k *keys) Encrypt(_ context.Context, in *kms.EncryptInput) (*kms.EncryptOutput, error) {
	b, err := k.seal(in.KeyId, in.Plaintext, in.EncryptionContext)
	return &kms.EncryptOutput{CiphertextBlob: b}, err
}

func (k *keys) GenerateDataKey(_ context.Context, in *kms.GenerateDataKeyInput) (*kms.GenerateDataKeyOutput, error) {
	if m := k.meanwhile; m != nil {
		k.meanwhile = nil
		m()
	}
	plain := make([]byte, 32)
	_, _ = rand.Read(plain)
	b, err := k.seal(in.KeyId, plain, in.EncryptionContext)
	return &kms.GenerateDataKeyOutput{Plaintext: plain, CiphertextBlob: b}, err
}

func (k *keys) Decrypt(_ context.Context, in *kms.DecryptInput) (*kms.DecryptOutput, error) {
	plain, err := k.ring.Open(fmt.Sprint(in.EncryptionContext), bytes.Clone(in.CiphertextBlob))
	if err != nil {
		err = fault.New(fault.InvalidCiphertext, "")
	}
	return &kms.DecryptOutput{Plaintext: plain}, err
}

// bench is a service with a clock, and a caller.
type bench struct {
	*Service
	t    *testing.T
	keys *keys
	time time.Time
	ctx  context.Context
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, keys: newKeys(), time: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), ctx: as(t, account, "")}
	b.Service = New(Config{Store: storetest.New(t), KMS: b.keys, Now: func() time.Time { return b.time }})
	return b
}

func as(t *testing.T, who, operation string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf(who), Scope: arn.Scope{Account: who, Region: region}, Service: "secretsmanager", Operation: operation,
	})
}

// id is a version's, of the length that AWS asks for.
func id(n int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", n) }

func (b *bench) create(name, text string) string {
	b.t.Helper()
	in := &api.CreateSecretInput{Name: name, SecretString: text}
	if text != "" {
		in.ClientRequestToken = id(1)
	}
	out, err := b.CreateSecret(b.ctx, in)
	if err != nil {
		b.t.Fatal(err)
	}
	return out.ARN
}

func (b *bench) put(name string, n int, text string, stages ...string) {
	b.t.Helper()
	if _, err := b.PutSecretValue(b.ctx, &api.PutSecretValueInput{SecretId: name, ClientRequestToken: id(n), SecretString: text, VersionStages: stages}); err != nil {
		b.t.Fatal(err)
	}
}

// get is a value, or the code of the refusal.
func (b *bench) get(in api.GetSecretValueInput) string {
	b.t.Helper()
	out, err := b.GetSecretValue(b.ctx, &in)
	if f, ok := fault.As(err); ok {
		return f.Code
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return out.SecretString + string(out.SecretBinary)
}

func wants(t *testing.T, err error, code, text string) {
	t.Helper()
	if f, ok := fault.As(err); !ok || f.Code != code || !strings.Contains(f.Message, text) {
		t.Errorf("error %v, want %s: ...%s...", err, code, text)
	}
}

func (b *bench) kept(prefix string) (n int) {
	b.t.Helper()
	err := b.store.View(b.t.Context(), func(tx store.Tx) error {
		n = 0
		for _, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestValues(t *testing.T) {
	b := newBench(t)
	full := b.create("app/db", "one")
	b.put("app/db", 2, "two")
	b.put("app/db", 3, "three", pending)
	bare := full[:len(full)-suffixLength-1]
	for _, c := range []struct {
		in   api.GetSecretValueInput
		want string
	}{
		{api.GetSecretValueInput{SecretId: "app/db"}, "two"},
		{api.GetSecretValueInput{SecretId: full}, "two"},
		{api.GetSecretValueInput{SecretId: bare}, "two"},
		{api.GetSecretValueInput{SecretId: bare + "-AAAAAA"}, fault.ResourceNotFoundException},
		{api.GetSecretValueInput{SecretId: strings.Replace(full, region, "eu-west-1", 1)}, fault.ResourceNotFoundException},
		{api.GetSecretValueInput{SecretId: "arn:aws:sqs:us-east-1:111111111111:q"}, fault.InvalidParameterException},
		{api.GetSecretValueInput{SecretId: "app/other"}, fault.ResourceNotFoundException},
		{api.GetSecretValueInput{SecretId: "app/db", VersionStage: previous}, "one"},
		{api.GetSecretValueInput{SecretId: "app/db", VersionStage: pending}, "three"},
		{api.GetSecretValueInput{SecretId: "app/db", VersionId: id(1)}, "one"},
		{api.GetSecretValueInput{SecretId: "app/db", VersionId: id(3), VersionStage: pending}, "three"},
		{api.GetSecretValueInput{SecretId: "app/db", VersionId: id(3), VersionStage: current}, fault.InvalidRequestException},
		{api.GetSecretValueInput{SecretId: "app/db", VersionId: id(9)}, fault.ResourceNotFoundException},
		{api.GetSecretValueInput{SecretId: "app/db", VersionStage: "none"}, fault.ResourceNotFoundException},
	} {
		if got := b.get(c.in); got != c.want {
			t.Errorf("%+v: %s, want %s", c.in, got, c.want)
		}
	}
	_, err := b.PutSecretValue(b.ctx, &api.PutSecretValueInput{SecretId: "app/db", ClientRequestToken: id(4), SecretBinary: []byte{0, 1, 255}})
	if got := b.get(api.GetSecretValueInput{SecretId: "app/db"}); err != nil || got != "\x00\x01\xff" {
		t.Errorf("binary: %q, %v", got, err)
	}
	_, err = b.PutSecretValue(b.ctx, &api.PutSecretValueInput{SecretId: "app/db", ClientRequestToken: id(5), SecretBinary: []byte{0}, SecretString: "x"})
	wants(t, err, fault.InvalidParameterException, "both")
	_, err = b.PutSecretValue(b.ctx, &api.PutSecretValueInput{SecretId: "app/db", ClientRequestToken: id(5)})
	wants(t, err, fault.InvalidRequestException, "either")
	// A secret of a name that ends as an ARN does is not one of the shorter name.
	b.create("app/db-abcdef", "long")
	if got := b.get(api.GetSecretValueInput{SecretId: bare + "-abcdef"}); got != "long" {
		t.Errorf("partial ARN with a suffix in the name: %s", got)
	}
}

func TestRepetitions(t *testing.T) {
	b := newBench(t)
	full := b.create("a", "one")
	if again := b.create("a", "one"); again != full {
		t.Errorf("created again: %s, before %s", again, full)
	}
	_, err := b.CreateSecret(b.ctx, &api.CreateSecretInput{Name: "a", SecretString: "two", ClientRequestToken: id(1)})
	wants(t, err, fault.ResourceExists, "the secret a already exists")
	_, err = b.CreateSecret(b.ctx, &api.CreateSecretInput{Name: "a"})
	wants(t, err, fault.ResourceExists, "")
	b.put("a", 2, "two")
	b.put("a", 2, "two")
	_, err = b.PutSecretValue(b.ctx, &api.PutSecretValueInput{SecretId: "a", ClientRequestToken: id(2), SecretString: "three"})
	wants(t, err, fault.ResourceExists, "can't modify an existing version")
	_, err = b.UpdateSecret(b.ctx, &api.UpdateSecretInput{SecretId: "a", ClientRequestToken: id(2), SecretString: "three"})
	wants(t, err, fault.ResourceExists, "can't modify an existing version")
	if got := b.get(api.GetSecretValueInput{SecretId: "a", VersionStage: previous}); got != "one" {
		t.Errorf("the previous value is %s", got)
	}
}

// TestCreateRepeatsUnderItsToken: a durable step that is run again finds what it
// has made, whatever value it comes with.
func TestCreateRepeatsUnderItsToken(t *testing.T) {
	b := newBench(t)
	ctx := auth.WithToken(b.ctx, "step")
	in := &api.CreateSecretInput{Name: "made", SecretString: "first", ClientRequestToken: id(1), Tags: []api.Tag{{Key: "aws:cloudformation:stack-name", Value: "s"}}}
	first, err := b.CreateSecret(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	in.SecretString = "second"
	again, err := b.CreateSecret(ctx, in)
	if err != nil || again.ARN != first.ARN || again.VersionId != first.VersionId {
		t.Errorf("again: %+v, %v", again, err)
	}
	if got := b.get(api.GetSecretValueInput{SecretId: "made"}); got != "first" {
		t.Errorf("value %s", got)
	}
	in.Name = strings.Repeat("n", maxName+1)
	_, err = b.CreateSecret(ctx, in)
	wants(t, err, fault.ValidationException, "at most 512")
	in.Name = "plain"
	_, err = b.CreateSecret(b.ctx, in)
	wants(t, err, fault.InvalidParameterException, "aws:")
}

// TestMeanwhile: what another call does while KMS works is seen before the commit.
func TestMeanwhile(t *testing.T) {
	b := newBench(t)
	b.keys.meanwhile = func() { b.create("a", "theirs") }
	_, err := b.CreateSecret(b.ctx, &api.CreateSecretInput{Name: "a", SecretString: "mine", ClientRequestToken: id(2)})
	wants(t, err, fault.ResourceExists, "")
	b.keys.meanwhile = func() { b.put("a", 3, "theirs") }
	_, err = b.PutSecretValue(b.ctx, &api.PutSecretValueInput{SecretId: "a", ClientRequestToken: id(3), SecretString: "mine"})
	wants(t, err, fault.ResourceExists, "")
	b.keys.meanwhile = func() {
		if _, err := b.UpdateSecret(b.ctx, &api.UpdateSecretInput{SecretId: "a", KmsKeyId: "alias/mine"}); err != nil {
			t.Error(err)
		}
	}
	b.put("a", 4, "four")
	b.keys.have[arn.Scope{Account: account, Region: region}.ARN("kms", defaultKey).String()] = fault.New(fault.DisabledException, "off")
	if used := b.keys.used[len(b.keys.used)-1]; used != "alias/mine" || b.get(api.GetSecretValueInput{SecretId: "a"}) != "four" {
		t.Errorf("sealed under %s", used)
	}
	b.keys.meanwhile = func() {
		if _, err := b.DeleteSecret(b.ctx, &api.DeleteSecretInput{SecretId: "a"}); err != nil {
			t.Error(err)
		}
	}
	_, err = b.PutSecretValue(b.ctx, &api.PutSecretValueInput{SecretId: "a", ClientRequestToken: id(5), SecretString: "five"})
	wants(t, err, fault.InvalidRequestException, "marked for deletion")
}

func TestKeys(t *testing.T) {
	b := newBench(t)
	full := b.create("a", "one")
	b.put("a", 2, "two")
	b.put("a", 3, "three", "mine")
	if _, err := b.UpdateSecret(b.ctx, &api.UpdateSecretInput{SecretId: "a", KmsKeyId: "1234", Description: "d"}); err != nil {
		t.Fatal(err)
	}
	described, err := b.DescribeSecret(b.ctx, &api.DescribeSecretInput{SecretId: full})
	if err != nil || described.KmsKeyId != "1234" || described.Description != "d" {
		t.Errorf("described %+v, %v", described, err)
	}
	listed, err := b.ListSecretVersionIds(b.ctx, &api.ListSecretVersionIdsInput{SecretId: "a"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range listed.Versions {
		got = append(got, v.KmsKeyIds...)
	}
	if fmt.Sprint(got) != "[1234 1234 DefaultEncryptionKey]" {
		t.Errorf("keys of the versions: %v", got)
	}
	for n, want := range map[int]string{1: "one", 2: "two", 3: "three"} {
		if got := b.get(api.GetSecretValueInput{SecretId: "a", VersionId: id(n)}); got != want {
			t.Errorf("version %d is %s", n, got)
		}
	}
	_, err = b.UpdateSecret(b.ctx, &api.UpdateSecretInput{SecretId: "a", KmsKeyId: "alias/none"})
	wants(t, err, fault.EncryptionFailure, "alias/none is not found")
	name := arn.Scope{Account: account, Region: region}.ARN("kms", "alias/mine").String()
	b.keys.have[name] = fault.New(fault.AccessDeniedException, "no")
	// Who may not encrypt under the new key leaves the values under the old one.
	if _, err = b.UpdateSecret(b.ctx, &api.UpdateSecretInput{SecretId: "a", KmsKeyId: "alias/mine"}); err != nil || b.get(api.GetSecretValueInput{SecretId: "a"}) != "two" {
		t.Error(err)
	}
	_, err = b.PutSecretValue(b.ctx, &api.PutSecretValueInput{SecretId: "a", ClientRequestToken: id(4), SecretString: "four"})
	wants(t, err, fault.AccessDeniedException, "Access to KMS is not allowed")
	if _, err = b.UpdateSecret(b.ctx, &api.UpdateSecretInput{SecretId: "a", KmsKeyId: defaultKey}); err != nil {
		t.Error(err)
	}
	if described, err = b.DescribeSecret(b.ctx, &api.DescribeSecretInput{SecretId: full}); err != nil || described.KmsKeyId != "" {
		t.Errorf("under the default key again: %+v, %v", described, err)
	}
}

// TestNothingInTheClear: no value is in the store as it is.
func TestNothingInTheClear(t *testing.T) {
	b := newBench(t)
	b.create("a", "very-secret-value")
	err := b.store.View(t.Context(), func(tx store.Tx) error {
		for doc, err := range tx.Scan("", "") {
			if err != nil {
				return err
			}
			if bytes.Contains(doc.Value, []byte("very-secret-value")) {
				t.Errorf("%s has the value", doc.Key)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
