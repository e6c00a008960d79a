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

const policyName = "AWS::IAM::Policy"

// policyProperties are an inline policy's, which stands in each role, user and
// group that it names.
type policyProperties struct {
	PolicyName     string            `json:"PolicyName"`
	PolicyDocument resource.Document `json:"PolicyDocument"`
	Roles          []string          `json:"Roles,omitempty"`
	Users          []string          `json:"Users,omitempty"`
	Groups         []string          `json:"Groups,omitempty"`
}

type policyHandler struct{ svc api.Service }

func policyType(svc api.Service) cfn.Type {
	h := policyHandler{svc}
	return cfn.Type{Name: policyName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete}
}

func decodePolicy(from cfn.Properties) (policyProperties, error) {
	var p policyProperties
	err := resource.Decode(policyName, from, &p)
	if err == nil && len(p.Roles)+len(p.Users)+len(p.Groups) == 0 {
		err = fault.New(fault.ValidationError, "At least one of [Groups,Roles,Users] must be non-empty.")
	}
	return p, err
}

func (h policyHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	r.PhysicalID = r.Name
	p, err := decodePolicy(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	return h.put(ctx, r.PhysicalID, p)
}

func (h policyHandler) put(ctx context.Context, id string, p policyProperties) (cfn.Result, error) {
	result := cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"Id": id}}
	text := p.PolicyDocument.Text
	for _, name := range p.Roles {
		if _, err := h.svc.PutRolePolicy(ctx, &api.PutRolePolicyInput{RoleName: name, PolicyName: p.PolicyName, PolicyDocument: text}); err != nil {
			return result, err
		}
	}
	for _, name := range p.Users {
		if _, err := h.svc.PutUserPolicy(ctx, &api.PutUserPolicyInput{UserName: name, PolicyName: p.PolicyName, PolicyDocument: text}); err != nil {
			return result, err
		}
	}
	for _, name := range p.Groups {
		if _, err := h.svc.PutGroupPolicy(ctx, &api.PutGroupPolicyInput{GroupName: name, PolicyName: p.PolicyName, PolicyDocument: text}); err != nil {
			return result, err
		}
	}
	return result, nil
}

// remove takes the policy from those of one set of properties that another
// does not name.
func (h policyHandler) remove(ctx context.Context, from, keep policyProperties) error {
	renamed := from.PolicyName != keep.PolicyName
	for _, name := range from.Roles {
		if renamed || !slices.Contains(keep.Roles, name) {
			_, err := h.svc.DeleteRolePolicy(ctx, &api.DeleteRolePolicyInput{RoleName: name, PolicyName: from.PolicyName})
			if err := resource.Gone(err, fault.NoSuchEntity); err != nil {
				return err
			}
		}
	}
	for _, name := range from.Users {
		if renamed || !slices.Contains(keep.Users, name) {
			_, err := h.svc.DeleteUserPolicy(ctx, &api.DeleteUserPolicyInput{UserName: name, PolicyName: from.PolicyName})
			if err := resource.Gone(err, fault.NoSuchEntity); err != nil {
				return err
			}
		}
	}
	for _, name := range from.Groups {
		if renamed || !slices.Contains(keep.Groups, name) {
			_, err := h.svc.DeleteGroupPolicy(ctx, &api.DeleteGroupPolicyInput{GroupName: name, PolicyName: from.PolicyName})
			if err := resource.Gone(err, fault.NoSuchEntity); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h policyHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := decodePolicy(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	prior, err := decodePolicy(r.Prior)
	if err != nil {
		return cfn.Result{}, err
	}
	result, err := h.put(ctx, r.PhysicalID, p)
	if err != nil {
		return result, err
	}
	return result, h.remove(ctx, prior, p)
}

// read finds the policy where the template put it.
func (h policyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	p, err := decodePolicy(r.Properties)
	if err != nil {
		return nil, err
	}
	found := policyProperties{PolicyName: p.PolicyName}
	note := func(list *[]string, name, document string, err error) error {
		if fault.Is(err, fault.NoSuchEntity) {
			return nil
		}
		if err != nil {
			return err
		}
		*list = append(*list, name)
		found.PolicyDocument.Text, err = url.PathUnescape(document)
		return err
	}
	for _, name := range p.Roles {
		out, err := h.svc.GetRolePolicy(ctx, &api.GetRolePolicyInput{RoleName: name, PolicyName: p.PolicyName})
		if out == nil {
			out = &api.GetRolePolicyOutput{}
		}
		if err := note(&found.Roles, name, out.PolicyDocument, err); err != nil {
			return nil, err
		}
	}
	for _, name := range p.Users {
		out, err := h.svc.GetUserPolicy(ctx, &api.GetUserPolicyInput{UserName: name, PolicyName: p.PolicyName})
		if out == nil {
			out = &api.GetUserPolicyOutput{}
		}
		if err := note(&found.Users, name, out.PolicyDocument, err); err != nil {
			return nil, err
		}
	}
	for _, name := range p.Groups {
		out, err := h.svc.GetGroupPolicy(ctx, &api.GetGroupPolicyInput{GroupName: name, PolicyName: p.PolicyName})
		if out == nil {
			out = &api.GetGroupPolicyOutput{}
		}
		if err := note(&found.Groups, name, out.PolicyDocument, err); err != nil {
			return nil, err
		}
	}
	if len(found.Roles)+len(found.Users)+len(found.Groups) == 0 {
		return nil, resource.Missing(policyName, r.PhysicalID)
	}
	out, err := resource.Encode(found)
	if err != nil {
		return nil, err
	}
	out["Id"] = r.PhysicalID
	return out, nil
}

func (h policyHandler) delete(ctx context.Context, r cfn.Request) error {
	p, err := decodePolicy(r.Properties)
	if err != nil {
		return err
	}
	return h.remove(ctx, p, policyProperties{})
}
