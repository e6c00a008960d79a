// Package sqs holds the resource types of Amazon SQS. It calls api/sqs alone.
package sqs

import (
	"context"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of SQS.
func Types(svc api.Service) []cfn.Type {
	return []cfn.Type{queueType(svc), queuePolicyType(svc), inlinePolicyType(svc)}
}

const (
	queueName    = "AWS::SQS::Queue"
	maxQueueName = 80
	fifoSuffix   = ".fifo"
)

// queueProperties are those of AWS::SQS::Queue that queues here have.
type queueProperties struct {
	QueueName                     string             `json:"QueueName,omitempty"`
	DelaySeconds                  *int64             `json:"DelaySeconds,omitempty"`
	FifoQueue                     *bool              `json:"FifoQueue,omitempty"`
	ContentBasedDeduplication     *bool              `json:"ContentBasedDeduplication,omitempty"`
	DeduplicationScope            string             `json:"DeduplicationScope,omitempty"`
	FifoThroughputLimit           string             `json:"FifoThroughputLimit,omitempty"`
	MaximumMessageSize            *int64             `json:"MaximumMessageSize,omitempty"`
	MessageRetentionPeriod        *int64             `json:"MessageRetentionPeriod,omitempty"`
	ReceiveMessageWaitTimeSeconds *int64             `json:"ReceiveMessageWaitTimeSeconds,omitempty"`
	VisibilityTimeout             *int64             `json:"VisibilityTimeout,omitempty"`
	SqsManagedSseEnabled          *bool              `json:"SqsManagedSseEnabled,omitempty"`
	KmsMasterKeyID                string             `json:"KmsMasterKeyId,omitempty"`
	KmsDataKeyReusePeriodSeconds  *int64             `json:"KmsDataKeyReusePeriodSeconds,omitempty"`
	RedrivePolicy                 *resource.Document `json:"RedrivePolicy,omitempty"`
	RedriveAllowPolicy            *resource.Document `json:"RedriveAllowPolicy,omitempty"`
	Tags                          []resource.Tag     `json:"Tags,omitempty"`
}

// attributes are the properties in the terms of SetQueueAttributes.
func (p queueProperties) attributes() map[string]string {
	a := map[string]string{
		api.QueueAttributeNameDelaySeconds:                  resource.Text(p.DelaySeconds),
		api.QueueAttributeNameContentBasedDeduplication:     resource.Text(p.ContentBasedDeduplication),
		api.QueueAttributeNameDeduplicationScope:            p.DeduplicationScope,
		api.QueueAttributeNameFifoThroughputLimit:           p.FifoThroughputLimit,
		api.QueueAttributeNameMaximumMessageSize:            resource.Text(p.MaximumMessageSize),
		api.QueueAttributeNameMessageRetentionPeriod:        resource.Text(p.MessageRetentionPeriod),
		api.QueueAttributeNameReceiveMessageWaitTimeSeconds: resource.Text(p.ReceiveMessageWaitTimeSeconds),
		api.QueueAttributeNameVisibilityTimeout:             resource.Text(p.VisibilityTimeout),
		api.QueueAttributeNameSqsManagedSseEnabled:          resource.Text(p.SqsManagedSseEnabled),
		api.QueueAttributeNameKmsMasterKeyId:                p.KmsMasterKeyID,
		api.QueueAttributeNameKmsDataKeyReusePeriodSeconds:  resource.Text(p.KmsDataKeyReusePeriodSeconds),
	}
	if p.isFIFO() { // SQS takes no "false"
		a[api.QueueAttributeNameFifoQueue] = "true"
	}
	if p.RedrivePolicy != nil {
		a[api.QueueAttributeNameRedrivePolicy] = p.RedrivePolicy.Text
	}
	if p.RedriveAllowPolicy != nil {
		a[api.QueueAttributeNameRedriveAllowPolicy] = p.RedriveAllowPolicy.Text
	}
	for name, value := range a {
		if value == "" {
			delete(a, name)
		}
	}
	return a
}

func (p queueProperties) isFIFO() bool { return p.FifoQueue != nil && *p.FifoQueue }

// name is the queue's: a generated one ends as its type asks for.
func (p queueProperties) name(r cfn.Request) string {
	if p.QueueName == "" && p.isFIFO() {
		return resource.Name(r, "", maxQueueName-len(fifoSuffix)) + fifoSuffix
	}
	return resource.Name(r, p.QueueName, maxQueueName)
}

// defaults are what an attribute goes back to when a template no longer names
// its property ("SetQueueAttributes", Amazon SQS API Reference).
var defaults = map[string]string{
	api.QueueAttributeNameDelaySeconds:                  "0",
	api.QueueAttributeNameMaximumMessageSize:            "1048576",
	api.QueueAttributeNameMessageRetentionPeriod:        "345600",
	api.QueueAttributeNameReceiveMessageWaitTimeSeconds: "0",
	api.QueueAttributeNameVisibilityTimeout:             "30",
	api.QueueAttributeNameSqsManagedSseEnabled:          "true",
	api.QueueAttributeNameKmsMasterKeyId:                "",
	api.QueueAttributeNameKmsDataKeyReusePeriodSeconds:  "300",
	api.QueueAttributeNameRedrivePolicy:                 "",
	api.QueueAttributeNameRedriveAllowPolicy:            "",
	api.QueueAttributeNameContentBasedDeduplication:     "false",
	api.QueueAttributeNameDeduplicationScope:            "queue",
	api.QueueAttributeNameFifoThroughputLimit:           "perQueue",
}

type queueHandler struct{ svc api.Service }

func queueType(svc api.Service) cfn.Type {
	h := queueHandler{svc}
	return cfn.Type{Name: queueName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h queueHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p queueProperties
	if err := resource.Decode(queueName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateQueue(ctx, &api.CreateQueueInput{
		QueueName: p.name(r), Attributes: p.attributes(), Tags: resource.Tags(r, p.Tags),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return h.result(ctx, out.QueueUrl)
}

func (h queueHandler) result(ctx context.Context, url string) (cfn.Result, error) {
	has, err := h.attributes(ctx, url)
	if err != nil {
		return cfn.Result{PhysicalID: url}, err
	}
	return cfn.Result{PhysicalID: url, Attributes: cfn.Properties{
		"Arn": has[api.QueueAttributeNameQueueArn], "QueueUrl": url, "QueueName": nameOf(url),
	}}, nil
}

// nameOf is the last part of a queue's URL.
func nameOf(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

func (h queueHandler) attributes(ctx context.Context, url string) (map[string]string, error) {
	out, err := h.svc.GetQueueAttributes(ctx, &api.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []string{api.QueueAttributeNameAll}})
	if err != nil {
		return nil, resource.Found(err, queueName, url, fault.QueueDoesNotExist)
	}
	return out.Attributes, nil
}

func (h queueHandler) tags(ctx context.Context, url string) (map[string]string, error) {
	out, err := h.svc.ListQueueTags(ctx, &api.ListQueueTagsInput{QueueUrl: url})
	if err != nil {
		return nil, resource.Found(err, queueName, url, fault.QueueDoesNotExist)
	}
	return out.Tags, nil
}

func (h queueHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	has, err := h.attributes(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	tags, err := h.tags(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	number := func(name string) *int64 {
		n, err := strconv.ParseInt(has[name], 10, 64)
		if err != nil {
			return nil
		}
		return &n
	}
	p := queueProperties{
		QueueName:                     nameOf(r.PhysicalID),
		DelaySeconds:                  number(api.QueueAttributeNameDelaySeconds),
		MaximumMessageSize:            number(api.QueueAttributeNameMaximumMessageSize),
		MessageRetentionPeriod:        number(api.QueueAttributeNameMessageRetentionPeriod),
		ReceiveMessageWaitTimeSeconds: number(api.QueueAttributeNameReceiveMessageWaitTimeSeconds),
		VisibilityTimeout:             number(api.QueueAttributeNameVisibilityTimeout),
		Tags:                          resource.OwnTags(tags),
	}
	if p.KmsMasterKeyID = has[api.QueueAttributeNameKmsMasterKeyId]; p.KmsMasterKeyID != "" {
		p.KmsDataKeyReusePeriodSeconds = number(api.QueueAttributeNameKmsDataKeyReusePeriodSeconds)
	}
	if sse, err := strconv.ParseBool(has[api.QueueAttributeNameSqsManagedSseEnabled]); err == nil {
		p.SqsManagedSseEnabled = &sse
	}
	if has[api.QueueAttributeNameFifoQueue] == "true" {
		p.FifoQueue, p.ContentBasedDeduplication = new(true), new(has[api.QueueAttributeNameContentBasedDeduplication] == "true")
		p.DeduplicationScope, p.FifoThroughputLimit = has[api.QueueAttributeNameDeduplicationScope], has[api.QueueAttributeNameFifoThroughputLimit]
	}
	if text := has[api.QueueAttributeNameRedrivePolicy]; text != "" {
		p.RedrivePolicy = &resource.Document{Text: text}
	}
	if text := has[api.QueueAttributeNameRedriveAllowPolicy]; text != "" {
		p.RedriveAllowPolicy = &resource.Document{Text: text}
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["Arn"], out["QueueUrl"] = has[api.QueueAttributeNameQueueArn], r.PhysicalID
	return out, nil
}

func (h queueHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior queueProperties
	if err := resource.Decode(queueName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(queueName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	set := p.attributes()
	for name := range prior.attributes() {
		if _, ok := set[name]; !ok {
			set[name] = defaults[name]
		}
	}
	delete(set, api.QueueAttributeNameFifoQueue) // create-only
	if p.KmsMasterKeyID != "" && p.SqsManagedSseEnabled == nil {
		delete(set, api.QueueAttributeNameSqsManagedSseEnabled) // the key takes its place
	}
	if p.KmsMasterKeyID == "" && prior.KmsMasterKeyID != "" && p.SqsManagedSseEnabled == nil {
		set[api.QueueAttributeNameSqsManagedSseEnabled] = defaults[api.QueueAttributeNameSqsManagedSseEnabled]
	}
	if len(set) > 0 {
		_, err := h.svc.SetQueueAttributes(ctx, &api.SetQueueAttributesInput{QueueUrl: r.PhysicalID, Attributes: set})
		if err != nil {
			return cfn.Result{}, resource.Found(err, queueName, r.PhysicalID, fault.QueueDoesNotExist)
		}
	}
	if err := h.retag(ctx, r, p.Tags); err != nil {
		return cfn.Result{}, err
	}
	return h.result(ctx, r.PhysicalID)
}

func (h queueHandler) retag(ctx context.Context, r cfn.Request, own []resource.Tag) error {
	has, err := h.tags(ctx, r.PhysicalID)
	if err != nil {
		return err
	}
	set, remove := resource.Retag(has, resource.Tags(r, own))
	if len(set) > 0 {
		if _, err := h.svc.TagQueue(ctx, &api.TagQueueInput{QueueUrl: r.PhysicalID, Tags: set}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		_, err = h.svc.UntagQueue(ctx, &api.UntagQueueInput{QueueUrl: r.PhysicalID, TagKeys: remove})
	}
	return err
}

func (h queueHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteQueue(ctx, &api.DeleteQueueInput{QueueUrl: r.PhysicalID})
	return resource.Gone(err, fault.QueueDoesNotExist)
}

func (h queueHandler) list(ctx context.Context) ([]string, error) {
	const most = 1000
	limit := int32(most)
	in := &api.ListQueuesInput{MaxResults: &limit}
	var urls []string
	for {
		out, err := h.svc.ListQueues(ctx, in)
		if err != nil {
			return nil, err
		}
		urls = append(urls, out.QueueUrls...)
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return urls, nil
		}
	}
}
