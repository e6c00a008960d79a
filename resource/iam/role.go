// Package iam holds the resource types of AWS Identity and Access Management.
// It calls api/iam alone.
package iam

import (
	"context"
	"maps"
	"net/url"
	"slices"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of IAM.
func Types(svc api.Service) []cfn.Type {
	return []cfn.Type{
		accessKeyType(svc), groupType(svc), instanceProfileType(svc), managedPolicyType(svc), oidcProviderType(svc), policyType(svc), roleType(svc),
		serverCertificateType(svc), serviceLinkedRoleType(svc), userType(svc), membershipType(svc),
		inlinePolicyType("AWS::IAM::RolePolicy", "RoleName", roleSubject(svc)),
		inlinePolicyType("AWS::IAM::UserPolicy", "UserName", userSubject(svc)),
		inlinePolicyType("AWS::IAM::GroupPolicy", "GroupName", groupSubject(svc)),
	}
}

const (
	roleName    = "AWS::IAM::Role"
	maxRoleName = 64
)

type roleProperties struct {
	RoleName                 string            `json:"RoleName,omitempty"`
	AssumeRolePolicyDocument resource.Document `json:"AssumeRolePolicyDocument"`
	Description              string            `json:"Description,omitempty"`
	MaxSessionDuration       *int32            `json:"MaxSessionDuration,omitempty"`
	Path                     string            `json:"Path,omitempty"`
	PermissionsBoundary      string            `json:"PermissionsBoundary,omitempty"`
	Tags                     []resource.Tag    `json:"Tags,omitempty"`
	granted
}

type roleHandler struct{ svc api.Service }

func roleType(svc api.Service) cfn.Type {
	h := roleHandler{svc}
	return cfn.Type{Name: roleName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h roleHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p roleProperties
	if err := resource.Decode(roleName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateRole(ctx, &api.CreateRoleInput{
		RoleName: resource.Name(r, p.RoleName, maxRoleName), Path: p.Path, Description: p.Description,
		AssumeRolePolicyDocument: p.AssumeRolePolicyDocument.Text, MaxSessionDuration: p.MaxSessionDuration,
		PermissionsBoundary: p.PermissionsBoundary, Tags: tags(resource.Tags(r, p.Tags)),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	result := roleResult(out.Role)
	return result, roleSubject(h.svc).grant(ctx, result.PhysicalID, granted{}, p.granted)
}

func roleResult(role *api.Role) cfn.Result {
	return cfn.Result{PhysicalID: role.RoleName, Attributes: cfn.Properties{"Arn": role.Arn, "RoleId": role.RoleId}}
}

// tags puts tags in the order of their keys.
func tags(of map[string]string) []api.Tag {
	out := make([]api.Tag, 0, len(of))
	for _, k := range slices.Sorted(maps.Keys(of)) {
		out = append(out, api.Tag{Key: k, Value: of[k]})
	}
	return out
}

func (h roleHandler) get(ctx context.Context, name string) (*api.Role, error) {
	out, err := h.svc.GetRole(ctx, &api.GetRoleInput{RoleName: name})
	if err != nil {
		return nil, resource.Found(err, roleName, name, fault.NoSuchEntity)
	}
	return out.Role, nil
}

func (h roleHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	role, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	trust, err := url.PathUnescape(role.AssumeRolePolicyDocument)
	if err != nil {
		return nil, err
	}
	p := roleProperties{
		RoleName: role.RoleName, AssumeRolePolicyDocument: resource.Document{Text: trust}, Description: role.Description,
		MaxSessionDuration: role.MaxSessionDuration, Path: role.Path, Tags: resource.OwnTags(tagMap(role.Tags)),
	}
	if role.PermissionsBoundary != nil {
		p.PermissionsBoundary = role.PermissionsBoundary.PermissionsBoundaryArn
	}
	if p.granted, err = roleSubject(h.svc).read(ctx, role.RoleName); err != nil {
		return nil, err
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["Arn"], out["RoleId"] = role.Arn, role.RoleId
	return out, nil
}

func tagMap(tags []api.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

func (h roleHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior roleProperties
	if err := resource.Decode(roleName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(roleName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	role, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if p.MaxSessionDuration == nil {
		hour := int32(3600)
		p.MaxSessionDuration = &hour
	}
	if _, err := h.svc.UpdateRole(ctx, &api.UpdateRoleInput{
		RoleName: r.PhysicalID, MaxSessionDuration: p.MaxSessionDuration,
	}); err != nil {
		return cfn.Result{}, err
	}
	// This one also takes a description away.
	if _, err := h.svc.UpdateRoleDescription(ctx, &api.UpdateRoleDescriptionInput{RoleName: r.PhysicalID, Description: p.Description}); err != nil {
		return cfn.Result{}, err
	}
	if _, err := h.svc.UpdateAssumeRolePolicy(ctx, &api.UpdateAssumeRolePolicyInput{
		RoleName: r.PhysicalID, PolicyDocument: p.AssumeRolePolicyDocument.Text,
	}); err != nil {
		return cfn.Result{}, err
	}
	if err := h.bound(ctx, r.PhysicalID, p.PermissionsBoundary, prior.PermissionsBoundary); err != nil {
		return cfn.Result{}, err
	}
	if err := roleSubject(h.svc).grant(ctx, r.PhysicalID, prior.granted, p.granted); err != nil {
		return cfn.Result{}, err
	}
	set, remove := resource.Retag(tagMap(role.Tags), resource.Tags(r, p.Tags))
	if len(set) > 0 {
		if _, err := h.svc.TagRole(ctx, &api.TagRoleInput{RoleName: r.PhysicalID, Tags: tags(set)}); err != nil {
			return cfn.Result{}, err
		}
	}
	if len(remove) > 0 {
		if _, err := h.svc.UntagRole(ctx, &api.UntagRoleInput{RoleName: r.PhysicalID, TagKeys: remove}); err != nil {
			return cfn.Result{}, err
		}
	}
	return roleResult(role), nil
}

// bound sets or removes the permissions boundary.
func (h roleHandler) bound(ctx context.Context, name, want, had string) error {
	switch {
	case want != "":
		_, err := h.svc.PutRolePermissionsBoundary(ctx, &api.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: want})
		return err
	case had != "":
		_, err := h.svc.DeleteRolePermissionsBoundary(ctx, &api.DeleteRolePermissionsBoundaryInput{RoleName: name})
		return resource.Gone(err, fault.NoSuchEntity)
	}
	return nil
}

// delete takes away the policies that the template gave the role; IAM refuses
// to delete one that somebody else gave more, and the stack says so.
func (h roleHandler) delete(ctx context.Context, r cfn.Request) error {
	var p roleProperties
	if err := resource.Decode(roleName, r.Properties, &p); err != nil {
		return err
	}
	if err := roleSubject(h.svc).grant(ctx, r.PhysicalID, p.granted, granted{}); err != nil {
		return err
	}
	_, err := h.svc.DeleteRole(ctx, &api.DeleteRoleInput{RoleName: r.PhysicalID})
	return resource.Gone(err, fault.NoSuchEntity)
}

func (h roleHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListRolesInput{}
	var names []string
	for {
		out, err := h.svc.ListRoles(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, role := range out.Roles {
			names = append(names, role.RoleName)
		}
		if in.Marker = out.Marker; in.Marker == "" {
			return names, nil
		}
	}
}
