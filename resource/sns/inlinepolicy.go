package sns

import (
	"context"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const inlinePolicyName = "AWS::SNS::TopicInlinePolicy"

type inlinePolicyProperties struct {
	PolicyDocument resource.Document `json:"PolicyDocument"`
	TopicArn       string            `json:"TopicArn"`
}

// inlinePolicyHandler keeps the policy of one topic, whose ARN is its id.
type inlinePolicyHandler struct{ topicPolicyHandler }

func inlinePolicyType(svc api.Service) cfn.Type {
	h := inlinePolicyHandler{topicPolicyHandler{svc}}
	return cfn.Type{Name: inlinePolicyName, Create: h.put, Read: h.read, Update: h.put, Delete: h.delete}
}

func (h inlinePolicyHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p inlinePolicyProperties
	if err := resource.Decode(inlinePolicyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: p.TopicArn}, h.set(ctx, p.TopicArn, p.PolicyDocument.Text)
}

func (h inlinePolicyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	text, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return nil, resource.Found(err, inlinePolicyName, r.PhysicalID, fault.SNSNotFound)
	}
	if text == "" {
		return nil, resource.Missing(inlinePolicyName, r.PhysicalID)
	}
	return resource.Encode(inlinePolicyProperties{resource.Document{Text: text}, r.PhysicalID})
}

func (h inlinePolicyHandler) delete(ctx context.Context, r cfn.Request) error {
	return resource.Gone(h.set(ctx, r.PhysicalID, ""), fault.SNSNotFound)
}
