package organizations

import (
	"context"
	"testing"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

const denyQueues = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"sqs:*","Resource":"*"}]}`

// holders is the IAM records of a decision: everybody holds everything.
type holders struct{ auth.Policies }

func (holders) PoliciesOf(context.Context, auth.Principal) ([]*policy.Document, *policy.Document, error) {
	d, err := policy.Parse(fullAccess.Content, policy.Identity)
	return []*policy.Document{d}, nil, err
}

func (holders) FullARN(_ context.Context, arn string) (string, error) { return arn, nil }

func (w *world) may(kind auth.Kind, account, action string) bool {
	w.t.Helper()
	iam := &auth.IAM{Policies: holders{}, Organizations: w.Service}
	err := iam.Authorize(w.t.Context(), auth.Request{
		Principal: auth.Principal{Kind: kind, Account: account, ARN: "arn:aws:iam::" + account + ":user/u", Name: "u", UserID: "AIDAU", Enforced: true},
		Service:   "sqs", Action: action, Resources: []string{"*"}, Context: policy.Context{},
	})
	if err != nil && !fault.Is(err, fault.AccessDenied, fault.AccessDeniedException) {
		w.t.Fatal(err)
	}
	return err == nil
}

// TestServiceControlPoliciesBind looks at decisions as policies come and go.
func TestServiceControlPoliciesBind(t *testing.T) {
	w := newWorld(t)
	root := w.organization()
	w.join(friend)
	ou := w.unit(root, "prod")
	create := &api.CreatePolicyInput{Name: "no queues", Type: api.PolicyTypeServiceControlPolicy, Content: denyQueues}
	p := must[*api.CreatePolicyOutput](t)(w.CreatePolicy(as(management), create)).Policy.PolicySummary.Id
	attach := func(target string) error {
		_, err := w.AttachPolicy(as(management), &api.AttachPolicyInput{PolicyId: p, TargetId: target})
		return err
	}
	wantCode(t, attach(ou), fault.PolicyTypeNotEnabled, "")
	must[*api.EnablePolicyTypeOutput](t)(w.EnablePolicyType(as(management), &api.EnablePolicyTypeInput{RootId: root, PolicyType: api.PolicyTypeServiceControlPolicy}))
	if err := attach(ou); err != nil {
		t.Fatal(err)
	}
	wantCode(t, attach(ou), fault.DuplicatePolicyAttachment, "")
	if !w.may(auth.User, friend, "sqs:SendMessage") {
		t.Error("a policy binds who is not below it")
	}
	must[*api.MoveAccountOutput](t)(w.MoveAccount(as(management), &api.MoveAccountInput{AccountId: friend, SourceParentId: root, DestinationParentId: ou}))
	for _, kind := range []auth.Kind{auth.User, auth.Root, auth.AssumedRole} {
		if w.may(kind, friend, "sqs:SendMessage") {
			t.Errorf("a %s may do what a service control policy denies", kind)
		}
		if !w.may(kind, friend, "s3:ListAllMyBuckets") {
			t.Errorf("a %s may not do what every level allows", kind)
		}
	}
	// The management account is never bound, and a level without an Allow allows nothing.
	must[*api.AttachPolicyOutput](t)(w.AttachPolicy(as(management), &api.AttachPolicyInput{PolicyId: p, TargetId: root}))
	if !w.may(auth.User, management, "sqs:SendMessage") {
		t.Error("the management account is bound")
	}
	must[*api.DetachPolicyOutput](t)(w.DetachPolicy(as(management), &api.DetachPolicyInput{PolicyId: fullAccess.ID, TargetId: ou}))
	if w.may(auth.Root, friend, "s3:ListAllMyBuckets") {
		t.Error("a level without an Allow allows")
	}
	_, err := w.DetachPolicy(as(management), &api.DetachPolicyInput{PolicyId: p, TargetId: ou})
	wantCode(t, err, fault.ConstraintViolation, "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED")
	_, err = w.DeletePolicy(as(management), &api.DeletePolicyInput{PolicyId: p})
	wantCode(t, err, fault.PolicyInUse, "")
	targets := must[*api.ListTargetsForPolicyOutput](t)(w.ListTargetsForPolicy(as(management), &api.ListTargetsForPolicyInput{PolicyId: p})).Targets
	if len(targets) != 2 {
		t.Errorf("the policy is attached to %v", targets)
	}
	must[*api.DisablePolicyTypeOutput](t)(w.DisablePolicyType(as(management), &api.DisablePolicyTypeInput{RootId: root, PolicyType: api.PolicyTypeServiceControlPolicy}))
	if !w.may(auth.User, friend, "sqs:SendMessage") {
		t.Error("policies of a type that is off bind")
	}
	must[*api.DeletePolicyOutput](t)(w.DeletePolicy(as(management), &api.DeletePolicyInput{PolicyId: p}))
	must[*api.CloseAccountOutput](t)(w.CloseAccount(as(management), &api.CloseAccountInput{AccountId: friend}))
	if w.may(auth.Root, friend, "s3:ListAllMyBuckets") {
		t.Error("an account that was closed may act")
	}
}

// TestDelegatedAdministratorsNeedNoResourcePolicy has an account that may look into
// the management account's organization ask by its own policies alone.
func TestDelegatedAdministratorsNeedNoResourcePolicy(t *testing.T) {
	w := newWorld(t)
	w.organization()
	w.join(friend)
	for _, account := range []string{management, friend} {
		iam := &auth.IAM{Policies: holders{}, Organizations: w.Service, Resources: map[string]auth.ResourcePolicies{"organizations": w.Service}}
		call := auth.Call{
			Principal: auth.Principal{Kind: auth.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/u", Name: "u", UserID: "AIDAU", Enforced: true},
			Scope:     arn.Scope{Account: account, Region: "us-east-1"}, Service: "organizations", Operation: "DescribeAccount",
		}
		for _, r := range call.Requests(&api.DescribeAccountInput{AccountId: management}) {
			if err := iam.Authorize(t.Context(), r); err != nil {
				t.Errorf("%s: %v", account, err)
			}
		}
	}
}

func TestPolicyRules(t *testing.T) {
	w := newWorld(t)
	w.organization()
	create := func(name, kind, content string) error {
		_, err := w.CreatePolicy(as(management), &api.CreatePolicyInput{Name: name, Type: kind, Content: content})
		return err
	}
	wantCode(t, create("t", api.PolicyTypeTagPolicy, "{}"), fault.NotImplemented, "")
	wantCode(t, create("t", api.PolicyTypeServiceControlPolicy, `{"Statement":[]`), fault.OrganizationsMalformedPolicy, "")
	if err := create("t", api.PolicyTypeServiceControlPolicy, denyQueues); err != nil {
		t.Fatal(err)
	}
	wantCode(t, create("t", api.PolicyTypeServiceControlPolicy, denyQueues), fault.DuplicatePolicy, "")
	_, err := w.UpdatePolicy(as(management), &api.UpdatePolicyInput{PolicyId: fullAccess.ID, Name: "mine"})
	wantCode(t, err, fault.InvalidInputException, "IMMUTABLE_POLICY")
	list := must[*api.ListPoliciesOutput](t)(w.ListPolicies(as(management), &api.ListPoliciesInput{Filter: api.PolicyTypeServiceControlPolicy})).Policies
	if len(list) != 2 || !*list[0].AwsManaged {
		t.Errorf("the policies are %+v", list)
	}

	billing := newWorld(t)
	must[*api.CreateOrganizationOutput](t)(billing.CreateOrganization(as(management), &api.CreateOrganizationInput{FeatureSet: "CONSOLIDATED_BILLING"}))
	_, err = billing.CreatePolicy(as(management), &api.CreatePolicyInput{Name: "t", Type: api.PolicyTypeServiceControlPolicy, Content: denyQueues})
	wantCode(t, err, fault.PolicyTypeNotAvailable, "")
	_, err = billing.EnableAWSServiceAccess(as(management), &api.EnableAWSServiceAccessInput{ServicePrincipal: "ram.amazonaws.com"})
	wantCode(t, err, fault.ConstraintViolation, "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE")
}
