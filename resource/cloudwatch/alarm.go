// Package cloudwatch holds the resource types of Amazon CloudWatch. It calls
// api/cloudwatch alone.
package cloudwatch

import (
	"context"
	"maps"
	"slices"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of CloudWatch.
func Types(svc api.Service) []cfn.Type { return []cfn.Type{alarmType(svc), compositeType(svc)} }

const (
	alarmName = "AWS::CloudWatch::Alarm"
	maxName   = 255
)

type alarmProperties struct {
	AlarmName                        string         `json:"AlarmName,omitempty"`
	AlarmDescription                 string         `json:"AlarmDescription,omitempty"`
	ActionsEnabled                   *bool          `json:"ActionsEnabled,omitempty"`
	OKActions                        []string       `json:"OKActions,omitempty"`
	AlarmActions                     []string       `json:"AlarmActions,omitempty"`
	InsufficientDataActions          []string       `json:"InsufficientDataActions,omitempty"`
	MetricName                       string         `json:"MetricName,omitempty"`
	Namespace                        string         `json:"Namespace,omitempty"`
	Statistic                        string         `json:"Statistic,omitempty"`
	ExtendedStatistic                string         `json:"ExtendedStatistic,omitempty"`
	Dimensions                       []dimension    `json:"Dimensions,omitempty"`
	Period                           *int32         `json:"Period,omitempty"`
	Unit                             string         `json:"Unit,omitempty"`
	EvaluationPeriods                *int32         `json:"EvaluationPeriods,omitempty"`
	DatapointsToAlarm                *int32         `json:"DatapointsToAlarm,omitempty"`
	Threshold                        *float64       `json:"Threshold,omitempty"`
	ComparisonOperator               string         `json:"ComparisonOperator,omitempty"`
	TreatMissingData                 string         `json:"TreatMissingData,omitempty"`
	EvaluateLowSampleCountPercentile string         `json:"EvaluateLowSampleCountPercentile,omitempty"`
	Metrics                          []query        `json:"Metrics,omitempty"`
	ThresholdMetricID                string         `json:"ThresholdMetricId,omitempty"`
	Tags                             []resource.Tag `json:"Tags,omitempty"`
	Arn                              string         `json:"Arn,omitempty"`
}

type dimension struct {
	Name  string `json:"Name"`
	Value string `json:"Value"`
}

type query struct {
	ID         string `json:"Id"`
	Expression string `json:"Expression,omitempty"`
	Label      string `json:"Label,omitempty"`
	ReturnData *bool  `json:"ReturnData,omitempty"`
	Period     *int32 `json:"Period,omitempty"`
	AccountID  string `json:"AccountId,omitempty"`
	MetricStat *stat  `json:"MetricStat,omitempty"`
}

type stat struct {
	Metric metric `json:"Metric"`
	Period int32  `json:"Period"`
	Stat   string `json:"Stat"`
	Unit   string `json:"Unit,omitempty"`
}

type metric struct {
	MetricName string      `json:"MetricName,omitempty"`
	Namespace  string      `json:"Namespace,omitempty"`
	Dimensions []dimension `json:"Dimensions,omitempty"`
}

func toDimensions(in []dimension) (out []api.Dimension) {
	for _, d := range in {
		out = append(out, api.Dimension{Name: d.Name, Value: d.Value})
	}
	return out
}

func fromDimensions(in []api.Dimension) (out []dimension) {
	for _, d := range in {
		out = append(out, dimension{d.Name, d.Value})
	}
	return out
}

func toQueries(in []query) (out []api.MetricDataQuery) {
	for _, q := range in {
		o := api.MetricDataQuery{Id: q.ID, Expression: q.Expression, Label: q.Label, ReturnData: q.ReturnData, Period: q.Period, AccountId: q.AccountID}
		if s := q.MetricStat; s != nil {
			o.MetricStat = &api.MetricStat{Period: &s.Period, Stat: s.Stat, Unit: s.Unit, Metric: &api.Metric{
				MetricName: s.Metric.MetricName, Namespace: s.Metric.Namespace, Dimensions: toDimensions(s.Metric.Dimensions),
			}}
		}
		out = append(out, o)
	}
	return out
}

func fromQueries(in []api.MetricDataQuery) (out []query) {
	for _, q := range in {
		o := query{ID: q.Id, Expression: q.Expression, Label: q.Label, ReturnData: q.ReturnData, Period: q.Period, AccountID: q.AccountId}
		if s := q.MetricStat; s != nil && s.Metric != nil && s.Period != nil {
			o.MetricStat = &stat{Period: *s.Period, Stat: s.Stat, Unit: s.Unit, Metric: metric{
				MetricName: s.Metric.MetricName, Namespace: s.Metric.Namespace, Dimensions: fromDimensions(s.Metric.Dimensions),
			}}
		}
		out = append(out, o)
	}
	return out
}

type alarmHandler struct{ svc api.Service }

func alarmType(svc api.Service) cfn.Type {
	h := alarmHandler{svc}
	return cfn.Type{Name: alarmName, Create: h.put, Read: h.read, Update: h.put, Delete: h.delete, List: h.list}
}

// put makes an alarm or configures it anew; repeated, it changes nothing.
func (h alarmHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p alarmProperties
	if err := resource.Decode(alarmName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	name := nameOf(r, p.AlarmName)
	tags := resource.Tags(r, p.Tags)
	_, err := h.svc.PutMetricAlarm(ctx, &api.PutMetricAlarmInput{
		AlarmName: name, AlarmDescription: p.AlarmDescription, ActionsEnabled: p.ActionsEnabled, OKActions: p.OKActions, AlarmActions: p.AlarmActions,
		InsufficientDataActions: p.InsufficientDataActions, MetricName: p.MetricName, Namespace: p.Namespace, Statistic: p.Statistic,
		ExtendedStatistic: p.ExtendedStatistic, Dimensions: toDimensions(p.Dimensions), Period: p.Period, Unit: p.Unit,
		EvaluationPeriods: p.EvaluationPeriods, DatapointsToAlarm: p.DatapointsToAlarm, Threshold: p.Threshold,
		ComparisonOperator: p.ComparisonOperator, TreatMissingData: p.TreatMissingData,
		EvaluateLowSampleCountPercentile: p.EvaluateLowSampleCountPercentile, Metrics: toQueries(p.Metrics), ThresholdMetricId: p.ThresholdMetricID,
		Tags: list(tags),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	a, err := h.describe(ctx, name)
	if err != nil {
		return cfn.Result{PhysicalID: name}, err
	}
	res := cfn.Result{PhysicalID: name, Attributes: cfn.Properties{"Arn": a.AlarmArn}}
	return res, retag(ctx, h.svc, a.AlarmArn, tags)
}

// nameOf is the name of an alarm that there is, or of one that is made.
func nameOf(r cfn.Request, given string) string {
	if r.PhysicalID != "" {
		return r.PhysicalID
	}
	return resource.Name(r, given, maxName)
}

func list(tags map[string]string) []api.Tag {
	out := make([]api.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, api.Tag{Key: k, Value: tags[k]})
	}
	return out
}

func tagsOf(ctx context.Context, svc api.Service, resource string) (map[string]string, error) {
	out, err := svc.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceARN: resource})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[t.Key] = t.Value
	}
	return tags, nil
}

// retag brings an alarm's tags to what they are to be: putting it anew does not.
func retag(ctx context.Context, svc api.Service, arn string, want map[string]string) error {
	has, err := tagsOf(ctx, svc, arn)
	if err != nil {
		return err
	}
	set, remove := resource.Retag(has, want)
	if len(set) > 0 {
		if _, err := svc.TagResource(ctx, &api.TagResourceInput{ResourceARN: arn, Tags: list(set)}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		if _, err := svc.UntagResource(ctx, &api.UntagResourceInput{ResourceARN: arn, TagKeys: remove}); err != nil {
			return err
		}
	}
	return nil
}

func (h alarmHandler) describe(ctx context.Context, name string) (*api.MetricAlarm, error) {
	out, err := h.svc.DescribeAlarms(ctx, &api.DescribeAlarmsInput{AlarmNames: []string{name}})
	if err != nil {
		return nil, err
	}
	if len(out.MetricAlarms) == 0 {
		return nil, resource.Missing(alarmName, name)
	}
	return &out.MetricAlarms[0], nil
}

func (h alarmHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	a, err := h.describe(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf(ctx, h.svc, a.AlarmArn)
	if err != nil {
		return nil, err
	}
	return resource.Encode(alarmProperties{
		AlarmName: a.AlarmName, AlarmDescription: a.AlarmDescription, ActionsEnabled: a.ActionsEnabled, OKActions: a.OKActions, AlarmActions: a.AlarmActions,
		InsufficientDataActions: a.InsufficientDataActions, MetricName: a.MetricName, Namespace: a.Namespace, Statistic: a.Statistic,
		ExtendedStatistic: a.ExtendedStatistic, Dimensions: fromDimensions(a.Dimensions), Period: a.Period, Unit: a.Unit,
		EvaluationPeriods: a.EvaluationPeriods, DatapointsToAlarm: a.DatapointsToAlarm, Threshold: a.Threshold,
		ComparisonOperator: a.ComparisonOperator, TreatMissingData: a.TreatMissingData,
		EvaluateLowSampleCountPercentile: a.EvaluateLowSampleCountPercentile, Metrics: fromQueries(a.Metrics), ThresholdMetricID: a.ThresholdMetricId,
		Tags: resource.OwnTags(tags), Arn: a.AlarmArn,
	})
}

func (h alarmHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteAlarms(ctx, &api.DeleteAlarmsInput{AlarmNames: []string{r.PhysicalID}})
	return err
}

func (h alarmHandler) list(ctx context.Context) (names []string, err error) {
	err = each(ctx, h.svc, api.AlarmTypeMetricAlarm, func(out *api.DescribeAlarmsOutput) {
		for _, a := range out.MetricAlarms {
			names = append(names, a.AlarmName)
		}
	})
	return names, err
}

// each gives the pages of the alarms of a type.
func each(ctx context.Context, svc api.Service, kind string, fn func(*api.DescribeAlarmsOutput)) error {
	in := &api.DescribeAlarmsInput{AlarmTypes: []string{kind}}
	for {
		out, err := svc.DescribeAlarms(ctx, in)
		if err != nil {
			return err
		}
		fn(out)
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return nil
		}
	}
}
