package organizations

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/organizations"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/workflow"
)

// roles is an IAM that makes every role.
type roles struct{ iam.Unimplemented }

func (roles) CreateRole(context.Context, *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
	return &iam.CreateRoleOutput{}, nil
}

func (roles) AttachRolePolicy(context.Context, *iam.AttachRolePolicyInput) (*iam.AttachRolePolicyOutput, error) {
	return &iam.AttachRolePolicyOutput{}, nil
}

func newTypes(t *testing.T) map[string]cfn.Type {
	st := storetest.New(t)
	e := workflow.New(workflow.Config{Store: st})
	svc := organizations.New(organizations.Config{Store: st, Workflows: e, IAM: roles{}})
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	types := map[string]cfn.Type{}
	for _, one := range Types(svc) {
		types[one.Name] = one
	}
	return types
}

func as(t *testing.T, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf("123456789012"), Scope: arn.Scope{Account: "123456789012", Region: "us-east-1"}, Token: token,
	})
}

// create makes a resource twice under one token, as a step that is repeated does.
func create(t *testing.T, one cfn.Type, token string, p cfn.Properties) cfn.Result {
	t.Helper()
	var made cfn.Result
	for range 2 {
		got, err := one.Create(as(t, token), cfn.Request{Token: token, Properties: p, Tags: map[string]string{"aws:cloudformation:stack-name": "s"}})
		if err != nil {
			t.Fatal(err)
		}
		if made.PhysicalID != "" && got.PhysicalID != made.PhysicalID {
			t.Fatalf("%s: made %s and %s", one.Name, made.PhysicalID, got.PhysicalID)
		}
		made = got
	}
	return made
}

// wantRead reads a resource and compares what the template can say of it.
func wantRead(t *testing.T, one cfn.Type, made cfn.Result, want cfn.Properties) {
	t.Helper()
	got, err := one.Read(as(t, ""), cfn.Request{PhysicalID: made.PhysicalID})
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range made.Attributes {
		if d := cmp.Diff(v, got[k]); d != "" {
			t.Errorf("%s: the attribute %s (-made +read):\n%s", one.Name, k, d)
		}
		delete(got, k)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +read):\n%s", one.Name, d)
	}
}

func TestTree(t *testing.T) {
	types := newTypes(t)
	organization, unit, account, policy := types[organizationName], types[unitName], types[accountName], types[policyName]
	o := create(t, organization, "o", cfn.Properties{"FeatureSet": "ALL"})
	root, _ := o.Attributes["RootId"].(string)
	wantRead(t, organization, o, cfn.Properties{"FeatureSet": "ALL"})

	props := cfn.Properties{"Name": "prod", "ParentId": root, "Tags": []any{map[string]any{"Key": "k", "Value": "v"}}}
	u := create(t, unit, "u", props)
	wantRead(t, unit, u, props)
	renamed := cfn.Properties{"Name": "live", "ParentId": root}
	if _, err := unit.Update(as(t, "u2"), cfn.Request{PhysicalID: u.PhysicalID, Properties: renamed, Prior: props}); err != nil {
		t.Fatal(err)
	}
	wantRead(t, unit, u, renamed)

	props = cfn.Properties{"AccountName": "web", "Email": "web@example.com", "ParentIds": []any{u.PhysicalID}}
	a := create(t, account, "a", props)
	wantRead(t, account, a, props)
	other := cfn.Properties{"AccountName": "web", "Email": "other@example.com"}
	if _, err := account.Update(as(t, "a2"), cfn.Request{PhysicalID: a.PhysicalID, Properties: other, Prior: props}); !fault.Is(err, fault.InvalidRequest) {
		t.Errorf("another address: %v", err)
	}
	at := cfn.Properties{"AccountName": "web", "Email": "web@example.com", "ParentIds": []any{root}}
	moved, err := account.Update(as(t, "a3"), cfn.Request{PhysicalID: a.PhysicalID, Properties: at, Prior: props})
	if err != nil {
		t.Fatal(err)
	}
	wantRead(t, account, moved, at)

	doc := map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Deny", "Action": "sqs:*", "Resource": "*"}}}
	props = cfn.Properties{"Name": "none", "Type": api.PolicyTypeServiceControlPolicy, "Content": doc}
	p := create(t, policy, "p", props)
	wantRead(t, policy, p, props)
	props["TargetIds"] = []any{u.PhysicalID}
	if _, err := policy.Update(as(t, "p2"), cfn.Request{PhysicalID: p.PhysicalID, Properties: props}); !fault.Is(err, fault.PolicyTypeNotEnabled) {
		t.Errorf("attached a policy of a type that is not enabled: %v", err)
	}

	for _, d := range []struct {
		one cfn.Type
		id  string
	}{{policy, p.PhysicalID}, {account, a.PhysicalID}, {unit, u.PhysicalID}} {
		for range 2 { // what is gone already is no error
			if err := d.one.Delete(as(t, "d"), cfn.Request{PhysicalID: d.id}); err != nil {
				t.Errorf("%s: %v", d.one.Name, err)
			}
		}
	}
	if err := organization.Delete(as(t, "d"), cfn.Request{PhysicalID: o.PhysicalID}); !fault.Is(err, fault.OrganizationNotEmpty) {
		t.Errorf("an organization with an account: %v", err)
	}
	if ids, err := account.List(as(t, "")); err != nil || len(ids) != 2 {
		t.Errorf("the accounts are %v, %v", ids, err)
	}
}
