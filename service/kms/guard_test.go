package kms

import (
	"context"
	"testing"

	"github.com/slipway/slipway/api"
	kmsapi "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// identities are the identity-based policies of users by name.
type identities map[string]string

func (i identities) PoliciesOf(_ context.Context, p auth.Principal) ([]*policy.Document, *policy.Document, error) {
	text, ok := i[p.Name]
	if !ok {
		return nil, nil, nil
	}
	doc, err := policy.Parse(text, policy.Identity)
	return []*policy.Document{doc}, nil, err
}

func (identities) ManagedPolicy(context.Context, string, string) (*policy.Document, error) {
	return nil, nil
}

func (identities) PrincipalTags(context.Context, auth.Principal) (map[string]string, error) {
	return nil, nil
}

func (identities) FullARN(_ context.Context, arn string) (string, error) { return arn, nil }

// TestWhoMayUseAKey: key policy, grants and identity-based policies together, as
// calls go through the guard.
func TestWhoMayUseAKey(t *testing.T) {
	b, open := newBench(t)
	made, err := b.CreateKey(open, &kmsapi.CreateKeyInput{}) // leaves it to the account
	if err != nil {
		t.Fatal(err)
	}
	delegated, name := made.KeyMetadata.KeyId, made.KeyMetadata.Arn
	made, err = b.CreateKey(as("111111111111", "ada"), &kmsapi.CreateKeyInput{Policy: adaAlone})
	if err != nil {
		t.Fatal(err)
	}
	closed := made.KeyMetadata.KeyId
	for _, c := range []struct{ alias, key string }{{"alias/delegated", delegated}, {"alias/closed", closed}} {
		if _, err := b.CreateAlias(open, &kmsapi.CreateAliasInput{AliasName: c.alias, TargetKeyId: c.key}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.CreateGrant(open, &kmsapi.CreateGrantInput{
		KeyId: closed, GranteePrincipal: "arn:aws:iam::111111111111:user/eve", Operations: []string{"Encrypt", "Decrypt"},
		Constraints: &kmsapi.GrantConstraints{EncryptionContextEquals: map[string]string{"app": "web"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	allow := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt"],"Resource":"` + name + `"}}`
	iam := &auth.IAM{
		Policies:  identities{"bob": allow, "carl": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}`},
		Resources: map[string]auth.ResourcePolicies{"kms": b.Service}, Tags: map[string]auth.ResourceTags{"kms": b.Service},
	}
	guarded := kmsapi.Intercept(b.Service, api.Interceptor(auth.Guard(iam)))
	web := map[string]string{"app": "web"}
	for _, c := range []struct {
		who, key string
		context  map[string]string
		want     bool
	}{
		{"ada", closed, nil, true}, {"ada", "alias/closed", nil, true}, {"ada", delegated, nil, false},
		{"bob", delegated, nil, true}, {"bob", "alias/delegated", nil, true}, {"bob", closed, nil, false},
		{"carl", delegated, nil, true}, {"carl", closed, nil, false},
		{"eve", closed, web, true}, {"eve", closed, nil, false}, {"eve", closed, map[string]string{"app": "web", "x": "y"}, false},
		{"eve", delegated, web, false},
		{"carl", "alias/aws/ssm", nil, false}, // through its service alone
	} {
		ctx := as("111111111111", c.who)
		sealed, err := guarded.Encrypt(ctx, &kmsapi.EncryptInput{KeyId: c.key, Plaintext: []byte("x"), EncryptionContext: c.context})
		if c.want != (err == nil) || !c.want && !fault.Is(err, fault.AccessDeniedException) {
			t.Errorf("%s with %s in %v: %v, want allowed %v", c.who, c.key, c.context, err, c.want)
		}
		if err != nil {
			continue
		}
		if _, err := guarded.Decrypt(ctx, &kmsapi.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: c.context}); err != nil {
			t.Errorf("%s decrypts with %s: %v", c.who, c.key, err)
		}
	}
	call := auth.From(as("111111111111", "eve"))
	call.Service, call.Operation = "ssm", "GetParameter"
	if _, err := guarded.Encrypt(auth.With(open, call), &kmsapi.EncryptInput{KeyId: "alias/aws/ssm", Plaintext: []byte("x")}); err != nil {
		t.Errorf("through the service: %v", err)
	}
}
