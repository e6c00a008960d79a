package kms

import (
	"context"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// as is a context in which a user of an account calls, bound by policies.
func as(account, user string) context.Context {
	return auth.With(context.Background(), auth.Call{
		Principal: auth.Principal{
			Kind: auth.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/" + user, UserID: "AIDA" + user, Name: user, Enforced: true,
		},
		Scope: arn.Scope{Account: account, Region: "us-east-1"}, Service: "kms", Operation: "Encrypt",
	})
}

const adaAlone = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/ada"},"Action":"kms:*","Resource":"*"},
	{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":["kms:Encrypt","kms:PutKeyPolicy"],"Resource":"*",
	 "Condition":{"StringEquals":{"kms:EncryptionContext:app":"web"}}}]}`

func TestKeyPolicies(t *testing.T) {
	b, open := newBench(t)
	ada, eve, abroad := as("111111111111", "ada"), as("111111111111", "eve"), as("222222222222", "bob")
	made, err := b.CreateKey(ada, &api.CreateKeyInput{Policy: adaAlone})
	if err != nil {
		t.Fatal(err)
	}
	name := made.KeyMetadata.Arn
	encrypt := func(ctx context.Context, app string) error {
		_, err := b.Encrypt(ctx, &api.EncryptInput{KeyId: name, Plaintext: []byte("x"), EncryptionContext: map[string]string{"app": app}})
		return err
	}
	for who, tc := range map[string]struct {
		err  error
		code string
	}{
		"named":                             {encrypt(ada, "any"), ""},
		"not named":                         {encrypt(eve, "any"), fault.AccessDeniedException},
		"not bound by policies":             {encrypt(open, "any"), ""},
		"another account":                   {encrypt(abroad, "web"), ""},
		"another account, other conditions": {encrypt(abroad, "db"), fault.AccessDeniedException},
	} {
		if tc.code == "" && tc.err != nil || tc.code != "" && !fault.Is(tc.err, tc.code) {
			t.Errorf("%s: error is %v, want %q", who, tc.err, tc.code)
		}
	}
	_, err = b.PutKeyPolicy(abroad, &api.PutKeyPolicyInput{KeyId: name, Policy: adaAlone})
	wantCode(t, err, fault.AccessDeniedException)
	_, err = b.PutKeyPolicy(ada, &api.PutKeyPolicyInput{KeyId: name, Policy: strings.ReplaceAll(adaAlone, "user/ada", "user/eve")})
	wantCode(t, err, fault.MalformedKeyPolicy)
	_, err = b.PutKeyPolicy(ada, &api.PutKeyPolicyInput{KeyId: name, Policy: "{}"})
	wantCode(t, err, fault.MalformedKeyPolicy)
	if _, err = b.PutKeyPolicy(ada, &api.PutKeyPolicyInput{
		KeyId: name, Policy: strings.ReplaceAll(adaAlone, "user/ada", "user/eve"), BypassPolicyLockoutSafetyCheck: new(true),
	}); err != nil {
		t.Error(err)
	}
	if err := encrypt(eve, "any"); err != nil {
		t.Error(err)
	}
	out, err := b.GetKeyPolicy(open, &api.GetKeyPolicyInput{KeyId: b.key(t, open)})
	if err != nil || !strings.Contains(out.Policy, "Enable IAM User Permissions") || out.PolicyName != "default" {
		t.Errorf("GetKeyPolicy gives %+v, error %v", out, err)
	}
}

func TestGrants(t *testing.T) {
	b, open := newBench(t)
	ada, eve := as("111111111111", "ada"), as("111111111111", "eve")
	made, err := b.CreateKey(ada, &api.CreateKeyInput{Policy: adaAlone})
	if err != nil {
		t.Fatal(err)
	}
	id := made.KeyMetadata.KeyId
	in := &api.CreateGrantInput{
		KeyId: id, GranteePrincipal: "arn:aws:iam::111111111111:user/eve", RetiringPrincipal: "arn:aws:iam::111111111111:user/ada",
		Operations: []string{"Encrypt", "CreateGrant"}, Name: "for-eve",
		Constraints: &api.GrantConstraints{EncryptionContextSubset: map[string]string{"app": "web"}},
	}
	g, err := b.CreateGrant(ada, in)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.CreateGrant(ada, in); err != nil || again.GrantId != g.GrantId {
		t.Errorf("a repeated CreateGrant gives %+v, error %v", again, err)
	}
	encrypt := func(context map[string]string, tokens ...string) error {
		_, err := b.Encrypt(eve, &api.EncryptInput{KeyId: id, Plaintext: []byte("x"), EncryptionContext: context, GrantTokens: tokens})
		return err
	}
	if err := encrypt(map[string]string{"app": "web", "more": "yes"}, g.GrantToken); err != nil {
		t.Error(err)
	}
	wantCode(t, encrypt(map[string]string{"app": "db"}), fault.AccessDeniedException)
	wantCode(t, encrypt(map[string]string{"app": "web"}, "noise"), fault.InvalidGrantToken)
	_, err = b.CreateGrant(eve, &api.CreateGrantInput{KeyId: id, GranteePrincipal: in.GranteePrincipal, Operations: []string{"Decrypt"}})
	wantCode(t, err, fault.AccessDeniedException)
	_, err = b.CreateGrant(ada, &api.CreateGrantInput{KeyId: id, GranteePrincipal: "eve", Operations: []string{"Decrypt"}})
	wantCode(t, err, fault.InvalidArn)
	_, err = b.CreateGrant(ada, &api.CreateGrantInput{KeyId: id, GranteePrincipal: in.GranteePrincipal, Operations: []string{"Sign"}})
	wantCode(t, err, fault.ValidationException)

	list, err := b.ListGrants(open, &api.ListGrantsInput{KeyId: id})
	if err != nil || len(list.Grants) != 1 || list.Grants[0].KeyId != made.KeyMetadata.Arn || list.Grants[0].Name != "for-eve" {
		t.Errorf("ListGrants gives %+v, error %v", list, err)
	}
	retirable, err := b.ListRetirableGrants(open, &api.ListRetirableGrantsInput{RetiringPrincipal: in.RetiringPrincipal})
	if err != nil || len(retirable.Grants) != 1 {
		t.Errorf("ListRetirableGrants gives %+v, error %v", retirable, err)
	}
	_, err = b.RetireGrant(eve, &api.RetireGrantInput{GrantToken: g.GrantToken})
	wantCode(t, err, fault.AccessDeniedException)
	if _, err := b.RetireGrant(ada, &api.RetireGrantInput{GrantToken: g.GrantToken}); err != nil {
		t.Error(err)
	}
	wantCode(t, encrypt(map[string]string{"app": "web"}), fault.AccessDeniedException)
	if g, err = b.CreateGrant(ada, in); err != nil {
		t.Fatal(err)
	}
	if _, err := b.RevokeGrant(ada, &api.RevokeGrantInput{KeyId: id, GrantId: g.GrantId}); err != nil {
		t.Error(err)
	}
	_, err = b.RevokeGrant(ada, &api.RevokeGrantInput{KeyId: id, GrantId: g.GrantId})
	wantCode(t, err, fault.NotFoundException)
}

// TestGrantsThatGrantsMake: who may make grants by a grant cannot give away more
// than it has.
func TestGrantsThatGrantsMake(t *testing.T) {
	ada, eve := as("111111111111", "ada"), as("111111111111", "eve")
	web, more := map[string]string{"app": "web"}, map[string]string{"app": "web", "more": "yes"}
	subset := func(of map[string]string) *api.GrantConstraints {
		return &api.GrantConstraints{EncryptionContextSubset: of}
	}
	equals := func(to map[string]string) *api.GrantConstraints {
		return &api.GrantConstraints{EncryptionContextEquals: to}
	}
	for name, tc := range map[string]struct {
		has, gives *api.GrantConstraints
		operation  string
		ok         bool
	}{
		"free":               {nil, nil, "Encrypt", true},
		"free, constrained":  {nil, subset(web), "Encrypt", true},
		"other operation":    {nil, nil, "Decrypt", false},
		"none":               {subset(web), nil, "Encrypt", false},
		"empty":              {subset(web), &api.GrantConstraints{}, "Encrypt", false},
		"same subset":        {subset(web), subset(web), "Encrypt", true},
		"stricter subset":    {subset(web), subset(more), "Encrypt", true},
		"looser subset":      {subset(more), subset(web), "Encrypt", false},
		"other value":        {subset(web), subset(map[string]string{"app": "db"}), "Encrypt", false},
		"equal to more":      {subset(web), equals(more), "Encrypt", true},
		"equal to other":     {subset(web), equals(map[string]string{"more": "yes"}), "Encrypt", false},
		"same equals":        {equals(web), equals(web), "Encrypt", true},
		"subset for equals":  {equals(web), subset(web), "Encrypt", false},
		"none for equals":    {equals(map[string]string{}), nil, "Encrypt", false},
		"only creates grant": {subset(web), subset(web), "DescribeKey", false},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := newBench(t)
			made, err := b.CreateKey(ada, &api.CreateKeyInput{Policy: adaAlone})
			if err != nil {
				t.Fatal(err)
			}
			grant := func(ctx context.Context, operations []string, c *api.GrantConstraints) error {
				_, err := b.CreateGrant(ctx, &api.CreateGrantInput{
					KeyId: made.KeyMetadata.KeyId, GranteePrincipal: "arn:aws:iam::111111111111:user/eve", Operations: operations, Constraints: c,
				})
				return err
			}
			if err := grant(ada, []string{"Encrypt", "CreateGrant"}, tc.has); err != nil {
				t.Fatal(err)
			}
			if err := grant(eve, []string{tc.operation}, tc.gives); tc.ok {
				if err != nil {
					t.Error(err)
				}
			} else {
				wantCode(t, err, fault.AccessDeniedException)
			}
		})
	}
}

// TestPolicyConditionsOfRequests: a key's policy sees what a request asks for.
func TestPolicyConditionsOfRequests(t *testing.T) {
	ada := as("111111111111", "ada")
	const eve = "arn:aws:iam::111111111111:user/eve"
	schedule := func(days int32) func(*bench, string) error {
		return func(b *bench, id string) error {
			_, err := b.ScheduleKeyDeletion(ada, &api.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: &days})
			return err
		}
	}
	put := func(bypass bool) func(*bench, string) error {
		return func(b *bench, id string) error {
			_, err := b.PutKeyPolicy(ada, &api.PutKeyPolicyInput{KeyId: id, Policy: adaAlone, BypassPolicyLockoutSafetyCheck: &bypass})
			return err
		}
	}
	grant := func(in api.CreateGrantInput) func(*bench, string) error {
		return func(b *bench, id string) error {
			in.KeyId, in.GranteePrincipal, in.Operations = id, eve, []string{"Encrypt"}
			_, err := b.CreateGrant(ada, &in)
			return err
		}
	}
	for _, tc := range []struct {
		deny    string // a condition
		no, yes func(*bench, string) error
	}{
		{`"Bool":{"kms:BypassPolicyLockoutSafetyCheck":"true"}`, put(true), put(false)},
		{`"NumericLessThan":{"kms:ScheduleKeyDeletionPendingWindowInDays":"10"}`, schedule(7), schedule(10)},
		{`"StringNotEquals":{"kms:RetiringPrincipal":"` + eve + `"}`, grant(api.CreateGrantInput{}), grant(api.CreateGrantInput{RetiringPrincipal: eve})},
		{`"StringNotEquals":{"kms:GrantConstraintType":"EncryptionContextEquals"}`,
			grant(api.CreateGrantInput{Constraints: &api.GrantConstraints{EncryptionContextSubset: map[string]string{"a": "b"}}}),
			grant(api.CreateGrantInput{Constraints: &api.GrantConstraints{EncryptionContextEquals: map[string]string{"a": "b"}}})},
	} {
		b, _ := newBench(t)
		text := strings.TrimSuffix(strings.TrimSpace(adaAlone), "}")
		text = strings.TrimSuffix(strings.TrimSpace(text), "]")
		deny := `{"Effect":"Deny","Principal":"*","Action":["kms:PutKeyPolicy","kms:ScheduleKeyDeletion","kms:CreateGrant"],"Resource":"*","Condition":{` + tc.deny + `}}`
		if text += "," + deny + "]}"; !strings.Contains(adaAlone, "[") {
			t.Fatalf("the policy has no list of statements: %s", adaAlone)
		}
		made, err := b.CreateKey(ada, &api.CreateKeyInput{Policy: text, BypassPolicyLockoutSafetyCheck: new(true)})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		wantCode(t, tc.no(b, made.KeyMetadata.KeyId), fault.AccessDeniedException)
		if err := tc.yes(b, made.KeyMetadata.KeyId); err != nil {
			t.Errorf("%s: %v", tc.deny, err)
		}
	}
}

func TestManagedKeys(t *testing.T) {
	b, ctx := newBench(t)
	out, err := b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: "alias/aws/ssm"})
	if err != nil || out.KeyMetadata.KeyManager != "AWS" {
		t.Fatalf("DescribeKey gives %+v, error %v", out, err)
	}
	again, err := b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: "arn:aws:kms:us-east-1:111111111111:alias/aws/ssm"})
	if err != nil || again.KeyMetadata.KeyId != out.KeyMetadata.KeyId {
		t.Errorf("DescribeKey gives %+v, error %v", again, err)
	}
	_, err = b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: "alias/aws/unheard"})
	wantCode(t, err, fault.NotFoundException)
	id := out.KeyMetadata.KeyId
	_, err = b.ScheduleKeyDeletion(ctx, &api.ScheduleKeyDeletionInput{KeyId: id})
	wantCode(t, err, fault.AccessDeniedException)
	_, err = b.PutKeyPolicy(ctx, &api.PutKeyPolicyInput{KeyId: id, Policy: adaAlone})
	wantCode(t, err, fault.AccessDeniedException)
	_, err = b.Encrypt(as("111111111111", "ada"), &api.EncryptInput{KeyId: id, Plaintext: []byte("x")})
	wantCode(t, err, fault.AccessDeniedException) // only through the service
	service := auth.From(ctx)
	service.Principal = auth.Principal{Kind: auth.Service, Name: "ssm.amazonaws.com", Account: "111111111111", Enforced: true}
	if _, err = b.Encrypt(auth.With(ctx, service), &api.EncryptInput{KeyId: id, Plaintext: []byte("x")}); err != nil {
		t.Error(err)
	}
}
