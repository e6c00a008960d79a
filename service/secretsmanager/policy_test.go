package secretsmanager

import (
	"context"
	"testing"

	"github.com/slipway/slipway/api"
	secretsapi "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/arn"
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

func user(t *testing.T, account, name string) context.Context {
	p := auth.Principal{Kind: auth.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/" + name, Name: name, Enforced: true}
	return auth.With(t.Context(), auth.Call{Principal: p, Scope: arn.Scope{Account: account, Region: region}})
}

const (
	allowed   = "allowed"
	ofAccount = `arn:aws:secretsmanager:us-east-1:` + account + `:secret:`
)

func allow(action, resource, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":` + action + `,"Resource":"` + resource + `"` + condition + `}}`
}

// TestWhoMayReadASecret: identity-based policies and the secret's own together, as
// calls go through the guard.
func TestWhoMayReadASecret(t *testing.T) {
	b := newBench(t)
	ids := identities{
		"name":    allow(`"secretsmanager:GetSecretValue"`, ofAccount+"app/db-??????", ""),
		"prefix":  allow(`"secretsmanager:*"`, ofAccount+"app/*", ""),
		"pending": allow(`"secretsmanager:GetSecretValue"`, "*", `{"ForAnyValue:StringEquals":{"secretsmanager:VersionStage":"AWSPENDING"}}`),
		"current": allow(`"secretsmanager:GetSecretValue"`, "*", `{"ForAnyValue:StringEquals":{"secretsmanager:VersionStage":"AWSCURRENT"}}`),
		"tagged":  allow(`"secretsmanager:GetSecretValue"`, "*", `{"StringEquals":{"secretsmanager:ResourceTag/team":"web"}}`),
		"id":      allow(`"secretsmanager:GetSecretValue"`, "*", `{"ArnLike":{"secretsmanager:SecretId":"`+ofAccount+`app/db-??????"}}`),
		"batch": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:BatchGetSecretValue","Resource":"*"},` +
			`{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"StringNotEquals":{"secretsmanager:ResourceTag/team":"web"}}}]}`,
		"away": allow(`"secretsmanager:*"`, "*", ""),
	}
	iam := &auth.IAM{
		Policies: ids, Resources: map[string]auth.ResourcePolicies{"secretsmanager": b.Service}, Tags: map[string]auth.ResourceTags{"secretsmanager": b.Service},
	}
	b.authorizer = iam
	guarded := secretsapi.Intercept(b.Service, api.Interceptor(auth.Guard(iam)))
	full := b.create("app/db", "one")
	if _, err := b.TagResource(b.ctx, &secretsapi.TagResourceInput{SecretId: full, Tags: []secretsapi.Tag{{Key: "team", Value: "web"}}}); err != nil {
		t.Fatal(err)
	}
	b.put("app/db", 2, "two", pending)
	b.create("else", "three")
	in := func(id, stage string) secretsapi.GetSecretValueInput {
		return secretsapi.GetSecretValueInput{SecretId: id, VersionStage: stage}
	}
	for _, c := range []struct {
		who  string
		in   secretsapi.GetSecretValueInput
		want string
	}{
		{"name", in("app/db", ""), allowed}, {"name", in(full, ""), allowed}, {"name", in(full[:len(full)-7], ""), allowed},
		{"name", in("else", ""), fault.AccessDeniedException}, {"nobody", in("app/db", ""), fault.AccessDeniedException},
		{"prefix", in("app/none", ""), fault.ResourceNotFoundException}, {"prefix", in("none", ""), fault.AccessDeniedException},
		{"pending", in("app/db", ""), fault.AccessDeniedException}, {"pending", in("app/db", pending), allowed},
		{"current", in("app/db", ""), allowed}, {"current", in("app/db", pending), fault.AccessDeniedException},
		{"tagged", in("app/db", ""), allowed}, {"tagged", in("else", ""), fault.AccessDeniedException},
		{"id", in("app/db", ""), allowed}, {"id", in("else", ""), fault.AccessDeniedException},
	} {
		_, err := guarded.GetSecretValue(user(t, account, c.who), &c.in)
		if f, ok := fault.As(err); err != nil && (!ok || f.Code != c.want) || err == nil && c.want != allowed {
			t.Errorf("%s reads %+v: %v, want %s", c.who, c.in, err, c.want)
		}
	}
	out, err := guarded.BatchGetSecretValue(user(t, account, "batch"), &secretsapi.BatchGetSecretValueInput{SecretIdList: []string{"app/db", "else"}})
	if err != nil || len(out.SecretValues) != 1 || out.SecretValues[0].Name != "else" || len(out.Errors) != 1 || out.Errors[0].ErrorCode != fault.AccessDeniedException {
		t.Errorf("a batch: %+v, %v", out, err)
	}
	for name, want := range map[string]bool{"app/new": true, "new": false} {
		_, err := guarded.CreateSecret(user(t, account, "prefix"), &secretsapi.CreateSecretInput{Name: name})
		if want != (err == nil) {
			t.Errorf("prefix makes %s: %v", name, err)
		}
	}

	// Another account needs the secret's policy, and a key that it may use.
	away := user(t, other, "away")
	read := func(id string) error {
		_, err := guarded.GetSecretValue(away, &secretsapi.GetSecretValueInput{SecretId: id})
		return err
	}
	wants(t, read(full), fault.AccessDeniedException, "resource-based policy")
	wants(t, read(ofAccount+"none-abcdef"), fault.AccessDeniedException, "resource-based policy")
	_, err = b.PutResourcePolicy(b.ctx, &secretsapi.PutResourcePolicyInput{SecretId: full, ResourcePolicy: opened("secretsmanager:GetSecretValue")})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, read(full), fault.InvalidRequestException, "default KMS service key")
	if _, err := b.UpdateSecret(b.ctx, &secretsapi.UpdateSecretInput{SecretId: full, KmsKeyId: "1234"}); err != nil {
		t.Fatal(err)
	}
	if err := read(full); err != nil {
		t.Error(err)
	}
	_, err = guarded.DeleteSecret(away, &secretsapi.DeleteSecretInput{SecretId: full})
	wants(t, err, fault.AccessDeniedException, "resource-based policy")
}

// opened is a policy that opens a secret to the other account.
func opened(action string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + other + `"},"Action":"` + action + `","Resource":"*",` +
		`"Condition":{"StringEquals":{"secretsmanager:VersionStage":"AWSCURRENT"}}}}`
}

// TestOtherAccountsInOpenMode: no policy of the caller's counts there, but that of
// the secret does.
func TestOtherAccountsInOpenMode(t *testing.T) {
	b := newBench(t)
	full := b.create("a", "one")
	if _, err := b.UpdateSecret(b.ctx, &secretsapi.UpdateSecretInput{SecretId: full, KmsKeyId: "1234"}); err != nil {
		t.Fatal(err)
	}
	ctx := as(t, other, "GetSecretValue")
	_, err := b.GetSecretValue(ctx, &secretsapi.GetSecretValueInput{SecretId: full})
	wants(t, err, fault.AccessDeniedException, "no resource-based policy allows the secretsmanager:GetSecretValue action")
	_, err = b.GetSecretValue(ctx, &secretsapi.GetSecretValueInput{SecretId: ofAccount + "none"})
	wants(t, err, fault.AccessDeniedException, "")
	if _, err := b.PutResourcePolicy(b.ctx, &secretsapi.PutResourcePolicyInput{SecretId: full, ResourcePolicy: opened("secretsmanager:GetSecretValue")}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.GetSecretValue(ctx, &secretsapi.GetSecretValueInput{SecretId: full}); err != nil {
		t.Error(err)
	}
	_, err = b.GetSecretValue(ctx, &secretsapi.GetSecretValueInput{SecretId: full, VersionStage: previous})
	wants(t, err, fault.AccessDeniedException, "")
	_, err = b.PutSecretValue(as(t, other, "PutSecretValue"), &secretsapi.PutSecretValueInput{SecretId: full, ClientRequestToken: id(2), SecretString: "x"})
	wants(t, err, fault.AccessDeniedException, "PutSecretValue")
	out, err := b.BatchGetSecretValue(as(t, other, "BatchGetSecretValue"), &secretsapi.BatchGetSecretValueInput{SecretIdList: []string{full}})
	if err != nil || len(out.SecretValues) != 1 {
		t.Errorf("a batch: %+v, %v", out, err)
	}
}

func TestResourcePolicies(t *testing.T) {
	b := newBench(t)
	b.create("a", "one")
	const public = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"}}`
	const closed = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"secretsmanager:*","Resource":"*"}}`
	put := func(text string, block bool) error {
		_, err := b.PutResourcePolicy(b.ctx, &secretsapi.PutResourcePolicyInput{SecretId: "a", ResourcePolicy: text, BlockPublicPolicy: &block})
		return err
	}
	wants(t, put(`{"Statement":`, false), fault.MalformedSecretPolicy, "")
	wants(t, put(public, true), fault.PublicPolicy, "broad access")
	wants(t, put(closed, false), fault.MalformedSecretPolicy, "keep you from")
	if err := put(public, false); err != nil {
		t.Error(err)
	}
	got, err := b.GetResourcePolicy(b.ctx, &secretsapi.GetResourcePolicyInput{SecretId: "a"})
	if err != nil || got.ResourcePolicy != public {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]int{public: 1, closed: 1, opened("secretsmanager:GetSecretValue"): 0} {
		out, err := b.ValidateResourcePolicy(b.ctx, &secretsapi.ValidateResourcePolicyInput{SecretId: "a", ResourcePolicy: text})
		if err != nil || len(out.ValidationErrors) != want || *out.PolicyValidationPassed != (want == 0) {
			t.Errorf("%s: %+v, %v", text, out, err)
		}
	}
	if _, err := b.DeleteResourcePolicy(b.ctx, &secretsapi.DeleteResourcePolicyInput{SecretId: "a"}); err != nil {
		t.Error(err)
	}
	if got, err = b.GetResourcePolicy(b.ctx, &secretsapi.GetResourcePolicyInput{SecretId: "a"}); err != nil || got.ResourcePolicy != "" {
		t.Errorf("%+v, %v", got, err)
	}
}
