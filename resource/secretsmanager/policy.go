package secretsmanager

import (
	"context"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const policyName = "AWS::SecretsManager::ResourcePolicy"

type policyProperties struct {
	ID                string            `json:"Id,omitempty"`
	SecretID          string            `json:"SecretId"`
	ResourcePolicy    resource.Document `json:"ResourcePolicy"`
	BlockPublicPolicy *bool             `json:"BlockPublicPolicy,omitempty"`
}

// policyHandler keeps the policy of one secret, whose ARN is its id.
type policyHandler struct{ svc api.Service }

func policyType(svc api.Service) cfn.Type {
	h := policyHandler{svc}
	return cfn.Type{Name: policyName, Create: h.put, Read: h.read, Update: h.put, Delete: h.delete}
}

func (h policyHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p policyProperties
	if err := resource.Decode(policyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.PutResourcePolicy(ctx, &api.PutResourcePolicyInput{
		SecretId: p.SecretID, ResourcePolicy: p.ResourcePolicy.Text, BlockPublicPolicy: p.BlockPublicPolicy,
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return result(out.ARN), nil
}

func (h policyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.GetResourcePolicy(ctx, &api.GetResourcePolicyInput{SecretId: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, policyName, r.PhysicalID, fault.ResourceNotFoundException, fault.InvalidRequestException)
	}
	if out.ResourcePolicy == "" {
		return nil, resource.Missing(policyName, r.PhysicalID)
	}
	return resource.Encode(policyProperties{ID: out.ARN, SecretID: out.ARN, ResourcePolicy: resource.Document{Text: out.ResourcePolicy}})
}

func (h policyHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteResourcePolicy(ctx, &api.DeleteResourcePolicyInput{SecretId: r.PhysicalID})
	// A secret that is to be deleted takes its policy with it.
	return resource.Gone(err, fault.ResourceNotFoundException, fault.InvalidRequestException)
}
