package iam

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// ListEntitiesForPolicy lists who uses a policy, to be allowed by it or bounded.
// Pages go through groups, roles and users, each by name.
func (s *Service) ListEntitiesForPolicy(ctx context.Context, in *api.ListEntitiesForPolicyInput) (*api.ListEntitiesForPolicyOutput, error) {
	account := auth.From(ctx).Scope.Account
	var used []attached
	err := s.store.View(ctx, func(tx store.Tx) error {
		used = nil
		if _, err := s.anyPolicy(tx, account, in.PolicyArn); err != nil {
			return err
		}
		for usage, value := range map[string]string{"PermissionsPolicy": in.PolicyArn, "PermissionsBoundary": "boundary:" + in.PolicyArn} {
			if in.PolicyUsageFilter != "" && in.PolicyUsageFilter != usage {
				continue
			}
			found, err := attachments(tx, account, value)
			if err != nil {
				return err
			}
			used = append(used, found)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	byKey := map[string]string{} // "Role/name" to id
	note := func(kind, name, id, path string) {
		if (in.EntityFilter == "" || in.EntityFilter == kind) && underPath(in.PathPrefix, path) {
			byKey[kind+"/"+name] = id
		}
	}
	for _, u := range used {
		for _, r := range u.roles {
			note("Role", r.Name, r.ID, r.Path)
		}
		for _, u := range u.users {
			note("User", u.Name, u.ID, u.Path)
		}
		for _, g := range u.groups {
			note("Group", g.Name, g.ID, g.Path)
		}
	}
	page, next := pageOf(sortedNames(byKey), in.Marker, in.MaxItems)
	out := &api.ListEntitiesForPolicyOutput{
		PolicyRoles: []api.PolicyRole{}, PolicyUsers: []api.PolicyUser{}, PolicyGroups: []api.PolicyGroup{}, Marker: next, IsTruncated: new(next != ""),
	}
	for _, key := range page {
		switch kind, name, _ := strings.Cut(key, "/"); kind {
		case "Role":
			out.PolicyRoles = append(out.PolicyRoles, api.PolicyRole{RoleName: name, RoleId: byKey[key]})
		case "User":
			out.PolicyUsers = append(out.PolicyUsers, api.PolicyUser{UserName: name, UserId: byKey[key]})
		default:
			out.PolicyGroups = append(out.PolicyGroups, api.PolicyGroup{GroupName: name, GroupId: byKey[key]})
		}
	}
	return out, nil
}
