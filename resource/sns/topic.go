// Package sns holds the resource types of Amazon SNS. It calls api/sns alone.
package sns

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of SNS.
func Types(svc api.Service) []cfn.Type {
	return []cfn.Type{subscriptionType(svc), topicType(svc), inlinePolicyType(svc), topicPolicyType(svc)}
}

const (
	topicName    = "AWS::SNS::Topic"
	maxTopicName = 256
	fifoSuffix   = ".fifo"
)

// topicProperties are those of AWS::SNS::Topic that topics here have.
type topicProperties struct {
	TopicName                 string         `json:"TopicName,omitempty"`
	DisplayName               string         `json:"DisplayName,omitempty"`
	FifoTopic                 *bool          `json:"FifoTopic,omitempty"`
	ContentBasedDeduplication *bool          `json:"ContentBasedDeduplication,omitempty"`
	FifoThroughputScope       string         `json:"FifoThroughputScope,omitempty"`
	KmsMasterKeyID            string         `json:"KmsMasterKeyId,omitempty"`
	SignatureVersion          string         `json:"SignatureVersion,omitempty"`
	TracingConfig             string         `json:"TracingConfig,omitempty"`
	Subscription              []inline       `json:"Subscription,omitempty"`
	Tags                      []resource.Tag `json:"Tags,omitempty"`
}

// inline is a subscription that stands in its topic.
type inline struct {
	Endpoint string `json:"Endpoint"`
	Protocol string `json:"Protocol"`
}

// Attributes of topics, in the order in which they are set, with their defaults.
var topicDefaults = []struct{ name, value string }{
	{"DisplayName", ""}, {"ContentBasedDeduplication", "false"}, {"FifoThroughputScope", "Topic"}, {"KmsMasterKeyId", ""},
	{"SignatureVersion", "1"}, {"TracingConfig", "PassThrough"},
}

// attributes are the properties in the terms of SetTopicAttributes.
func (p topicProperties) attributes() map[string]string {
	a := map[string]string{
		"DisplayName": p.DisplayName, "ContentBasedDeduplication": resource.Text(p.ContentBasedDeduplication),
		"FifoThroughputScope": p.FifoThroughputScope, "KmsMasterKeyId": p.KmsMasterKeyID, "SignatureVersion": p.SignatureVersion,
		"TracingConfig": p.TracingConfig,
	}
	for name, value := range a {
		if value == "" {
			delete(a, name)
		}
	}
	return a
}

func (p topicProperties) isFIFO() bool { return p.FifoTopic != nil && *p.FifoTopic }

// name is the topic's: a generated one ends as its type asks for.
func (p topicProperties) name(r cfn.Request) string {
	if p.TopicName == "" && p.isFIFO() {
		return resource.Name(r, "", maxTopicName-len(fifoSuffix)) + fifoSuffix
	}
	return resource.Name(r, p.TopicName, maxTopicName)
}

type topicHandler struct{ svc api.Service }

func topicType(svc api.Service) cfn.Type {
	h := topicHandler{svc}
	return cfn.Type{Name: topicName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h topicHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p topicProperties
	if err := resource.Decode(topicName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	attributes := p.attributes()
	if p.isFIFO() {
		attributes["FifoTopic"] = "true"
	}
	out, err := h.svc.CreateTopic(ctx, &api.CreateTopicInput{Name: p.name(r), Attributes: attributes, Tags: tagList(resource.Tags(r, p.Tags))})
	if err != nil {
		return cfn.Result{}, err
	}
	for _, s := range p.Subscription {
		if err := h.subscribe(ctx, out.TopicArn, s); err != nil {
			return cfn.Result{PhysicalID: out.TopicArn}, err
		}
	}
	return topicResult(out.TopicArn), nil
}

func topicResult(topicARN string) cfn.Result {
	return cfn.Result{PhysicalID: topicARN, Attributes: cfn.Properties{"TopicArn": topicARN, "TopicName": lastPart(topicARN)}}
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

func tagList(tags map[string]string) []api.Tag {
	var out []api.Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, api.Tag{Key: k, Value: tags[k]})
	}
	return out
}

func (h topicHandler) subscribe(ctx context.Context, topicARN string, s inline) error {
	_, err := h.svc.Subscribe(ctx, &api.SubscribeInput{TopicArn: topicARN, Protocol: s.Protocol, Endpoint: s.Endpoint})
	return err
}

func (h topicHandler) tags(ctx context.Context, topicARN string) (map[string]string, error) {
	out, err := h.svc.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceArn: topicARN})
	if err != nil {
		return nil, resource.Found(err, topicName, topicARN, fault.SNSResourceNotFound, fault.SNSNotFound)
	}
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[t.Key] = t.Value
	}
	return tags, nil
}

// subscriptions are those of the topic.
func (h topicHandler) subscriptions(ctx context.Context, topicARN string) ([]api.Subscription, error) {
	in := &api.ListSubscriptionsByTopicInput{TopicArn: topicARN}
	var all []api.Subscription
	for {
		out, err := h.svc.ListSubscriptionsByTopic(ctx, in)
		if err != nil {
			return nil, resource.Found(err, topicName, topicARN, fault.SNSNotFound)
		}
		all = append(all, out.Subscriptions...)
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return all, nil
		}
	}
}

func (h topicHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.GetTopicAttributes(ctx, &api.GetTopicAttributesInput{TopicArn: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, topicName, r.PhysicalID, fault.SNSNotFound)
	}
	tags, err := h.tags(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	has := out.Attributes
	p := topicProperties{
		TopicName: lastPart(r.PhysicalID), DisplayName: has["DisplayName"], KmsMasterKeyID: has["KmsMasterKeyId"],
		SignatureVersion: has["SignatureVersion"], TracingConfig: has["TracingConfig"], Tags: resource.OwnTags(tags),
	}
	if has["FifoTopic"] == "true" {
		content, err := strconv.ParseBool(has["ContentBasedDeduplication"])
		if err != nil {
			return nil, err
		}
		p.FifoTopic, p.ContentBasedDeduplication, p.FifoThroughputScope = new(true), &content, has["FifoThroughputScope"]
	}
	if p.Subscription, err = h.inlined(ctx, r); err != nil {
		return nil, err
	}
	found, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	found["TopicArn"] = r.PhysicalID
	return found, nil
}

// inlined are the subscriptions that stand in the topic's template. Others are
// resources of their own, or nobody's.
func (h topicHandler) inlined(ctx context.Context, r cfn.Request) ([]inline, error) {
	var p topicProperties
	if err := resource.Decode(topicName, r.Properties, &p); err != nil {
		return nil, err
	}
	all, err := h.subscriptions(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	var out []inline
	for _, s := range all {
		if i := (inline{Endpoint: s.Endpoint, Protocol: s.Protocol}); slices.Contains(p.Subscription, i) {
			out = append(out, i)
		}
	}
	return out, nil
}

func (h topicHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior topicProperties
	if err := resource.Decode(topicName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(topicName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	want, had := p.attributes(), prior.attributes()
	for _, d := range topicDefaults {
		value, wanted := want[d.name]
		if _, had := had[d.name]; !wanted && !had {
			continue
		}
		if !wanted {
			value = d.value
		}
		in := &api.SetTopicAttributesInput{TopicArn: r.PhysicalID, AttributeName: d.name, AttributeValue: value}
		if _, err := h.svc.SetTopicAttributes(ctx, in); err != nil {
			return cfn.Result{}, resource.Found(err, topicName, r.PhysicalID, fault.SNSNotFound)
		}
	}
	if err := h.resubscribe(ctx, r.PhysicalID, p.Subscription, prior.Subscription); err != nil {
		return cfn.Result{}, err
	}
	if err := h.retag(ctx, r, p.Tags); err != nil {
		return cfn.Result{}, err
	}
	return topicResult(r.PhysicalID), nil
}

// resubscribe makes the subscriptions that a template names anew, and ends those that
// it no longer names.
func (h topicHandler) resubscribe(ctx context.Context, topicARN string, want, had []inline) error {
	for _, s := range want {
		if !slices.Contains(had, s) {
			if err := h.subscribe(ctx, topicARN, s); err != nil {
				return err
			}
		}
	}
	gone := slices.DeleteFunc(slices.Clone(had), func(s inline) bool { return slices.Contains(want, s) })
	if len(gone) == 0 {
		return nil
	}
	all, err := h.subscriptions(ctx, topicARN)
	if err != nil {
		return err
	}
	for _, s := range all {
		if !slices.Contains(gone, inline{Endpoint: s.Endpoint, Protocol: s.Protocol}) || !strings.HasPrefix(s.SubscriptionArn, "arn:") {
			continue // one that is not confirmed has no ARN, and ends by itself
		}
		if _, err := h.svc.Unsubscribe(ctx, &api.UnsubscribeInput{SubscriptionArn: s.SubscriptionArn}); err != nil {
			return err
		}
	}
	return nil
}

func (h topicHandler) retag(ctx context.Context, r cfn.Request, own []resource.Tag) error {
	has, err := h.tags(ctx, r.PhysicalID)
	if err != nil {
		return err
	}
	set, remove := resource.Retag(has, resource.Tags(r, own))
	if len(set) > 0 {
		if _, err := h.svc.TagResource(ctx, &api.TagResourceInput{ResourceArn: r.PhysicalID, Tags: tagList(set)}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		_, err = h.svc.UntagResource(ctx, &api.UntagResourceInput{ResourceArn: r.PhysicalID, TagKeys: remove})
	}
	return err
}

func (h topicHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteTopic(ctx, &api.DeleteTopicInput{TopicArn: r.PhysicalID})
	return resource.Gone(err, fault.SNSNotFound)
}

func (h topicHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListTopicsInput{}
	var arns []string
	for {
		out, err := h.svc.ListTopics(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, t := range out.Topics {
			arns = append(arns, t.TopicArn)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return arns, nil
		}
	}
}
