package ssm

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

// keys is a KMS of the keys in it, which are usable unless their value says why
// not.
type keys struct {
	kms.Unimplemented
	ring *keyring.Ring
	have map[string]error
	used []string
}

func newKeys(names ...string) *keys {
	k := &keys{ring: keyring.Ephemeral(), have: map[string]error{}}
	for _, n := range append(names, defaultKey) {
		k.have[n] = nil
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
	k.used = append(k.used, name)
	return k.ring.Seal(fmt.Sprint(about), plain)
}

func (k *keys) Encrypt(_ context.Context, in *kms.EncryptInput) (*kms.EncryptOutput, error) {
	if len(in.Plaintext) > 4096 {
		return nil, fault.New(fault.ValidationException, "too long")
	}
	b, err := k.seal(in.KeyId, in.Plaintext, in.EncryptionContext)
	return &kms.EncryptOutput{CiphertextBlob: b}, err
}

func (k *keys) GenerateDataKey(_ context.Context, in *kms.GenerateDataKeyInput) (*kms.GenerateDataKeyOutput, error) {
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

func serviceWith(t testing.TB, k kms.Service) *Service {
	return New(Config{Store: storetest.New(t), Ring: keyring.Ephemeral(), KMS: k, Now: func() time.Time { return now }, Arch: "amd64"})
}

func TestSecureStringsUnderKeys(t *testing.T) {
	k := newKeys("alias/mine")
	s := serviceWith(t, k)
	long := strings.Repeat("long ", 1600)
	put(t, s, api.PutParameterInput{Name: "/a", Value: "one", Type: "SecureString", KeyId: "alias/mine"})
	put(t, s, api.PutParameterInput{Name: "/b", Value: "two", Type: "SecureString"})
	put(t, s, api.PutParameterInput{Name: "/c", Value: long, Type: "SecureString", Tier: "Advanced"})
	put(t, s, api.PutParameterInput{Name: "/a", Value: "three", Overwrite: new(true), KeyId: "alias/mine"})
	if got := strings.Join(k.used, " "); got != "alias/mine alias/aws/ssm alias/aws/ssm alias/mine" {
		t.Errorf("keys used: %s", got)
	}
	for name, want := range map[string]string{"/a": "three", "/a:1": "one", "/b": "two", "/c": long} {
		if got := value(t, s, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	all, err := s.GetParametersByPath(as(t, ""), &api.GetParametersByPathInput{Path: "/", WithDecryption: new(true)})
	if err != nil || len(all.Parameters) != 3 || all.Parameters[2].Value != long {
		t.Errorf("by path: %+v, %v", all, err)
	}
	_, err = s.PutParameter(as(t, ""), &api.PutParameterInput{Name: "/d", Value: "x", Type: "SecureString", KeyId: "alias/none"})
	if f, ok := fault.As(err); !ok || f.Code != fault.InvalidKeyID || !strings.Contains(f.Message, "Alias alias/none is not found.") {
		t.Errorf("a key that is not there: %v", err)
	}
	k.have["alias/mine"] = fault.New(fault.AccessDeniedException, "User: ada is not authorized to perform: kms:Encrypt")
	_, err = s.PutParameter(as(t, ""), &api.PutParameterInput{Name: "/d", Value: "x", Type: "SecureString", KeyId: "alias/mine"})
	if !fault.Is(err, fault.AccessDeniedException) {
		t.Errorf("a key that the caller may not use: %v", err)
	}
}

// TestOldSecureStringsOpen: a value as the first builds kept it.
// meddler is a KMS during whose Encrypt something else happens.
type meddler struct {
	*keys
	meanwhile func()
}

func (m *meddler) Encrypt(ctx context.Context, in *kms.EncryptInput) (*kms.EncryptOutput, error) {
	m.meanwhile()
	return m.keys.Encrypt(ctx, in)
}

// TestNoSecureStringBecomesAString: a value that was to be encrypted is not kept in
// the clear because the parameter has become another one meanwhile.
func TestNoSecureStringBecomesAString(t *testing.T) {
	m := &meddler{newKeys(), func() {}}
	s := serviceWith(t, m)
	put(t, s, api.PutParameterInput{Name: "/a", Value: "one", Type: "SecureString"})
	m.meanwhile = func() {
		if _, err := s.DeleteParameter(as(t, ""), &api.DeleteParameterInput{Name: "/a"}); err != nil {
			t.Error(err)
		}
		put(t, s, api.PutParameterInput{Name: "/a", Value: "open", Type: "String"})
	}
	_, err := s.PutParameter(as(t, ""), &api.PutParameterInput{Name: "/a", Value: "a secret", Overwrite: new(true)})
	if !fault.Is(err, fault.TooManyUpdates) {
		t.Errorf("error %v", err)
	}
	if got := value(t, s, "/a"); got != "open" {
		t.Errorf("/a is %q", got)
	}
}

// The value is one that the first builds sealed, with a master key of ones.
func TestOldSecureStringsOpen(t *testing.T) {
	s := newService(t)
	ring, err := keyring.New(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s.ring = ring
	put(t, s, api.PutParameterInput{Name: "old", Value: "x", Type: "SecureString"})
	scope := arn.Scope{Account: account, Region: "eu-west-1"}
	err = s.store.Update(as(t, ""), func(tx store.Tx) error {
		p, err := parameters.Get(tx, parameterKey(scope, "old"))
		if err != nil {
			return err
		}
		p.Latest.Value = "AQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBx4Yvs743n+8KCsE325goywzydbPimQbShu2qQ=="
		return parameters.Put(tx, parameterKey(scope, "old"), p)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, s, "old"); got != "from before" {
		t.Errorf("got %q", got)
	}
}

func TestExpiration(t *testing.T) {
	clock := now
	s := New(Config{Store: storetest.New(t), Ring: keyring.Ephemeral(), KMS: newKeys(), Now: func() time.Time { return clock }})
	policies := `[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2026-11-22T13:00:00.000Z"}}]`
	for _, c := range []struct{ policies, tier, want string }{
		{policies, "Standard", "ValidationException: Parameter policies are supported by the advanced"},
		{strings.Replace(policies, "13:00", "11:00", 1), "Advanced", "InvalidPolicyAttributeException"},
		{strings.Replace(policies, "Expiration", "Implosion", 1), "Advanced", "InvalidPolicyTypeException"},
		{strings.Replace(policies, "Expiration", "NoChangeNotification", 1), "Advanced", "NotImplemented: PutParameter: policies of type NoChangeNotification"},
		{"[" + policies[1:len(policies)-1] + "," + policies[1:], "Advanced", "IncompatiblePolicyException"},
		{"noise", "Advanced", "InvalidPolicyAttributeException"},
	} {
		_, err := s.PutParameter(as(t, ""), &api.PutParameterInput{Name: "p", Value: "1", Type: "String", Tier: c.tier, Policies: c.policies})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s in tier %s: %v, want %s", c.policies, c.tier, err, c.want)
		}
	}
	put(t, s, api.PutParameterInput{Name: "p", Value: "1", Type: "String", Tier: "Intelligent-Tiering", Policies: policies})
	put(t, s, api.PutParameterInput{Name: "p", Value: "2", Overwrite: new(true)}) // keeps the policy
	h, err := s.GetParameterHistory(as(t, ""), &api.GetParameterHistoryInput{Name: "p"})
	if err != nil || len(h.Parameters[1].Policies) != 1 || h.Parameters[1].Policies[0].PolicyStatus != "Pending" || h.Parameters[1].Tier != "Advanced" {
		t.Fatalf("history %+v, %v", h, err)
	}
	put(t, s, api.PutParameterInput{Name: "kept", Value: "1", Type: "String", Tier: "Advanced", Policies: policies})
	put(t, s, api.PutParameterInput{Name: "kept", Value: "2", Overwrite: new(true), Policies: "[{}]"})
	clock = clock.Add(time.Hour)
	if got := value(t, s, "p"); got != fault.ParameterNotFound {
		t.Errorf("after its time the parameter is %s", got)
	}
	if got := value(t, s, "kept"); got != "2" {
		t.Errorf("without its policy the parameter is %s", got)
	}
	if err := s.removeExpired(as(t, "")); err != nil {
		t.Fatal(err)
	}
	var left []string
	err = s.store.View(as(t, ""), func(tx store.Tx) error {
		left = nil
		for doc, err := range tx.Scan("ssm/", "ssm0") {
			if err != nil {
				return err
			}
			if strings.HasSuffix(doc.Key, "/p") || strings.Contains(doc.Key, "/p|") {
				left = append(left, doc.Key)
			}
		}
		return nil
	})
	if err != nil || len(left) > 0 {
		t.Errorf("left of an expired parameter: %v, %v", left, err)
	}
	if out := put(t, s, api.PutParameterInput{Name: "p", Value: "new", Type: "String"}); *out.Version != 1 || out.Tier != "Standard" {
		t.Errorf("made again: %+v", out)
	}
}

// TestExpiryLoop: the started service removes without being asked.
func TestExpiryLoop(t *testing.T) {
	clock := now
	s := New(Config{Store: storetest.New(t), Ring: keyring.Ephemeral(), KMS: newKeys(), Now: func() time.Time { return clock }})
	put(t, s, api.PutParameterInput{Name: "p", Value: "1", Type: "String", Tier: "Advanced",
		Policies: `[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2026-11-22T13:00:00.000Z"}}]`})
	clock = clock.Add(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changed := s.store.Watch(ctx, parameters.Prefix())
	s.Start(ctx)
	if _, ok := <-changed; !ok {
		t.Error("a started service left an expired parameter for a minute")
	}
	s.Stop()
	s.Stop()
}

func TestSharedParameters(t *testing.T) {
	s := newService(t)
	put(t, s, api.PutParameterInput{Name: "/team/url", Value: "http://x", Type: "String", Tier: "Advanced"})
	put(t, s, api.PutParameterInput{Name: "/team/plain", Value: "x", Type: "String"})
	const name = "arn:aws:ssm:eu-west-1:123456789012:parameter/team/url"
	other := func(user string) context.Context {
		return auth.With(t.Context(), auth.Call{
			Principal: auth.Principal{Kind: auth.User, Account: "222222222222", ARN: "arn:aws:iam::222222222222:user/" + user, Name: user},
			Scope:     arn.Scope{Account: "222222222222", Region: "eu-west-1"}, Service: "ssm", Operation: "GetParameter",
		})
	}
	get := func(user string) error {
		_, err := s.GetParameter(other(user), &api.GetParameterInput{Name: name})
		return err
	}
	if err := get("bob"); !fault.Is(err, fault.ParameterNotFound) {
		t.Errorf("before it is shared: %v", err)
	}
	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:user/bob"},"Action":["ssm:GetParameter"],"Resource":"` + name + `"}}`
	out, err := s.PutResourcePolicy(as(t, ""), &api.PutResourcePolicyInput{ResourceArn: name, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	if err := get("bob"); err != nil {
		t.Errorf("shared: %v", err)
	}
	if err := get("eve"); !fault.Is(err, fault.ParameterNotFound) {
		t.Errorf("shared with another: %v", err)
	}
	list, err := s.GetResourcePolicies(as(t, ""), &api.GetResourcePoliciesInput{ResourceArn: name})
	if err != nil || len(list.Policies) != 1 || list.Policies[0].Policy != policy || list.Policies[0].PolicyHash != out.PolicyHash {
		t.Errorf("policies %+v, %v", list, err)
	}
	for want, in := range map[string]*api.PutResourcePolicyInput{
		fault.ResourcePolicyConflict:         {ResourceArn: name, Policy: policy, PolicyId: out.PolicyId, PolicyHash: "stale"},
		fault.ResourcePolicyNotFound:         {ResourceArn: name, Policy: policy, PolicyId: "p-none", PolicyHash: out.PolicyHash},
		fault.MalformedResourcePolicy:        {ResourceArn: name, Policy: "{}"},
		fault.ResourceNotFoundException:      {ResourceArn: name + "x", Policy: policy},
		fault.ResourcePolicyInvalidParameter: {ResourceArn: "arn:aws:ssm:eu-west-1:123456789012:parameter/team/plain", Policy: policy},
	} {
		if _, err := s.PutResourcePolicy(as(t, ""), in); !fault.Is(err, want) {
			t.Errorf("%+v: %v, want %s", in, err, want)
		}
	}
	if _, err := s.DeleteResourcePolicy(as(t, ""), &api.DeleteResourcePolicyInput{ResourceArn: name, PolicyId: out.PolicyId, PolicyHash: out.PolicyHash}); err != nil {
		t.Fatal(err)
	}
	if err := get("bob"); !fault.Is(err, fault.ParameterNotFound) {
		t.Errorf("after it is closed: %v", err)
	}
}

func TestImageType(t *testing.T) {
	s := newService(t)
	s.image = func(_ context.Context, id string) error {
		if id != "ami-0123456789abcdef0" {
			return fault.New("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
		}
		return nil
	}
	put(t, s, api.PutParameterInput{Name: "image", Value: "ami-0123456789abcdef0", Type: "String", DataType: "aws:ec2:image"})
	for _, v := range []string{"ami-0123456789abcdef1", "x"} {
		_, err := s.PutParameter(as(t, ""), &api.PutParameterInput{Name: "other", Value: v, Type: "String", DataType: "aws:ec2:image"})
		if !fault.Is(err, fault.ValidationException) {
			t.Errorf("%s: %v", v, err)
		}
	}
	_, err := s.PutParameter(as(t, ""), &api.PutParameterInput{Name: "other", Value: "x", Type: "String", DataType: "aws:ssm:integration"})
	if !fault.Is(err, fault.NotImplemented) {
		t.Errorf("integration: %v", err)
	}
}

func TestQuota(t *testing.T) {
	s := newService(t)
	put(t, s, api.PutParameterInput{Name: "one", Value: "1", Type: "String"})
	scope := arn.Scope{Account: account, Region: "eu-west-1"}
	set := func(n int) {
		t.Helper()
		err := s.store.Update(as(t, ""), func(tx store.Tx) error { return tallies.Put(tx, scope.Key(), &tally{Standard: n}) })
		if err != nil {
			t.Fatal(err)
		}
	}
	set(maxStandard)
	in := &api.PutParameterInput{Name: "two", Value: "1", Type: "String"}
	if _, err := s.PutParameter(as(t, ""), in); !fault.Is(err, fault.ParameterLimitExceeded) {
		t.Errorf("over the quota: %v", err)
	}
	put(t, s, api.PutParameterInput{Name: "one", Value: "2", Overwrite: new(true)})
	if _, err := s.DeleteParameter(as(t, ""), &api.DeleteParameterInput{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutParameter(as(t, ""), in); err != nil {
		t.Errorf("after a deletion: %v", err)
	}
}
