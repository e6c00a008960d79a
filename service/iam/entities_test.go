package iam

import (
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/iam"
)

// Who uses a policy is told page by page, by kind and by usage.
func TestListEntitiesForPolicy(t *testing.T) {
	s := newService(t)
	const a = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
	createRole(t, s, "r")
	run(t, []step{
		{"user", did(s.CreateUser, &api.CreateUserInput{UserName: "u"}), ""},
		{"bounded", did(s.CreateUser, &api.CreateUserInput{UserName: "b", Path: "/x/", PermissionsBoundary: a}), ""},
		{"group", did(s.CreateGroup, &api.CreateGroupInput{GroupName: "g"}), ""},
		{"to the role", did(s.AttachRolePolicy, &api.AttachRolePolicyInput{RoleName: "r", PolicyArn: a}), ""},
		{"to the user", did(s.AttachUserPolicy, &api.AttachUserPolicyInput{UserName: "u", PolicyArn: a}), ""},
		{"to the group", did(s.AttachGroupPolicy, &api.AttachGroupPolicyInput{GroupName: "g", PolicyArn: a}), ""},
	})
	for _, tt := range []struct {
		in   api.ListEntitiesForPolicyInput
		want string
	}{
		{api.ListEntitiesForPolicyInput{}, "g r b u"},
		{api.ListEntitiesForPolicyInput{MaxItems: new(int32(1))}, "g r b u"},
		{api.ListEntitiesForPolicyInput{MaxItems: new(int32(3))}, "g r b u"},
		{api.ListEntitiesForPolicyInput{EntityFilter: "User"}, "b u"},
		{api.ListEntitiesForPolicyInput{PolicyUsageFilter: "PermissionsPolicy"}, "g r u"},
		{api.ListEntitiesForPolicyInput{PolicyUsageFilter: "PermissionsBoundary"}, "b"},
		{api.ListEntitiesForPolicyInput{PathPrefix: "/x/"}, "b"},
	} {
		tt.in.PolicyArn = a
		var got []string
		for range 10 {
			out, err := s.ListEntitiesForPolicy(as(t, ""), &tt.in)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range out.PolicyGroups {
				got = append(got, g.GroupName)
			}
			for _, r := range out.PolicyRoles {
				got = append(got, r.RoleName)
			}
			for _, u := range out.PolicyUsers {
				got = append(got, u.UserName)
			}
			if tt.in.Marker = out.Marker; tt.in.Marker == "" {
				break
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%+v: %v, want %s", tt.in, got, tt.want)
		}
	}
}
