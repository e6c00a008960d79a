package sts

import (
	"strings"
	"testing"
	"time"

	iamapi "github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

const (
	allowAll  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	allowSQS  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`
	allowTeam = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/Team":"red"}}}]}`
)

// may asks as whoever holds the credentials.
func (b *bench) may(c *api.Credentials, service, operation string) error {
	b.t.Helper()
	p := b.whoIs(c)
	p.Enforced = true
	call := auth.Call{Principal: p, Scope: arn.Scope{Account: p.Account, Region: "us-east-1"}, Service: service, Operation: operation, Time: now}
	for _, r := range call.Requests(nil) {
		if err := b.auth.Authorize(b.t.Context(), r); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) rolePolicy(role, document string) {
	b.t.Helper()
	in := &iamapi.PutRolePolicyInput{RoleName: role, PolicyName: "p", PolicyDocument: document}
	if _, err := b.iam.PutRolePolicy(b.as(auth.RootOf(account)), in); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) userPolicy(user, document string) {
	b.t.Helper()
	in := &iamapi.PutUserPolicyInput{UserName: user, PolicyName: "p", PolicyDocument: document}
	if _, err := b.iam.PutUserPolicy(b.as(auth.RootOf(account)), in); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) managed(name, document string) string {
	b.t.Helper()
	out, err := b.iam.CreatePolicy(b.as(auth.RootOf(account)), &iamapi.CreatePolicyInput{PolicyName: name, PolicyDocument: document})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Policy.Arn
}

const trustAccount = `{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}`

func TestSessionPoliciesNarrow(t *testing.T) {
	b := newBench(t, true)
	ann := b.user("ann")
	b.userPolicy("ann", allowAll)
	r := b.role("wide", trustAccount).Arn
	b.rolePolicy("wide", allowAll)
	sqs := b.managed("sqs", allowSQS)
	for _, c := range []struct {
		name     string
		in       api.AssumeRoleInput
		sqs, ssm bool
	}{
		{"none", api.AssumeRoleInput{RoleArn: r}, true, true},
		{"inline", api.AssumeRoleInput{RoleArn: r, Policy: allowSQS}, true, false},
		{"managed", api.AssumeRoleInput{RoleArn: r, PolicyArns: []api.PolicyDescriptorType{{Arn: sqs}}}, true, false},
		{"either", api.AssumeRoleInput{RoleArn: r, Policy: allowAll, PolicyArns: []api.PolicyDescriptorType{{Arn: sqs}}}, true, true},
	} {
		out, err := b.assume(ann, c.in)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if narrow := c.in.Policy != "" || c.in.PolicyArns != nil; narrow != (out.PackedPolicySize != nil && *out.PackedPolicySize > 0) {
			t.Errorf("%s: packed size %v", c.name, out.PackedPolicySize)
		}
		for service, allowed := range map[string]bool{"sqs": c.sqs, "ssm": c.ssm} {
			operation := map[string]string{"sqs": "ListQueues", "ssm": "DescribeParameters"}[service]
			err := b.may(out.Credentials, service, operation)
			if allowed != (err == nil) || err != nil && !strings.HasSuffix(err.Error(), "because no session policy allows the "+service+":"+operation+" action") {
				t.Errorf("%s: %s: %v", c.name, service, err)
			}
		}
	}
	if _, err := b.iam.DeletePolicy(b.as(auth.RootOf(account)), &iamapi.DeletePolicyInput{PolicyArn: sqs}); err != nil {
		t.Fatal(err)
	}
	in := api.AssumeRoleInput{RoleArn: r}
	for i := range 40 {
		in.Tags = append(in.Tags, api.Tag{Key: auth.UniqueID("K", 100), Value: auth.UniqueID("V", 100+i)})
	}
	if _, err := b.assume(ann, in); !fault.Is(err, fault.PackedPolicyTooLarge) {
		t.Errorf("more tags than fit: %v", err)
	}
}

func TestSessionTags(t *testing.T) {
	b := newBench(t, true)
	ann := b.user("ann")
	b.userPolicy("ann", allowAll)
	first := b.role("first", trustAccount).Arn
	b.rolePolicy("first", allowAll)
	second := b.role("second", `{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],
		"Condition":{"StringEquals":{"aws:PrincipalTag/Team":"red"}}}`).Arn
	b.rolePolicy("second", allowTeam)
	out, err := b.assume(ann, api.AssumeRoleInput{RoleArn: first, Tags: []api.Tag{{Key: "Team", Value: "red"}, {Key: "Stage", Value: "x"}},
		TransitiveTagKeys: []string{"team"}, SourceIdentity: "ann"})
	if err != nil || out.SourceIdentity != "ann" {
		t.Fatalf("%+v, %v", out, err)
	}
	caller := b.whoIs(out.Credentials)
	chained, err := b.assume(caller, api.AssumeRoleInput{RoleArn: second})
	if err != nil {
		t.Fatal(err)
	}
	p := b.whoIs(chained.Credentials)
	if p.Session.Tags["Team"] != "red" || p.Session.Tags["Stage"] != "" || p.Session.SourceIdentity != "ann" || !p.Session.Issued.Equal(now) {
		t.Errorf("chained session %+v", p.Session)
	}
	if err := b.may(chained.Credentials, "sqs", "ListQueues"); err != nil {
		t.Errorf("by the tag that came along: %v", err)
	}
	for want, in := range map[string]api.AssumeRoleInput{
		fault.InvalidParameterValue: {RoleArn: second, Tags: []api.Tag{{Key: "TEAM", Value: "blue"}}},
		fault.AccessDenied:          {RoleArn: second, SourceIdentity: "bob"},
		fault.ValidationError:       {RoleArn: second, DurationSeconds: new(int32(3601))},
	} {
		if _, err := b.assume(caller, in); !fault.Is(err, want) {
			t.Errorf("%+v: %v, want %s", in, err, want)
		}
	}
}

func TestFederation(t *testing.T) {
	b := newBench(t, true)
	ann := b.user("ann")
	b.userPolicy("ann", allowAll)
	get := func(p auth.Principal, in api.GetFederationTokenInput) (*api.GetFederationTokenOutput, error) {
		return b.GetFederationToken(b.as(p), &in)
	}
	out, err := get(ann, api.GetFederationTokenInput{Name: "eve", Policy: allowSQS})
	if err != nil || out.FederatedUser.Arn != "arn:aws:sts::123456789012:federated-user/eve" || out.FederatedUser.FederatedUserId != account+":eve" ||
		!out.Credentials.Expiration.Equal(now.Add(12*time.Hour)) {
		t.Fatalf("%+v, %v", out, err)
	}
	if err := b.may(out.Credentials, "sqs", "ListQueues"); err != nil {
		t.Errorf("what both allow: %v", err)
	}
	for service, operation := range map[string]string{"ssm": "DescribeParameters", "sts": "GetSessionToken"} {
		if err := b.may(out.Credentials, service, operation); err == nil {
			t.Errorf("%s:%s is allowed", service, operation)
		}
	}
	if err := b.may(out.Credentials, "iam", "ListUsers"); !fault.Is(err, fault.InvalidClientTokenID) {
		t.Errorf("IAM: %v", err)
	}
	bare, err := get(ann, api.GetFederationTokenInput{Name: "eve"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.may(bare.Credentials, "sqs", "ListQueues"); err == nil || !strings.Contains(err.Error(), "session policy") {
		t.Errorf("without a policy: %v", err)
	}
	b.userPolicy("ann", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:*","Resource":"*"}]}`)
	if err := b.may(out.Credentials, "sqs", "ListQueues"); err == nil || !strings.Contains(err.Error(), "identity-based policy") {
		t.Errorf("past the user's own policies: %v", err)
	}
	if out, err = get(auth.RootOf(account), api.GetFederationTokenInput{Name: "eve", Policy: allowSQS}); err != nil || !out.Credentials.Expiration.Equal(now.Add(time.Hour)) {
		t.Fatalf("the root's: %+v, %v", out, err)
	}
	if err := b.may(out.Credentials, "sqs", "ListQueues"); err != nil {
		t.Errorf("the root's: %v", err)
	}
	if _, err := get(b.whoIs(out.Credentials), api.GetFederationTokenInput{Name: "mal"}); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("a federated user begets another: %v", err)
	}
	if _, err := get(ann, api.GetFederationTokenInput{Name: "a b"}); !fault.Is(err, fault.ValidationError) {
		t.Errorf("a bad name: %v", err)
	}
}

func TestOwnSessionsStayAwayFromIAM(t *testing.T) {
	b := newBench(t, true)
	ann := b.user("ann")
	b.userPolicy("ann", allowAll)
	out, err := b.GetSessionToken(b.as(ann), &api.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ service, operation, code string }{
		{"sqs", "ListQueues", ""}, {"sts", "GetCallerIdentity", ""}, {"sts", "AssumeRole", ""},
		{"iam", "ListUsers", fault.InvalidClientTokenID}, {"sts", "GetFederationToken", fault.AccessDenied},
	} {
		err := b.may(out.Credentials, c.service, c.operation)
		if c.code == "" && err != nil || c.code != "" && !fault.Is(err, c.code) {
			t.Errorf("%s:%s: %v", c.service, c.operation, err)
		}
	}
}

func TestAccessKeyInfo(t *testing.T) {
	b := newBench(t, false)
	b.user("ann")
	key, err := b.iam.CreateAccessKey(b.as(auth.RootOf(account)), &iamapi.CreateAccessKeyInput{UserName: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	session, err := b.GetSessionToken(b.as(auth.RootOf(account)), &api.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		key.AccessKey.AccessKeyId: account, session.Credentials.AccessKeyId: account, "999999999999": "999999999999", "AKIAAAAAAAAAAAAAAAAA": "",
	} {
		out, err := b.GetAccessKeyInfo(b.as(auth.RootOf(account)), &api.GetAccessKeyInfoInput{AccessKeyId: id})
		if want == "" != (err != nil) || err == nil && out.Account != want {
			t.Errorf("%s: %+v, %v", id, out, err)
		}
	}
}

func TestDecodedRefusal(t *testing.T) {
	b := newBench(t, true)
	ann := b.user("ann")
	call := auth.Call{Principal: ann, Scope: arn.Scope{Account: account, Region: "us-east-1"}, Service: "ec2", Operation: "TerminateInstances"}
	err := b.auth.Authorize(t.Context(), call.Asking("ec2:TerminateInstances", "arn:aws:ec2:us-east-1:123456789012:instance/i-1", policy.Context{}))
	if !fault.Is(err, fault.UnauthorizedOperation) {
		t.Fatal(err)
	}
	_, message, ok := strings.Cut(err.Error(), "Encoded authorization failure message: ")
	if !ok {
		t.Fatal(err)
	}
	out, err := b.DecodeAuthorizationMessage(b.as(ann), &api.DecodeAuthorizationMessageInput{EncodedMessage: message})
	if err != nil || !strings.Contains(out.DecodedMessage, `"allowed":false,"explicitDeny":false`) ||
		!strings.Contains(out.DecodedMessage, `"action":"ec2:TerminateInstances","resource":"arn:aws:ec2:us-east-1:123456789012:instance/i-1"`) {
		t.Errorf("%+v, %v", out, err)
	}
	for who, text := range map[string]string{account: "x" + message[1:], "999999999999": message, "111111111111": "?"} {
		if _, err := b.DecodeAuthorizationMessage(b.as(auth.RootOf(who)), &api.DecodeAuthorizationMessageInput{EncodedMessage: text}); !fault.Is(err, fault.InvalidAuthorizationMessage) {
			t.Errorf("%s reads %q: %v", who, text, err)
		}
	}
}
