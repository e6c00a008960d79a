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
	return []cfn.Type{roleType(svc), policyType(svc), instanceProfileType(svc)}
}

const (
	roleName    = "AWS::IAM::Role"
	maxRoleName = 64
)

type inlinePolicy struct {
	PolicyName     string            `json:"PolicyName"`
	PolicyDocument resource.Document `json:"PolicyDocument"`
}

type roleProperties struct {
	RoleName                 string            `json:"RoleName,omitempty"`
	AssumeRolePolicyDocument resource.Document `json:"AssumeRolePolicyDocument"`
	Description              string            `json:"Description,omitempty"`
	ManagedPolicyArns        []string          `json:"ManagedPolicyArns,omitempty"`
	MaxSessionDuration       *int32            `json:"MaxSessionDuration,omitempty"`
	Path                     string            `json:"Path,omitempty"`
	PermissionsBoundary      string            `json:"PermissionsBoundary,omitempty"`
	Policies                 []inlinePolicy    `json:"Policies,omitempty"`
	Tags                     []resource.Tag    `json:"Tags,omitempty"`
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
	return result, h.grant(ctx, result.PhysicalID, roleProperties{}, p)
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

// grant turns the policies of one set of properties into those of another.
func (h roleHandler) grant(ctx context.Context, name string, from, to roleProperties) error {
	for _, arn := range to.ManagedPolicyArns {
		if _, err := h.svc.AttachRolePolicy(ctx, &api.AttachRolePolicyInput{RoleName: name, PolicyArn: arn}); err != nil {
			return err
		}
	}
	for _, p := range to.Policies {
		_, err := h.svc.PutRolePolicy(ctx, &api.PutRolePolicyInput{
			RoleName: name, PolicyName: p.PolicyName, PolicyDocument: p.PolicyDocument.Text,
		})
		if err != nil {
			return err
		}
	}
	for _, arn := range from.ManagedPolicyArns {
		if slices.Contains(to.ManagedPolicyArns, arn) {
			continue
		}
		_, err := h.svc.DetachRolePolicy(ctx, &api.DetachRolePolicyInput{RoleName: name, PolicyArn: arn})
		if err := resource.Gone(err, fault.NoSuchEntity); err != nil {
			return err
		}
	}
	for _, p := range from.Policies {
		if slices.ContainsFunc(to.Policies, func(q inlinePolicy) bool { return q.PolicyName == p.PolicyName }) {
			continue
		}
		_, err := h.svc.DeleteRolePolicy(ctx, &api.DeleteRolePolicyInput{RoleName: name, PolicyName: p.PolicyName})
		if err := resource.Gone(err, fault.NoSuchEntity); err != nil {
			return err
		}
	}
	return nil
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
	if p.ManagedPolicyArns, err = h.attached(ctx, role.RoleName); err != nil {
		return nil, err
	}
	if p.Policies, err = h.inline(ctx, role.RoleName); err != nil {
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

func (h roleHandler) attached(ctx context.Context, name string) ([]string, error) {
	in := &api.ListAttachedRolePoliciesInput{RoleName: name}
	var arns []string
	for {
		out, err := h.svc.ListAttachedRolePolicies(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, p := range out.AttachedPolicies {
			arns = append(arns, p.PolicyArn)
		}
		if in.Marker = out.Marker; in.Marker == "" {
			return arns, nil
		}
	}
}

func (h roleHandler) inline(ctx context.Context, name string) ([]inlinePolicy, error) {
	in := &api.ListRolePoliciesInput{RoleName: name}
	var policies []inlinePolicy
	for {
		out, err := h.svc.ListRolePolicies(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, policy := range out.PolicyNames {
			got, err := h.svc.GetRolePolicy(ctx, &api.GetRolePolicyInput{RoleName: name, PolicyName: policy})
			if err != nil {
				return nil, err
			}
			text, err := url.PathUnescape(got.PolicyDocument)
			if err != nil {
				return nil, err
			}
			policies = append(policies, inlinePolicy{policy, resource.Document{Text: text}})
		}
		if in.Marker = out.Marker; in.Marker == "" {
			return policies, nil
		}
	}
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
	if err := h.grant(ctx, r.PhysicalID, prior, p); err != nil {
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
	if err := h.grant(ctx, r.PhysicalID, p, roleProperties{}); err != nil {
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
