package iam

import (
	"context"

	api "github.com/slipway/slipway/api/iam"
)

// Quotas of the inline policies of one entity together, in characters ("IAM and
// AWS STS quotas", IAM User Guide).
const (
	maxRoleInline  = 10240
	maxUserInline  = 2048
	maxGroupInline = 5120
)

// PutRolePolicy puts a policy into a role.
func (s *Service) PutRolePolicy(ctx context.Context, in *api.PutRolePolicyInput) (*api.PutRolePolicyOutput, error) {
	return &api.PutRolePolicyOutput{}, putInline(ctx, s, roles, in.RoleName, in.PolicyName, in.PolicyDocument, maxRoleInline)
}

// GetRolePolicy tells a policy that is in a role.
func (s *Service) GetRolePolicy(ctx context.Context, in *api.GetRolePolicyInput) (*api.GetRolePolicyOutput, error) {
	text, err := getInline(ctx, s, roles, in.RoleName, in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &api.GetRolePolicyOutput{RoleName: in.RoleName, PolicyName: in.PolicyName, PolicyDocument: text}, nil
}

// DeleteRolePolicy takes a policy out of a role.
func (s *Service) DeleteRolePolicy(ctx context.Context, in *api.DeleteRolePolicyInput) (*api.DeleteRolePolicyOutput, error) {
	return &api.DeleteRolePolicyOutput{}, deleteInline(ctx, s, roles, in.RoleName, in.PolicyName)
}

// ListRolePolicies lists the names of the policies that are in a role.
func (s *Service) ListRolePolicies(ctx context.Context, in *api.ListRolePoliciesInput) (*api.ListRolePoliciesOutput, error) {
	names, next, err := listInline(ctx, s, roles, in.RoleName, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &api.ListRolePoliciesOutput{PolicyNames: names, Marker: next, IsTruncated: new(next != "")}, nil
}

// PutUserPolicy puts a policy into a user.
func (s *Service) PutUserPolicy(ctx context.Context, in *api.PutUserPolicyInput) (*api.PutUserPolicyOutput, error) {
	return &api.PutUserPolicyOutput{}, putInline(ctx, s, users, in.UserName, in.PolicyName, in.PolicyDocument, maxUserInline)
}

// GetUserPolicy tells a policy that is in a user.
func (s *Service) GetUserPolicy(ctx context.Context, in *api.GetUserPolicyInput) (*api.GetUserPolicyOutput, error) {
	text, err := getInline(ctx, s, users, in.UserName, in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &api.GetUserPolicyOutput{UserName: in.UserName, PolicyName: in.PolicyName, PolicyDocument: text}, nil
}

// DeleteUserPolicy takes a policy out of a user.
func (s *Service) DeleteUserPolicy(ctx context.Context, in *api.DeleteUserPolicyInput) (*api.DeleteUserPolicyOutput, error) {
	return &api.DeleteUserPolicyOutput{}, deleteInline(ctx, s, users, in.UserName, in.PolicyName)
}

// ListUserPolicies lists the names of the policies that are in a user.
func (s *Service) ListUserPolicies(ctx context.Context, in *api.ListUserPoliciesInput) (*api.ListUserPoliciesOutput, error) {
	names, next, err := listInline(ctx, s, users, in.UserName, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &api.ListUserPoliciesOutput{PolicyNames: names, Marker: next, IsTruncated: new(next != "")}, nil
}

// PutGroupPolicy puts a policy into a group.
func (s *Service) PutGroupPolicy(ctx context.Context, in *api.PutGroupPolicyInput) (*api.PutGroupPolicyOutput, error) {
	return &api.PutGroupPolicyOutput{}, putInline(ctx, s, groups, in.GroupName, in.PolicyName, in.PolicyDocument, maxGroupInline)
}

// GetGroupPolicy tells a policy that is in a group.
func (s *Service) GetGroupPolicy(ctx context.Context, in *api.GetGroupPolicyInput) (*api.GetGroupPolicyOutput, error) {
	text, err := getInline(ctx, s, groups, in.GroupName, in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &api.GetGroupPolicyOutput{GroupName: in.GroupName, PolicyName: in.PolicyName, PolicyDocument: text}, nil
}

// DeleteGroupPolicy takes a policy out of a group.
func (s *Service) DeleteGroupPolicy(ctx context.Context, in *api.DeleteGroupPolicyInput) (*api.DeleteGroupPolicyOutput, error) {
	return &api.DeleteGroupPolicyOutput{}, deleteInline(ctx, s, groups, in.GroupName, in.PolicyName)
}

// ListGroupPolicies lists the names of the policies that are in a group.
func (s *Service) ListGroupPolicies(ctx context.Context, in *api.ListGroupPoliciesInput) (*api.ListGroupPoliciesOutput, error) {
	names, next, err := listInline(ctx, s, groups, in.GroupName, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &api.ListGroupPoliciesOutput{PolicyNames: names, Marker: next, IsTruncated: new(next != "")}, nil
}
