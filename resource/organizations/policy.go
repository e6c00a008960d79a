package organizations

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const policyName = "AWS::Organizations::Policy"

type policyProperties struct {
	Name        string            `json:"Name"`
	Description string            `json:"Description,omitempty"`
	Type        string            `json:"Type"`
	Content     resource.Document `json:"Content"`
	TargetIDs   []string          `json:"TargetIds,omitempty"`
	Tags        []resource.Tag    `json:"Tags,omitempty"`
}

// policyHandler keeps a policy and what it is attached to.
type policyHandler struct{ svc api.Service }

func policyType(svc api.Service) cfn.Type {
	h := policyHandler{svc}
	return cfn.Type{Name: policyName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h policyHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p policyProperties
	if err := resource.Decode(policyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreatePolicy(ctx, &api.CreatePolicyInput{
		Name: p.Name, Description: p.Description, Type: p.Type, Content: p.Content.Text, Tags: list(resource.Tags(r, p.Tags)),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	made := policyResult(out.Policy.PolicySummary)
	return made, h.attach(ctx, made.PhysicalID, p.TargetIDs)
}

func policyResult(s *api.PolicySummary) cfn.Result {
	return cfn.Result{PhysicalID: s.Id, Attributes: cfn.Properties{"Id": s.Id, "Arn": s.Arn, "AwsManaged": *s.AwsManaged}}
}

func (h policyHandler) targets(ctx context.Context, id string) ([]string, error) {
	found := []string{}
	in := &api.ListTargetsForPolicyInput{PolicyId: id}
	for {
		out, err := h.svc.ListTargetsForPolicy(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, t := range out.Targets {
			found = append(found, t.TargetId)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return found, nil
		}
	}
}

// attach attaches the policy to what is wanted, and to nothing else.
func (h policyHandler) attach(ctx context.Context, id string, want []string) error {
	has, err := h.targets(ctx, id)
	if err != nil {
		return err
	}
	for _, t := range want {
		if slices.Contains(has, t) {
			continue
		}
		if _, err := h.svc.AttachPolicy(ctx, &api.AttachPolicyInput{PolicyId: id, TargetId: t}); resource.Gone(err, fault.DuplicatePolicyAttachment) != nil {
			return err
		}
	}
	for _, t := range has {
		if slices.Contains(want, t) {
			continue
		}
		if _, err := h.svc.DetachPolicy(ctx, &api.DetachPolicyInput{PolicyId: id, TargetId: t}); resource.Gone(err, fault.OrganizationsPolicyNotAttached) != nil {
			return err
		}
	}
	return nil
}

func (h policyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.DescribePolicy(ctx, &api.DescribePolicyInput{PolicyId: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, policyName, r.PhysicalID, fault.OrganizationsPolicyNotFound, fault.OrganizationsNotInUse)
	}
	s := out.Policy.PolicySummary
	p := policyProperties{Name: s.Name, Description: s.Description, Type: s.Type, Content: resource.Document{Text: out.Policy.Content}}
	if p.TargetIDs, err = h.targets(ctx, r.PhysicalID); err != nil {
		return nil, err
	}
	tags, err := tagsOf(ctx, h.svc, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p.Tags = resource.OwnTags(tags)
	all, err := resource.Encode(p)
	if err == nil {
		for k, v := range policyResult(s).Attributes {
			all[k] = v
		}
	}
	return all, err
}

func (h policyHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p policyProperties
	if err := resource.Decode(policyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.UpdatePolicy(ctx, &api.UpdatePolicyInput{PolicyId: r.PhysicalID, Name: p.Name, Description: p.Description, Content: p.Content.Text})
	if err != nil {
		return cfn.Result{}, resource.Found(err, policyName, r.PhysicalID, fault.OrganizationsPolicyNotFound, fault.OrganizationsNotInUse)
	}
	if err := h.attach(ctx, r.PhysicalID, p.TargetIDs); err != nil {
		return cfn.Result{}, err
	}
	return policyResult(out.Policy.PolicySummary), retag(ctx, h.svc, r.PhysicalID, resource.Tags(r, p.Tags))
}

func (h policyHandler) delete(ctx context.Context, r cfn.Request) error {
	if err := h.attach(ctx, r.PhysicalID, nil); err != nil {
		return resource.Gone(err, fault.OrganizationsPolicyNotFound, fault.OrganizationsNotInUse)
	}
	_, err := h.svc.DeletePolicy(ctx, &api.DeletePolicyInput{PolicyId: r.PhysicalID})
	return resource.Gone(err, fault.OrganizationsPolicyNotFound, fault.OrganizationsNotInUse)
}

func (h policyHandler) list(ctx context.Context) ([]string, error) {
	var found []string
	in := &api.ListPoliciesInput{Filter: api.PolicyTypeServiceControlPolicy}
	for {
		out, err := h.svc.ListPolicies(ctx, in)
		if err != nil {
			return nil, resource.Gone(err, fault.OrganizationsNotInUse)
		}
		for _, p := range out.Policies {
			if !*p.AwsManaged {
				found = append(found, p.Id)
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return found, nil
		}
	}
}
