package cloudwatch

import (
	"context"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const initialReason = "Unchecked: Initial alarm creation"

// PutMetricAlarm makes a metric alarm, or configures it anew and leaves its state.
func (s *Service) PutMetricAlarm(ctx context.Context, in *api.PutMetricAlarmInput) (*api.PutMetricAlarmOutput, error) {
	if err := checkMetricAlarm(in); err != nil {
		return nil, err
	}
	err := s.put(ctx, &alarm{
		Name: in.AlarmName, Description: in.AlarmDescription, Enabled: in.ActionsEnabled == nil || *in.ActionsEnabled,
		OK: in.OKActions, Alarm: in.AlarmActions, Unknown: in.InsufficientDataActions, Tags: in.Tags,
		Metric: &api.MetricAlarm{
			MetricName: in.MetricName, Namespace: in.Namespace, Statistic: in.Statistic, ExtendedStatistic: in.ExtendedStatistic,
			Dimensions: in.Dimensions, Period: in.Period, Unit: in.Unit, EvaluationPeriods: in.EvaluationPeriods,
			DatapointsToAlarm: in.DatapointsToAlarm, Threshold: in.Threshold, ComparisonOperator: in.ComparisonOperator,
			TreatMissingData: in.TreatMissingData, EvaluateLowSampleCountPercentile: in.EvaluateLowSampleCountPercentile,
			Metrics: in.Metrics, ThresholdMetricId: in.ThresholdMetricId,
		},
	})
	if err != nil {
		return nil, err
	}
	return &api.PutMetricAlarmOutput{}, nil
}

func checkMetricAlarm(in *api.PutMetricAlarmInput) error {
	byName, byQuery := in.MetricName != "", len(in.Metrics) > 0
	switch {
	case in.EvaluationCriteria != nil || in.EvaluationInterval != nil:
		return fault.New(fault.NotImplemented, "PutMetricAlarm: EvaluationCriteria and EvaluationInterval are not built.")
	case byName == byQuery:
		return invalid("Exactly one of MetricName and Metrics must be given.")
	case in.EvaluationPeriods == nil:
		return missing("EvaluationPeriods")
	case in.ComparisonOperator == "":
		return missing("ComparisonOperator")
	case in.Threshold == nil && in.ThresholdMetricId == "":
		return missing("Threshold")
	case in.Threshold != nil && in.ThresholdMetricId != "":
		return combination("Threshold and ThresholdMetricId are mutually exclusive.")
	case in.DatapointsToAlarm != nil && *in.DatapointsToAlarm > *in.EvaluationPeriods:
		return invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
	case in.TreatMissingData != "" && !slices.Contains([]string{"breaching", "notBreaching", "ignore", "missing"}, in.TreatMissingData):
		return invalidValue("Value %s for TreatMissingData is not one of breaching, notBreaching, ignore and missing.", in.TreatMissingData)
	case in.EvaluateLowSampleCountPercentile != "" && in.EvaluateLowSampleCountPercentile != "evaluate" && in.EvaluateLowSampleCountPercentile != "ignore":
		return invalidValue("Option %s is not supported. Supported options for parameter EvaluateLowSampleCountPercentile are evaluate and ignore.", in.EvaluateLowSampleCountPercentile)
	}
	if byName {
		return checkMetric(in)
	}
	return checkQueries(in)
}

func missing(member string) error {
	return fault.New(fault.MissingParameter, "The parameter %s is required.", member)
}

func combination(format string, args ...any) error {
	return fault.New(fault.InvalidParameterCombination, format, args...)
}

func checkMetric(in *api.PutMetricAlarmInput) error {
	switch {
	case in.Namespace == "":
		return missing("Namespace")
	case in.Period == nil:
		return missing("Period")
	case (in.Statistic == "") == (in.ExtendedStatistic == ""):
		return combination("Exactly one of Statistic and ExtendedStatistic must be given.")
	}
	return checkPeriod(*in.Period)
}

func checkPeriod(seconds int32) error {
	if seconds != 10 && seconds != 20 && seconds != 30 && seconds%60 != 0 {
		return invalid("Metric period must be 10, 20, 30 or a multiple of 60.")
	}
	return nil
}

func checkQueries(in *api.PutMetricAlarmInput) error {
	if in.Namespace != "" || len(in.Dimensions) > 0 || in.Period != nil || in.Unit != "" || in.Statistic != "" || in.ExtendedStatistic != "" {
		return combination("Namespace, Dimensions, Period, Unit, Statistic and ExtendedStatistic cannot be given with Metrics.")
	}
	returned, ids := 0, map[string]bool{}
	for _, q := range in.Metrics {
		switch {
		case ids[q.Id]:
			return invalid("The values for parameter id in Metrics are not unique.")
		case (q.MetricStat == nil) == (q.Expression == ""):
			return invalid("Each item of Metrics has either MetricStat or Expression.")
		case q.AccountId != "":
			return fault.New(fault.NotImplemented, "PutMetricAlarm: metrics of other accounts (AccountId) are not built.")
		}
		if q.MetricStat != nil && q.MetricStat.Period != nil {
			if err := checkPeriod(*q.MetricStat.Period); err != nil {
				return err
			}
		}
		ids[q.Id] = true
		if q.ReturnData == nil || *q.ReturnData {
			returned++
		}
	}
	if returned != 1 && in.ThresholdMetricId == "" {
		return invalid("Exactly one element of the metrics list should return data.")
	}
	return nil
}

// checkActions refuses what an alarm cannot do.
func (s *Service) checkActions(lists ...[]string) error {
	for _, actions := range lists {
		for _, text := range actions {
			a, err := arn.Parse(text)
			if err != nil {
				return invalid("Invalid arn syntax: %s", text)
			}
			if s.actions[a.Service] == nil {
				return fault.New(fault.NotImplemented, "cloudwatch: alarm actions of %s are not built: %s", a.Service, text)
			}
		}
	}
	return nil
}

// put makes an alarm or configures it anew. Tags are given when it is made.
func (s *Service) put(ctx context.Context, next *alarm) error {
	if strings.ContainsFunc(next.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(next.Name) > 255*4 {
		return invalid("An alarm's name has at most 255 characters, none of them a control character.")
	}
	if err := s.checkActions(next.OK, next.Alarm, next.Unknown); err != nil {
		return err
	}
	tags, err := merge(ctx, nil, next.Tags)
	if err != nil {
		return err
	}
	now := s.clock()
	p := here(ctx, next.Name)
	err = s.store.Update(ctx, func(tx store.Tx) error {
		a := *next
		a.Configured, a.Updated, a.Turned, a.Tags = now, now, now, tags
		a.State, a.Reason = api.StateValueInsufficientData, initialReason
		was, err := find(tx, p)
		if err != nil {
			return err
		}
		verb, data := "created", creation(p, &a)
		if was != nil {
			if was.composite() != a.composite() {
				return invalid("An alarm of the other type has the name %s.", a.Name)
			}
			a.State, a.Reason, a.ReasonData, a.Updated, a.Turned, a.Tags = was.State, was.Reason, was.ReasonData, was.Updated, was.Turned, was.Tags
			verb, data = "updated", update(p, was, &a)
		}
		if a.composite() {
			if err := checkChildren(tx, p, &a); err != nil {
				return err
			}
		}
		if err := s.note(tx, p, &a, api.HistoryItemTypeConfigurationUpdate, "Alarm \""+a.Name+"\" "+verb, data); err != nil {
			return err
		}
		if err := alarms.Put(tx, p.key(), &a); err != nil || !a.composite() {
			return err
		}
		return s.judge(tx, p, now, "", map[string]bool{})
	})
	if err == nil {
		s.acts.Wake()
	}
	return err
}

const maxTags = 50

// merge puts tags over others, whose order stays.
func merge(ctx context.Context, have, add []api.Tag) ([]api.Tag, error) {
	out := slices.Clone(have)
	for _, t := range add {
		// The engine's own aws: tags come from a durable step.
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") && auth.From(ctx).Token == "" {
			return nil, invalidValue("The tag key %s is reserved: keys must not begin with aws:.", t.Key)
		}
		if i := slices.IndexFunc(out, func(o api.Tag) bool { return o.Key == t.Key }); i >= 0 {
			out[i].Value = t.Value
		} else {
			out = append(out, t)
		}
	}
	if len(out) > maxTags {
		return nil, invalidValue("An alarm can have at most %d tags.", maxTags)
	}
	return out, nil
}
