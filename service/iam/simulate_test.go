package iam

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/iam"
)

func TestSimulateCustomPolicy(t *testing.T) {
	s := newService(t)
	const (
		allow    = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`
		denyPut  = "{\"Version\":\"2012-10-17\",\"Statement\":[\n  {\"Effect\":\"Deny\",\"Action\":\"s3:Put*\",\"Resource\":\"*\"}]}"
		fromHome = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}`
		onlyGet  = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}`
		bucket   = "arn:aws:s3:::b"
		open     = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/ann"},"Action":"s3:GetObject","Resource":"*"}}`
		ann      = "arn:aws:iam::123456789012:user/ann"
	)
	home := []api.ContextEntry{{ContextKeyName: "aws:SourceIp", ContextKeyValues: []string{"10.1.2.3"}, ContextKeyType: "ip"}}
	away := []api.ContextEntry{{ContextKeyName: "AWS:sourceip", ContextKeyValues: []string{"11.1.2.3"}, ContextKeyType: "ip"}}
	type result struct {
		Decision, Sources, Missing string
		Boundary                   *bool
		Details                    map[string]string
	}
	none := map[string]string{}
	for _, tt := range []struct {
		name string
		in   api.SimulateCustomPolicyInput
		want result
	}{
		{"allowed", api.SimulateCustomPolicyInput{PolicyInputList: []string{allow}}, result{"allowed", "PolicyInputList.1@1:38", "", nil, none}},
		{"nothing allows", api.SimulateCustomPolicyInput{PolicyInputList: []string{onlyGet}}, result{"implicitDeny", "", "", nil, none}},
		{"deny wins, and is found", api.SimulateCustomPolicyInput{PolicyInputList: []string{allow, denyPut}}, result{"explicitDeny", "PolicyInputList.2@2:4", "", nil, none}},
		{"condition met", api.SimulateCustomPolicyInput{PolicyInputList: []string{fromHome}, ContextEntries: home}, result{"allowed", "PolicyInputList.1@1:38", "", nil, none}},
		{"condition not met", api.SimulateCustomPolicyInput{PolicyInputList: []string{fromHome}, ContextEntries: away}, result{"implicitDeny", "", "", nil, none}},
		{"key missing", api.SimulateCustomPolicyInput{PolicyInputList: []string{fromHome}}, result{"implicitDeny", "", "aws:SourceIp", nil, none}},
		{"bounded", api.SimulateCustomPolicyInput{PolicyInputList: []string{allow}, PermissionsBoundaryPolicyInputList: []string{onlyGet}}, result{"implicitDeny", "", "", new(false), none}},
		{"within the boundary", api.SimulateCustomPolicyInput{PolicyInputList: []string{allow}, PermissionsBoundaryPolicyInputList: []string{allow}},
			result{"allowed", "PolicyInputList.1@1:38 PermissionsBoundaryPolicyInputList.1@1:38", "", new(true), none}},
		{"another account's resource", api.SimulateCustomPolicyInput{PolicyInputList: []string{allow}, ResourcePolicy: open, CallerArn: ann, ResourceOwner: "999999999999"},
			result{"implicitDeny", "", "", nil, map[string]string{"IAM Policy": "allowed", "Resource Policy": "implicitDeny"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.ActionNames, tt.in.ResourceArns = []string{"s3:PutObject"}, []string{bucket}
			out, err := s.SimulateCustomPolicy(as(t, ""), &tt.in)
			if err != nil || len(out.EvaluationResults) != 1 {
				t.Fatalf("%+v, %v", out, err)
			}
			r := out.EvaluationResults[0]
			got := result{Decision: r.EvalDecision, Missing: strings.Join(r.MissingContextValues, " "), Details: r.EvalDecisionDetails}
			var sources []string
			for _, m := range r.MatchedStatements {
				sources = append(sources, fmt.Sprintf("%s@%d:%d", m.SourcePolicyId, *m.StartPosition.Line, *m.StartPosition.Column))
			}
			got.Sources = strings.Join(sources, " ")
			if r.PermissionsBoundaryDecisionDetail != nil {
				got.Boundary = r.PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if on := r.ResourceSpecificResults; len(on) != 1 || on[0].EvalResourceName != bucket || on[0].EvalResourceDecision != r.EvalDecision || r.OrganizationsDecisionDetail != nil {
				t.Errorf("%+v", r)
			}
		})
	}
	run(t, []step{
		{"wildcard action", did(s.SimulateCustomPolicy, &api.SimulateCustomPolicyInput{PolicyInputList: []string{allow}, ActionNames: []string{"s3:*"}}), "InvalidInput: Invalid Action: s3:*"},
		{"malformed", did(s.SimulateCustomPolicy, &api.SimulateCustomPolicyInput{PolicyInputList: []string{allow, "{"}, ActionNames: []string{"s3:Get"}}), "InvalidInput: PolicyInputList.2: "},
		{"no caller", did(s.SimulateCustomPolicy, &api.SimulateCustomPolicyInput{PolicyInputList: []string{allow}, ResourcePolicy: open, ActionNames: []string{"s3:Get"}}), "InvalidInput: CallerArn"},
		{"scenario", did(s.SimulateCustomPolicy, &api.SimulateCustomPolicyInput{PolicyInputList: []string{allow}, ResourceHandlingOption: "x", ActionNames: []string{"s3:Get"}}), "NotImplemented: ResourceHandlingOption"},
		{"marker", did(s.SimulateCustomPolicy, &api.SimulateCustomPolicyInput{PolicyInputList: []string{allow}, ActionNames: []string{"s3:Get"}, Marker: "-1"}), "ValidationError: Invalid Marker"},
	})
}

// Every action is decided on every resource, page by page.
func TestSimulationPages(t *testing.T) {
	s := newService(t)
	in := &api.SimulateCustomPolicyInput{
		PolicyInputList: []string{allowSQS}, ActionNames: []string{"sqs:A", "sqs:B", "s3:C"}, ResourceArns: []string{"arn:aws:sqs:::x", "arn:aws:sqs:::y"}, MaxItems: new(int32(4)),
	}
	var got []string
	for {
		out, err := s.SimulateCustomPolicy(as(t, ""), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.EvaluationResults {
			got = append(got, r.EvalActionName+" "+r.EvalResourceName[len(r.EvalResourceName)-1:]+" "+r.EvalDecision)
		}
		if *out.IsTruncated != (out.Marker != "") {
			t.Error("truncated without a marker, or the other way around")
		}
		if in.Marker = out.Marker; in.Marker == "" {
			break
		}
	}
	if want := "sqs:A x allowed, sqs:A y allowed, sqs:B x allowed, sqs:B y allowed, s3:C x implicitDeny, s3:C y implicitDeny"; strings.Join(got, ", ") != want {
		t.Errorf("got %v", got)
	}
}

// A principal's own policies count, those of its groups, and its boundary.
func TestSimulatePrincipalPolicy(t *testing.T) {
	s := newService(t)
	const ann, bounds = "arn:aws:iam::123456789012:user/team/ann", "arn:aws:iam::123456789012:policy/bounds"
	run(t, []step{
		{"boundary", did(s.CreatePolicy, &api.CreatePolicyInput{PolicyName: "bounds", PolicyDocument: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["sqs:*","s3:Get*"],"Resource":"*"}}`}), ""},
		{"user", did(s.CreateUser, &api.CreateUserInput{UserName: "ann", Path: "/team/", PermissionsBoundary: bounds}), ""},
		{"group", did(s.CreateGroup, &api.CreateGroupInput{GroupName: "g"}), ""},
		{"member", did(s.AddUserToGroup, &api.AddUserToGroupInput{GroupName: "g", UserName: "ann"}), ""},
		{"inline", did(s.PutUserPolicy, &api.PutUserPolicyInput{UserName: "ann", PolicyName: "own", PolicyDocument: allowSQS}), ""},
		{"of the group", did(s.PutGroupPolicy, &api.PutGroupPolicyInput{GroupName: "g", PolicyName: "shared", PolicyDocument: allowS3}), ""},
	})
	out, err := s.SimulatePrincipalPolicy(as(t, ""), &api.SimulatePrincipalPolicyInput{PolicySourceArn: ann, ActionNames: []string{"sqs:Send", "s3:GetObject", "s3:PutObject", "ec2:Run"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range out.EvaluationResults {
		word := r.EvalDecision
		for _, m := range r.MatchedStatements {
			word += " " + m.SourcePolicyId
		}
		got = append(got, word)
	}
	want := []string{"allowed user_ann_own bounds", "allowed group_g_shared bounds", "implicitDeny", "implicitDeny"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	keys, err := s.GetContextKeysForPrincipalPolicy(as(t, ""), &api.GetContextKeysForPrincipalPolicyInput{PolicySourceArn: ann, PolicyInputList: []string{
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username}","Condition":{"Bool":{"aws:SecureTransport":"true"}}}}`}})
	if d := cmp.Diff([]string{"aws:SecureTransport", "aws:username"}, keys.ContextKeyNames); d != "" || err != nil {
		t.Error(d, err)
	}
	granting, err := s.ListPoliciesGrantingServiceAccess(as(t, ""), &api.ListPoliciesGrantingServiceAccessInput{Arn: ann, ServiceNamespaces: []string{"s3", "sqs", "ec2"}})
	if err != nil {
		t.Fatal(err)
	}
	wantGranting := []api.ListPoliciesGrantingServiceAccessEntry{
		{ServiceNamespace: "s3", Policies: []api.PolicyGrantingServiceAccess{{PolicyName: "shared", PolicyType: "INLINE", EntityType: "GROUP", EntityName: "g"}}},
		{ServiceNamespace: "sqs", Policies: []api.PolicyGrantingServiceAccess{{PolicyName: "own", PolicyType: "INLINE", EntityType: "USER", EntityName: "ann"}}},
		{ServiceNamespace: "ec2", Policies: []api.PolicyGrantingServiceAccess{}},
	}
	if d := cmp.Diff(wantGranting, granting.PoliciesGrantingServiceAccess); d != "" {
		t.Error(d)
	}
	run(t, []step{
		{"no entity", did(s.SimulatePrincipalPolicy, &api.SimulatePrincipalPolicyInput{PolicySourceArn: bounds, ActionNames: []string{"s3:Get"}}), "InvalidInput: Invalid Entity Arn"},
		{"nobody", did(s.SimulatePrincipalPolicy, &api.SimulatePrincipalPolicyInput{PolicySourceArn: "arn:aws:iam::123456789012:user/none", ActionNames: []string{"s3:Get"}}), "NoSuchEntity"},
	})
}
