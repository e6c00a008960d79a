package iam

import (
	"testing"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth/policy"
)

// Every document of AWS is one that the evaluator understands.
func TestAWSManagedPolicies(t *testing.T) {
	all := awsManaged()
	for suffix, p := range all {
		if !isAWSManaged(awsManagedPrefix + suffix) {
			t.Errorf("%s is no name of a policy", suffix)
		}
		if _, err := policy.Parse(string(p.Document), policy.Identity); err != nil {
			t.Errorf("%s: %v", suffix, err)
		}
		if p.Version == "" || p.Created.IsZero() || p.Updated.Before(p.Created) {
			t.Errorf("%s: version %q, %s, %s", suffix, p.Version, p.Created, p.Updated)
		}
	}
	s := newService(t)
	got, err := s.GetPolicy(as(t, ""), &api.GetPolicyInput{PolicyArn: awsManagedPrefix + "/service-role/AWSLambdaBasicExecutionRole"})
	if p := got.Policy; err != nil || p.PolicyName != "AWSLambdaBasicExecutionRole" || p.Path != "/service-role/" || p.DefaultVersionId != "v1" {
		t.Errorf("%+v, %v", got, err)
	}
	list, err := s.ListPolicies(as(t, ""), &api.ListPoliciesInput{Scope: "AWS", MaxItems: new(int32(1000))})
	if err != nil || len(list.Policies) != len(all) {
		t.Errorf("listed %d of %d, %v", len(list.Policies), len(all), err)
	}
	createRole(t, s, "web")
	run(t, []step{
		{"attach one without a document", did(s.AttachRolePolicy, &api.AttachRolePolicyInput{RoleName: "web", PolicyArn: awsManagedPrefix + "/service-role/Unknown"}), ""},
		{"change AWS's", did(s.TagPolicy, &api.TagPolicyInput{PolicyArn: awsManagedPrefix + "/AdministratorAccess"}), "AccessDenied"},
		{"not known", did(s.GetPolicyVersion, &api.GetPolicyVersionInput{PolicyArn: awsManagedPrefix + "/Unknown", VersionId: "v1"}), "NotImplemented: GetPolicyVersion: Slipway has no document of"},
		{"AWS's own", did(s.CreatePolicyVersion, &api.CreatePolicyVersionInput{PolicyArn: awsManagedPrefix + "/AdministratorAccess", PolicyDocument: allowS3}), "AccessDenied"},
	})
}

// What the policies' names promise.
func TestAWSManagedPoliciesDecide(t *testing.T) {
	for _, tt := range []struct {
		name, action string
		want         policy.Decision
	}{
		{"/AdministratorAccess", "iam:CreateUser", policy.Allowed},
		{"/PowerUserAccess", "sqs:SendMessage", policy.Allowed},
		{"/PowerUserAccess", "iam:CreateUser", policy.NoMatch},
		{"/ReadOnlyAccess", "sqs:GetQueueAttributes", policy.Allowed},
		{"/ReadOnlyAccess", "sqs:DeleteQueue", policy.NoMatch},
		{"/AmazonS3ReadOnlyAccess", "s3:GetObject", policy.Allowed},
		{"/AmazonS3ReadOnlyAccess", "s3:PutObject", policy.NoMatch},
		{"/AmazonSSMManagedInstanceCore", "ssm:UpdateInstanceInformation", policy.Allowed},
	} {
		d, err := policy.Parse(string(awsManaged()[tt.name].Document), policy.Identity)
		if err != nil {
			t.Fatal(err)
		}
		if got := policy.Evaluate([]*policy.Document{d}, policy.Request{Action: tt.action, Resource: "arn:aws:x:::y", Context: policy.Given{}}); got != tt.want {
			t.Errorf("%s of %s: %v, want %v", tt.action, tt.name, got, tt.want)
		}
	}
}
