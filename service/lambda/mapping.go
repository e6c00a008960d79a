package lambda

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	sqs "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// mapping is an event source mapping: a queue whose messages a function gets.
type mapping struct {
	ID        string
	Source    string // the queue's ARN
	Name      string // the function's
	Qualifier string `json:",omitempty"`
	Enabled   bool   // wanted
	Removed   bool   `json:",omitempty"` // wanted
	Batch     int32
	Window    int32               // seconds
	Filter    *api.FilterCriteria `json:",omitempty"`
	Report    bool                `json:",omitempty"` // ReportBatchItemFailures
	Most      *int32              `json:",omitempty"` // concurrent invocations
	State     string              // what is, or is becoming
	Modified  time.Time
	Tags      map[string]string `json:",omitempty"`
	Token     string            `json:",omitempty"` // of the durable step that made it
	Revision  string            // changes with what a poller goes by
}

// States of a mapping.
const (
	mappingCreating  = "Creating"
	mappingEnabling  = "Enabling"
	mappingEnabled   = "Enabled"
	mappingDisabling = "Disabling"
	mappingDisabled  = "Disabled"
	mappingUpdating  = "Updating"
	mappingDeleting  = "Deleting"
)

var mappings = store.NewCollection("lambda/mapping", store.Index[mapping]{Name: "function", Keys: func(key string, m *mapping) []string {
	return []string{placeOf(key).Scope.Key() + "/" + m.Name}
}})

func mappingKey(scope arn.Scope, id string) string { return scope.Key() + "/" + id }

func mappingARN(scope arn.Scope, id string) string {
	return scope.ARN("lambda", "event-source-mapping:"+id).String()
}

func (m *mapping) function(scope arn.Scope) place { return place{scope, m.Name} }

func getMapping(tx store.Tx, scope arn.Scope, id string) (*mapping, error) {
	m, err := mappings.Get(tx, mappingKey(scope, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, gone()
	}
	return m, err
}

// mappingAt reads the ARN of a mapping.
func mappingAt(resource string) (scope arn.Scope, id string, ok bool) {
	a, err := arn.Parse(resource)
	id, is := strings.CutPrefix(a.Resource, "event-source-mapping:")
	return arn.Scope{Account: a.Account, Region: a.Region}, id, err == nil && is && a.Service == "lambda"
}

func taggedMapping(tx store.Tx, resource string) (*taggable, error) {
	scope, id, ok := mappingAt(resource)
	if !ok {
		return nil, nil
	}
	m, err := mappings.Get(tx, mappingKey(scope, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &taggable{m.Tags, func(tags map[string]string) error {
		m.Tags = tags
		return mappings.Put(tx, mappingKey(scope, id), m)
	}}, nil
}

// mappedFunction is the ARN of the function of a mapping, "" for what is none.
func mappedFunction(tx store.Tx, resource string) (string, error) {
	scope, id, ok := mappingAt(resource)
	if !ok {
		return "", nil
	}
	m, err := mappings.Get(tx, mappingKey(scope, id))
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return m.function(scope).arn(m.Qualifier), nil
}

func (m *mapping) configuration(scope arn.Scope) *api.EventSourceMappingConfiguration {
	out := &api.EventSourceMappingConfiguration{
		UUID: m.ID, BatchSize: new(m.Batch), MaximumBatchingWindowInSeconds: new(m.Window), EventSourceArn: m.Source,
		FunctionArn: m.function(scope).arn(m.Qualifier), LastModified: &m.Modified, State: m.State, StateTransitionReason: "USER_INITIATED",
		FilterCriteria: m.Filter, FunctionResponseTypes: []string{}, EventSourceMappingArn: mappingARN(scope, m.ID),
	}
	if m.Report {
		out.FunctionResponseTypes = []string{api.FunctionResponseTypeReportBatchItemFailures}
	}
	if m.Most != nil {
		out.ScalingConfig = &api.ScalingConfig{MaximumConcurrency: m.Most}
	}
	return out
}

// mappingSettings are what a Create or an Update gives.
type mappingSettings struct {
	operation     string
	batch, window *int32
	filter        *api.FilterCriteria
	responses     []string
	scaling       *api.ScalingConfig
	destinations  *api.DestinationConfig
	lacking       map[string]bool
}

func (w *mappingSettings) refuse() error {
	for name, there := range w.lacking {
		if there {
			return notBuilt(w.operation, name)
		}
	}
	if d := w.destinations; d != nil && (d.OnSuccess != nil || d.OnFailure != nil) {
		return invalid("Unsupported DestinationConfig parameter for given event source mapping type.")
	}
	return nil
}

// Bounds of a mapping of a queue.
const (
	defaultBatch     = 10
	mostBatch        = 10_000
	mostFIFOBatch    = 10
	leastConcurrency = 2
	mostConcurrency  = 1000
)

// put checks what is wanted, and puts it into the mapping.
func (w *mappingSettings) put(m *mapping) error {
	m.Batch, m.Window = or(w.batch, m.Batch), or(w.window, m.Window)
	fifo := strings.HasSuffix(m.Source, ".fifo")
	switch {
	case fifo && m.Batch > mostFIFOBatch:
		return invalid("Batch size must be less than or equal to %d for FIFO queues.", mostFIFOBatch)
	case m.Batch < 1 || m.Batch > mostBatch:
		return constraint("batchSize", fmt.Sprint(m.Batch), "Member must have value less than or equal to 10000")
	case fifo && m.Window > 0:
		return invalid("Batching window is not supported for FIFO queues.")
	case m.Batch > 10 && m.Window == 0:
		return invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
	}
	if w.filter != nil {
		if _, err := parseFilters(w.filter); err != nil {
			return err
		}
		if m.Filter = w.filter; len(w.filter.Filters) == 0 {
			m.Filter = nil
		}
	}
	if w.responses != nil {
		m.Report = len(w.responses) > 0
	}
	if w.scaling != nil {
		m.Most = w.scaling.MaximumConcurrency
		if m.Most != nil && (*m.Most < leastConcurrency || *m.Most > mostConcurrency) {
			return constraint("scalingConfig.maximumConcurrency", fmt.Sprint(*m.Most), "Member must have value between 2 and 1000")
		}
	}
	return nil
}

// checkQueue looks whether a function's role may have the messages of a queue.
func (s *Service) checkQueue(ctx context.Context, p place, v *version, source arn.ARN) error {
	ctx, err := s.asRole(ctx, p, v.serving().Role, v.Enforced, "sqs")
	if err != nil {
		return err
	}
	out, err := s.cfg.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: queueURL(source), AttributeNames: []string{sqs.QueueAttributeNameVisibilityTimeout}})
	switch e, known := fault.As(err); {
	case fault.Is(err, fault.AccessDenied, fault.AccessDeniedException):
		return invalid("The function execution role does not have permissions to call ReceiveMessage on SQS")
	case fault.Is(err, fault.QueueDoesNotExist): // by the code of its Query protocol
		return invalid("Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist.")
	case known:
		return invalid("Error occurred while ReceiveMessage. SQS Error Code: %s. SQS Error Message: %s", e.Code, e.Message)
	case err != nil:
		return err
	}
	var visible int32
	if _, err := fmt.Sscan(out.Attributes[sqs.QueueAttributeNameVisibilityTimeout], &visible); err == nil && visible < v.serving().Timeout {
		return invalid("Queue visibility timeout: %d seconds is less than Function timeout: %d seconds", visible, v.serving().Timeout)
	}
	return nil
}

// CreateEventSourceMapping has a function get a queue's messages.
func (s *Service) CreateEventSourceMapping(ctx context.Context, in *api.CreateEventSourceMappingInput) (*api.CreateEventSourceMappingOutput, error) {
	if in.EventSourceArn == "" {
		if in.SelfManagedEventSource != nil {
			return nil, notBuilt("CreateEventSourceMapping", "SelfManagedEventSource")
		}
		return nil, invalid("Unrecognized event source.")
	}
	source, err := arn.Parse(in.EventSourceArn)
	if err != nil || source.Service == "sqs" && source.Region != scopeOf(ctx).Region {
		return nil, invalid("Unrecognized event source.")
	}
	if source.Service != "sqs" {
		return nil, s.unmapped(ctx, in, source.Service)
	}
	want := &mappingSettings{
		operation: "CreateEventSourceMapping", batch: in.BatchSize, window: in.MaximumBatchingWindowInSeconds, filter: in.FilterCriteria,
		responses: in.FunctionResponseTypes, scaling: in.ScalingConfig, destinations: in.DestinationConfig,
		lacking: map[string]bool{"KMSKeyArn": in.KMSKeyArn != "", "MetricsConfig": in.MetricsConfig != nil, "ProvisionedPollerConfig": in.ProvisionedPollerConfig != nil, "LoggingConfig": in.LoggingConfig != nil},
	}
	if err := errors.Join(want.refuse(), checkTags(ctx, in.Tags)); err != nil {
		return nil, firstFault(err)
	}
	t, err := s.mapped(ctx, in.FunctionName, in)
	if err != nil {
		return nil, err
	}
	if err := s.checkQueue(ctx, t.place, t.version, source); err != nil {
		return nil, err
	}
	m := &mapping{
		ID: arn.NewUUID(), Source: in.EventSourceArn, Name: t.name, Qualifier: t.qualifier, Enabled: in.Enabled == nil || *in.Enabled,
		Batch: defaultBatch, State: mappingCreating, Modified: s.now().UTC().Truncate(time.Second), Tags: in.Tags,
		Token: auth.From(ctx).Token, Revision: arn.NewUUID(),
	}
	if !m.Enabled {
		m.State = mappingDisabled
	}
	if err := want.put(m); err != nil {
		return nil, err
	}
	if err := s.insertMapping(ctx, t.place, m); err != nil {
		return nil, err
	}
	s.mapLoop.Wake()
	return (*api.CreateEventSourceMappingOutput)(m.configuration(t.Scope)), nil
}

// firstFault is the first of joined errors, as callers see it.
func firstFault(err error) error {
	if e, ok := fault.As(err); ok {
		return e
	}
	return err
}

// unmapped refuses sources other than queues: by what is wrong first.
func (s *Service) unmapped(ctx context.Context, in *api.CreateEventSourceMappingInput, source string) error {
	if _, err := s.mapped(ctx, in.FunctionName, in); err != nil {
		return err
	}
	return notBuilt("CreateEventSourceMapping", "an event source of "+source)
}

// mapped finds the function of a mapping.
func (s *Service) mapped(ctx context.Context, name string, in any) (looked, error) {
	l, err := s.look(ctx, name, "", in)
	if fault.Is(err, fault.ResourceNotFoundException) {
		err = invalid("Function does not exist")
	}
	if err == nil && l.Account != scopeOf(ctx).Account {
		err = fail(fault.AccessDeniedException, "An event source is mapped to a function of the caller's own account only.")
	}
	return l, err
}

// insertMapping writes a new mapping, unless the same source is mapped to the same
// function already. A repeated step finds what it made.
func (s *Service) insertMapping(ctx context.Context, p place, m *mapping) error {
	return s.store.Update(ctx, func(tx store.Tx) error {
		for e, err := range mappings.ByIndex(tx, "function", p.key()) {
			if err != nil {
				return err
			}
			has := e.Value
			if has.Source != m.Source || has.Qualifier != m.Qualifier {
				continue
			}
			if m.Token != "" && has.Token == m.Token {
				*m = *has
				return nil
			}
			return conflict("An event source mapping with SQS arn (\" %s \") and function (\" %s \") already exists. Please update or delete the existing mapping with UUID %s", m.Source, m.Name, has.ID)
		}
		return mappings.Put(tx, mappingKey(p.Scope, m.ID), m)
	})
}

// UpdateEventSourceMapping changes a mapping.
func (s *Service) UpdateEventSourceMapping(ctx context.Context, in *api.UpdateEventSourceMappingInput) (*api.UpdateEventSourceMappingOutput, error) {
	scope := scopeOf(ctx)
	want := &mappingSettings{
		operation: "UpdateEventSourceMapping", batch: in.BatchSize, window: in.MaximumBatchingWindowInSeconds, filter: in.FilterCriteria,
		responses: in.FunctionResponseTypes, scaling: in.ScalingConfig, destinations: in.DestinationConfig,
		lacking: map[string]bool{"KMSKeyArn": in.KMSKeyArn != "", "MetricsConfig": in.MetricsConfig != nil, "ProvisionedPollerConfig": in.ProvisionedPollerConfig != nil, "LoggingConfig": in.LoggingConfig != nil},
	}
	if err := want.refuse(); err != nil {
		return nil, err
	}
	var to *looked
	if in.FunctionName != "" {
		l, err := s.mapped(ctx, in.FunctionName, in)
		if err != nil {
			return nil, err
		}
		to = &l
	}
	var m *mapping
	err := s.store.Update(ctx, func(tx store.Tx) (err error) {
		if m, err = getMapping(tx, scope, in.UUID); err != nil {
			return err
		}
		if m.Removed {
			return conflict("Cannot update the event source mapping because it is being deleted.")
		}
		if err := want.put(m); err != nil {
			return err
		}
		if to != nil {
			m.Name, m.Qualifier = to.name, to.qualifier
		}
		was := m.Enabled
		m.Enabled = or(in.Enabled, m.Enabled)
		switch {
		case m.Enabled && !was:
			m.State = mappingEnabling
		case !m.Enabled && was:
			m.State = mappingDisabling
		case m.Enabled:
			m.State = mappingUpdating
		}
		m.Modified, m.Revision = s.now().UTC().Truncate(time.Second), arn.NewUUID()
		return mappings.Put(tx, mappingKey(scope, m.ID), m)
	})
	if err != nil {
		return nil, err
	}
	s.mapLoop.Wake()
	return (*api.UpdateEventSourceMappingOutput)(m.configuration(scope)), nil
}

// GetEventSourceMapping tells of a mapping.
func (s *Service) GetEventSourceMapping(ctx context.Context, in *api.GetEventSourceMappingInput) (*api.GetEventSourceMappingOutput, error) {
	scope := scopeOf(ctx)
	var m *mapping
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		m, err = getMapping(tx, scope, in.UUID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return (*api.GetEventSourceMappingOutput)(m.configuration(scope)), nil
}

// DeleteEventSourceMapping begins to delete a mapping: it is gone once nothing of it
// is under way.
func (s *Service) DeleteEventSourceMapping(ctx context.Context, in *api.DeleteEventSourceMappingInput) (*api.DeleteEventSourceMappingOutput, error) {
	scope := scopeOf(ctx)
	var m *mapping
	err := s.store.Update(ctx, func(tx store.Tx) (err error) {
		if m, err = getMapping(tx, scope, in.UUID); err != nil {
			return err
		}
		m.Removed, m.Enabled, m.State, m.Revision = true, false, mappingDeleting, arn.NewUUID()
		return mappings.Put(tx, mappingKey(scope, m.ID), m)
	})
	if err != nil {
		return nil, err
	}
	s.mapLoop.Wake()
	return (*api.DeleteEventSourceMappingOutput)(m.configuration(scope)), nil
}

// ListEventSourceMappings lists the account's mappings, by source or function if
// asked.
func (s *Service) ListEventSourceMappings(ctx context.Context, in *api.ListEventSourceMappingsInput) (*api.ListEventSourceMappingsOutput, error) {
	scope := scopeOf(ctx)
	var p place
	var qualifier string
	if in.FunctionName != "" {
		var err error
		if p, qualifier, err = named(ctx, in.FunctionName, ""); err != nil {
			return nil, err
		}
	}
	out := &api.ListEventSourceMappingsOutput{EventSourceMappings: []api.EventSourceMappingConfiguration{}}
	err := s.store.View(ctx, func(tx store.Tx) error {
		found, next, err := mappings.Page(tx, scope.Key()+"/", in.Marker, limitOf(in.MaxItems, 100), func(m *mapping) bool {
			return (in.EventSourceArn == "" || m.Source == in.EventSourceArn) && (p.name == "" || p.name == m.Name && (qualifier == "" || qualifier == m.Qualifier))
		})
		out.NextMarker, out.EventSourceMappings = next, out.EventSourceMappings[:0]
		for _, e := range found {
			out.EventSourceMappings = append(out.EventSourceMappings, *e.Value.configuration(scope))
		}
		return err
	})
	if err != nil {
		return nil, badMarker(err)
	}
	return out, nil
}
