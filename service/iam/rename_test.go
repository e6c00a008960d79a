package iam

import (
	"errors"
	"testing"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
)

// Another name and path leave everything that a user or group has.
func TestRenames(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	const admin = "arn:aws:iam::aws:policy/AdministratorAccess"
	run(t, []step{
		{"user", did(s.CreateUser, &api.CreateUserInput{UserName: "ann"}), ""},
		{"other", did(s.CreateUser, &api.CreateUserInput{UserName: "bob"}), ""},
		{"group", did(s.CreateGroup, &api.CreateGroupInput{GroupName: "devs"}), ""},
		{"earlier group", did(s.CreateGroup, &api.CreateGroupInput{GroupName: "admins"}), ""},
		{"member", did(s.AddUserToGroup, &api.AddUserToGroupInput{GroupName: "devs", UserName: "ann"}), ""},
		{"member of two", did(s.AddUserToGroup, &api.AddUserToGroupInput{GroupName: "admins", UserName: "ann"}), ""},
		{"inline", did(s.PutUserPolicy, &api.PutUserPolicyInput{UserName: "ann", PolicyName: "i", PolicyDocument: allowSQS}), ""},
		{"attached", did(s.AttachGroupPolicy, &api.AttachGroupPolicyInput{GroupName: "devs", PolicyArn: admin}), ""},
		{"password", did(s.CreateLoginProfile, &api.CreateLoginProfileInput{UserName: "ann", Password: "Correct-Horse-1"}), ""},
	})
	key, err := s.CreateAccessKey(ctx, &api.CreateAccessKeyInput{UserName: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	run(t, []step{
		{"taken", did(s.UpdateUser, &api.UpdateUserInput{UserName: "ann", NewUserName: "BOB"}), "EntityAlreadyExists: User with name BOB already exists."},
		{"bad name", did(s.UpdateUser, &api.UpdateUserInput{UserName: "ann", NewUserName: "a/b"}), "ValidationError"},
		{"bad path", did(s.UpdateUser, &api.UpdateUserInput{UserName: "ann", NewPath: "x"}), "ValidationError"},
		{"nobody", did(s.UpdateUser, &api.UpdateUserInput{UserName: "none", NewUserName: "x"}), "NoSuchEntity: The user with name none cannot be found."},
		{"rename", did(s.UpdateUser, &api.UpdateUserInput{UserName: "ann", NewUserName: "anna", NewPath: "/team/"}), ""},
		{"case alone", did(s.UpdateUser, &api.UpdateUserInput{UserName: "anna", NewUserName: "Anna"}), ""},
		{"the old name is gone", did(s.GetUser, &api.GetUserInput{UserName: "ann"}), "NoSuchEntity"},
		{"and free", did(s.CreateUser, &api.CreateUserInput{UserName: "ann"}), ""},
		{"group taken", did(s.UpdateGroup, &api.UpdateGroupInput{GroupName: "devs", NewGroupName: "admins"}), "EntityAlreadyExists: Group with name admins already exists."},
		{"group", did(s.UpdateGroup, &api.UpdateGroupInput{GroupName: "devs", NewGroupName: "a-devs", NewPath: "/g/"}), ""},
		{"the old group is gone", did(s.GetGroup, &api.GetGroupInput{GroupName: "devs"}), "NoSuchEntity"},
		{"inline stays", did(s.GetUserPolicy, &api.GetUserPolicyInput{UserName: "Anna", PolicyName: "i"}), ""},
		{"password stays", did(s.GetLoginProfile, &api.GetLoginProfileInput{UserName: "Anna"}), ""},
	})
	groups, err := s.ListGroupsForUser(ctx, &api.ListGroupsForUserInput{UserName: "Anna"})
	if err != nil || len(groups.Groups) != 2 || groups.Groups[0].Arn != "arn:aws:iam::123456789012:group/g/a-devs" {
		t.Errorf("%+v, %v", groups, err)
	}
	k, err := s.Key(ctx, key.AccessKey.AccessKeyId)
	if err != nil || k.Secret != key.AccessKey.SecretAccessKey || k.Principal.ARN != "arn:aws:iam::123456789012:user/team/Anna" {
		t.Fatalf("%+v, %v", k.Principal, err)
	}
	identity, _, err := s.PoliciesOf(ctx, k.Principal)
	if err != nil || len(identity) != 2 {
		t.Errorf("has %d policies, %v; want its own and its group's", len(identity), err)
	}
	used, err := s.ListEntitiesForPolicy(ctx, &api.ListEntitiesForPolicyInput{PolicyArn: admin})
	if err != nil || len(used.PolicyGroups) != 1 || used.PolicyGroups[0].GroupName != "a-devs" {
		t.Errorf("%+v, %v", used, err)
	}
	// Who had the old name is somebody else.
	old := k.Principal
	old.Name = "ann"
	if identity, _, err = s.PoliciesOf(auth.With(ctx, auth.Call{}), old); !errors.Is(err, auth.ErrGone) || len(identity) != 0 {
		t.Errorf("the new ann has the old one's policies: %d, %v", len(identity), err)
	}
}
