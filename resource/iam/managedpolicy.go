package iam

import (
	"context"
	"net/url"
	"slices"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const (
	managedPolicyTypeName = "AWS::IAM::ManagedPolicy"
	maxPolicyName         = 128
)

type managedPolicyProperties struct {
	ManagedPolicyName string            `json:"ManagedPolicyName,omitempty"`
	Description       string            `json:"Description,omitempty"`
	Path              string            `json:"Path,omitempty"`
	PolicyDocument    resource.Document `json:"PolicyDocument"`
	Roles             []string          `json:"Roles,omitempty"`
	Users             []string          `json:"Users,omitempty"`
	Groups            []string          `json:"Groups,omitempty"`
}

type managedPolicyHandler struct {
	svc                  api.Service
	roles, users, groups subject
}

func managedPolicyType(svc api.Service) cfn.Type {
	h := managedPolicyHandler{svc, roleSubject(svc), userSubject(svc), groupSubject(svc)}
	return cfn.Type{Name: managedPolicyTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func managedPolicyResult(p *api.Policy) cfn.Result {
	return cfn.Result{PhysicalID: p.Arn, Attributes: managedPolicyAttributes(p)}
}

// managedPolicyAttributes are the read-only properties.
func managedPolicyAttributes(p *api.Policy) cfn.Properties {
	out := cfn.Properties{"PolicyArn": p.Arn, "PolicyId": p.PolicyId, "DefaultVersionId": p.DefaultVersionId, "IsAttachable": *p.IsAttachable,
		"AttachmentCount": int64(*p.AttachmentCount), "PermissionsBoundaryUsageCount": int64(*p.PermissionsBoundaryUsageCount)}
	const iso8601 = "2006-01-02T15:04:05Z"
	out["CreateDate"], out["UpdateDate"] = p.CreateDate.UTC().Format(iso8601), p.UpdateDate.UTC().Format(iso8601)
	return out
}

func (h managedPolicyHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p managedPolicyProperties
	if err := resource.Decode(managedPolicyTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreatePolicy(ctx, &api.CreatePolicyInput{
		PolicyName: resource.Name(r, p.ManagedPolicyName, maxPolicyName), Path: p.Path, Description: p.Description, PolicyDocument: p.PolicyDocument.Text,
	})
	if err != nil {
		return cfn.Result{}, err
	}
	result := managedPolicyResult(out.Policy)
	if err := h.attach(ctx, result.PhysicalID, managedPolicyProperties{}, p); err != nil {
		return result, err
	}
	return h.refreshed(ctx, result)
}

// refreshed tells the attributes as they are by now.
func (h managedPolicyHandler) refreshed(ctx context.Context, result cfn.Result) (cfn.Result, error) {
	p, err := h.get(ctx, result.PhysicalID)
	if err != nil {
		return result, err
	}
	return managedPolicyResult(p), nil
}

// attach turns the attachments of one set of properties into those of another.
func (h managedPolicyHandler) attach(ctx context.Context, arn string, from, to managedPolicyProperties) error {
	for _, k := range []struct {
		subject
		from, to []string
	}{{h.roles, from.Roles, to.Roles}, {h.users, from.Users, to.Users}, {h.groups, from.Groups, to.Groups}} {
		for _, name := range k.to {
			if err := k.subject.attach(ctx, name, arn); err != nil {
				return err
			}
		}
		for _, name := range k.from {
			if slices.Contains(k.to, name) {
				continue
			}
			if err := resource.Gone(k.detach(ctx, name, arn), fault.NoSuchEntity); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h managedPolicyHandler) get(ctx context.Context, arn string) (*api.Policy, error) {
	out, err := h.svc.GetPolicy(ctx, &api.GetPolicyInput{PolicyArn: arn})
	if err != nil {
		return nil, resource.Found(err, managedPolicyTypeName, arn, fault.NoSuchEntity)
	}
	return out.Policy, nil
}

// document is the version in force.
func (h managedPolicyHandler) document(ctx context.Context, p *api.Policy) (string, error) {
	out, err := h.svc.GetPolicyVersion(ctx, &api.GetPolicyVersionInput{PolicyArn: p.Arn, VersionId: p.DefaultVersionId})
	if err != nil {
		return "", err
	}
	return url.PathUnescape(out.PolicyVersion.Document)
}

func (h managedPolicyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	policy, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := managedPolicyProperties{ManagedPolicyName: policy.PolicyName, Description: policy.Description, Path: policy.Path}
	if p.PolicyDocument.Text, err = h.document(ctx, policy); err != nil {
		return nil, err
	}
	in := &api.ListEntitiesForPolicyInput{PolicyArn: policy.Arn, PolicyUsageFilter: api.PolicyUsageTypePermissionsPolicy}
	for {
		page, err := h.svc.ListEntitiesForPolicy(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, e := range page.PolicyRoles {
			p.Roles = append(p.Roles, e.RoleName)
		}
		for _, e := range page.PolicyUsers {
			p.Users = append(p.Users, e.UserName)
		}
		for _, e := range page.PolicyGroups {
			p.Groups = append(p.Groups, e.GroupName)
		}
		if in.Marker = page.Marker; in.Marker == "" {
			break
		}
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	for name, v := range managedPolicyAttributes(policy) {
		out[name] = v
	}
	return out, nil
}

func (h managedPolicyHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior managedPolicyProperties
	if err := resource.Decode(managedPolicyTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(managedPolicyTypeName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	policy, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	text, err := h.document(ctx, policy)
	if err != nil {
		return cfn.Result{}, err
	}
	if text != p.PolicyDocument.Text {
		if err := h.revise(ctx, policy, p.PolicyDocument.Text); err != nil {
			return cfn.Result{}, err
		}
	}
	if err := h.attach(ctx, r.PhysicalID, prior, p); err != nil {
		return cfn.Result{}, err
	}
	return h.refreshed(ctx, cfn.Result{PhysicalID: r.PhysicalID})
}

// revise adds a version and puts it in force. A policy keeps few versions: the
// oldest that is not in force makes room.
func (h managedPolicyHandler) revise(ctx context.Context, p *api.Policy, text string) error {
	versions, err := h.svc.ListPolicyVersions(ctx, &api.ListPolicyVersionsInput{PolicyArn: p.Arn})
	if err != nil {
		return err
	}
	const most = 5
	if all := versions.Versions; len(all) >= most {
		for i := len(all) - 1; i >= 0; i-- {
			if *all[i].IsDefaultVersion {
				continue
			}
			_, err := h.svc.DeletePolicyVersion(ctx, &api.DeletePolicyVersionInput{PolicyArn: p.Arn, VersionId: all[i].VersionId})
			if err := resource.Gone(err, fault.NoSuchEntity); err != nil {
				return err
			}
			break
		}
	}
	_, err = h.svc.CreatePolicyVersion(ctx, &api.CreatePolicyVersionInput{PolicyArn: p.Arn, PolicyDocument: text, SetAsDefault: new(true)})
	return err
}

// delete takes the policy from whom the template gave it, removes the versions
// that updates left, and then the policy.
func (h managedPolicyHandler) delete(ctx context.Context, r cfn.Request) error {
	var p managedPolicyProperties
	if err := resource.Decode(managedPolicyTypeName, r.Properties, &p); err != nil {
		return err
	}
	if err := h.attach(ctx, r.PhysicalID, p, managedPolicyProperties{}); err != nil {
		return err
	}
	versions, err := h.svc.ListPolicyVersions(ctx, &api.ListPolicyVersionsInput{PolicyArn: r.PhysicalID})
	if err != nil {
		return resource.Gone(err, fault.NoSuchEntity)
	}
	for _, v := range versions.Versions {
		if *v.IsDefaultVersion {
			continue
		}
		_, err := h.svc.DeletePolicyVersion(ctx, &api.DeletePolicyVersionInput{PolicyArn: r.PhysicalID, VersionId: v.VersionId})
		if err := resource.Gone(err, fault.NoSuchEntity); err != nil {
			return err
		}
	}
	_, err = h.svc.DeletePolicy(ctx, &api.DeletePolicyInput{PolicyArn: r.PhysicalID})
	return resource.Gone(err, fault.NoSuchEntity)
}

func (h managedPolicyHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListPoliciesInput{Scope: api.PolicyScopeTypeLocal}
	var arns []string
	for {
		out, err := h.svc.ListPolicies(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, p := range out.Policies {
			arns = append(arns, p.Arn)
		}
		if in.Marker = out.Marker; in.Marker == "" {
			return arns, nil
		}
	}
}
