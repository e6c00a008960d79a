package sns

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// subscriptionAttributes are what a subscription can be set to.
type subscriptionAttributes struct {
	Raw        bool                  `json:",omitempty"`
	Filter     string                `json:",omitempty"`
	Body       bool                  `json:",omitempty"` // the filter is for the message's body
	Redrive    string                `json:",omitempty"`
	DeadLetter string                `json:",omitempty"` // the ARN that Redrive names
	Delivery   *subscriptionDelivery `json:",omitempty"`
}

// Names of a subscription's attributes ("SetSubscriptionAttributes", Amazon SNS API
// Reference).
const (
	attrRaw         = "RawMessageDelivery"
	attrFilter      = "FilterPolicy"
	attrFilterScope = "FilterPolicyScope"
	attrRedrive     = "RedrivePolicy"
	attrReplay      = "ReplayPolicy"
	attrRole        = "SubscriptionRoleArn"
)

const (
	scopeBody       = "MessageBody"
	scopeAttributes = "MessageAttributes"
)

// setSubscription sets one attribute; prefix begins the reason of a refusal.
func (s *Service) setSubscription(tx store.Tx, p place, t *topic, sub *subscription, name, value, prefix string) error {
	wrong := func(format string, args ...any) error { return invalid(prefix+format, args...) }
	a := &sub.Attributes
	switch name {
	case attrRaw:
		raw, err := parseBool(value)
		if err != nil || len(value) < 4 {
			return wrong("RawMessageDelivery: Invalid value [%s]. Must be true or false.", value)
		}
		a.Raw = raw
	case attrFilterScope:
		if value != scopeBody && value != scopeAttributes {
			return wrong("FilterPolicyScope: Invalid value [%s]. Please use either MessageBody or MessageAttributes", value)
		}
		a.Body = value == scopeBody
		if a.Filter != "" {
			return a.setFilter(a.Filter, wrong)
		}
	case attrFilter:
		return a.setFilter(value, wrong)
	case attrRedrive:
		return a.setRedrive(arn.Scope{Account: sub.Owner, Region: p.Region}, t, value, wrong)
	case attrDelivery:
		if !sub.isWeb() {
			return wrong("DeliveryPolicy: only HTTP and HTTPS subscriptions have one")
		}
		d, err := parseSubscriptionDelivery(value)
		if err != nil {
			return wrong("DeliveryPolicy: %s", err)
		}
		a.Delivery = d
	case attrReplay, attrRole:
		if value == "" {
			return nil
		}
		return notBuilt("the subscription attribute " + name)
	default:
		if prefix != "" {
			return wrong("Unknown attribute %s", name)
		}
		return invalid("AttributeName")
	}
	return nil
}

func (a *subscriptionAttributes) setFilter(value string, wrong func(string, ...any) error) error {
	if value == "" || value == "{}" {
		a.Filter = ""
		return nil
	}
	if _, err := parseFilter(value, a.Body); err != nil {
		return wrong("FilterPolicy: %s", err)
	}
	a.Filter = value
	return nil
}

func (a *subscriptionAttributes) setRedrive(own arn.Scope, t *topic, value string, wrong func(string, ...any) error) error {
	if value == "" || value == "{}" {
		a.Redrive, a.DeadLetter = "", ""
		return nil
	}
	if err := checkJSON(value); err != nil {
		return wrong("RedrivePolicy: failed to parse JSON. %s", err)
	}
	var r struct {
		Target *string `json:"deadLetterTargetArn"`
	}
	if json.Unmarshal([]byte(value), &r) != nil || r.Target == nil {
		return wrong("RedrivePolicy: deadLetterTargetArn is required")
	}
	q, err := arn.Parse(*r.Target)
	if err != nil || q.Service != "sqs" || !arn.IsAccount(q.Account) {
		return wrong("RedrivePolicy: deadLetterTargetArn is an invalid arn")
	}
	if q.Account != own.Account || q.Region != own.Region {
		return wrong("RedrivePolicy: deadLetterTargetArn must be of the subscription's account and region")
	}
	if strings.HasSuffix(q.Resource, fifoSuffix) != t.Attributes.Fifo {
		return wrong("RedrivePolicy: must use a FIFO queue as DLQ for a FIFO topic, and a standard one for a standard topic")
	}
	a.Redrive, a.DeadLetter = value, *r.Target
	return nil
}

// covers reports whether a subscription has the attributes that a call asks for: those
// that it names.
func (a *subscriptionAttributes) covers(want *subscriptionAttributes, asked map[string]string) bool {
	for name := range asked {
		same := true
		switch name {
		case attrRaw:
			same = a.Raw == want.Raw
		case attrFilter:
			same = sameJSON(a.Filter, want.Filter)
		case attrFilterScope:
			same = a.Body == want.Body
		case attrRedrive:
			same = sameJSON(a.Redrive, want.Redrive)
		case attrDelivery:
			same = a.Delivery.text() == want.Delivery.text()
		}
		if !same {
			return false
		}
	}
	return true
}

func sameJSON(x, y string) bool {
	var a, b any
	if x == y {
		return true
	}
	if json.Unmarshal([]byte(x), &a) != nil || json.Unmarshal([]byte(y), &b) != nil {
		return false
	}
	p, errP := json.Marshal(a)
	q, errQ := json.Marshal(b)
	return errP == nil && errQ == nil && string(p) == string(q)
}

// maxFilters bounds the filter policies of a topic ("Amazon SNS endpoints and quotas",
// AWS General Reference).
const maxFilters = 200

// countFilters refuses a filter policy that is one too many.
func (s *Service) countFilters(tx store.Tx, p place, sub *subscription) error {
	if sub.Attributes.Filter == "" {
		return nil
	}
	n := 0
	for e, err := range subscriptions.Scan(tx, p.key()+"/") {
		if err != nil {
			return err
		}
		if e.Value.ID != sub.ID && e.Value.Attributes.Filter != "" {
			n++
		}
	}
	if n >= maxFilters {
		return fault.New(fault.FilterPolicyLimit, "A topic can have at most %d filter policies.", maxFilters)
	}
	return nil
}

// texts are the attributes as the API writes them.
func (s *subscription) texts(t *topic) map[string]string {
	a := &s.Attributes
	out := map[string]string{
		"SubscriptionArn": s.arn(), "TopicArn": s.Topic, "Owner": s.Owner, "Protocol": s.Protocol, "Endpoint": s.Endpoint,
		"SubscriptionPrincipal": s.By, "PendingConfirmation": strconv.FormatBool(s.Pending),
		"ConfirmationWasAuthenticated": strconv.FormatBool(s.Authenticated), attrRaw: strconv.FormatBool(a.Raw),
	}
	if a.Filter != "" {
		out[attrFilter], out[attrFilterScope] = a.Filter, scopeAttributes
		if a.Body {
			out[attrFilterScope] = scopeBody
		}
	}
	if a.Redrive != "" {
		out[attrRedrive] = a.Redrive
	}
	if a.Delivery != nil {
		out[attrDelivery] = a.Delivery.text()
	}
	if s.isWeb() {
		out[attrEffective] = a.Delivery.over(t.Attributes.Delivery).text()
	}
	return out
}

// GetSubscriptionAttributes tells what a subscription is set to.
func (s *Service) GetSubscriptionAttributes(ctx context.Context, in *api.GetSubscriptionAttributesInput) (*api.GetSubscriptionAttributesOutput, error) {
	p, id, err := subscriptionPlace(ctx, in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	out := &api.GetSubscriptionAttributesOutput{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		sub, err := lookupSubscription(ctx, tx, p, id)
		if err != nil {
			return err
		}
		t, err := find(tx, p)
		if err != nil {
			return err
		}
		out.Attributes = sub.texts(t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SetSubscriptionAttributes changes one attribute.
func (s *Service) SetSubscriptionAttributes(ctx context.Context, in *api.SetSubscriptionAttributesInput) (*api.SetSubscriptionAttributesOutput, error) {
	p, id, err := subscriptionPlace(ctx, in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	return &api.SetSubscriptionAttributesOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		sub, err := lookupSubscription(ctx, tx, p, id)
		if err != nil {
			return err
		}
		t, err := find(tx, p)
		if err != nil {
			return err
		}
		if err := s.setSubscription(tx, p, t, sub, in.AttributeName, in.AttributeValue, ""); err != nil {
			return err
		}
		if err := s.countFilters(tx, p, sub); err != nil {
			return err
		}
		sub.Bound = sub.Bound || auth.From(ctx).Principal.Enforced
		return subscriptions.Put(tx, p.key()+"/"+id, sub)
	})
}
