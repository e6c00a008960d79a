package s3

import (
	"context"
	"errors"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// notification says which events of a bucket go where.
type notification struct {
	ID          string
	Destination string // ARN
	Events      []string
	Rules       []filterRule `json:",omitempty"` // in the order given
	Filtered    bool         `json:",omitempty"` // an empty filter was given
}

type filterRule struct{ Name, Value string } // Prefix or Suffix

type notificationConfig struct{ Configurations []notification }

// notifications are the configurations, by bucket.
var notifications = store.NewCollection[notificationConfig]("s3/notification")

// knownEvents are what a configuration can ask for.
var knownEvents = map[string]bool{
	"s3:ObjectCreated:*": true, "s3:" + eventPut: true, "s3:" + eventPost: true, "s3:" + eventCopy: true, "s3:" + eventComplete: true,
	"s3:ObjectRemoved:*": true, "s3:" + eventDelete: true, "s3:" + eventMarker: true,
	"s3:ObjectTagging:*": true, "s3:" + eventTagsPut: true, "s3:" + eventTagsDelete: true, "s3:" + eventACLPut: true,
	"s3:LifecycleExpiration:*": true, "s3:" + eventExpired: true, "s3:" + eventMarkExpired: true,
	"s3:ReducedRedundancyLostObject": true,
}

// unbuiltEvents begin the events of what this service has not.
var unbuiltEvents = []string{"s3:ObjectRestore:", "s3:Replication:", "s3:LifecycleTransition", "s3:IntelligentTiering", "s3:ObjectAnnotation:"}

func (n *notification) rule(name string) string {
	for _, r := range n.Rules {
		if r.Name == name {
			return r.Value
		}
	}
	return ""
}

// wants reports whether the configuration asks for an event, named without "s3:".
func (n *notification) wants(name, key string) bool {
	if !strings.HasPrefix(key, n.rule("Prefix")) || !strings.HasSuffix(key, n.rule("Suffix")) {
		return false
	}
	for _, e := range n.Events {
		if covers(e, "s3:"+name) {
			return true
		}
	}
	return false
}

func covers(pattern, name string) bool {
	prefix, wild := strings.CutSuffix(pattern, "*")
	return pattern == name || wild && strings.HasPrefix(name, prefix)
}

// overlap reports whether two configurations could ask for one event.
func overlap(a, b *notification) bool {
	shared := false
	for _, x := range a.Events {
		for _, y := range b.Events {
			shared = shared || covers(x, y) || covers(y, x)
		}
	}
	p, q, s, t := a.rule("Prefix"), b.rule("Prefix"), a.rule("Suffix"), b.rule("Suffix")
	return shared && (strings.HasPrefix(p, q) || strings.HasPrefix(q, p)) && (strings.HasSuffix(s, t) || strings.HasSuffix(t, s))
}

// wanted is a configuration as the request has it, of any kind of destination.
type wanted struct {
	element string // as errors name it
	id, arn string
	events  []string
	filter  *api.NotificationConfigurationFilter
}

func wantedOf(cfg *api.NotificationConfiguration) []wanted {
	var out []wanted
	for _, q := range cfg.QueueConfigurations {
		out = append(out, wanted{"Queue", q.Id, q.QueueArn, q.Events, q.Filter})
	}
	for _, t := range cfg.TopicConfigurations {
		out = append(out, wanted{"Topic", t.Id, t.TopicArn, t.Events, t.Filter})
	}
	for _, f := range cfg.LambdaFunctionConfigurations {
		out = append(out, wanted{"CloudFunction", f.Id, f.LambdaFunctionArn, f.Events, f.Filter})
	}
	return out
}

// elements are the ARN services of the kinds of destinations.
var elements = map[string]string{"Queue": "sqs", "Topic": "sns", "CloudFunction": "lambda"}

const maxNotifications = 100

// readNotifications checks a configuration for a bucket, but for the
// destinations themselves.
func (s *Service) readNotifications(cfg *api.NotificationConfiguration, b *bucket) (*notificationConfig, error) {
	if cfg == nil {
		return nil, malformedXML()
	}
	if cfg.EventBridgeConfiguration != nil && s.destinations["events"] == nil {
		return nil, notBuilt("the notification destination EventBridge")
	}
	out := &notificationConfig{}
	ids := map[string]bool{}
	all := wantedOf(cfg)
	if len(all) > maxNotifications {
		return nil, fault.New(fault.InvalidArgument, "The number of notification configurations exceeds the limit of %d", maxNotifications)
	}
	for _, w := range all {
		if _, err := arn.Parse(w.arn); err != nil {
			return nil, invalidArgument(w.element, w.arn, "The ARN could not be parsed")
		}
	}
	for _, w := range all {
		n, err := s.readNotification(w, b)
		if err != nil {
			return nil, err
		}
		if ids[n.ID] {
			return nil, invalidArgument("Id", n.ID, "Same ID used for multiple configurations. IDs must be unique")
		}
		ids[n.ID] = true
		for i := range out.Configurations {
			if overlap(&out.Configurations[i], n) {
				return nil, fault.New(fault.InvalidArgument, "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type.")
			}
		}
		out.Configurations = append(out.Configurations, *n)
	}
	return out, nil
}

func (s *Service) readNotification(w wanted, b *bucket) (*notification, error) {
	at, _ := arn.Parse(w.arn) // checked before
	kind := elements[w.element]
	switch {
	case at.Service != kind:
		return nil, invalidArgument(w.element, w.arn, "The ARN is not well formed")
	case s.destinations[kind] == nil:
		return nil, notBuilt("the notification destination " + w.element + " (" + kind + ")")
	case at.Region != b.Region:
		return nil, invalidArgument(w.element, w.arn, "The notification destination service region is not valid for the bucket location constraint")
	case kind == "sqs" && strings.HasSuffix(at.Resource, ".fifo"):
		return nil, invalidArgument(w.element, w.arn, "FIFO SQS queues are not supported as a notification destination")
	case kind == "sns" && strings.HasSuffix(at.Resource, ".fifo"):
		return nil, invalidArgument(w.element, w.arn, "FIFO SNS topics are not supported as a notification destination")
	case len(w.events) == 0:
		return nil, malformedXML()
	case len(w.id) > 255:
		return nil, invalidArgument("Id", w.id, "ID length must not be more than 255 characters.")
	}
	n := &notification{ID: w.id, Destination: w.arn, Events: w.events}
	if n.ID == "" {
		n.ID = newVersionID()
	}
	for _, e := range w.events {
		for _, p := range unbuiltEvents {
			if strings.HasPrefix(e, p) {
				return nil, notBuilt("the event " + e)
			}
		}
		if !knownEvents[e] {
			return nil, invalidArgument("Event", e, "A specified event is not supported for notifications.")
		}
	}
	return n, n.readFilter(w.filter)
}

func (n *notification) readFilter(f *api.NotificationConfigurationFilter) error {
	if f == nil || f.Key == nil {
		return nil
	}
	n.Filtered = true
	names := map[string]string{"prefix": "Prefix", "suffix": "Suffix"}
	for _, r := range f.Key.FilterRules {
		name := names[strings.ToLower(r.Name)]
		switch {
		case name == "":
			return invalidArgument("FilterRule.Name", r.Name, "filter rule name must be either prefix or suffix")
		case n.has(name):
			return invalidArgument("FilterRule.Name", r.Name, "Cannot specify more than one %s rule in a filter.", strings.ToLower(name))
		case len(r.Value) > maxKey:
			return invalidArgument("FilterRule.Value", r.Value, "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation")
		}
		n.Rules = append(n.Rules, filterRule{name, r.Value})
	}
	return nil
}

func (n *notification) has(name string) bool {
	for _, r := range n.Rules {
		if r.Name == name {
			return true
		}
	}
	return false
}

// PutBucketNotificationConfiguration replaces the bucket's configuration. Each
// destination must be there and let S3 in: queues and topics get a test event.
func (s *Service) PutBucketNotificationConfiguration(ctx context.Context, in *api.PutBucketNotificationConfigurationInput) (*api.PutBucketNotificationConfigurationOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	cfg, err := s.readNotifications(in.NotificationConfiguration, b)
	if err != nil {
		return nil, err
	}
	if !value(in.SkipDestinationValidation) {
		if err := s.tryDestinations(ctx, b, cfg); err != nil {
			return nil, err
		}
	}
	err = s.changeSettings(ctx, in.Bucket, in.ExpectedBucketOwner, func(c *change, b *bucket) error {
		b.Notifies = len(cfg.Configurations) > 0
		if !b.Notifies {
			return ignoreNotFound(notifications.Delete(c, b.Name))
		}
		return notifications.Put(c, b.Name, cfg)
	})
	return &api.PutBucketNotificationConfigurationOutput{}, err
}

// tryDestinations tells of all destinations that refuse events.
func (s *Service) tryDestinations(ctx context.Context, b *bucket, cfg *notificationConfig) error {
	refusal := fault.New(fault.InvalidArgument, "Unable to validate the following destination configurations")
	tried := map[string]bool{}
	failed := 0
	for _, n := range cfg.Configurations {
		if tried[n.Destination] {
			continue
		}
		tried[n.Destination] = true
		err := s.try(ctx, b, n.Destination)
		why, refused := fault.As(err)
		switch {
		case refused:
			failed++
			refusal = refusal.With("ArgumentName"+strconv.Itoa(failed), n.Destination).With("ArgumentValue"+strconv.Itoa(failed), why.Message)
		case err != nil:
			return err
		}
	}
	if failed == 1 {
		only := refusal.Fields
		return fault.New(fault.InvalidArgument, "%s", refusal.Message).
			With("ArgumentName", only["ArgumentName1"]).With("ArgumentValue", only["ArgumentValue1"])
	}
	if failed > 0 {
		return refusal
	}
	return nil
}

// GetBucketNotificationConfiguration gives the bucket's configuration.
func (s *Service) GetBucketNotificationConfiguration(ctx context.Context, in *api.GetBucketNotificationConfigurationInput) (*api.GetBucketNotificationConfigurationOutput, error) {
	out := &api.GetBucketNotificationConfigurationOutput{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		b, err := lookup(ctx, tx, in.Bucket, in.ExpectedBucketOwner, "")
		if err != nil {
			return err
		}
		cfg, err := notifications.Get(tx, b.Name)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		*out = *cfg.shown()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (cfg *notificationConfig) shown() *api.GetBucketNotificationConfigurationOutput {
	out := &api.GetBucketNotificationConfigurationOutput{}
	for _, n := range cfg.Configurations {
		var filter *api.NotificationConfigurationFilter
		if n.Filtered {
			filter = &api.NotificationConfigurationFilter{Key: &api.S3KeyFilter{}}
			for _, r := range n.Rules {
				filter.Key.FilterRules = append(filter.Key.FilterRules, api.FilterRule{Name: r.Name, Value: r.Value})
			}
		}
		at, _ := arn.Parse(n.Destination) // checked when it was put
		switch at.Service {
		case "sns":
			out.TopicConfigurations = append(out.TopicConfigurations, api.TopicConfiguration{Id: n.ID, TopicArn: n.Destination, Events: n.Events, Filter: filter})
		case "lambda":
			out.LambdaFunctionConfigurations = append(out.LambdaFunctionConfigurations, api.LambdaFunctionConfiguration{Id: n.ID, LambdaFunctionArn: n.Destination, Events: n.Events, Filter: filter})
		default:
			out.QueueConfigurations = append(out.QueueConfigurations, api.QueueConfiguration{Id: n.ID, QueueArn: n.Destination, Events: n.Events, Filter: filter})
		}
	}
	return out
}
