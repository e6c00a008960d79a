package sns

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const subscriptionName = "AWS::SNS::Subscription"

// subscriptionProperties are those of AWS::SNS::Subscription that subscriptions here
// have. Region must be the topic's, in which the stack is.
type subscriptionProperties struct {
	Arn                 string             `json:"Arn,omitempty"`
	TopicArn            string             `json:"TopicArn"`
	Protocol            string             `json:"Protocol"`
	Endpoint            string             `json:"Endpoint,omitempty"`
	Region              string             `json:"Region,omitempty"`
	RawMessageDelivery  *bool              `json:"RawMessageDelivery,omitempty"`
	FilterPolicy        *resource.Document `json:"FilterPolicy,omitempty"`
	FilterPolicyScope   string             `json:"FilterPolicyScope,omitempty"`
	DeliveryPolicy      *resource.Document `json:"DeliveryPolicy,omitempty"`
	RedrivePolicy       *resource.Document `json:"RedrivePolicy,omitempty"`
	SubscriptionRoleArn string             `json:"SubscriptionRoleArn,omitempty"`
}

// setting is an attribute of a subscription.
type setting struct{ name, value string }

// Names of attributes.
const (
	filterPolicy = "FilterPolicy"
	filterScope  = "FilterPolicyScope"
)

// settings are the properties in the terms of SetSubscriptionAttributes: those that the
// template names, and the defaults of those that it named before.
func (p subscriptionProperties) settings(prior *subscriptionProperties) []setting {
	var out []setting
	add := func(name, value, before, fallback string) {
		switch {
		case value != "":
			out = append(out, setting{name, value})
		case before != "":
			out = append(out, setting{name, fallback})
		}
	}
	if prior == nil {
		prior = &subscriptionProperties{}
	}
	scope := func() { add(filterScope, p.FilterPolicyScope, prior.FilterPolicyScope, "MessageAttributes") }
	filter := func() { add(filterPolicy, text(p.FilterPolicy), text(prior.FilterPolicy), "{}") }
	// Whatever a filter on attributes may be, one on the body may be, too.
	if p.FilterPolicyScope == "MessageBody" {
		scope()
		filter()
	} else {
		filter()
		scope()
	}
	add("RawMessageDelivery", resource.Text(p.RawMessageDelivery), resource.Text(prior.RawMessageDelivery), "false")
	add("RedrivePolicy", text(p.RedrivePolicy), text(prior.RedrivePolicy), "{}")
	add("DeliveryPolicy", text(p.DeliveryPolicy), text(prior.DeliveryPolicy), "")
	return out
}

func text(d *resource.Document) string {
	if d == nil {
		return ""
	}
	return d.Text
}

func (p subscriptionProperties) check() error {
	if p.SubscriptionRoleArn != "" {
		return fault.New(fault.NotImplemented, "%s: the property SubscriptionRoleArn is not built in Slipway yet: it is for Firehose", subscriptionName)
	}
	if topic, err := arn.Parse(p.TopicArn); p.Region != "" && (err != nil || topic.Region != p.Region) {
		return fault.New(fault.ValidationError, "%s: Region must be that of the topic", subscriptionName)
	}
	return nil
}

type subscriptionHandler struct{ svc api.Service }

func subscriptionType(svc api.Service) cfn.Type {
	h := subscriptionHandler{svc}
	return cfn.Type{
		Name: subscriptionName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list,
		// A region is part of where the topic is, which is create-only itself.
		Replaces: func(string, cfn.Properties, cfn.Properties) bool { return false },
	}
}

func (h subscriptionHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p subscriptionProperties
	if err := resource.Decode(subscriptionName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := p.check(); err != nil {
		return cfn.Result{}, err
	}
	attributes := map[string]string{}
	for _, s := range p.settings(nil) {
		attributes[s.name] = s.value
	}
	out, err := h.svc.Subscribe(ctx, &api.SubscribeInput{
		TopicArn: p.TopicArn, Protocol: p.Protocol, Endpoint: p.Endpoint, Attributes: attributes, ReturnSubscriptionArn: new(true),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return subscriptionResult(out.SubscriptionArn), nil
}

func subscriptionResult(arn string) cfn.Result {
	return cfn.Result{PhysicalID: arn, Attributes: cfn.Properties{"Arn": arn}}
}

func (h subscriptionHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.GetSubscriptionAttributes(ctx, &api.GetSubscriptionAttributesInput{SubscriptionArn: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, subscriptionName, r.PhysicalID, fault.SNSNotFound)
	}
	has := out.Attributes
	raw := has["RawMessageDelivery"] == "true"
	p := subscriptionProperties{
		Arn: r.PhysicalID, TopicArn: has["TopicArn"], Protocol: has["Protocol"], Endpoint: has["Endpoint"], RawMessageDelivery: &raw,
		FilterPolicyScope: has[filterScope],
	}
	document := func(name string) *resource.Document {
		if has[name] == "" {
			return nil
		}
		return &resource.Document{Text: has[name]}
	}
	p.FilterPolicy, p.RedrivePolicy = document(filterPolicy), document("RedrivePolicy")
	p.DeliveryPolicy = document("DeliveryPolicy")
	return resource.Encode(p)
}

func (h subscriptionHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior subscriptionProperties
	if err := resource.Decode(subscriptionName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(subscriptionName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	if err := p.check(); err != nil {
		return cfn.Result{}, err
	}
	for _, s := range p.settings(&prior) {
		in := &api.SetSubscriptionAttributesInput{SubscriptionArn: r.PhysicalID, AttributeName: s.name, AttributeValue: s.value}
		if _, err := h.svc.SetSubscriptionAttributes(ctx, in); err != nil {
			return cfn.Result{}, resource.Found(err, subscriptionName, r.PhysicalID, fault.SNSNotFound)
		}
	}
	return subscriptionResult(r.PhysicalID), nil
}

func (h subscriptionHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.Unsubscribe(ctx, &api.UnsubscribeInput{SubscriptionArn: r.PhysicalID})
	return resource.Gone(err, fault.SNSNotFound)
}

func (h subscriptionHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListSubscriptionsInput{}
	var arns []string
	for {
		out, err := h.svc.ListSubscriptions(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, s := range out.Subscriptions {
			if strings.HasPrefix(s.SubscriptionArn, "arn:") {
				arns = append(arns, s.SubscriptionArn)
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return arns, nil
		}
	}
}
