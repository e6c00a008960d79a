package iam

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store/storetest"
)

const (
	account  = "123456789012"
	ec2Trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	allowSQS = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`
	allowS3  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
)

func newService(t testing.TB) *Service {
	return New(Config{Store: storetest.New(t), Ring: keyring.Ephemeral()})
}

func as(t testing.TB, token string) context.Context {
	return auth.With(t.Context(), auth.Call{Principal: auth.RootOf(account), Scope: arn.Scope{Account: account, Region: "us-east-1"}, Token: token})
}

// step is a call and the beginning of the error that it must give: "" is none.
type step struct {
	name string
	call func(ctx context.Context) error
	want string
}

func run(t *testing.T, steps []step) {
	t.Helper()
	for _, s := range steps {
		got := ""
		if err := s.call(as(t, "")); err != nil {
			got = err.Error()
		}
		if s.want == "" && got != "" || !strings.HasPrefix(got, s.want) {
			t.Fatalf("%s: %q, want %q", s.name, got, s.want)
		}
	}
}

// did drops an operation's output.
func did[I, O any](op func(context.Context, I) (O, error), in I) func(context.Context) error {
	return func(ctx context.Context) error { _, err := op(ctx, in); return err }
}

func createRole(t *testing.T, s *Service, name string) *api.Role {
	t.Helper()
	out, err := s.CreateRole(as(t, ""), &api.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: ec2Trust})
	if err != nil {
		t.Fatal(err)
	}
	return out.Role
}

// The answers are of the form that AWS was recorded to give.
func TestRole(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	made, err := s.CreateRole(ctx, &api.CreateRoleInput{RoleName: "web", Path: "/role-with-tags/", AssumeRolePolicyDocument: ec2Trust, Tags: []api.Tag{{Key: "test", Value: "value"}}})
	if err != nil {
		t.Fatal(err)
	}
	r := made.Role
	if r.Arn != "arn:aws:iam::123456789012:role/role-with-tags/web" || !strings.HasPrefix(r.RoleId, "AROA") || len(r.RoleId) != 21 || r.MaxSessionDuration != nil || len(r.Tags) != 1 {
		t.Errorf("created %+v", r)
	}
	if doc, err := url.PathUnescape(r.AssumeRolePolicyDocument); err != nil || doc != ec2Trust || strings.ContainsAny(r.AssumeRolePolicyDocument, `{" +`) {
		t.Errorf("document %s", r.AssumeRolePolicyDocument)
	}
	got, err := s.GetRole(ctx, &api.GetRoleInput{RoleName: "web"})
	if err != nil || *got.Role.MaxSessionDuration != 3600 || got.Role.RoleLastUsed == nil || got.Role.RoleId != r.RoleId {
		t.Errorf("got %+v, %v", got.Role, err)
	}
	if _, err := s.UpdateRole(ctx, &api.UpdateRoleInput{RoleName: "web", Description: "d"}); err != nil {
		t.Fatal(err)
	}
	// What is not given stays.
	if _, err := s.UpdateRole(ctx, &api.UpdateRoleInput{RoleName: "web", MaxSessionDuration: new(int32(7200))}); err != nil {
		t.Fatal(err)
	}
	list, err := s.ListRoles(ctx, &api.ListRolesInput{PathPrefix: "/role-with"})
	if err != nil || len(list.Roles) != 1 || list.Roles[0].Description != "d" || *list.Roles[0].MaxSessionDuration != 7200 || list.Roles[0].Tags != nil || *list.IsTruncated {
		t.Errorf("listed %+v, %v", list, err)
	}
}

func TestRoleRefusals(t *testing.T) {
	s := newService(t)
	createRole(t, s, "web")
	create := func(name, doc string) func(context.Context) error {
		return did(s.CreateRole, &api.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: doc})
	}
	run(t, []step{
		{"again", create("web", ec2Trust), "EntityAlreadyExists: Role with name web already exists."},
		{"in another case", create("WEB", ec2Trust), "EntityAlreadyExists: Role with name WEB already exists."},
		{"slash", create("a/b", ec2Trust), "ValidationError: The specified value for roleName is invalid."},
		{"no JSON", create("a", "{"), "MalformedPolicyDocument: This policy contains invalid Json"},
		{"identity policy", create("a", strings.Replace(ec2Trust, "sts:AssumeRole", "sqs:*", 1)), "MalformedPolicyDocument: AssumeRole policy may only specify STS AssumeRole actions."},
		{"too long", create("a", strings.Replace(ec2Trust, "ec2.amazonaws.com", strings.Repeat("a", 2048)+".amazonaws.com", 1)), "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048"},
		{"no boundary", did(s.CreateRole, &api.CreateRoleInput{RoleName: "a", AssumeRolePolicyDocument: ec2Trust, PermissionsBoundary: "arn:aws:iam::123456789012:policy/none"}), "NoSuchEntity: Scope ARN"},
		{"short sessions", did(s.CreateRole, &api.CreateRoleInput{RoleName: "a", AssumeRolePolicyDocument: ec2Trust, MaxSessionDuration: new(int32(60))}), "ValidationError"},
		{"tags twice", did(s.CreateRole, &api.CreateRoleInput{RoleName: "a", AssumeRolePolicyDocument: ec2Trust, Tags: []api.Tag{{Key: "k", Value: "1"}, {Key: "K", Value: "2"}}}), "InvalidInput: Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		{"get none", did(s.GetRole, &api.GetRoleInput{RoleName: "none"}), "NoSuchEntity: The role with name none cannot be found."},
		{"get in another case", did(s.GetRole, &api.GetRoleInput{RoleName: "Web"}), "NoSuchEntity: The role with name Web cannot be found."},
		{"delete none", did(s.DeleteRole, &api.DeleteRoleInput{RoleName: "none"}), "NoSuchEntity"},
		{"update with nonsense", did(s.UpdateAssumeRolePolicy, &api.UpdateAssumeRolePolicyInput{RoleName: "web", PolicyDocument: "[]"}), "MalformedPolicyDocument"},
		{"bad marker", did(s.ListRoles, &api.ListRolesInput{Marker: "x"}), "ValidationError: Invalid Marker: x"},
	})
	other := auth.With(t.Context(), auth.Call{Principal: auth.RootOf("999999999999"), Scope: arn.Scope{Account: "999999999999"}})
	if _, err := s.GetRole(other, &api.GetRoleInput{RoleName: "web"}); !fault.Is(err, fault.NoSuchEntity) {
		t.Errorf("another account sees the role: %v", err)
	}
}

func TestDurableStepOwnsItsRole(t *testing.T) {
	s := newService(t)
	in := &api.CreateRoleInput{RoleName: "web", AssumeRolePolicyDocument: ec2Trust, Tags: []api.Tag{{Key: "aws:cloudformation:stack-name", Value: "s"}}}
	first, err := s.CreateRole(as(t, "step-1"), in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.CreateRole(as(t, "step-1"), in)
	if err != nil || again.Role.RoleId != first.Role.RoleId {
		t.Fatalf("the repeated step made %+v, %v", again, err)
	}
	if _, err := s.CreateRole(as(t, "step-2"), in); !fault.Is(err, fault.EntityAlreadyExists) {
		t.Fatalf("another step took the role: %v", err)
	}
	if _, err := s.TagRole(as(t, ""), &api.TagRoleInput{RoleName: "web", Tags: []api.Tag{{Key: "aws:x", Value: "y"}}}); !fault.Is(err, fault.InvalidInput) {
		t.Fatalf("a caller set an aws: tag: %v", err)
	}
}

func TestRoleIsDeletedLast(t *testing.T) {
	s := newService(t)
	createRole(t, s, "web")
	remove := did(s.DeleteRole, &api.DeleteRoleInput{RoleName: "web"})
	const admin = "arn:aws:iam::aws:policy/AdministratorAccess"
	run(t, []step{
		{"profile", did(s.CreateInstanceProfile, &api.CreateInstanceProfileInput{InstanceProfileName: "p"}), ""},
		{"add", did(s.AddRoleToInstanceProfile, &api.AddRoleToInstanceProfileInput{InstanceProfileName: "p", RoleName: "web"}), ""},
		{"add again", did(s.AddRoleToInstanceProfile, &api.AddRoleToInstanceProfileInput{InstanceProfileName: "p", RoleName: "web"}), "LimitExceeded: Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"},
		{"inline", did(s.PutRolePolicy, &api.PutRolePolicyInput{RoleName: "web", PolicyName: "i", PolicyDocument: allowSQS}), ""},
		{"attach", did(s.AttachRolePolicy, &api.AttachRolePolicyInput{RoleName: "web", PolicyArn: admin}), ""},
		{"delete 1", remove, "DeleteConflict: Cannot delete entity, must remove roles from instance profile first."},
		{"delete the profile", did(s.DeleteInstanceProfile, &api.DeleteInstanceProfileInput{InstanceProfileName: "p"}), "DeleteConflict: Cannot delete entity, must remove roles from instance profile first."},
		{"take out", did(s.RemoveRoleFromInstanceProfile, &api.RemoveRoleFromInstanceProfileInput{InstanceProfileName: "p", RoleName: "web"}), ""},
		{"take out again", did(s.RemoveRoleFromInstanceProfile, &api.RemoveRoleFromInstanceProfileInput{InstanceProfileName: "p", RoleName: "web"}), "NoSuchEntity"},
		{"delete 2", remove, "DeleteConflict: Cannot delete entity, must detach all policies first."},
		{"detach", did(s.DetachRolePolicy, &api.DetachRolePolicyInput{RoleName: "web", PolicyArn: admin}), ""},
		{"detach again", did(s.DetachRolePolicy, &api.DetachRolePolicyInput{RoleName: "web", PolicyArn: admin}), "NoSuchEntity: Policy " + admin + " was not found."},
		{"delete 3", remove, "DeleteConflict: Cannot delete entity, must delete policies first."},
		{"inline away", did(s.DeleteRolePolicy, &api.DeleteRolePolicyInput{RoleName: "web", PolicyName: "i"}), ""},
		{"inline away again", did(s.DeleteRolePolicy, &api.DeleteRolePolicyInput{RoleName: "web", PolicyName: "i"}), "NoSuchEntity: The role policy with name i cannot be found."},
		{"delete 4", remove, ""},
		{"delete 5", remove, "NoSuchEntity"},
		{"the profile", did(s.DeleteInstanceProfile, &api.DeleteInstanceProfileInput{InstanceProfileName: "p"}), ""},
		{"the profile again", did(s.DeleteInstanceProfile, &api.DeleteInstanceProfileInput{InstanceProfileName: "p"}), "NoSuchEntity: Instance Profile p cannot be found."},
	})
}

func TestInlinePolicies(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	createRole(t, s, "web")
	// The document is one that AWS was recorded to keep as it is.
	doc := `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["apigatway:PUT"], "Resource": ["arn:aws:apigateway:us-east-1::/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Faaeeieije"]}]}`
	for _, n := range []string{"b", "a", "c"} {
		if _, err := s.PutRolePolicy(ctx, &api.PutRolePolicyInput{RoleName: "web", PolicyName: n, PolicyDocument: doc}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.GetRolePolicy(ctx, &api.GetRolePolicyInput{RoleName: "web", PolicyName: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := url.PathUnescape(got.PolicyDocument); err != nil || text != doc {
		t.Errorf("document %s", text)
	}
	first, err := s.ListRolePolicies(ctx, &api.ListRolePoliciesInput{RoleName: "web", MaxItems: new(int32(2))})
	if err != nil || strings.Join(first.PolicyNames, " ") != "a b" || !*first.IsTruncated {
		t.Fatalf("%+v, %v", first, err)
	}
	rest, err := s.ListRolePolicies(ctx, &api.ListRolePoliciesInput{RoleName: "web", Marker: first.Marker})
	if err != nil || strings.Join(rest.PolicyNames, " ") != "c" || *rest.IsTruncated {
		t.Fatalf("%+v, %v", rest, err)
	}
	run(t, []step{
		{"malformed", did(s.PutRolePolicy, &api.PutRolePolicyInput{RoleName: "web", PolicyName: "x", PolicyDocument: ec2Trust}), "MalformedPolicyDocument: "},
		{"too large", did(s.PutRolePolicy, &api.PutRolePolicyInput{RoleName: "web", PolicyName: "x", PolicyDocument: strings.Replace(allowSQS, "sqs:*", "sqs:"+strings.Repeat("a", 10240), 1)}), "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role web"},
		{"none", did(s.GetRolePolicy, &api.GetRolePolicyInput{RoleName: "web", PolicyName: "x"}), "NoSuchEntity: The role policy with name x cannot be found."},
		{"no role", did(s.PutRolePolicy, &api.PutRolePolicyInput{RoleName: "none", PolicyName: "x", PolicyDocument: allowSQS}), "NoSuchEntity: The role with name none cannot be found."},
	})
}

func TestManagedPolicy(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	createRole(t, s, "web")
	const a = "arn:aws:iam::123456789012:policy/team/p"
	version := func(doc string, set bool) func(context.Context) error {
		return did(s.CreatePolicyVersion, &api.CreatePolicyVersionInput{PolicyArn: a, PolicyDocument: doc, SetAsDefault: &set})
	}
	run(t, []step{
		{"attach before", did(s.AttachRolePolicy, &api.AttachRolePolicyInput{RoleName: "web", PolicyArn: a}), "NoSuchEntity: Policy " + a + " does not exist or is not attachable."},
		{"create", did(s.CreatePolicy, &api.CreatePolicyInput{PolicyName: "p", Path: "/team/", PolicyDocument: allowSQS, Description: "d"}), ""},
		{"again", did(s.CreatePolicy, &api.CreatePolicyInput{PolicyName: "p", PolicyDocument: allowSQS}), "EntityAlreadyExists: A policy called p already exists. Duplicate names are not allowed."},
		{"v2", version(allowS3, false), ""},
		{"v3", version(allowS3, true), ""},
		{"v4", version(allowS3, false), ""},
		{"v5", version(allowS3, false), ""},
		{"v6", version(allowS3, false), "LimitExceeded: A managed policy can have up to 5 versions."},
		{"delete the default", did(s.DeletePolicyVersion, &api.DeletePolicyVersionInput{PolicyArn: a, VersionId: "v3"}), "DeleteConflict: Cannot delete the default version of a policy."},
		{"delete one", did(s.DeletePolicyVersion, &api.DeletePolicyVersionInput{PolicyArn: a, VersionId: "v4"}), ""},
		{"numbers go on", version(allowS3, false), ""},
		{"get none", did(s.GetPolicyVersion, &api.GetPolicyVersionInput{PolicyArn: a, VersionId: "v4"}), "NoSuchEntity: Policy " + a + " version v4 does not exist or is not attachable."},
		{"attach", did(s.AttachRolePolicy, &api.AttachRolePolicyInput{RoleName: "web", PolicyArn: a}), ""},
		{"attach again", did(s.AttachRolePolicy, &api.AttachRolePolicyInput{RoleName: "web", PolicyArn: a}), ""},
		{"delete in use", did(s.DeletePolicy, &api.DeletePolicyInput{PolicyArn: a}), "DeleteConflict: Cannot delete a policy attached to entities."},
		{"delete none", did(s.DeletePolicy, &api.DeletePolicyInput{PolicyArn: "arn:aws:iam::123456789012:policy/non-existent-policy"}), "NoSuchEntity: Policy arn:aws:iam::123456789012:policy/non-existent-policy was not found."},
		{"without the path", did(s.GetPolicy, &api.GetPolicyInput{PolicyArn: "arn:aws:iam::123456789012:policy/p"}), "NoSuchEntity"},
	})
	got, err := s.GetPolicy(ctx, &api.GetPolicyInput{PolicyArn: a})
	if p := got.Policy; err != nil || p.DefaultVersionId != "v3" || *p.AttachmentCount != 1 || p.Path != "/team/" || !strings.HasPrefix(p.PolicyId, "ANPA") {
		t.Errorf("%+v, %v", got, err)
	}
	list, err := s.ListPolicyVersions(ctx, &api.ListPolicyVersionsInput{PolicyArn: a, MaxItems: new(int32(3))})
	if err != nil || len(list.Versions) != 3 || list.Versions[0].VersionId != "v6" || !*list.IsTruncated {
		t.Errorf("%+v, %v", list, err)
	}
	users, err := s.ListEntitiesForPolicy(ctx, &api.ListEntitiesForPolicyInput{PolicyArn: a})
	if err != nil || len(users.PolicyRoles) != 1 || users.PolicyRoles[0].RoleName != "web" {
		t.Errorf("%+v, %v", users, err)
	}
	local, err := s.ListPolicies(ctx, &api.ListPoliciesInput{Scope: "Local", OnlyAttached: new(true)})
	if err != nil || len(local.Policies) != 1 || local.Policies[0].Arn != a {
		t.Errorf("%+v, %v", local, err)
	}
	run(t, []step{
		{"detach", did(s.DetachRolePolicy, &api.DetachRolePolicyInput{RoleName: "web", PolicyArn: a}), ""},
		{"delete with versions", did(s.DeletePolicy, &api.DeletePolicyInput{PolicyArn: a}), "DeleteConflict: This policy has more than one version."},
		{"-v1", did(s.DeletePolicyVersion, &api.DeletePolicyVersionInput{PolicyArn: a, VersionId: "v1"}), ""},
		{"-v2", did(s.DeletePolicyVersion, &api.DeletePolicyVersionInput{PolicyArn: a, VersionId: "v2"}), ""},
		{"-v5", did(s.DeletePolicyVersion, &api.DeletePolicyVersionInput{PolicyArn: a, VersionId: "v5"}), ""},
		{"-v6", did(s.DeletePolicyVersion, &api.DeletePolicyVersionInput{PolicyArn: a, VersionId: "v6"}), ""},
		{"delete", did(s.DeletePolicy, &api.DeletePolicyInput{PolicyArn: a}), ""},
	})
}

func TestInstanceProfile(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	createRole(t, s, "web")
	run(t, []step{
		{"create", did(s.CreateInstanceProfile, &api.CreateInstanceProfileInput{InstanceProfileName: "p", Path: "/x/"}), ""},
		{"again", did(s.CreateInstanceProfile, &api.CreateInstanceProfileInput{InstanceProfileName: "p"}), "EntityAlreadyExists: Instance Profile p already exists."},
		{"no role", did(s.AddRoleToInstanceProfile, &api.AddRoleToInstanceProfileInput{InstanceProfileName: "p", RoleName: "none"}), "NoSuchEntity: The role with name none cannot be found."},
		{"add", did(s.AddRoleToInstanceProfile, &api.AddRoleToInstanceProfileInput{InstanceProfileName: "p", RoleName: "web"}), ""},
		{"tag", did(s.TagInstanceProfile, &api.TagInstanceProfileInput{InstanceProfileName: "p", Tags: []api.Tag{{Key: "k", Value: "v"}}}), ""},
	})
	got, err := s.GetInstanceProfile(ctx, &api.GetInstanceProfileInput{InstanceProfileName: "p"})
	if p := got.InstanceProfile; err != nil || p.Arn != "arn:aws:iam::123456789012:instance-profile/x/p" || len(p.Roles) != 1 || p.Roles[0].RoleName != "web" || len(p.Tags) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	of, err := s.ListInstanceProfilesForRole(ctx, &api.ListInstanceProfilesForRoleInput{RoleName: "web"})
	if err != nil || len(of.InstanceProfiles) != 1 || of.InstanceProfiles[0].InstanceProfileName != "p" {
		t.Errorf("%+v, %v", of, err)
	}
	if _, err := s.AddRoleToInstanceProfile(as(t, "step"), &api.AddRoleToInstanceProfileInput{InstanceProfileName: "p", RoleName: "web"}); err != nil {
		t.Errorf("a repeated step: %v", err)
	}
	all, err := s.ListInstanceProfiles(ctx, &api.ListInstanceProfilesInput{})
	if err != nil || len(all.InstanceProfiles) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestAccess(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	run(t, []step{
		{"user", did(s.CreateUser, &api.CreateUserInput{UserName: "ann", Path: "/dev/"}), ""},
		{"group", did(s.CreateGroup, &api.CreateGroupInput{GroupName: "ops"}), ""},
		{"member", did(s.AddUserToGroup, &api.AddUserToGroupInput{GroupName: "ops", UserName: "ann"}), ""},
		{"own policy", did(s.PutUserPolicy, &api.PutUserPolicyInput{UserName: "ann", PolicyName: "i", PolicyDocument: allowSQS}), ""},
		{"group's policy", did(s.AttachGroupPolicy, &api.AttachGroupPolicyInput{GroupName: "ops", PolicyArn: "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}), ""},
		{"unknown document", did(s.AttachUserPolicy, &api.AttachUserPolicyInput{UserName: "ann", PolicyArn: "arn:aws:iam::aws:policy/ReadOnlyAccess"}), ""},
	})
	made, err := s.CreateAccessKey(ctx, &api.CreateAccessKeyInput{UserName: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	id := made.AccessKey.AccessKeyId
	key, err := s.Key(ctx, id)
	p := key.Principal
	if err != nil || key.Secret != made.AccessKey.SecretAccessKey || p.Kind != auth.User || p.ARN != "arn:aws:iam::123456789012:user/dev/ann" || !strings.HasPrefix(p.UserID, "AIDA") {
		t.Fatalf("%+v, %v", key, err)
	}
	iam := &auth.IAM{Policies: s}
	may := func(action string) bool {
		err := iam.Authorize(ctx, auth.Request{Principal: p, Service: "sqs", Action: action, Resources: []string{"arn:aws:x:::y"}})
		if err != nil && !fault.Is(err, fault.AccessDenied) && !fault.Is(err, fault.InvalidClientTokenID) {
			t.Fatal(err)
		}
		return err == nil
	}
	if !may("sqs:SendMessage") || !may("s3:GetObject") || may("s3:PutObject") || may("ec2:RunInstances") {
		t.Error("the policies of the user and its group do not decide")
	}
	if _, err := s.PutUserPermissionsBoundary(ctx, &api.PutUserPermissionsBoundaryInput{UserName: "ann", PermissionsBoundary: "arn:aws:iam::aws:policy/AmazonS3FullAccess"}); err != nil {
		t.Fatal(err)
	}
	if may("sqs:SendMessage") || !may("s3:GetObject") {
		t.Error("the boundary does not bound")
	}
	if _, err := s.PutUserPermissionsBoundary(ctx, &api.PutUserPermissionsBoundaryInput{UserName: "ann", PermissionsBoundary: "arn:aws:iam::aws:policy/UnknownAccess"}); err != nil {
		t.Fatal(err)
	}
	if may("s3:GetObject") {
		t.Error("a boundary without a document lets calls through")
	}
	full, err := s.FullARN(ctx, "arn:aws:iam::123456789012:user/ann")
	if err != nil || full != p.ARN {
		t.Errorf("full ARN %s, %v", full, err)
	}
	run(t, []step{
		{"second key", did(s.CreateAccessKey, &api.CreateAccessKeyInput{UserName: "ann"}), ""},
		{"third key", did(s.CreateAccessKey, &api.CreateAccessKeyInput{UserName: "ann"}), "LimitExceeded: Cannot exceed quota for AccessKeysPerUser: 2"},
		{"key of nobody", did(s.CreateAccessKey, &api.CreateAccessKeyInput{UserName: "bob"}), "NoSuchEntity: The user with name bob cannot be found."},
		{"of the root", did(s.CreateAccessKey, &api.CreateAccessKeyInput{}), "NotImplemented: CreateAccessKey without UserName"},
		{"delete with keys", did(s.DeleteUser, &api.DeleteUserInput{UserName: "ann"}), "DeleteConflict: Cannot delete entity, must delete access keys first."},
		{"delete with members", did(s.DeleteGroup, &api.DeleteGroupInput{GroupName: "ops"}), "DeleteConflict: Cannot delete entity, must remove users from group first."},
		{"switch off", did(s.UpdateAccessKey, &api.UpdateAccessKeyInput{UserName: "ann", AccessKeyId: id, Status: "Inactive"}), ""},
	})
	if _, err := s.Key(ctx, id); err != auth.ErrNoKey {
		t.Errorf("an inactive key: %v", err)
	}
	if _, err := s.DeleteAccessKey(ctx, &api.DeleteAccessKeyInput{UserName: "ann", AccessKeyId: id}); err != nil {
		t.Fatal(err)
	}
	keys, err := s.ListAccessKeys(ctx, &api.ListAccessKeysInput{UserName: "ann"})
	if err != nil || len(keys.AccessKeyMetadata) != 1 {
		t.Errorf("%+v, %v", keys, err)
	}
	// A user made anew under the old name has none of the old sessions' rights.
	p.UserID = "AIDAOTHER"
	if may("s3:GetObject") {
		t.Error("a principal that is gone still may")
	}
}

func TestMembership(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	run(t, []step{
		{"user", did(s.CreateUser, &api.CreateUserInput{UserName: "ann"}), ""},
		{"group a", did(s.CreateGroup, &api.CreateGroupInput{GroupName: "a"}), ""},
		{"group b", did(s.CreateGroup, &api.CreateGroupInput{GroupName: "b"}), ""},
		{"join a", did(s.AddUserToGroup, &api.AddUserToGroupInput{GroupName: "a", UserName: "ann"}), ""},
		{"join a again", did(s.AddUserToGroup, &api.AddUserToGroupInput{GroupName: "a", UserName: "ann"}), ""},
		{"join b", did(s.AddUserToGroup, &api.AddUserToGroupInput{GroupName: "b", UserName: "ann"}), ""},
		{"join none", did(s.AddUserToGroup, &api.AddUserToGroupInput{GroupName: "c", UserName: "ann"}), "NoSuchEntity: The group with name c cannot be found."},
		{"leave a", did(s.RemoveUserFromGroup, &api.RemoveUserFromGroupInput{GroupName: "a", UserName: "ann"}), ""},
		{"delete a", did(s.DeleteGroup, &api.DeleteGroupInput{GroupName: "a"}), ""},
		{"delete a member", did(s.DeleteUser, &api.DeleteUserInput{UserName: "ann"}), "DeleteConflict: Cannot delete entity, must remove users from group first."},
	})
	got, err := s.GetGroup(ctx, &api.GetGroupInput{GroupName: "b"})
	if err != nil || len(got.Users) != 1 || got.Users[0].UserName != "ann" {
		t.Errorf("%+v, %v", got, err)
	}
	of, err := s.ListGroupsForUser(ctx, &api.ListGroupsForUserInput{UserName: "ann"})
	if err != nil || len(of.Groups) != 1 || of.Groups[0].GroupName != "b" {
		t.Errorf("%+v, %v", of, err)
	}
	me := auth.With(ctx, auth.Call{Principal: auth.Principal{Kind: auth.User, Name: "ann", Account: account}, Scope: arn.Scope{Account: account}})
	u, err := s.GetUser(me, &api.GetUserInput{})
	if err != nil || u.User.UserName != "ann" || u.User.CreateDate.After(time.Now()) {
		t.Errorf("%+v, %v", u, err)
	}
}
