package sts

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	iamapi "github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/iam"
	"github.com/slipway/slipway/store/storetest"
)

const account = "123456789012"

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// bench is the service over a real IAM.
type bench struct {
	*Service
	t        *testing.T
	iam      *iam.Service
	sessions *auth.Sessions
	auth     *auth.IAM
	closed   bool
}

func newBench(t *testing.T, closed bool) *bench {
	ring := keyring.Ephemeral()
	b := &bench{t: t, iam: iam.New(iam.Config{Store: storetest.New(t), Ring: ring, Now: func() time.Time { return now }}), sessions: auth.NewSessions(ring)}
	b.closed = closed
	b.auth = &auth.IAM{Policies: b.iam, Ring: ring}
	b.Service = New(Config{IAM: b.iam, Sessions: b.sessions, Trust: b.auth, Devices: b.iam, Keys: b.iam, Ring: ring, Now: func() time.Time { return now }})
	return b
}

func (b *bench) as(p auth.Principal) context.Context {
	p.Enforced = b.closed
	return auth.With(b.t.Context(), auth.Call{Principal: p, Scope: arn.Scope{Account: p.Account, Region: "us-east-1"}, Time: now})
}

func (b *bench) role(name, trust string) *iamapi.Role {
	b.t.Helper()
	out, err := b.iam.CreateRole(b.as(auth.RootOf(account)), &iamapi.CreateRoleInput{
		RoleName: name, AssumeRolePolicyDocument: `{"Version":"2012-10-17","Statement":[` + trust + `]}`, MaxSessionDuration: new(int32(7200)),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Role
}

func (b *bench) user(name string) auth.Principal { return b.userIn(account, name) }

func (b *bench) userIn(account, name string) auth.Principal {
	b.t.Helper()
	out, err := b.iam.CreateUser(b.as(auth.RootOf(account)), &iamapi.CreateUserInput{UserName: name})
	if err != nil {
		b.t.Fatal(err)
	}
	return auth.Principal{Kind: auth.User, Account: account, ARN: out.User.Arn, UserID: out.User.UserId, Name: name}
}

func (b *bench) assume(p auth.Principal, in api.AssumeRoleInput) (*api.AssumeRoleOutput, error) {
	if in.RoleSessionName == "" {
		in.RoleSessionName = "session"
	}
	return b.AssumeRole(b.as(p), &in)
}

// whoIs sends signed credentials through verification.
func (b *bench) whoIs(c *api.Credentials) auth.Principal {
	b.t.Helper()
	r, err := http.NewRequest("POST", "http://127.0.0.1/", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	auth.Sign(r, nil, auth.Credentials{AccessKeyID: c.AccessKeyId, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, "sts", "us-east-1", now)
	out, err := (&auth.Authenticator{Sessions: b.sessions, Now: func() time.Time { return now }}).Authenticate(r, "sts")
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Principal
}

func TestAssumedRoleIsWhoItSays(t *testing.T) {
	b := newBench(t, false)
	r := b.role("web", `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`)
	ec2 := auth.Principal{Kind: auth.Service, Account: account, Name: "ec2.amazonaws.com"}
	out, err := b.assume(ec2, api.AssumeRoleInput{RoleArn: r.Arn, RoleSessionName: "i-1234"})
	if err != nil {
		t.Fatal(err)
	}
	if out.AssumedRoleUser.Arn != "arn:aws:sts::123456789012:assumed-role/web/i-1234" || out.AssumedRoleUser.AssumedRoleId != r.RoleId+":i-1234" ||
		!out.Credentials.Expiration.Equal(now.Add(time.Hour)) || !strings.HasPrefix(out.Credentials.AccessKeyId, "ASIA") {
		t.Errorf("%+v", out)
	}
	p := b.whoIs(out.Credentials)
	id, err := b.GetCallerIdentity(b.as(p), nil)
	if err != nil || id.Arn != out.AssumedRoleUser.Arn || id.UserId != out.AssumedRoleUser.AssumedRoleId || id.Account != account {
		t.Errorf("%+v, %v", id, err)
	}
	if _, err := b.assume(p, api.AssumeRoleInput{RoleArn: r.Arn}); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("the role assumes itself without trust: %v", err)
	}
}

func TestTrustDecides(t *testing.T) {
	b := newBench(t, true)
	ann, bob := b.user("ann"), b.user("bob")
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`
	deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*"}]}`
	for name, doc := range map[string]string{"ann": allow, "bob": deny} {
		if _, err := b.iam.PutUserPolicy(b.as(auth.RootOf(account)), &iamapi.PutUserPolicyInput{UserName: name, PolicyName: "p", PolicyDocument: doc}); err != nil {
			t.Fatal(err)
		}
	}
	eve := b.user("eve")
	byAccount := b.role("account", `{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}`).Arn
	byName := b.role("name", `{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::123456789012:user/eve","arn:aws:iam::123456789012:user/bob"]},"Action":"sts:AssumeRole"}`).Arn
	external := b.role("external", `{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"42"}}}`).Arn
	foreign := b.role("foreign", `{"Effect":"Allow","Principal":{"AWS":"999999999999"},"Action":"sts:AssumeRole"}`).Arn
	root := auth.RootOf(account)
	other := b.userIn("999999999999", "cid")
	if _, err := b.iam.PutUserPolicy(b.as(auth.RootOf("999999999999")), &iamapi.PutUserPolicyInput{UserName: "cid", PolicyName: "p", PolicyDocument: allow}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		who     auth.Principal
		in      api.AssumeRoleInput
		allowed bool
	}{
		{"account trusted, policy allows", ann, api.AssumeRoleInput{RoleArn: byAccount}, true},
		{"account trusted, no policy", eve, api.AssumeRoleInput{RoleArn: byAccount}, false},
		{"root, though its account is trusted", root, api.AssumeRoleInput{RoleArn: byAccount}, false},
		{"named, no policy needed", eve, api.AssumeRoleInput{RoleArn: byName}, true},
		{"named, but denied", bob, api.AssumeRoleInput{RoleArn: byName}, false},
		{"not named", ann, api.AssumeRoleInput{RoleArn: byName}, false},
		{"external id", ann, api.AssumeRoleInput{RoleArn: external, ExternalId: "42"}, true},
		{"other external id", ann, api.AssumeRoleInput{RoleArn: external, ExternalId: "43"}, false},
		{"no external id", ann, api.AssumeRoleInput{RoleArn: external}, false},
		{"another account's", ann, api.AssumeRoleInput{RoleArn: foreign}, false},
		{"from the other account", other, api.AssumeRoleInput{RoleArn: foreign}, true},
		{"from the other account, its root", auth.RootOf("999999999999"), api.AssumeRoleInput{RoleArn: foreign}, false},
		{"no such role", ann, api.AssumeRoleInput{RoleArn: "arn:aws:iam::123456789012:role/none"}, false},
		{"wrong path", ann, api.AssumeRoleInput{RoleArn: "arn:aws:iam::123456789012:role/x/account"}, false},
		{"an instance's identity", auth.Principal{Kind: auth.Instance, Account: account}, api.AssumeRoleInput{RoleArn: byAccount}, false},
	} {
		_, err := b.assume(c.who, c.in)
		if c.allowed != (err == nil) || err != nil && !fault.Is(err, fault.AccessDenied) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAssumeRoleRefusals(t *testing.T) {
	b := newBench(t, false)
	r := b.role("web", `{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}`).Arn
	for _, c := range []struct {
		name string
		in   api.AssumeRoleInput
		want string
	}{
		{"bad name", api.AssumeRoleInput{RoleArn: r, RoleSessionName: "a b"}, "ValidationError"},
		{"no role", api.AssumeRoleInput{RoleArn: "arn:aws:iam::123456789012:user/x"}, "ValidationError: arn:aws:iam::123456789012:user/x is invalid"},
		{"too long", api.AssumeRoleInput{RoleArn: r, DurationSeconds: new(int32(7201))}, "ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		{"too short", api.AssumeRoleInput{RoleArn: r, DurationSeconds: new(int32(60))}, "ValidationError: 1 validation error detected: Value '60' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		{"policy", api.AssumeRoleInput{RoleArn: r, Policy: "{}"}, "MalformedPolicyDocument: Syntax errors in policy."},
		{"long policy", api.AssumeRoleInput{RoleArn: r, Policy: strings.Repeat(" ", 2049)}, "ValidationError: 1 validation error detected: Value at 'policy'"},
		{"policies", api.AssumeRoleInput{RoleArn: r, PolicyArns: []api.PolicyDescriptorType{{Arn: "arn:aws:iam::123456789012:policy/none"}}}, "MalformedPolicyDocument: Policy arn:aws:iam::123456789012:policy/none does not exist"},
		{"another account's policy", api.AssumeRoleInput{RoleArn: r, PolicyArns: []api.PolicyDescriptorType{{Arn: "arn:aws:iam::999999999999:policy/none"}}}, "ValidationError: Scope ARN"},
		{"many policies", api.AssumeRoleInput{RoleArn: r, PolicyArns: make([]api.PolicyDescriptorType, 11)}, "ValidationError: 1 validation error detected: Value at 'policyArns'"},
		{"untrusted tags", api.AssumeRoleInput{RoleArn: r, Tags: []api.Tag{{Key: "a", Value: "b"}}}, "AccessDenied: User: arn:aws:iam::123456789012:root is not authorized to perform: sts:TagSession on resource: " + r},
		{"untrusted source identity", api.AssumeRoleInput{RoleArn: r, SourceIdentity: "ann"}, "AccessDenied: User: arn:aws:iam::123456789012:root is not authorized to perform: sts:SetSourceIdentity on resource: " + r},
		{"half of a second factor", api.AssumeRoleInput{RoleArn: r, TokenCode: "123456"}, "AccessDenied: MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code."},
		{"a device that is not the caller's", api.AssumeRoleInput{RoleArn: r, SerialNumber: "arn:aws:iam::123456789012:mfa/x", TokenCode: "123456"}, "AccessDenied: MultiFactorAuthentication failed, unable to validate MFA code."},
		// As recorded.
		{"tags twice", api.AssumeRoleInput{RoleArn: r, Tags: []api.Tag{{Key: "a", Value: "b"}, {Key: "A", Value: "b"}}}, "InvalidParameterValue: Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		{"transitive", api.AssumeRoleInput{RoleArn: r, TransitiveTagKeys: []string{"x"}}, "InvalidParameterValue: The specified transitive tag key must be included in the requested tags."},
	} {
		_, err := b.assume(auth.RootOf(account), c.in)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if out, err := b.assume(auth.RootOf(account), api.AssumeRoleInput{RoleArn: r, DurationSeconds: new(int32(7200))}); err != nil || !out.Credentials.Expiration.Equal(now.Add(2*time.Hour)) {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestSessionToken(t *testing.T) {
	b := newBench(t, false)
	ann := b.user("ann")
	out, err := b.GetSessionToken(b.as(ann), &api.GetSessionTokenInput{})
	if err != nil || !out.Credentials.Expiration.Equal(now.Add(12*time.Hour)) {
		t.Fatalf("%+v, %v", out, err)
	}
	p := b.whoIs(out.Credentials)
	if p.Kind != auth.User || p.ARN != ann.ARN {
		t.Errorf("session of %+v", p)
	}
	if _, err := b.GetSessionToken(b.as(p), &api.GetSessionTokenInput{}); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("a session prolongs itself: %v", err)
	}
	root, err := b.GetSessionToken(b.as(auth.RootOf(account)), &api.GetSessionTokenInput{})
	if err != nil || !root.Credentials.Expiration.Equal(now.Add(time.Hour)) {
		t.Errorf("the root's: %+v, %v", root, err)
	}
	if _, err := b.GetSessionToken(b.as(ann), &api.GetSessionTokenInput{DurationSeconds: new(int32(1))}); !fault.Is(err, fault.ValidationError) {
		t.Errorf("too short: %v", err)
	}
}
