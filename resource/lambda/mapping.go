package lambda

import (
	"context"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const mappingName = "AWS::Lambda::EventSourceMapping"

type mappingProperties struct {
	FunctionName                   string         `json:"FunctionName,omitempty"`
	EventSourceArn                 string         `json:"EventSourceArn,omitempty"`
	Enabled                        *bool          `json:"Enabled,omitempty"`
	BatchSize                      *int32         `json:"BatchSize,omitempty"`
	MaximumBatchingWindowInSeconds *int32         `json:"MaximumBatchingWindowInSeconds,omitempty"`
	FilterCriteria                 *criteria      `json:"FilterCriteria,omitempty"`
	FunctionResponseTypes          []string       `json:"FunctionResponseTypes,omitempty"`
	ScalingConfig                  *scaling       `json:"ScalingConfig,omitempty"`
	Tags                           []resource.Tag `json:"Tags,omitempty"`
	ID                             string         `json:"Id,omitempty"`
	EventSourceMappingArn          string         `json:"EventSourceMappingArn,omitempty"`
}

type criteria struct {
	Filters []filter `json:"Filters,omitempty"`
}

type filter struct {
	Pattern string `json:"Pattern,omitempty"`
}

type scaling struct {
	MaximumConcurrency *int32 `json:"MaximumConcurrency,omitempty"`
}

func (c *criteria) api() *api.FilterCriteria {
	out := &api.FilterCriteria{Filters: []api.Filter{}}
	if c != nil {
		for _, f := range c.Filters {
			out.Filters = append(out.Filters, api.Filter{Pattern: f.Pattern})
		}
	}
	return out
}

func (s *scaling) api() *api.ScalingConfig {
	if s == nil {
		return &api.ScalingConfig{}
	}
	return &api.ScalingConfig{MaximumConcurrency: s.MaximumConcurrency}
}

type mappingHandler struct{ svc api.Service }

func mappingType(svc api.Service) cfn.Type {
	h := mappingHandler{svc}
	return cfn.Type{Name: mappingName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h mappingHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p mappingProperties
	if err := resource.Decode(mappingName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateEventSourceMapping(ctx, &api.CreateEventSourceMappingInput{
		FunctionName: p.FunctionName, EventSourceArn: p.EventSourceArn, Enabled: p.Enabled, BatchSize: p.BatchSize,
		MaximumBatchingWindowInSeconds: p.MaximumBatchingWindowInSeconds, FilterCriteria: p.FilterCriteria.api(),
		FunctionResponseTypes: p.FunctionResponseTypes, ScalingConfig: p.ScalingConfig.api(), Tags: resource.Tags(r, p.Tags),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	r.Initiated(out.UUID)
	return h.settled(ctx, out.UUID)
}

// settled waits until a mapping is what it is to be.
func (h mappingHandler) settled(ctx context.Context, id string) (cfn.Result, error) {
	res := cfn.Result{PhysicalID: id}
	for {
		out, err := h.svc.GetEventSourceMapping(ctx, &api.GetEventSourceMappingInput{UUID: id})
		if err != nil {
			return res, err
		}
		if out.State == "Enabled" || out.State == "Disabled" {
			res.Attributes = cfn.Properties{"Id": id, "EventSourceMappingArn": out.EventSourceMappingArn}
			return res, nil
		}
		if err := pause(ctx); err != nil {
			return res, err
		}
	}
}

// pause waits before what is under way is looked at again.
func pause(ctx context.Context) error {
	t := time.NewTimer(look)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (h mappingHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.GetEventSourceMapping(ctx, &api.GetEventSourceMappingInput{UUID: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, mappingName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	tags, err := h.svc.ListTags(ctx, &api.ListTagsInput{Resource: out.EventSourceMappingArn})
	if err != nil {
		return nil, resource.Found(err, mappingName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	p := mappingProperties{
		FunctionName: said(r.Properties, out.FunctionArn), EventSourceArn: out.EventSourceArn, Enabled: new(out.State == "Enabled" || out.State == "Enabling" || out.State == "Updating" || out.State == "Creating"),
		BatchSize: out.BatchSize, MaximumBatchingWindowInSeconds: out.MaximumBatchingWindowInSeconds, FunctionResponseTypes: out.FunctionResponseTypes,
		Tags: resource.OwnTags(tags.Tags), ID: out.UUID, EventSourceMappingArn: out.EventSourceMappingArn,
	}
	if out.FilterCriteria != nil {
		p.FilterCriteria = &criteria{}
		for _, f := range out.FilterCriteria.Filters {
			p.FilterCriteria.Filters = append(p.FilterCriteria.Filters, filter{f.Pattern})
		}
	}
	if out.ScalingConfig != nil {
		p.ScalingConfig = &scaling{out.ScalingConfig.MaximumConcurrency}
	}
	return resource.Encode(p)
}

// said is a function as a template names it, where its ARN is the one that is there.
func said(properties cfn.Properties, full string) string {
	name, _ := properties["FunctionName"].(string)
	if name != "" && (name == full || len(full) > len(name) && full[len(full)-len(name)-1:] == ":"+name) {
		return name
	}
	return full
}

func (h mappingHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p mappingProperties
	if err := resource.Decode(mappingName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	in := &api.UpdateEventSourceMappingInput{
		UUID: r.PhysicalID, FunctionName: p.FunctionName, Enabled: p.Enabled, BatchSize: p.BatchSize,
		MaximumBatchingWindowInSeconds: p.MaximumBatchingWindowInSeconds, FilterCriteria: p.FilterCriteria.api(),
		FunctionResponseTypes: p.FunctionResponseTypes, ScalingConfig: p.ScalingConfig.api(),
	}
	if in.Enabled == nil {
		in.Enabled = new(true)
	}
	if in.BatchSize == nil {
		in.BatchSize = new(int32(10))
	}
	if in.MaximumBatchingWindowInSeconds == nil {
		in.MaximumBatchingWindowInSeconds = new(int32(0))
	}
	if in.FunctionResponseTypes == nil {
		in.FunctionResponseTypes = []string{}
	}
	out, err := h.svc.UpdateEventSourceMapping(ctx, in)
	if err != nil {
		return cfn.Result{}, resource.Found(err, mappingName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	tags, err := h.svc.ListTags(ctx, &api.ListTagsInput{Resource: out.EventSourceMappingArn})
	if err != nil {
		return cfn.Result{}, err
	}
	set, remove := resource.Retag(tags.Tags, resource.Tags(r, p.Tags))
	if len(set) > 0 {
		if _, err := h.svc.TagResource(ctx, &api.TagResourceInput{Resource: out.EventSourceMappingArn, Tags: set}); err != nil {
			return cfn.Result{}, err
		}
	}
	if len(remove) > 0 {
		if _, err := h.svc.UntagResource(ctx, &api.UntagResourceInput{Resource: out.EventSourceMappingArn, TagKeys: remove}); err != nil {
			return cfn.Result{}, err
		}
	}
	return h.settled(ctx, r.PhysicalID)
}

// delete waits until the mapping is gone: nothing of it is under way then.
func (h mappingHandler) delete(ctx context.Context, r cfn.Request) error {
	for {
		out, err := h.svc.GetEventSourceMapping(ctx, &api.GetEventSourceMappingInput{UUID: r.PhysicalID})
		if err == nil && out.State != "Deleting" {
			_, err = h.svc.DeleteEventSourceMapping(ctx, &api.DeleteEventSourceMappingInput{UUID: r.PhysicalID})
		}
		if err != nil {
			return resource.Gone(err, fault.ResourceNotFoundException)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func (h mappingHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListEventSourceMappingsInput{}
	var ids []string
	for {
		out, err := h.svc.ListEventSourceMappings(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, m := range out.EventSourceMappings {
			ids = append(ids, m.UUID)
		}
		if in.Marker = out.NextMarker; in.Marker == "" {
			return ids, nil
		}
	}
}
