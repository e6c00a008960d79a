package iam

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

func TestAccountAlias(t *testing.T) {
	s := newService(t)
	create := func(name string) func() *api.CreateAccountAliasInput {
		return func() *api.CreateAccountAliasInput { return &api.CreateAccountAliasInput{AccountAlias: name} }
	}
	steps := []step{
		{"create", did(s.CreateAccountAlias, create("acme")()), ""},
		{"another takes its place", did(s.CreateAccountAlias, create("acme-2")()), ""},
		{"again", did(s.CreateAccountAlias, create("acme-2")()), "EntityAlreadyExists: The account alias acme-2 already exists."},
		{"delete none", did(s.DeleteAccountAlias, &api.DeleteAccountAliasInput{AccountAlias: "acme"}), "NoSuchEntity: The account alias acme cannot be found."},
	}
	for _, bad := range []string{"ab", "-acme", "acme-", "a--b", "Acme", "123456789012", strings.Repeat("a", 64)} {
		steps = append(steps, step{bad, did(s.CreateAccountAlias, create(bad)()), "ValidationError"})
	}
	run(t, steps)
	other := auth.With(t.Context(), auth.Call{Principal: auth.RootOf("999999999999"), Scope: arn.Scope{Account: "999999999999"}})
	if _, err := s.CreateAccountAlias(other, create("acme-2")()); err == nil {
		t.Error("two accounts have one alias")
	}
	if _, err := s.DeleteAccountAlias(other, &api.DeleteAccountAliasInput{AccountAlias: "acme-2"}); err == nil {
		t.Error("another account deleted the alias")
	}
	out, err := s.ListAccountAliases(as(t, ""), &api.ListAccountAliasesInput{})
	if err != nil || strings.Join(out.AccountAliases, " ") != "acme-2" {
		t.Errorf("%+v, %v", out, err)
	}
}

// Quotas hold, also for what was made before it was counted.
func TestQuotas(t *testing.T) {
	s := newService(t)
	fill := func(n int) {
		t.Helper()
		err := s.store.Update(t.Context(), func(tx store.Tx) error {
			for i := range n {
				name := fmt.Sprintf("g%03d", i)
				if err := groups.Put(tx, nounKey(account, name), &group{Name: name, Path: "/", ID: "AGPA" + name}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fill(groups.limit - 1)
	run(t, []step{
		{"the last", did(s.CreateGroup, &api.CreateGroupInput{GroupName: "last"}), ""},
		{"one more", did(s.CreateGroup, &api.CreateGroupInput{GroupName: "more"}), "LimitExceeded: Cannot exceed quota for GroupsPerAccount: 300"},
		{"room", did(s.DeleteGroup, &api.DeleteGroupInput{GroupName: "last"}), ""},
		{"now it fits", did(s.CreateGroup, &api.CreateGroupInput{GroupName: "more"}), ""},
	})
	out, err := s.GetAccountSummary(as(t, ""), &api.GetAccountSummaryInput{})
	if err != nil || out.SummaryMap["Groups"] != 300 || out.SummaryMap["GroupsQuota"] != 300 || out.SummaryMap["AccountAccessKeysPresent"] != 0 {
		t.Errorf("%v, %v", out, err)
	}
}

func TestAccountSummary(t *testing.T) {
	s := newService(t)
	if _, _, err := auth.EnsureRoot(t.Context(), s.store, s.ring); err != nil {
		t.Fatal(err)
	}
	ctx := auth.With(t.Context(), auth.Call{Principal: auth.RootOf(arn.DefaultAccount), Scope: arn.Scope{Account: arn.DefaultAccount}})
	for _, call := range []func() error{
		func() error { _, err := s.CreateUser(ctx, &api.CreateUserInput{UserName: "u"}); return err },
		func() error { _, err := s.CreateUser(ctx, &api.CreateUserInput{UserName: "v"}); return err },
		func() error { _, err := s.DeleteUser(ctx, &api.DeleteUserInput{UserName: "v"}); return err },
		func() error {
			_, err := s.CreatePolicy(ctx, &api.CreatePolicyInput{PolicyName: "p", PolicyDocument: allowS3})
			return err
		},
	} {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	out, err := s.GetAccountSummary(ctx, &api.GetAccountSummaryInput{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int32{"Users": 1, "Policies": 1, "PolicyVersionsInUse": 1, "Roles": 0, "AccountAccessKeysPresent": 1, "UsersQuota": 5000, "AttachedPoliciesPerRoleQuota": 10} {
		if out.SummaryMap[name] != want {
			t.Errorf("%s is %d, want %d", name, out.SummaryMap[name], want)
		}
	}
}

// Pages of any size tell the same, each thing once.
func TestAccountAuthorizationDetails(t *testing.T) {
	s := newService(t)
	createRole(t, s, "r1")
	createRole(t, s, "r2")
	const admin = "arn:aws:iam::aws:policy/AdministratorAccess"
	run(t, []step{
		{"user", did(s.CreateUser, &api.CreateUserInput{UserName: "u1"}), ""},
		{"user", did(s.CreateUser, &api.CreateUserInput{UserName: "u2"}), ""},
		{"group", did(s.CreateGroup, &api.CreateGroupInput{GroupName: "g"}), ""},
		{"member", did(s.AddUserToGroup, &api.AddUserToGroupInput{GroupName: "g", UserName: "u1"}), ""},
		{"inline", did(s.PutRolePolicy, &api.PutRolePolicyInput{RoleName: "r1", PolicyName: "i", PolicyDocument: allowSQS}), ""},
		{"local", did(s.CreatePolicy, &api.CreatePolicyInput{PolicyName: "p", PolicyDocument: allowS3}), ""},
		{"attached", did(s.AttachRolePolicy, &api.AttachRolePolicyInput{RoleName: "r2", PolicyArn: admin}), ""},
		{"profile", did(s.CreateInstanceProfile, &api.CreateInstanceProfileInput{InstanceProfileName: "ip"}), ""},
		{"in it", did(s.AddRoleToInstanceProfile, &api.AddRoleToInstanceProfileInput{InstanceProfileName: "ip", RoleName: "r2"}), ""},
	})
	all := func(size int32, filter ...string) (names []string) {
		t.Helper()
		in := &api.GetAccountAuthorizationDetailsInput{MaxItems: &size, Filter: filter}
		for range 20 {
			out, err := s.GetAccountAuthorizationDetails(as(t, ""), in)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range out.UserDetailList {
				names = append(names, u.UserName+fmt.Sprint(u.GroupList))
			}
			for _, g := range out.GroupDetailList {
				names = append(names, g.GroupName)
			}
			for _, r := range out.RoleDetailList {
				names = append(names, fmt.Sprint(r.RoleName, len(r.RolePolicyList), len(r.AttachedManagedPolicies), len(r.InstanceProfileList)))
			}
			for _, p := range out.Policies {
				names = append(names, fmt.Sprint(p.PolicyName, len(p.PolicyVersionList), *p.AttachmentCount))
			}
			if in.Marker = out.Marker; in.Marker == "" {
				return names
			}
		}
		t.Fatal("the pages do not end")
		return nil
	}
	want := []string{"u1[g]", "u2[]", "g", "r1 1 0 0", "r2 0 1 1", "p 1 0", "AdministratorAccess 1 1"}
	for i, w := range want {
		want[i] = strings.ReplaceAll(w, " ", "")
	}
	for _, size := range []int32{1, 2, 3, 100} {
		got := all(size)
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], " ", "")
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("pages of %d: %s", size, d)
		}
	}
	if got := all(100, "Group", "LocalManagedPolicy"); len(got) != 2 || got[0] != "g" {
		t.Errorf("%v", got)
	}
	run(t, []step{{"marker", did(s.GetAccountAuthorizationDetails, &api.GetAccountAuthorizationDetailsInput{Marker: "9.x"}), "ValidationError: Invalid Marker"}})
}

// What was used is told at once, and stays after a restart.
func TestLastUsed(t *testing.T) {
	s := newService(t)
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	if _, err := s.CreateUser(as(t, ""), &api.CreateUserInput{UserName: "ann"}); err != nil {
		t.Fatal(err)
	}
	key, err := s.CreateAccessKey(as(t, ""), &api.CreateAccessKeyInput{UserName: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	id := key.AccessKey.AccessKeyId
	r := createRole(t, s, "web")
	last := func(s *Service) *api.GetAccessKeyLastUsedOutput {
		t.Helper()
		out, err := s.GetAccessKeyLastUsed(as(t, ""), &api.GetAccessKeyLastUsedInput{AccessKeyId: id})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := last(s); out.UserName != "ann" || out.AccessKeyLastUsed.ServiceName != "N/A" || out.AccessKeyLastUsed.Region != "N/A" || out.AccessKeyLastUsed.LastUsedDate != nil {
		t.Errorf("never used: %+v", out.AccessKeyLastUsed)
	}
	s.Used(auth.Call{Principal: auth.Principal{Kind: auth.User, AccessKeyID: id}, Service: "sqs", Scope: arn.Scope{Region: "eu-west-1"}})
	s.Used(auth.Call{Principal: auth.Principal{Kind: auth.AssumedRole, UserID: r.RoleId + ":session"}, Service: "s3", Scope: arn.Scope{Region: "us-west-2"}})
	s.Used(auth.Call{Principal: auth.RootOf(account)}) // has no record to keep it in
	if out := last(s).AccessKeyLastUsed; out.ServiceName != "sqs" || out.Region != "eu-west-1" || !out.LastUsedDate.Equal(now) {
		t.Errorf("before it is written: %+v", out)
	}
	s.Start(t.Context())
	s.Stop()
	again := New(Config{Store: s.store, Ring: s.ring})
	if out := last(again).AccessKeyLastUsed; out.ServiceName != "sqs" || !out.LastUsedDate.Equal(now) {
		t.Errorf("after a restart: %+v", out)
	}
	got, err := again.GetRole(as(t, ""), &api.GetRoleInput{RoleName: "web"})
	if err != nil || got.Role.RoleLastUsed.Region != "us-west-2" || !got.Role.RoleLastUsed.LastUsedDate.Equal(now) {
		t.Errorf("%+v, %v", got.Role.RoleLastUsed, err)
	}
	run(t, []step{
		{"delete", did(again.DeleteAccessKey, &api.DeleteAccessKeyInput{UserName: "ann", AccessKeyId: id}), ""},
		{"gone", did(again.GetAccessKeyLastUsed, &api.GetAccessKeyLastUsedInput{AccessKeyId: id}), "NoSuchEntity"},
	})
}

func TestServiceLinkedRolesAreTheirServices(t *testing.T) {
	s := newService(t)
	made, err := s.CreateServiceLinkedRole(as(t, ""), &api.CreateServiceLinkedRoleInput{AWSServiceName: "autoscaling.amazonaws.com", CustomSuffix: "x", Description: "d"})
	if err != nil || made.Role.Arn != "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_x" {
		t.Fatalf("%+v, %v", made, err)
	}
	name := made.Role.RoleName
	const protected = "UnmodifiableEntity: Cannot perform the operation on the protected role 'AWSServiceRoleForAutoScaling_x'"
	createRole(t, s, "mine")
	run(t, []step{
		{"again", did(s.CreateServiceLinkedRole, &api.CreateServiceLinkedRoleInput{AWSServiceName: "autoscaling.amazonaws.com", CustomSuffix: "x"}), "InvalidInput: Service role name AWSServiceRoleForAutoScaling_x has been taken"},
		{"unknown", did(s.CreateServiceLinkedRole, &api.CreateServiceLinkedRoleInput{AWSServiceName: "x.amazonaws.com"}), "InvalidInput"},
		{"delete", did(s.DeleteRole, &api.DeleteRoleInput{RoleName: name}), protected},
		{"attach", did(s.AttachRolePolicy, &api.AttachRolePolicyInput{RoleName: name, PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess"}), protected},
		{"inline", did(s.PutRolePolicy, &api.PutRolePolicyInput{RoleName: name, PolicyName: "p", PolicyDocument: allowS3}), protected},
		{"trust", did(s.UpdateAssumeRolePolicy, &api.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: ec2Trust}), protected},
		{"update", did(s.UpdateRole, &api.UpdateRoleInput{RoleName: name, Description: "x"}), protected},
		{"description", did(s.UpdateRoleDescription, &api.UpdateRoleDescriptionInput{RoleName: name, Description: "x"}), ""},
		{"one by hand", did(s.CreateRole, &api.CreateRoleInput{RoleName: "x", Path: "/aws-service-role/x/", AssumeRolePolicyDocument: ec2Trust}), "InvalidInput"},
		{"not linked", did(s.DeleteServiceLinkedRole, &api.DeleteServiceLinkedRoleInput{RoleName: "mine"}), "InvalidInput"},
		{"no task", did(s.GetServiceLinkedRoleDeletionStatus, &api.GetServiceLinkedRoleDeletionStatusInput{DeletionTaskId: "task/x"}), "InvalidInput"},
		{"unknown task", did(s.GetServiceLinkedRoleDeletionStatus, &api.GetServiceLinkedRoleDeletionStatusInput{
			DeletionTaskId: "task/aws-service-role/a/b/00000000-0000-4000-8000-000000000000"}), "NoSuchEntity"},
		{"go", did(s.DeleteServiceLinkedRole, &api.DeleteServiceLinkedRoleInput{RoleName: name}), ""},
		{"gone", did(s.GetRole, &api.GetRoleInput{RoleName: name}), "NoSuchEntity"},
	})
}

func TestOIDCProviders(t *testing.T) {
	s := newService(t)
	const arn = "arn:aws:iam::123456789012:oidc-provider/issuer.example/a"
	create := func(url string) func() *api.CreateOpenIDConnectProviderInput {
		return func() *api.CreateOpenIDConnectProviderInput {
			return &api.CreateOpenIDConnectProviderInput{Url: url, ClientIDList: []string{"x"}, ThumbprintList: []string{strings.Repeat("ab", 20)}}
		}
	}
	run(t, []step{
		{"http", did(s.CreateOpenIDConnectProvider, create("http://issuer.example")()), "ValidationError"},
		{"query", did(s.CreateOpenIDConnectProvider, create("https://issuer.example?x=y")()), "ValidationError"},
		{"user", did(s.CreateOpenIDConnectProvider, create("https://u@issuer.example")()), "ValidationError"},
		{"thumbprint", did(s.CreateOpenIDConnectProvider, &api.CreateOpenIDConnectProviderInput{Url: "https://issuer.example", ThumbprintList: []string{strings.Repeat("xy", 20)}}), "ValidationError"},
		{"create", did(s.CreateOpenIDConnectProvider, create("https://issuer.example/a")()), ""},
		{"again", did(s.CreateOpenIDConnectProvider, create("https://issuer.example/a")()), "EntityAlreadyExists: Provider with url https://issuer.example/a already exists."},
		{"add", did(s.AddClientIDToOpenIDConnectProvider, &api.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: "y"}), ""},
		{"add again", did(s.AddClientIDToOpenIDConnectProvider, &api.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: "y"}), ""},
		{"remove", did(s.RemoveClientIDFromOpenIDConnectProvider, &api.RemoveClientIDFromOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: "x"}), ""},
		{"tag", did(s.TagOpenIDConnectProvider, &api.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, Tags: []api.Tag{{Key: "k", Value: "v"}}}), ""},
		{"get none", did(s.GetOpenIDConnectProvider, &api.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn + "b"}), "NoSuchEntity: OpenIDConnect Provider not found for arn " + arn + "b"},
		{"another account's", did(s.GetOpenIDConnectProvider, &api.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: strings.Replace(arn, "123456789012", "999999999999", 1)}), "NoSuchEntity"},
	})
	got, err := s.GetOpenIDConnectProvider(as(t, ""), &api.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	if err != nil || got.Url != "issuer.example/a" || strings.Join(got.ClientIDList, " ") != "y" || len(got.Tags) != 1 || len(got.ThumbprintList) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	run(t, []step{
		{"delete", did(s.DeleteOpenIDConnectProvider, &api.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn}), ""},
		{"again", did(s.DeleteOpenIDConnectProvider, &api.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn}), ""},
	})
	list, err := s.ListOpenIDConnectProviders(as(t, ""), &api.ListOpenIDConnectProvidersInput{})
	if err != nil || len(list.OpenIDConnectProviderList) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
