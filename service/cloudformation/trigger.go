package cloudformation

import (
	"context"
	"strings"
	"time"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
)

// The types of rollback triggers, and what they are called in CloudWatch.
var triggerTypes = map[string]string{
	"AWS::CloudWatch::Alarm":          cloudwatch.AlarmTypeMetricAlarm,
	"AWS::CloudWatch::CompositeAlarm": cloudwatch.AlarmTypeCompositeAlarm,
}

// Bounds of a RollbackConfiguration.
const (
	maxTriggers   = 5
	maxMonitoring = 180 // minutes
)

// checkRollback checks a request's rollback triggers.
func (s *Service) checkRollback(in *cloudformation.RollbackConfiguration) error {
	if in == nil {
		return nil
	}
	if len(in.RollbackTriggers) > 0 && s.cfg.Alarms == nil {
		return fault.New(fault.NotImplemented, "RollbackConfiguration with triggers is not implemented: this Slipway has no CloudWatch alarms")
	}
	if len(in.RollbackTriggers) > maxTriggers { // of callers within Slipway
		return fault.New(fault.ValidationError, "A stack can have at most %d rollback triggers.", maxTriggers)
	}
	if m := in.MonitoringTimeInMinutes; m != nil && (*m < 0 || *m > maxMonitoring) {
		return fault.New(fault.ValidationError, "MonitoringTimeInMinutes must be between 0 and %d.", maxMonitoring)
	}
	for _, t := range in.RollbackTriggers {
		if _, ok := triggerTypes[t.Type]; !ok {
			return fault.New(fault.ValidationError, "Rollback trigger type %s is not supported. Use AWS::CloudWatch::Alarm or AWS::CloudWatch::CompositeAlarm.", t.Type)
		}
		a, err := arn.Parse(t.Arn)
		if err != nil || a.Service != "cloudwatch" || !strings.HasPrefix(a.Resource, "alarm:") {
			return fault.New(fault.ValidationError, "Rollback trigger %s is not the ARN of a CloudWatch alarm.", t.Arn)
		}
	}
	return nil
}

// rollbackOf is what a version is rolled back by. What a request leaves out stays as
// the stack has it.
func rollbackOf(in *cloudformation.RollbackConfiguration, st *apply.Stack) (out apply.Rollback) {
	if st != nil {
		out = st.Version.Rollback
	}
	if in == nil {
		return out
	}
	if in.RollbackTriggers != nil {
		out.Triggers = nil
		for _, t := range in.RollbackTriggers {
			out.Triggers = append(out.Triggers, apply.Trigger{ARN: t.Arn, Type: t.Type})
		}
	}
	if out.Minutes = 0; in.MonitoringTimeInMinutes != nil {
		out.Minutes = *in.MonitoringTimeInMinutes
	}
	return out
}

func describeRollback(r apply.Rollback) *cloudformation.RollbackConfiguration {
	out := &cloudformation.RollbackConfiguration{}
	for _, t := range r.Triggers {
		out.RollbackTriggers = append(out.RollbackTriggers, cloudformation.RollbackTrigger{Arn: t.ARN, Type: t.Type})
	}
	if r.Minutes > 0 {
		out.MonitoringTimeInMinutes = &r.Minutes
	}
	return out
}

// alarm looks at a rollback trigger. An alarm of another account or Region is none.
func (s *Service) alarm(ctx context.Context, t apply.Trigger) (apply.Alarm, error) {
	if s.cfg.Alarms == nil {
		return apply.Alarm{}, fault.New(fault.NotImplemented, "this Slipway has no CloudWatch alarms")
	}
	a, err := arn.Parse(t.ARN)
	scope := auth.From(ctx).Scope
	if err != nil || a.Account != scope.Account || a.Region != scope.Region {
		return apply.Alarm{}, nil
	}
	out, err := s.cfg.Alarms.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{
		AlarmNames: []string{strings.TrimPrefix(a.Resource, "alarm:")}, AlarmTypes: []string{triggerTypes[t.Type]},
	})
	if err != nil {
		return apply.Alarm{}, err
	}
	state := ""
	for _, m := range out.MetricAlarms {
		state = m.StateValue
	}
	for _, c := range out.CompositeAlarms {
		state = c.StateValue
	}
	return apply.Alarm{There: state != "", On: state == cloudwatch.StateValueAlarm}, nil
}

// lookEvery is how long an operation under way does not look at its triggers.
const lookEvery = 250 * time.Millisecond

// watchTriggers looks at the triggers of operations for as long as there are any.
func (s *Service) watchTriggers(ctx context.Context) error {
	for {
		left, err := s.runner.WatchTriggers(ctx)
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}
