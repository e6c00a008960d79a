package sqs

import (
	"context"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const inlinePolicyName = "AWS::SQS::QueueInlinePolicy"

type inlinePolicyProperties struct {
	PolicyDocument resource.Document `json:"PolicyDocument"`
	Queue          string            `json:"Queue"`
}

// inlinePolicyHandler keeps the policy of one queue, whose URL is its id.
type inlinePolicyHandler struct{ queuePolicyHandler }

func inlinePolicyType(svc api.Service) cfn.Type {
	h := inlinePolicyHandler{queuePolicyHandler{svc}}
	return cfn.Type{Name: inlinePolicyName, Create: h.put, Read: h.read, Update: h.put, Delete: h.delete}
}

func (h inlinePolicyHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p inlinePolicyProperties
	if err := resource.Decode(inlinePolicyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: p.Queue}, h.set(ctx, p.Queue, p.PolicyDocument.Text)
}

func (h inlinePolicyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.GetQueueAttributes(ctx, &api.GetQueueAttributesInput{
		QueueUrl: r.PhysicalID, AttributeNames: []string{api.QueueAttributeNamePolicy},
	})
	if err != nil {
		return nil, resource.Found(err, inlinePolicyName, r.PhysicalID, fault.QueueDoesNotExist)
	}
	text := out.Attributes[api.QueueAttributeNamePolicy]
	if text == "" {
		return nil, resource.Missing(inlinePolicyName, r.PhysicalID)
	}
	return resource.Encode(inlinePolicyProperties{resource.Document{Text: text}, r.PhysicalID})
}

func (h inlinePolicyHandler) delete(ctx context.Context, r cfn.Request) error {
	return resource.Gone(h.set(ctx, r.PhysicalID, ""), fault.QueueDoesNotExist)
}
