package s3

import (
	"context"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

func (h bucketHandler) notify(ctx context.Context, name string, p, prior *notifications) error {
	if p == nil {
		if prior == nil {
			return nil
		}
		p = &notifications{}
	}
	cfg := &api.NotificationConfiguration{}
	for _, n := range p.Queues {
		cfg.QueueConfigurations = append(cfg.QueueConfigurations, api.QueueConfiguration{QueueArn: n.Queue, Events: []string{n.Event}, Filter: n.Filter.filter()})
	}
	for _, n := range p.Topics {
		cfg.TopicConfigurations = append(cfg.TopicConfigurations, api.TopicConfiguration{TopicArn: n.Topic, Events: []string{n.Event}, Filter: n.Filter.filter()})
	}
	for _, n := range p.Functions {
		cfg.LambdaFunctionConfigurations = append(cfg.LambdaFunctionConfigurations, api.LambdaFunctionConfiguration{LambdaFunctionArn: n.Function, Events: []string{n.Event}, Filter: n.Filter.filter()})
	}
	if e := p.EventBridge; e != nil && (e.Enabled == nil || *e.Enabled) {
		cfg.EventBridgeConfiguration = &api.EventBridgeConfiguration{}
	}
	_, err := h.svc.PutBucketNotificationConfiguration(ctx, &api.PutBucketNotificationConfigurationInput{Bucket: name, NotificationConfiguration: cfg})
	return err
}

func (f *notificationFilter) filter() *api.NotificationConfigurationFilter {
	if f == nil {
		return nil
	}
	out := &api.S3KeyFilter{}
	for _, r := range f.Key.Rules {
		out.FilterRules = append(out.FilterRules, api.FilterRule{Name: r.Name, Value: r.Value})
	}
	return &api.NotificationConfigurationFilter{Key: out}
}

func filterOf(f *api.NotificationConfigurationFilter) *notificationFilter {
	if f == nil || f.Key == nil {
		return nil
	}
	out := &notificationFilter{}
	for _, r := range f.Key.FilterRules {
		out.Key.Rules = append(out.Key.Rules, filterRule{r.Name, r.Value})
	}
	return out
}

func (h bucketHandler) getNotifications(ctx context.Context, name string) (*notifications, error) {
	got, err := h.svc.GetBucketNotificationConfiguration(ctx, &api.GetBucketNotificationConfigurationInput{Bucket: name})
	if err != nil {
		return nil, err
	}
	out := &notifications{}
	for _, n := range got.QueueConfigurations {
		for _, e := range n.Events {
			out.Queues = append(out.Queues, notification{Event: e, Queue: n.QueueArn, Filter: filterOf(n.Filter)})
		}
	}
	for _, n := range got.TopicConfigurations {
		for _, e := range n.Events {
			out.Topics = append(out.Topics, notification{Event: e, Topic: n.TopicArn, Filter: filterOf(n.Filter)})
		}
	}
	for _, n := range got.LambdaFunctionConfigurations {
		for _, e := range n.Events {
			out.Functions = append(out.Functions, notification{Event: e, Function: n.LambdaFunctionArn, Filter: filterOf(n.Filter)})
		}
	}
	if got.EventBridgeConfiguration != nil {
		yes := true
		out.EventBridge = &eventBridge{&yes}
	}
	if out.Queues == nil && out.Topics == nil && out.Functions == nil && out.EventBridge == nil {
		return nil, nil
	}
	return out, nil
}

// lock sets the bucket's object lock, which nothing switches off.
func (h bucketHandler) lock(ctx context.Context, name string, p, prior bucketProperties) error {
	on := p.ObjectLockEnabled != nil && *p.ObjectLockEnabled
	had := prior.ObjectLockEnabled != nil && *prior.ObjectLockEnabled
	switch {
	case !on && had:
		return fault.New(fault.ValidationError, "%s: object lock cannot be switched off", bucketName)
	case !on && p.ObjectLockConfiguration != nil:
		return fault.New(fault.ValidationError, "%s: ObjectLockConfiguration needs ObjectLockEnabled", bucketName)
	case !on, p.ObjectLockConfiguration == nil && prior.ObjectLockConfiguration == nil && had:
		return nil
	}
	cfg := &api.ObjectLockConfiguration{ObjectLockEnabled: versioningEnabled}
	if c := p.ObjectLockConfiguration; c != nil && c.Rule != nil {
		cfg.Rule = &api.ObjectLockRule{}
		if d := c.Rule.Default; d != nil {
			cfg.Rule.DefaultRetention = &api.DefaultRetention{Mode: d.Mode, Days: d.Days, Years: d.Years}
		}
	}
	_, err := h.svc.PutObjectLockConfiguration(ctx, &api.PutObjectLockConfigurationInput{Bucket: name, ObjectLockConfiguration: cfg})
	return err
}

func (h bucketHandler) getLock(ctx context.Context, name string, p *bucketProperties) error {
	got, err := h.svc.GetObjectLockConfiguration(ctx, &api.GetObjectLockConfigurationInput{Bucket: name})
	if err != nil {
		return unset(err, fault.ObjectLockConfigurationNotFound)
	}
	yes := true
	p.ObjectLockEnabled = &yes
	p.ObjectLockConfiguration = &objectLock{Enabled: got.ObjectLockConfiguration.ObjectLockEnabled}
	if r := got.ObjectLockConfiguration.Rule; r != nil && r.DefaultRetention != nil {
		d := r.DefaultRetention
		p.ObjectLockConfiguration.Rule = &objectLockRule{&defaultRetention{d.Mode, d.Days, d.Years}}
	}
	return nil
}
