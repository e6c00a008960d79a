package cloudwatch

import (
	"context"
	"errors"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func badToken() error { return fault.New(fault.InvalidNextToken, "The NextToken is invalid.") }

const maxPage = 100

func limitOf(asked *int32) int {
	if asked == nil || *asked < 1 {
		return maxPage
	}
	return min(int(*asked), maxPage)
}

// DescribeAlarms lists alarms in the order of their names, both types in one page.
func (s *Service) DescribeAlarms(ctx context.Context, in *api.DescribeAlarmsInput) (*api.DescribeAlarmsOutput, error) {
	keep, err := s.selection(ctx, in)
	if err != nil {
		return nil, err
	}
	scope := auth.From(ctx).Scope
	out := &api.DescribeAlarmsOutput{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		page, next, err := alarms.Page(tx, scope.Key()+"/"+in.AlarmNamePrefix, in.NextToken, limitOf(in.MaxRecords), keep)
		if errors.Is(err, store.ErrBadToken) {
			return badToken()
		}
		out.MetricAlarms, out.CompositeAlarms, out.NextToken = []api.MetricAlarm{}, []api.CompositeAlarm{}, next
		for _, e := range page {
			show(out, place{scope, e.Value.Name}, e.Value, in)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// show adds an alarm to an answer: of children and parents it has less.
func show(out *api.DescribeAlarmsOutput, p place, a *alarm, in *api.DescribeAlarmsInput) {
	if a.composite() {
		d := a.describeComposite(p)
		switch {
		case in.ParentsOfAlarmName != "":
			d = api.CompositeAlarm{AlarmName: d.AlarmName, AlarmArn: d.AlarmArn}
		case in.ChildrenOfAlarmName != "":
			d = api.CompositeAlarm{AlarmName: d.AlarmName, AlarmArn: d.AlarmArn, StateValue: d.StateValue, StateUpdatedTimestamp: d.StateUpdatedTimestamp}
		}
		out.CompositeAlarms = append(out.CompositeAlarms, d)
		return
	}
	d := a.describeMetric(p)
	if in.ChildrenOfAlarmName != "" {
		d = api.MetricAlarm{AlarmName: d.AlarmName, AlarmArn: d.AlarmArn, StateValue: d.StateValue, StateUpdatedTimestamp: d.StateUpdatedTimestamp}
	}
	out.MetricAlarms = append(out.MetricAlarms, d)
}

// selection says which alarms a call asks for.
func (s *Service) selection(ctx context.Context, in *api.DescribeAlarmsInput) (func(*alarm) bool, error) {
	if in.AlarmNamePrefix != "" && len(in.AlarmNames) > 0 {
		return nil, combination("AlarmNamePrefix and AlarmNames cannot be given together.")
	}
	if in.ChildrenOfAlarmName != "" || in.ParentsOfAlarmName != "" {
		if in.ChildrenOfAlarmName != "" && in.ParentsOfAlarmName != "" || len(in.AlarmNames) > 0 || in.AlarmNamePrefix != "" ||
			len(in.AlarmTypes) > 0 || in.StateValue != "" || in.ActionPrefix != "" {
			return nil, invalid("ChildrenOfAlarmName and ParentsOfAlarmName exclude all parameters but MaxRecords and NextToken.")
		}
		return s.relatives(ctx, in)
	}
	types := in.AlarmTypes
	if len(types) == 0 {
		types = []string{api.AlarmTypeMetricAlarm}
	}
	return func(a *alarm) bool {
		return slices.Contains(types, a.kind()) && (len(in.AlarmNames) == 0 || slices.Contains(in.AlarmNames, a.Name)) &&
			(in.StateValue == "" || a.State == in.StateValue) && (in.ActionPrefix == "" || a.acts(in.ActionPrefix))
	}, nil
}

func (a *alarm) acts(prefix string) bool {
	return slices.ContainsFunc(slices.Concat(a.OK, a.Alarm, a.Unknown), func(action string) bool { return strings.HasPrefix(action, prefix) })
}

// relatives selects the children or the parents of an alarm.
func (s *Service) relatives(ctx context.Context, in *api.DescribeAlarmsInput) (func(*alarm) bool, error) {
	name := in.ChildrenOfAlarmName + in.ParentsOfAlarmName
	var of *alarm
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		of, err = find(tx, here(ctx, name))
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case of == nil:
		return nil, fault.New(fault.ResourceNotFound, "The alarm %s does not exist.", name)
	case in.ParentsOfAlarmName != "":
		return func(a *alarm) bool { return slices.Contains(a.Children, name) }, nil
	case !of.composite():
		return nil, invalid("The alarm %s is no composite alarm.", name)
	}
	return func(a *alarm) bool { return slices.Contains(of.Children, a.Name) }, nil
}

// DescribeAlarmsForMetric lists the metric alarms on one metric.
func (s *Service) DescribeAlarmsForMetric(ctx context.Context, in *api.DescribeAlarmsForMetricInput) (*api.DescribeAlarmsForMetricOutput, error) {
	scope := auth.From(ctx).Scope
	out := &api.DescribeAlarmsForMetricOutput{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		out.MetricAlarms = []api.MetricAlarm{}
		for e, err := range alarms.Scan(tx, scope.Key()+"/") {
			if err != nil {
				return err
			}
			if a := e.Value; !a.composite() && watches(a.Metric, in) {
				out.MetricAlarms = append(out.MetricAlarms, a.describeMetric(place{scope, a.Name}))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func watches(m *api.MetricAlarm, in *api.DescribeAlarmsForMetricInput) bool {
	if m.MetricName != in.MetricName || m.Namespace != in.Namespace || len(m.Dimensions) != len(in.Dimensions) {
		return false
	}
	for _, d := range in.Dimensions {
		if !slices.Contains(m.Dimensions, d) {
			return false
		}
	}
	return (in.Statistic == "" || m.Statistic == in.Statistic) && (in.ExtendedStatistic == "" || m.ExtendedStatistic == in.ExtendedStatistic) &&
		(in.Period == nil || m.Period != nil && *m.Period == *in.Period) && (in.Unit == "" || m.Unit == in.Unit)
}
