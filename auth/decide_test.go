package auth

import (
	"context"
	"strings"
	"testing"

	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// heldPolicies are resource-based policies by their resources.
type heldPolicies map[string]ResourcePolicy

func (h heldPolicies) ResourcePolicy(_ context.Context, resource string) (ResourcePolicy, error) {
	return h[resource], nil
}

type heldTags map[string]string

func (h heldTags) ResourceTags(context.Context, string) (map[string]string, error) { return h, nil }

func statements(t *testing.T, kind policy.Kind, text string) *policy.Document {
	t.Helper()
	d, err := policy.Parse(`{"Version":"2012-10-17","Statement":`+text+`}`, kind)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestResourcePoliciesCount is the union within an account and the intersection
// across two, where a service leaves the decision here and where it decides, too.
func TestResourcePoliciesCount(t *testing.T) {
	const secret, alias, other = "arn:aws:secrets:us-east-1:123456789012:s", "arn:aws:kms:us-east-1:123456789012:alias/a", "arn:aws:secrets:us-east-1:999999999999:s"
	const key = "arn:aws:kms:us-east-1:123456789012:key/k"
	annAllowed := statements(t, policy.Resource, `{"Effect":"Allow","Principal":{"AWS":"`+ann.ARN+`"},"Action":"*","Resource":"*"}`)
	annDenied := statements(t, policy.Resource, `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`)
	account := statements(t, policy.Resource, `{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"*","Resource":"*"}`)
	all, onKey := `{"Effect":"Allow","Action":"*","Resource":"*"}`, `{"Effect":"Allow","Action":"*","Resource":"`+key+`"}`
	for _, c := range []struct {
		name, identity, action, resource string
		who                              Principal
		held                             ResourcePolicy
		want                             string
	}{
		{"allowed by the resource alone", "", "secrets:Get", secret, ann, ResourcePolicy{Document: annAllowed, Owner: "123456789012"}, ""},
		{"denied by the resource", all, "secrets:Get", secret, ann, ResourcePolicy{Document: annDenied, Owner: "123456789012"}, "with an explicit deny in a resource-based policy"},
		{"the root, denied", "", "secrets:Get", secret, RootOf("123456789012"), ResourcePolicy{Document: annDenied, Owner: "123456789012"}, "with an explicit deny in a resource-based policy"},
		{"the root takes a policy back", "", "s3:DeleteBucketPolicy", secret, RootOf("123456789012"), ResourcePolicy{Document: annDenied, Owner: "123456789012"}, ""},
		{"another account, one side", all, "secrets:Get", other, ann, ResourcePolicy{Owner: "999999999999"}, "because no resource-based policy allows the secrets:Get action"},
		{"another account, both sides", all, "secrets:Get", other, ann, ResourcePolicy{Document: annAllowed, Owner: "999999999999"}, ""},
		{"another account, its side alone", "", "secrets:Get", other, ann, ResourcePolicy{Document: annAllowed, Owner: "999999999999"}, "because no identity-based policy allows the secrets:Get action"},
		{"another account, whose service decides", all, "secrets:Get", other, ann, ResourcePolicy{Owner: "999999999999", Decides: true}, ""},
		{"a key that leaves it to the account", all, "kms:Decrypt", key, ann, ResourcePolicy{Document: account, Owner: "123456789012", Delegates: true}, ""},
		{"a key that leaves it to nobody", all, "kms:Decrypt", key, ann, ResourcePolicy{Owner: "123456789012", Delegates: true, Document: statements(t, policy.Resource, `{"Effect":"Allow","Principal":{"AWS":"999999999999"},"Action":"*","Resource":"*"}`)},
			"because no resource-based policy allows the kms:Decrypt action"},
		{"an alias stands for its key", onKey, "kms:Decrypt", alias, ann, ResourcePolicy{Document: account, Owner: "123456789012", Delegates: true, ARN: key}, ""},
		{"an alias that is acted on does not", onKey, "kms:DeleteAlias", alias, ann, ResourcePolicy{Document: account, Owner: "123456789012", Delegates: true, ARN: key}, "on resource: " + alias},
		{"nobody, everybody allowed", "", "secrets:Get", secret, Principal{Kind: Anonymous}, ResourcePolicy{Owner: "123456789012", Document: statements(t, policy.Resource, `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`)},
			""},
	} {
		held := heldPolicies{c.resource: c.held}
		iam := &IAM{Policies: fixedPolicies{identity: c.identity}, Resources: map[string]ResourcePolicies{"secrets": held, "kms": held}}
		service, _, _ := strings.Cut(c.action, ":")
		call := Call{Principal: c.who, Scope: here, Service: service, Operation: "x"}
		err := iam.Authorize(context.Background(), call.Asking(c.action, c.resource, nil))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestTagsDecide are those of the resource, the request and the principal.
func TestTagsDecide(t *testing.T) {
	const stop = "arn:aws:ec2:us-east-1:123456789012:instance/i-1"
	call := Call{Principal: ann, Scope: here, Service: "ec2", Operation: "StopInstances"}
	for _, c := range []struct {
		name, condition string
		tags            map[string]ResourceTags
		allowed         bool
	}{
		{"the same team", `"StringEquals":{"ec2:ResourceTag/Team":"${aws:PrincipalTag/team}"}`, map[string]ResourceTags{"ec2": heldTags{"Team": "red"}}, true},
		{"another team", `"StringEquals":{"aws:ResourceTag/Team":"${aws:PrincipalTag/team}"}`, map[string]ResourceTags{"ec2": heldTags{"Team": "blue"}}, false},
		{"no tag", `"Null":{"aws:ResourceTag/Team":"true"}`, map[string]ResourceTags{"ec2": heldTags{}}, true},
		{"a service that does not tell tags", `"Null":{"aws:ResourceTag/Team":"true"}`, nil, false},
	} {
		iam := &IAM{Tags: c.tags, Policies: fixedPolicies{
			identity: `{"Effect":"Allow","Action":"ec2:StopInstances","Resource":"*","Condition":{` + c.condition + `}}`, tags: map[string]string{"Team": "red"},
		}}
		err := iam.Authorize(context.Background(), call.Asking("ec2:StopInstances", stop, nil))
		if c.allowed != (err == nil) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestSessionsAreNarrowed(t *testing.T) {
	all, none := `{"Effect":"Allow","Action":"*","Resource":"*"}`, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`
	role := Principal{Kind: AssumedRole, Account: "123456789012", ARN: "arn:aws:sts::123456789012:assumed-role/r/s", Name: "r", UserID: "AROAX:s"}
	for _, c := range []struct {
		name    string
		session Session
		want    string
	}{
		{"nothing", Session{}, ""},
		{"an inline policy", Session{Policy: none}, "because no session policy allows the sqs:ListQueues action"},
		{"a managed policy", Session{PolicyARNs: []string{"arn:all"}}, ""},
		{"a managed policy that is gone", Session{PolicyARNs: []string{"arn:gone"}}, "because no session policy allows the sqs:ListQueues action"},
		{"one of two", Session{Policy: none, PolicyARNs: []string{"arn:all"}}, ""},
		{"one of two denies", Session{Policy: strings.Replace(strings.Replace(none, "Allow", "Deny", 1), "s3:", "sqs:", 1), PolicyARNs: []string{"arn:all"}}, "with an explicit deny in a session policy"},
	} {
		p := role
		p.Session = &c.session
		iam := &IAM{Policies: fixedPolicies{identity: all, managed: map[string]string{"arn:all": all}}}
		call := Call{Principal: p, Scope: here, Service: "sqs", Operation: "ListQueues"}
		err := iam.Authorize(context.Background(), call.Requests(nil)[0])
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestRefusalsSpeakAsTheirServices(t *testing.T) {
	ring := keyring.Ephemeral()
	for _, c := range []struct{ service, action, resource, code, want string }{
		{"s3", "s3:GetObject", "arn:aws:s3:::b/k", fault.AccessDenied, `is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::b/k" because no identity-based policy allows the s3:GetObject action`},
		{"ssm", "ssm:GetParameter", "arn:p", fault.AccessDeniedException, "because no identity-based policy allows the ssm:GetParameter action"},
		{"iam", "iam:CreateUser", "arn:u", fault.AccessDenied, "because no identity-based policy allows the iam:CreateUser action"},
		{"ec2", "ec2:RunInstances", "arn:i", fault.UnauthorizedOperation, "Encoded authorization failure message: "},
	} {
		call := Call{Principal: ann, Scope: here, Service: c.service, Operation: "x"}
		err := (&IAM{Policies: fixedPolicies{}, Ring: ring}).Authorize(context.Background(), call.Asking(c.action, c.resource, nil))
		if !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.service, err)
		}
	}
}

func TestGuardTellsTheWay(t *testing.T) {
	ctx := With(context.Background(), Call{Principal: ann, Scope: here, Service: "cloudformation", Operation: "CreateStack"})
	policies := fixedPolicies{identity: `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:CalledVia":"cloudformation.amazonaws.com"}}}`}
	guard := Guard(&IAM{Policies: policies})
	inner := func(ctx context.Context) (any, error) {
		if via := From(ctx).Via; len(via) != 1 || via[0] != "cloudformation.amazonaws.com" {
			t.Errorf("called via %q", via)
		}
		return nil, nil
	}
	if _, err := guard(ctx, "sqs", "ListQueues", nil, inner); err != nil {
		t.Errorf("by way of CloudFormation: %v", err)
	}
	direct := With(context.Background(), Call{Principal: ann, Scope: here})
	if _, err := guard(direct, "sqs", "ListQueues", nil, inner); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("directly: %v", err)
	}
}

func TestSessionKeysTellTheirAccount(t *testing.T) {
	for _, account := range []string{"000000000000", "123456789012", "999999999999"} {
		id := sessionKeyID(account)
		if got, ok := SessionAccount(id); !ok || got != account || len(id) != 20 || !strings.HasPrefix(id, "ASIA") {
			t.Errorf("%s: %s tells %s", account, id, got)
		}
	}
	for _, id := range []string{"", "ASIA", "ASIA0000000000000000", "AKIAABCDEFGHIJKLMNOP", "ASIA777777777777777A"} {
		if account, ok := SessionAccount(id); ok {
			t.Errorf("%q tells %s", id, account)
		}
	}
}
