package sns

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/store"
)

// attributes are what a topic can be set to.
type attributes struct {
	Display      string         `json:",omitempty"`
	Policy       string         `json:",omitempty"` // "": the default one
	Delivery     *topicDelivery `json:",omitempty"`
	KeyID        string         `json:",omitempty"`
	Signature    string         `json:",omitempty"` // version, where it was set
	Tracing      string         `json:",omitempty"`
	Fifo         bool           `json:",omitempty"`
	ContentBased bool           `json:",omitempty"`
	Scope        string         `json:",omitempty"` // FifoThroughputScope
}

// Names of a topic's attributes ("SetTopicAttributes", Amazon SNS API Reference).
const (
	attrDisplayName  = "DisplayName"
	attrPolicy       = "Policy"
	attrDelivery     = "DeliveryPolicy"
	attrEffective    = "EffectiveDeliveryPolicy"
	attrKey          = "KmsMasterKeyId"
	attrSignature    = "SignatureVersion"
	attrTracing      = "TracingConfig"
	attrFifo         = "FifoTopic"
	attrContentBased = "ContentBasedDeduplication"
	attrScope        = "FifoThroughputScope"
	attrArchive      = "ArchivePolicy"
)

const (
	maxDisplayName = 100
	maxPolicy      = 30 << 10
	scopeTopic     = "Topic"
	scopeGroup     = "MessageGroup"
)

// setType reads what a topic's type is, which never changes.
func (a *attributes) setType(asked map[string]string) error {
	switch strings.ToLower(asked[attrFifo]) {
	case "", "false":
	case "true":
		a.Fifo, a.Scope = true, scopeTopic
	default:
		return invalid("Attributes Reason: FifoTopic: Invalid value [%s]. Must be true or false.", asked[attrFifo])
	}
	return nil
}

// setAll sets the attributes of CreateTopic.
func (a *attributes) setAll(asked map[string]string) error {
	for _, name := range sortedKeys(asked) {
		if name == attrFifo {
			if want := strings.EqualFold(asked[name], "true"); want != a.Fifo {
				return invalid("Attributes Reason: Topic already exists with different attributes")
			}
			continue
		}
		if err := a.set(name, asked[name], "Attributes Reason: "); err != nil {
			return err
		}
	}
	return nil
}

// set sets one attribute; an empty value is the default. prefix begins the reason of
// a refusal.
func (a *attributes) set(name, value, prefix string) error {
	wrong := func(format string, args ...any) error { return invalid(prefix+format, args...) }
	switch name {
	case attrDisplayName:
		if len(value) > maxDisplayName {
			return wrong("DisplayName: must be at most %d characters long", maxDisplayName)
		}
		a.Display = value
	case attrPolicy:
		if value != "" {
			if _, err := policy.Parse(value, policy.Resource); err != nil || len(value) > maxPolicy {
				return wrong("Policy Error: PrincipalNotFound or the document is not valid")
			}
		}
		a.Policy = value
	case attrDelivery:
		d, err := parseTopicDelivery(value)
		if err != nil {
			return wrong("DeliveryPolicy: %s", err)
		}
		a.Delivery = d
	case attrKey:
		if len(value) > 2048 {
			return wrong("KmsMasterKeyId: must be at most 2048 characters long")
		}
		a.KeyID = value
	case attrSignature:
		if value != "" && value != "1" && value != "2" {
			return wrong("SignatureVersion: Invalid value [%s]. Must be either 1 or 2.", value)
		}
		a.Signature = value
	case attrTracing:
		if value == "Active" {
			return notBuilt("tracing with X-Ray (TracingConfig Active)")
		}
		if value != "" && value != "PassThrough" {
			return wrong("TracingConfig: Invalid value [%s]. Must be either PassThrough or Active.", value)
		}
		a.Tracing = value
	case attrContentBased, attrScope:
		if a.Fifo {
			return a.setFIFO(name, value, wrong)
		}
		return wrong("%s", strings.TrimSuffix("AttributeName", prefix))
	default:
		return a.lacks(name, value, prefix)
	}
	return nil
}

func (a *attributes) setFIFO(name, value string, wrong func(string, ...any) error) error {
	if name == attrScope {
		if value != scopeTopic && value != scopeGroup {
			return wrong("FifoThroughputScope: Invalid value [%s]. Must be either Topic or MessageGroup.", value)
		}
		a.Scope = value
		return nil
	}
	on, err := parseBool(value)
	if err != nil && value != "" {
		return wrong("ContentBasedDeduplication: Invalid value [%s]. Must be true or false.", value)
	}
	a.ContentBased = on
	return nil
}

// lacks refuses what cannot be set: attributes that Slipway has not, and those that
// SNS has not either.
func (a *attributes) lacks(name, value, prefix string) error {
	feedback := strings.HasSuffix(name, "FeedbackRoleArn") || strings.HasSuffix(name, "FeedbackSampleRate")
	if feedback || name == attrArchive || name == "DataProtectionPolicy" || name == "BeginningArchiveTime" {
		if value == "" {
			return nil // switches off what is not on
		}
		return notBuilt("the topic attribute " + name)
	}
	if prefix != "" {
		return invalid("%sUnknown attribute %s", prefix, name)
	}
	return invalid("AttributeName")
}

// parseBool reads the booleans of attributes, in any case.
func parseBool(text string) (bool, error) { return strconv.ParseBool(strings.ToLower(text)) }

// equal compares what two topics are set to. An attribute that was set to its
// default is one that was not set.
func (a *attributes) equal(b *attributes) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// defaultPolicy is the policy that every topic begins with: its account may do
// everything with it, by policies of its own.
func defaultPolicy(p place) string {
	return `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow",` +
		`"Principal":{"AWS":"*"},"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission",` +
		`"SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],"Resource":"` + p.arn() + `",` +
		`"Condition":{"StringEquals":{"AWS:SourceOwner":"` + p.Account + `"}}}]}`
}

func (t *topic) policy(p place) string {
	if t.Attributes.Policy == "" {
		return defaultPolicy(p)
	}
	return t.Attributes.Policy
}

// texts are the attributes as the API writes them, but for the counts.
func (t *topic) texts(p place) map[string]string {
	a := &t.Attributes
	out := map[string]string{
		"TopicArn": p.arn(), "Owner": p.Account, attrDisplayName: a.Display, attrPolicy: t.policy(p),
		attrEffective: a.Delivery.effective().text(), "SubscriptionsDeleted": strconv.FormatInt(t.Deleted, 10),
	}
	if a.Delivery != nil {
		out[attrDelivery] = a.Delivery.text()
	}
	for name, value := range map[string]string{attrKey: a.KeyID, attrSignature: a.Signature, attrTracing: a.Tracing} {
		if value != "" {
			out[name] = value
		}
	}
	if a.Fifo {
		out[attrFifo], out[attrContentBased] = "true", strconv.FormatBool(a.ContentBased)
		if a.Scope != scopeTopic {
			out[attrScope] = a.Scope
		}
	}
	return out
}

// GetTopicAttributes tells what a topic is set to, and counts its subscriptions.
func (s *Service) GetTopicAttributes(ctx context.Context, in *api.GetTopicAttributesInput) (*api.GetTopicAttributesOutput, error) {
	out := &api.GetTopicAttributesOutput{}
	err := s.view(ctx, in.TopicArn, func(tx store.Tx, p place, t *topic) error {
		out.Attributes = t.texts(p)
		confirmed, pending := 0, 0
		for e, err := range subscriptions.Scan(tx, p.key()+"/") {
			if err != nil {
				return err
			}
			switch {
			case e.Value.Pending:
				pending++
			case !e.Value.Ended:
				confirmed++
			}
		}
		out.Attributes["SubscriptionsConfirmed"] = strconv.Itoa(confirmed)
		out.Attributes["SubscriptionsPending"] = strconv.Itoa(pending)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SetTopicAttributes changes one attribute.
func (s *Service) SetTopicAttributes(ctx context.Context, in *api.SetTopicAttributesInput) (*api.SetTopicAttributesOutput, error) {
	return &api.SetTopicAttributesOutput{}, s.update(ctx, "TopicArn", in.TopicArn, func(_ store.Tx, _ place, t *topic) error {
		return t.Attributes.set(in.AttributeName, in.AttributeValue, "")
	})
}
