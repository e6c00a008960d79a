package iam

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/iam"
	"github.com/slipway/slipway/store/storetest"
)

func newTypes(t *testing.T) (api.Service, func(name string) cfn.Type) {
	svc := iam.New(iam.Config{Store: storetest.New(t), Ring: keyring.Ephemeral()})
	types := &cfn.Registry{}
	types.Add(Types(svc)...)
	return svc, func(name string) cfn.Type {
		t.Helper()
		typ, ok := types.Lookup(name)
		if !ok {
			t.Fatalf("no type %s", name)
		}
		return typ
	}
}

func as(t *testing.T, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf("123456789012"), Scope: arn.Scope{Account: "123456789012", Region: "us-east-1"}, Token: token,
	})
}

func request(token, physicalID string, properties, prior cfn.Properties) cfn.Request {
	return cfn.Request{
		StackName: "stack", LogicalID: "Web", PhysicalID: physicalID, Token: token, Name: "stack-Web-ABCDEF123456",
		Properties: properties, Prior: prior, Tags: map[string]string{"aws:cloudformation:stack-name": "stack"},
		Progress: func(string) {}, Initiated: func(string) {},
	}
}

func document(principal any, action string) map[string]any {
	s := map[string]any{"Effect": "Allow", "Action": action}
	if principal != nil {
		s["Principal"] = principal
	} else {
		s["Resource"] = "*"
	}
	return map[string]any{"Version": "2012-10-17", "Statement": []any{s}}
}

var trust = document(map[string]any{"Service": "ec2.amazonaws.com"}, "sts:AssumeRole")

const core = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"

func TestRole(t *testing.T) {
	svc, lookup := newTypes(t)
	role := lookup("AWS::IAM::Role")
	props := cfn.Properties{
		"AssumeRolePolicyDocument": trust, "Description": "d", "Path": "/web/", "ManagedPolicyArns": []any{core},
		"Policies": []any{map[string]any{"PolicyName": "p", "PolicyDocument": document(nil, "sqs:*")}},
		"Tags":     []any{map[string]any{"Key": "k", "Value": "v"}},
	}
	var made cfn.Result
	for range 2 { // the second is the step repeated after a crash
		var err error
		if made, err = role.Create(as(t, "create"), request("create", "", props, nil)); err != nil {
			t.Fatal(err)
		}
	}
	const name = "stack-Web-ABCDEF123456"
	if made.PhysicalID != name || made.Attributes["Arn"] != "arn:aws:iam::123456789012:role/web/"+name || !strings.HasPrefix(made.Attributes["RoleId"].(string), "AROA") {
		t.Fatalf("made %+v", made)
	}
	if _, err := role.Create(as(t, "other"), request("other", "", props, nil)); !fault.Is(err, fault.EntityAlreadyExists) {
		t.Errorf("another resource took the role: %v", err)
	}
	read, err := role.Read(as(t, ""), request("", name, props, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := cfn.Properties{"RoleName": name, "MaxSessionDuration": int64(3600), "Arn": made.Attributes["Arn"], "RoleId": made.Attributes["RoleId"]}
	for k, v := range props {
		want[k] = v
	}
	if d := cmp.Diff(want, read); d != "" {
		t.Error(d)
	}
	next := cfn.Properties{
		"AssumeRolePolicyDocument": document(map[string]any{"Service": "lambda.amazonaws.com"}, "sts:AssumeRole"), "Path": "/web/",
		"MaxSessionDuration": int64(7200), "Policies": []any{map[string]any{"PolicyName": "q", "PolicyDocument": document(nil, "s3:*")}},
	}
	for range 2 {
		if _, err := role.Update(as(t, "update"), request("update", name, next, props)); err != nil {
			t.Fatal(err)
		}
	}
	read, err = role.Read(as(t, ""), request("", name, next, nil))
	want = cfn.Properties{"RoleName": name, "Arn": made.Attributes["Arn"], "RoleId": made.Attributes["RoleId"]}
	for k, v := range next {
		want[k] = v
	}
	if d := cmp.Diff(want, read); d != "" || err != nil {
		t.Errorf("%s, %v", d, err)
	}
	if names, err := role.List(as(t, "")); err != nil || len(names) != 1 {
		t.Errorf("listed %v, %v", names, err)
	}
	// What somebody else gave the role, the stack does not take away.
	if _, err := svc.AttachRolePolicy(as(t, ""), &api.AttachRolePolicyInput{RoleName: name, PolicyArn: core}); err != nil {
		t.Fatal(err)
	}
	if err := role.Delete(as(t, "delete"), request("delete", name, next, nil)); !fault.Is(err, fault.DeleteConflict) {
		t.Fatalf("deleted with another's policy: %v", err)
	}
	if _, err := svc.DetachRolePolicy(as(t, ""), &api.DetachRolePolicyInput{RoleName: name, PolicyArn: core}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := role.Delete(as(t, "delete"), request("delete", name, next, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := role.Read(as(t, ""), request("", name, next, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after delete: %v", err)
	}
}

// TestRoleThatFailsIsNamed: a role that could not get its policies is there and
// must be told of, so that the engine deletes it.
func TestRoleThatFailsIsNamed(t *testing.T) {
	_, lookup := newTypes(t)
	role := lookup("AWS::IAM::Role")
	props := cfn.Properties{"AssumeRolePolicyDocument": trust, "ManagedPolicyArns": []any{"arn:aws:iam::123456789012:policy/none"}}
	made, err := role.Create(as(t, "c"), request("c", "", props, nil))
	if !fault.Is(err, fault.NoSuchEntity) || made.PhysicalID == "" {
		t.Fatalf("%+v, %v", made, err)
	}
	if err := role.Delete(as(t, "d"), request("d", made.PhysicalID, props, nil)); err != nil {
		t.Errorf("delete what is left: %v", err)
	}
}

func TestInstanceProfile(t *testing.T) {
	svc, lookup := newTypes(t)
	role, profile := lookup("AWS::IAM::Role"), lookup("AWS::IAM::InstanceProfile")
	for _, n := range []string{"a", "b"} {
		if _, err := role.Create(as(t, n), request(n, "", cfn.Properties{"RoleName": n, "AssumeRolePolicyDocument": trust}, nil)); err != nil {
			t.Fatal(err)
		}
	}
	props := cfn.Properties{"Roles": []any{"a"}}
	var made cfn.Result
	for range 2 {
		var err error
		if made, err = profile.Create(as(t, "c"), request("c", "", props, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(cfn.Result{PhysicalID: "stack-Web-ABCDEF123456", Attributes: cfn.Properties{"Arn": "arn:aws:iam::123456789012:instance-profile/stack-Web-ABCDEF123456"}}, made); d != "" {
		t.Fatal(d)
	}
	next := cfn.Properties{"Roles": []any{"b"}}
	for range 2 {
		if _, err := profile.Update(as(t, "u"), request("u", made.PhysicalID, next, props)); err != nil {
			t.Fatal(err)
		}
	}
	read, err := profile.Read(as(t, ""), request("", made.PhysicalID, next, nil))
	if d := cmp.Diff(cfn.Properties{"InstanceProfileName": made.PhysicalID, "Path": "/", "Roles": []any{"b"}, "Arn": made.Attributes["Arn"]}, read); d != "" || err != nil {
		t.Errorf("%s, %v", d, err)
	}
	if names, err := profile.List(as(t, "")); err != nil || len(names) != 1 {
		t.Errorf("listed %v, %v", names, err)
	}
	for range 2 {
		if err := profile.Delete(as(t, "d"), request("d", made.PhysicalID, next, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := svc.GetInstanceProfile(as(t, ""), &api.GetInstanceProfileInput{InstanceProfileName: made.PhysicalID}); !fault.Is(err, fault.NoSuchEntity) {
		t.Errorf("after delete: %v", err)
	}
}

func TestPolicy(t *testing.T) {
	svc, lookup := newTypes(t)
	role, policy := lookup("AWS::IAM::Role"), lookup("AWS::IAM::Policy")
	for _, n := range []string{"a", "b"} {
		if _, err := role.Create(as(t, n), request(n, "", cfn.Properties{"RoleName": n, "AssumeRolePolicyDocument": trust}, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := svc.CreateUser(as(t, ""), &api.CreateUserInput{UserName: "u"}); err != nil {
		t.Fatal(err)
	}
	if _, err := svc.CreateGroup(as(t, ""), &api.CreateGroupInput{GroupName: "g"}); err != nil {
		t.Fatal(err)
	}
	props := cfn.Properties{"PolicyName": "p", "PolicyDocument": document(nil, "sqs:*"), "Roles": []any{"a", "b"}}
	made, err := policy.Create(as(t, "c"), request("c", "", props, nil))
	if err != nil {
		t.Fatal(err)
	}
	next := cfn.Properties{"PolicyName": "q", "PolicyDocument": document(nil, "s3:*"), "Roles": []any{"b"}, "Users": []any{"u"}, "Groups": []any{"g"}}
	for range 2 {
		if _, err := policy.Update(as(t, "u"), request("u", made.PhysicalID, next, props)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"a": "", "b": "q"} {
		out, err := svc.ListRolePolicies(as(t, ""), &api.ListRolePoliciesInput{RoleName: name})
		if err != nil || strings.Join(out.PolicyNames, " ") != want {
			t.Errorf("role %s has %v, %v", name, out, err)
		}
	}
	read, err := policy.Read(as(t, ""), request("", made.PhysicalID, next, nil))
	want := cfn.Properties{"Id": made.PhysicalID}
	for k, v := range next {
		want[k] = v
	}
	if d := cmp.Diff(want, read); d != "" || err != nil {
		t.Errorf("%s, %v", d, err)
	}
	for range 2 {
		if err := policy.Delete(as(t, "d"), request("d", made.PhysicalID, next, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := policy.Read(as(t, ""), request("", made.PhysicalID, next, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after delete: %v", err)
	}
	if _, err := policy.Create(as(t, "n"), request("n", "", cfn.Properties{"PolicyName": "p", "PolicyDocument": document(nil, "s3:*")}, nil)); !fault.Is(err, fault.ValidationError) {
		t.Errorf("a policy of nobody: %v", err)
	}
}
