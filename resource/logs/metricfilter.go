package logs

import (
	"context"
	"maps"
	"slices"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const metricFilterName = "AWS::Logs::MetricFilter"

type metricFilterProperties struct {
	FilterName             string           `json:"FilterName,omitempty"`
	FilterPattern          string           `json:"FilterPattern"`
	LogGroupName           string           `json:"LogGroupName"`
	MetricTransformations  []transformation `json:"MetricTransformations"`
	ApplyOnTransformedLogs *bool            `json:"ApplyOnTransformedLogs,omitempty"`
}

type transformation struct {
	MetricName      string      `json:"MetricName"`
	MetricNamespace string      `json:"MetricNamespace"`
	MetricValue     string      `json:"MetricValue"`
	DefaultValue    *float64    `json:"DefaultValue,omitempty"`
	Unit            string      `json:"Unit,omitempty"`
	Dimensions      []dimension `json:"Dimensions,omitempty"`
}

type dimension struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

// metricFilterHandler makes metric filters. Ref is a filter's name, so its group is
// known from the properties.
type metricFilterHandler struct{ svc api.Service }

func metricFilterType(svc api.Service) cfn.Type {
	h := metricFilterHandler{svc}
	return cfn.Type{
		Name: metricFilterName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete,
		Identify: func(id map[string]string) string { return id["FilterName"] },
	}
}

func (h metricFilterHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p metricFilterProperties
	if err := resource.Decode(metricFilterName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	return h.put(ctx, p, resource.Name(r, p.FilterName, maxGroupName))
}

func (h metricFilterHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p metricFilterProperties
	if err := resource.Decode(metricFilterName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	return h.put(ctx, p, r.PhysicalID)
}

// put makes or changes a filter; repeated, it changes nothing.
func (h metricFilterHandler) put(ctx context.Context, p metricFilterProperties, name string) (cfn.Result, error) {
	in := &api.PutMetricFilterInput{LogGroupName: p.LogGroupName, FilterName: name, FilterPattern: p.FilterPattern, ApplyOnTransformedLogs: p.ApplyOnTransformedLogs}
	for _, t := range p.MetricTransformations {
		out := api.MetricTransformation{
			MetricName: t.MetricName, MetricNamespace: t.MetricNamespace, MetricValue: t.MetricValue, DefaultValue: t.DefaultValue, Unit: t.Unit,
		}
		for _, d := range t.Dimensions {
			if out.Dimensions == nil {
				out.Dimensions = map[string]string{}
			}
			out.Dimensions[d.Key] = d.Value
		}
		in.MetricTransformations = append(in.MetricTransformations, out)
	}
	if _, err := h.svc.PutMetricFilter(ctx, in); err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: name}, nil
}

func (h metricFilterHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	group, _ := r.Properties["LogGroupName"].(string)
	out, err := h.svc.DescribeMetricFilters(ctx, &api.DescribeMetricFiltersInput{LogGroupName: group, FilterNamePrefix: r.PhysicalID, Limit: new(int32(1))})
	if err != nil {
		return nil, resource.Found(err, metricFilterName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	if len(out.MetricFilters) == 0 || out.MetricFilters[0].FilterName != r.PhysicalID {
		return nil, resource.Missing(metricFilterName, r.PhysicalID)
	}
	f := out.MetricFilters[0]
	p := metricFilterProperties{FilterName: f.FilterName, FilterPattern: f.FilterPattern, LogGroupName: group}
	if _, asked := r.Properties["ApplyOnTransformedLogs"]; asked {
		p.ApplyOnTransformedLogs = f.ApplyOnTransformedLogs
	}
	for _, t := range f.MetricTransformations {
		x := transformation{
			MetricName: t.MetricName, MetricNamespace: t.MetricNamespace, MetricValue: t.MetricValue, DefaultValue: t.DefaultValue, Unit: t.Unit,
		}
		for _, k := range slices.Sorted(maps.Keys(t.Dimensions)) {
			x.Dimensions = append(x.Dimensions, dimension{k, t.Dimensions[k]})
		}
		p.MetricTransformations = append(p.MetricTransformations, x)
	}
	return resource.Encode(p)
}

func (h metricFilterHandler) delete(ctx context.Context, r cfn.Request) error {
	group, _ := r.Properties["LogGroupName"].(string)
	_, err := h.svc.DeleteMetricFilter(ctx, &api.DeleteMetricFilterInput{LogGroupName: group, FilterName: r.PhysicalID})
	return resource.Gone(err, fault.ResourceNotFoundException)
}
