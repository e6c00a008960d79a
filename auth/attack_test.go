package auth

import (
	"context"
	"strings"
	"testing"

	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// TestAnAccountIsNobodysName: a policy that names the account by its number leaves
// the decision to it, whoever of the account calls.
func TestAnAccountIsNobodysName(t *testing.T) {
	const secret = "arn:aws:secrets:us-east-1:123456789012:s"
	held := heldPolicies{secret: {Owner: "123456789012", Document: statements(t, policy.Resource,
		`{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"*","Resource":"*"}`)}}
	issuer := ann
	for name, who := range map[string]Principal{
		"a federated user": {Kind: FederatedUser, Account: "123456789012", ARN: "arn:aws:sts::123456789012:federated-user/bob", UserID: "123456789012:bob",
			Name: "bob", Session: &Session{Issuer: &issuer}},
		"a user": ann,
		"a role": {Kind: AssumedRole, Account: "123456789012", ARN: "arn:aws:sts::123456789012:assumed-role/r/s", Name: "r", UserID: "AROAX:s"},
	} {
		iam := &IAM{Policies: fixedPolicies{}, Resources: map[string]ResourcePolicies{"secrets": held}}
		call := Call{Principal: who, Scope: here, Service: "secrets", Operation: "Get"}
		if err := iam.Authorize(context.Background(), call.Asking("secrets:Get", secret, nil)); !fault.Is(err, fault.AccessDeniedException) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRenamesNeedBothNames: who may change some may not make them others.
func TestRenamesNeedBothNames(t *testing.T) {
	type in struct{ UserName, NewUserName, NewPath string }
	for _, c := range []struct {
		in      in
		allowed bool
	}{
		{in{"dev", "dev2", ""}, true},
		{in{"dev", "admin", ""}, false},
		{in{"admin", "dev", ""}, false},
		{in{"dev", "", "/team/"}, true},
		{in{"dev", "", "/admins/"}, false},
	} {
		iam := &IAM{Policies: fixedPolicies{identity: `{"Effect":"Allow","Action":"iam:UpdateUser","Resource":["arn:aws:iam::123456789012:user/dev*","arn:aws:iam::123456789012:user/team/*"]}`}}
		call := Call{Principal: ann, Scope: here, Service: "iam", Operation: "UpdateUser"}
		var err error
		for _, r := range call.Requests(&c.in) {
			if e := iam.Authorize(context.Background(), r); e != nil {
				err = e
			}
		}
		if c.allowed != (err == nil) {
			t.Errorf("%+v: %v", c.in, err)
		}
	}
}

// TestTagsThatNobodyCanTell fail closed: a Deny by a tag holds, an Allow does not.
func TestTagsThatNobodyCanTell(t *testing.T) {
	type template struct{ LaunchTemplateId, LaunchTemplateName string }
	type in struct {
		StackName, ImageId string
		InstanceIds        []string
		LaunchTemplate     *template
	}
	deny := `[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/env":"prod"}}}]`
	for _, c := range []struct {
		name, service, operation string
		in                       in
		tags                     map[string]string
		allowed                  bool
	}{
		{"another tag", "ec2", "TerminateInstances", in{InstanceIds: []string{"i-1"}}, map[string]string{"env": "dev"}, true},
		{"the tag", "ec2", "TerminateInstances", in{InstanceIds: []string{"i-1"}}, map[string]string{"env": "prod"}, false},
		{"the tag in another case", "ec2", "TerminateInstances", in{InstanceIds: []string{"i-1"}}, map[string]string{"Env": "prod"}, false},
		{"two tags", "ec2", "TerminateInstances", in{InstanceIds: []string{"i-1"}}, map[string]string{"env": "dev", "ENV": "prod"}, false},
		{"a stack that is there", "cloudformation", "DeleteStack", in{StackName: "s"}, nil, false},
		{"a stack that is made", "cloudformation", "CreateStack", in{StackName: "s"}, nil, true},
		{"an image that nobody names", "ec2", "RunInstances", in{}, nil, false},
	} {
		iam := &IAM{Tags: map[string]ResourceTags{"ec2": heldTags(c.tags)}, Policies: manyStatements(deny)}
		call := Call{Principal: ann, Scope: here, Service: c.service, Operation: c.operation}
		var err error
		for _, r := range call.Requests(&c.in) {
			if e := iam.Authorize(context.Background(), r); e != nil {
				err = e
			}
		}
		if c.allowed != (err == nil) || err != nil && !strings.Contains(err.Error(), "explicit deny") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// manyStatements is the one identity-based policy of everybody.
type manyStatements string

func (m manyStatements) PoliciesOf(context.Context, Principal) ([]*policy.Document, *policy.Document, error) {
	d, err := policy.Parse(`{"Version":"2012-10-17","Statement":`+string(m)+`}`, policy.Identity)
	return []*policy.Document{d}, nil, err
}

func (manyStatements) ManagedPolicy(context.Context, string, string) (*policy.Document, error) {
	return nil, nil
}

func (manyStatements) PrincipalTags(context.Context, Principal) (map[string]string, error) {
	return nil, nil
}

func (manyStatements) FullARN(_ context.Context, name string) (string, error) { return name, nil }
