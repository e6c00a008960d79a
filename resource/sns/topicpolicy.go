package sns

import (
	"context"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const topicPolicyName = "AWS::SNS::TopicPolicy"

type topicPolicyProperties struct {
	ID             string            `json:"Id,omitempty"`
	PolicyDocument resource.Document `json:"PolicyDocument"`
	Topics         []string          `json:"Topics"`
}

type topicPolicyHandler struct{ svc api.Service }

func topicPolicyType(svc api.Service) cfn.Type {
	h := topicPolicyHandler{svc}
	return cfn.Type{Name: topicPolicyName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete}
}

// A topic policy has no record of its own: it is an attribute of its topics.
func (h topicPolicyHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	r.PhysicalID = r.Name
	return h.put(ctx, r)
}

func (h topicPolicyHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	result := cfn.Result{PhysicalID: r.PhysicalID, Attributes: cfn.Properties{"Id": r.PhysicalID}}
	var p topicPolicyProperties
	if err := resource.Decode(topicPolicyName, r.Properties, &p); err != nil {
		return result, err
	}
	for _, topic := range p.Topics {
		if err := h.set(ctx, topic, p.PolicyDocument.Text); err != nil {
			return result, err
		}
	}
	return result, nil
}

// set sets a topic's policy; "" is the one that it began with.
func (h topicPolicyHandler) set(ctx context.Context, topicARN, text string) error {
	_, err := h.svc.SetTopicAttributes(ctx, &api.SetTopicAttributesInput{TopicArn: topicARN, AttributeName: "Policy", AttributeValue: text})
	return err
}

// get is a topic's policy, "" where it has the one that it began with.
func (h topicPolicyHandler) get(ctx context.Context, topicARN string) (string, error) {
	out, err := h.svc.GetTopicAttributes(ctx, &api.GetTopicAttributesInput{TopicArn: topicARN})
	if err != nil {
		return "", err
	}
	text := out.Attributes["Policy"]
	if strings.HasPrefix(text, `{"Version":"2008-10-17","Id":"__default_policy_ID"`) {
		return "", nil
	}
	return text, nil
}

func (h topicPolicyHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior topicPolicyProperties
	if err := resource.Decode(topicPolicyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(topicPolicyName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	for _, topic := range prior.Topics {
		if slices.Contains(p.Topics, topic) {
			continue
		}
		if err := resource.Gone(h.set(ctx, topic, ""), fault.SNSNotFound); err != nil {
			return cfn.Result{}, err
		}
	}
	return h.put(ctx, r)
}

func (h topicPolicyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	var p topicPolicyProperties
	if err := resource.Decode(topicPolicyName, r.Properties, &p); err != nil {
		return nil, err
	}
	found := topicPolicyProperties{ID: r.PhysicalID, Topics: []string{}}
	for _, topic := range p.Topics {
		text, err := h.get(ctx, topic)
		if fault.Is(err, fault.SNSNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if text != "" {
			found.Topics = append(found.Topics, topic)
			found.PolicyDocument.Text = text
		}
	}
	if len(found.Topics) == 0 {
		return nil, resource.Missing(topicPolicyName, r.PhysicalID)
	}
	return resource.Encode(found)
}

func (h topicPolicyHandler) delete(ctx context.Context, r cfn.Request) error {
	var p topicPolicyProperties
	if err := resource.Decode(topicPolicyName, r.Properties, &p); err != nil {
		return err
	}
	for _, topic := range p.Topics {
		if err := resource.Gone(h.set(ctx, topic, ""), fault.SNSNotFound); err != nil {
			return err
		}
	}
	return nil
}
