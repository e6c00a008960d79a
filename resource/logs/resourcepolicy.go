package logs

import (
	"context"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const policyName = "AWS::Logs::ResourcePolicy"

type policyProperties struct {
	PolicyName     string            `json:"PolicyName"`
	PolicyDocument resource.Document `json:"PolicyDocument"`
}

type policyHandler struct{ svc api.Service }

func policyType(svc api.Service) cfn.Type {
	h := policyHandler{svc}
	return cfn.Type{Name: policyName, Create: h.put, Read: h.read, Update: h.put, Delete: h.delete, List: h.list}
}

func (h policyHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p policyProperties
	if err := resource.Decode(policyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if _, err := h.svc.PutResourcePolicy(ctx, &api.PutResourcePolicyInput{PolicyName: p.PolicyName, PolicyDocument: p.PolicyDocument.Text}); err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: p.PolicyName}, nil
}

func (h policyHandler) each(ctx context.Context, fn func(api.ResourcePolicy)) error {
	in := &api.DescribeResourcePoliciesInput{}
	for {
		out, err := h.svc.DescribeResourcePolicies(ctx, in)
		if err != nil {
			return err
		}
		for _, p := range out.ResourcePolicies {
			fn(p)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return nil
		}
	}
}

func (h policyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	var found *api.ResourcePolicy
	err := h.each(ctx, func(p api.ResourcePolicy) {
		if p.PolicyName == r.PhysicalID {
			found = &p
		}
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, resource.Missing(policyName, r.PhysicalID)
	}
	return resource.Encode(policyProperties{found.PolicyName, resource.Document{Text: found.PolicyDocument}})
}

func (h policyHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteResourcePolicy(ctx, &api.DeleteResourcePolicyInput{PolicyName: r.PhysicalID})
	return resource.Gone(err, fault.ResourceNotFoundException)
}

func (h policyHandler) list(ctx context.Context) (names []string, err error) {
	err = h.each(ctx, func(p api.ResourcePolicy) { names = append(names, p.PolicyName) })
	return names, err
}
