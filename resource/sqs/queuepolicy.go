package sqs

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const queuePolicyName = "AWS::SQS::QueuePolicy"

type queuePolicyProperties struct {
	PolicyDocument resource.Document `json:"PolicyDocument"`
	Queues         []string          `json:"Queues"`
}

type queuePolicyHandler struct{ svc api.Service }

func queuePolicyType(svc api.Service) cfn.Type {
	h := queuePolicyHandler{svc}
	return cfn.Type{Name: queuePolicyName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete}
}

// A queue policy has no record of its own: it is an attribute of its queues.
func (h queuePolicyHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	r.PhysicalID = r.Name
	return h.put(ctx, r)
}

func (h queuePolicyHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	result := cfn.Result{PhysicalID: r.PhysicalID, Attributes: cfn.Properties{"Id": r.PhysicalID}}
	var p queuePolicyProperties
	if err := resource.Decode(queuePolicyName, r.Properties, &p); err != nil {
		return result, err
	}
	for _, url := range p.Queues {
		if err := h.set(ctx, url, p.PolicyDocument.Text); err != nil {
			return result, err
		}
	}
	return result, nil
}

func (h queuePolicyHandler) set(ctx context.Context, url, text string) error {
	_, err := h.svc.SetQueueAttributes(ctx, &api.SetQueueAttributesInput{
		QueueUrl: url, Attributes: map[string]string{api.QueueAttributeNamePolicy: text},
	})
	return err
}

func (h queuePolicyHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior queuePolicyProperties
	if err := resource.Decode(queuePolicyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(queuePolicyName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	for _, url := range prior.Queues {
		if slices.Contains(p.Queues, url) {
			continue
		}
		if err := resource.Gone(h.set(ctx, url, ""), fault.QueueDoesNotExist); err != nil {
			return cfn.Result{}, err
		}
	}
	return h.put(ctx, r)
}

func (h queuePolicyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	var p queuePolicyProperties
	if err := resource.Decode(queuePolicyName, r.Properties, &p); err != nil {
		return nil, err
	}
	found := queuePolicyProperties{Queues: []string{}}
	for _, url := range p.Queues {
		out, err := h.svc.GetQueueAttributes(ctx, &api.GetQueueAttributesInput{
			QueueUrl: url, AttributeNames: []string{api.QueueAttributeNamePolicy},
		})
		if fault.Is(err, fault.QueueDoesNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if text := out.Attributes[api.QueueAttributeNamePolicy]; text != "" {
			found.Queues = append(found.Queues, url)
			found.PolicyDocument.Text = text
		}
	}
	if len(found.Queues) == 0 {
		return nil, resource.Missing(queuePolicyName, r.PhysicalID)
	}
	out, err := resource.Encode(found)
	if err != nil {
		return nil, err
	}
	out["Id"] = r.PhysicalID
	return out, nil
}

func (h queuePolicyHandler) delete(ctx context.Context, r cfn.Request) error {
	var p queuePolicyProperties
	if err := resource.Decode(queuePolicyName, r.Properties, &p); err != nil {
		return err
	}
	for _, url := range p.Queues {
		if err := resource.Gone(h.set(ctx, url, ""), fault.QueueDoesNotExist); err != nil {
			return err
		}
	}
	return nil
}
