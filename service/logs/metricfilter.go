package logs

import (
	"context"
	"errors"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/logs/pattern"
	"github.com/slipway/slipway/store"
)

// metricFilter is a stored metric filter. It is kept and can be tried; the metrics
// that it would fill are not built.
type metricFilter struct {
	Name            string
	Group           string
	Pattern         string
	Regex           bool `json:",omitempty"`
	Created         int64
	Transformations []api.MetricTransformation
}

// metricFilters are keyed by account, region, group|name: no group's name has a bar.
var metricFilters = store.NewCollection[metricFilter]("logs/metricfilter")

func (p place) filterKey(name string) string { return p.key() + "|" + name }

// Bounds of a group's filters ("CloudWatch Logs quotas", User Guide).
const (
	maxMetricFilters = 100
	maxRegexFilters  = 5
	maxDimensions    = 3
)

// PutMetricFilter makes or changes a metric filter of a group.
func (s *Service) PutMetricFilter(ctx context.Context, in *api.PutMetricFilterInput) (*api.PutMetricFilterOutput, error) {
	switch {
	case yes(in.ApplyOnTransformedLogs):
		return nil, fault.New(fault.NotImplemented, "PutMetricFilter: applyOnTransformedLogs is not built: there are no transformers")
	case in.FieldSelectionCriteria != "" || len(in.EmitSystemFieldDimensions) > 0:
		return nil, fault.New(fault.NotImplemented, "PutMetricFilter: fieldSelectionCriteria and emitSystemFieldDimensions are not built")
	case len(in.MetricTransformations) != 1 || in.FilterName == "" || strings.ContainsAny(in.FilterName, ":*"): // of callers within Slipway
		return nil, invalid("A metric filter has a name without ':' and '*', and one metric transformation.")
	}
	pat, err := pattern.Parse(in.FilterPattern)
	if err != nil {
		return nil, badPattern(err)
	}
	if err := checkTransformation(&in.MetricTransformations[0]); err != nil {
		return nil, err
	}
	p := here(ctx, in.LogGroupName)
	f := metricFilter{
		Name: in.FilterName, Group: p.name, Pattern: in.FilterPattern, Regex: pat.Regexes() > 0, Created: s.now().UnixMilli(),
		Transformations: in.MetricTransformations,
	}
	err = s.change(ctx, p, func(tx store.Tx, g *group) error {
		old, regexes, err := othersOf(tx, p, f.Name)
		switch {
		case err != nil:
			return err
		case f.Regex && regexes >= maxRegexFilters:
			return fault.New(fault.LimitExceededException, "A log group can have %d filters with regular expressions.", maxRegexFilters)
		case old != nil:
			f.Created = old.Created
		case g.MetricFilters >= maxMetricFilters:
			return fault.New(fault.LimitExceededException, "Resource limit exceeded.")
		default:
			g.MetricFilters++
		}
		return metricFilters.Put(tx, p.filterKey(f.Name), &f)
	})
	if err != nil {
		return nil, err
	}
	return &api.PutMetricFilterOutput{}, nil
}

// othersOf finds the filter of a name, and how many others have regular expressions.
func othersOf(tx store.Tx, p place, name string) (old *metricFilter, regexes int, err error) {
	for e, err := range metricFilters.Scan(tx, p.filterKey("")) {
		switch {
		case err != nil:
			return nil, 0, err
		case e.Value.Name == name:
			old = e.Value
		case e.Value.Regex:
			regexes++
		}
	}
	return old, regexes, nil
}

func checkTransformation(t *api.MetricTransformation) error {
	if _, err := strconv.ParseFloat(t.MetricValue, 64); err != nil && !strings.HasPrefix(t.MetricValue, "$") {
		return invalid("Invalid metric transformation: the metric value must be a number or the name of a field, such as $.size: %s", t.MetricValue)
	}
	if strings.HasPrefix(t.MetricNamespace, "AWS/") {
		return invalid("Invalid metric transformation: the metric namespace %s is reserved: it begins with AWS/", t.MetricNamespace)
	}
	if len(t.Dimensions) > maxDimensions {
		return invalid("Invalid metric transformation: at most %d dimensions are allowed.", maxDimensions)
	}
	if len(t.Dimensions) > 0 && t.DefaultValue != nil {
		return invalid("Invalid metric transformation: dimensions and default value are mutually exclusive properties.")
	}
	return nil
}

// DeleteMetricFilter deletes a metric filter.
func (s *Service) DeleteMetricFilter(ctx context.Context, in *api.DeleteMetricFilterInput) (*api.DeleteMetricFilterOutput, error) {
	p := here(ctx, in.LogGroupName)
	err := s.change(ctx, p, func(tx store.Tx, g *group) error {
		_, err := metricFilters.Get(tx, p.filterKey(in.FilterName))
		if errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.ResourceNotFoundException, "The specified metric filter does not exist.")
		}
		if err != nil {
			return err
		}
		g.MetricFilters--
		return metricFilters.Delete(tx, p.filterKey(in.FilterName))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteMetricFilterOutput{}, nil
}

// dropMetricFilters deletes those of a group that is deleted.
func dropMetricFilters(tx store.Tx, p place) error {
	for e, err := range metricFilters.Scan(tx, p.filterKey("")) {
		if err != nil {
			return err
		}
		if err := metricFilters.Delete(tx, e.Key); err != nil {
			return err
		}
	}
	return nil
}

// DescribeMetricFilters lists metric filters: those of a group, or of a metric.
func (s *Service) DescribeMetricFilters(ctx context.Context, in *api.DescribeMetricFiltersInput) (*api.DescribeMetricFiltersOutput, error) {
	scope := auth.From(ctx).Scope
	switch {
	case (in.MetricName == "") != (in.MetricNamespace == ""):
		return nil, invalid("The metric name and the metric namespace must be given together.")
	case in.FilterNamePrefix != "" && in.LogGroupName == "":
		return nil, invalid("A filter name prefix wants a log group name.")
	}
	prefix := scope.Key() + "/"
	if in.LogGroupName != "" {
		prefix = here(ctx, in.LogGroupName).filterKey(in.FilterNamePrefix)
	}
	keep := func(f *metricFilter) bool {
		t := f.Transformations[0]
		return in.MetricName == "" || t.MetricName == in.MetricName && t.MetricNamespace == in.MetricNamespace
	}
	out := &api.DescribeMetricFiltersOutput{MetricFilters: []api.MetricFilter{}}
	err := s.store.View(ctx, func(tx store.Tx) error {
		if in.LogGroupName != "" {
			if _, err := find(tx, here(ctx, in.LogGroupName)); err != nil {
				return err
			}
		}
		page, next, err := metricFilters.Page(tx, prefix, in.NextToken, limitOf(in.Limit, maxDescribed), keep)
		if err != nil {
			return pageError(err)
		}
		out.NextToken, out.MetricFilters = next, out.MetricFilters[:0]
		for _, e := range page {
			f := e.Value
			out.MetricFilters = append(out.MetricFilters, api.MetricFilter{
				FilterName: f.Name, LogGroupName: f.Group, FilterPattern: f.Pattern, CreationTime: &f.Created,
				MetricTransformations: f.Transformations, ApplyOnTransformedLogs: new(false),
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// TestMetricFilter tells which messages a pattern matches, and the values in them.
func (s *Service) TestMetricFilter(_ context.Context, in *api.TestMetricFilterInput) (*api.TestMetricFilterOutput, error) {
	pat, err := pattern.Parse(in.FilterPattern)
	if err != nil {
		return nil, badPattern(err)
	}
	out := &api.TestMetricFilterOutput{Matches: []api.MetricFilterMatchRecord{}}
	for i, text := range in.LogEventMessages {
		if !pat.Match([]byte(text)) {
			continue
		}
		out.Matches = append(out.Matches, api.MetricFilterMatchRecord{
			EventNumber: new(int64(i + 1)), EventMessage: text, ExtractedValues: pat.Extract([]byte(text)),
		})
	}
	return out, nil
}
