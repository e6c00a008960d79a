package cloudwatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// alarm is a stored alarm of either type. Their names are of one space.
type alarm struct {
	Name        string
	Description string `json:",omitempty"`
	Enabled     bool   // its actions
	OK          []string
	Alarm       []string
	Unknown     []string // actions for INSUFFICIENT_DATA
	Configured  time.Time
	State       string
	Reason      string
	ReasonData  string `json:",omitempty"`
	Updated     time.Time
	Turned      time.Time // into its state
	Tags        []api.Tag `json:",omitempty"`
	// Metric is what a metric alarm watches: the rest of its description is unset. nil:
	// a composite alarm, which has a rule.
	Metric   *api.MetricAlarm `json:",omitempty"`
	Rule     string           `json:",omitempty"`
	Children []string         `json:",omitempty"` // names in the rule
}

var (
	// alarms are keyed by account, region and name; parents are found by their children.
	alarms = store.NewCollection("cloudwatch/alarm", store.Index[alarm]{Name: byChild, Keys: func(key string, a *alarm) []string {
		base := strings.TrimSuffix(key, a.Name)
		out := make([]string, 0, len(a.Children))
		for _, c := range a.Children {
			out = append(out, base+c)
		}
		return out
	}})
)

const byChild = "child"

// place is where an alarm is kept.
type place struct {
	arn.Scope
	name string
}

func (p place) key() string { return p.Scope.Key() + "/" + p.name }

func (p place) arn() string { return p.ARN("cloudwatch", "alarm:"+p.name).String() }

func placeOf(key string) place {
	account, rest, _ := strings.Cut(key, "/")
	region, name, _ := strings.Cut(rest, "/")
	return place{arn.Scope{Account: account, Region: region}, name}
}

func here(ctx context.Context, name string) place { return place{auth.From(ctx).Scope, name} }

// named is the place of an alarm by its ARN, in the caller's account.
func named(ctx context.Context, text string) (place, error) {
	a, err := arn.Parse(text)
	name, ok := strings.CutPrefix(a.Resource, "alarm:")
	switch {
	case err != nil:
		return place{}, invalidValue("%s is not a valid ARN", text)
	case !ok || a.Service != "cloudwatch" || name == "":
		return place{}, fault.New(fault.NotImplemented, "cloudwatch: resources other than alarms are not built: %s", text)
	}
	p := place{arn.Scope{Account: a.Account, Region: a.Region}, name}
	if p.Scope != auth.From(ctx).Scope {
		return place{}, fault.New(fault.ResourceNotFoundException, "Unknown")
	}
	return p, nil
}

func invalid(format string, args ...any) error {
	return fault.New(fault.ValidationError, format, args...)
}

func invalidValue(format string, args ...any) error {
	return fault.New(fault.InvalidParameterValue, format, args...)
}

// find finds an alarm; nil where there is none.
func find(tx store.Tx, p place) (*alarm, error) {
	a, err := alarms.Get(tx, p.key())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return a, err
}

func (a *alarm) composite() bool { return a.Metric == nil }

func (a *alarm) kind() string {
	if a.composite() {
		return api.AlarmTypeCompositeAlarm
	}
	return api.AlarmTypeMetricAlarm
}

// actionsFor are the actions of a state.
func (a *alarm) actionsFor(state string) []string {
	switch state {
	case api.StateValueOk:
		return a.OK
	case api.StateValueAlarm:
		return a.Alarm
	}
	return a.Unknown
}

// list is a list for answers, which have it also where it is empty.
func list(in []string) []string {
	if in == nil {
		return []string{}
	}
	return in
}

func (a *alarm) describeMetric(p place) api.MetricAlarm {
	d := *a.Metric
	d.AlarmName, d.AlarmArn, d.AlarmDescription, d.ActionsEnabled = a.Name, p.arn(), a.Description, &a.Enabled
	d.OKActions, d.AlarmActions, d.InsufficientDataActions = list(a.OK), list(a.Alarm), list(a.Unknown)
	d.AlarmConfigurationUpdatedTimestamp, d.StateUpdatedTimestamp, d.StateTransitionedTimestamp = &a.Configured, &a.Updated, &a.Turned
	d.StateValue, d.StateReason, d.StateReasonData = a.State, a.Reason, a.ReasonData
	if d.Dimensions == nil {
		d.Dimensions = []api.Dimension{}
	}
	return d
}

func (a *alarm) describeComposite(p place) api.CompositeAlarm {
	return api.CompositeAlarm{
		AlarmName: a.Name, AlarmArn: p.arn(), AlarmDescription: a.Description, ActionsEnabled: &a.Enabled, AlarmRule: a.Rule,
		OKActions: list(a.OK), AlarmActions: list(a.Alarm), InsufficientDataActions: list(a.Unknown),
		AlarmConfigurationUpdatedTimestamp: &a.Configured, StateUpdatedTimestamp: &a.Updated, StateTransitionedTimestamp: &a.Turned,
		StateValue: a.State, StateReason: a.Reason, StateReasonData: a.ReasonData,
	}
}

// DeleteAlarms deletes alarms; those that are not there are no error. An alarm that a
// composite one names stays, unless that one goes, too.
func (s *Service) DeleteAlarms(ctx context.Context, in *api.DeleteAlarmsInput) (*api.DeleteAlarmsOutput, error) {
	err := s.store.Update(ctx, func(tx store.Tx) error {
		composites := 0
		for _, name := range in.AlarmNames {
			p := here(ctx, name)
			a, err := find(tx, p)
			if err != nil {
				return err
			}
			if a == nil {
				continue
			}
			if a.composite() {
				composites++
			}
			for e, err := range alarms.ByIndex(tx, byChild, p.key()) {
				if err != nil {
					return err
				}
				if !slices.Contains(in.AlarmNames, e.Value.Name) {
					return invalid("Cannot delete %s as there are composite alarm(s) depending on it.", name)
				}
			}
		}
		if composites > 1 {
			return invalid("Only one composite alarm can be deleted in one operation.")
		}
		return s.drop(ctx, tx, in.AlarmNames)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteAlarmsOutput{}, nil
}

func (s *Service) drop(ctx context.Context, tx store.Tx, names []string) error {
	for _, name := range names {
		p := here(ctx, name)
		a, err := find(tx, p)
		if err != nil {
			return err
		}
		if a == nil {
			continue
		}
		if err := alarms.Delete(tx, p.key()); err != nil {
			return err
		}
		if err := s.note(tx, p, a, api.HistoryItemTypeConfigurationUpdate, "Alarm \""+name+"\" deleted", deletion(p, a)); err != nil {
			return err
		}
	}
	return nil
}

// EnableAlarmActions has alarms take their actions.
func (s *Service) EnableAlarmActions(ctx context.Context, in *api.EnableAlarmActionsInput) (*api.EnableAlarmActionsOutput, error) {
	return &api.EnableAlarmActionsOutput{}, s.enable(ctx, in.AlarmNames, true)
}

// DisableAlarmActions keeps alarms from taking actions.
func (s *Service) DisableAlarmActions(ctx context.Context, in *api.DisableAlarmActionsInput) (*api.DisableAlarmActionsOutput, error) {
	return &api.DisableAlarmActionsOutput{}, s.enable(ctx, in.AlarmNames, false)
}

func (s *Service) enable(ctx context.Context, names []string, on bool) error {
	now := s.clock()
	return s.store.Update(ctx, func(tx store.Tx) error {
		for _, name := range names {
			p := here(ctx, name)
			a, err := find(tx, p)
			if err != nil {
				return err
			}
			if a == nil || a.Enabled == on {
				continue
			}
			was := *a
			a.Enabled, a.Configured = on, now
			if err := s.note(tx, p, a, api.HistoryItemTypeConfigurationUpdate, "Alarm \""+name+"\" updated", update(p, &was, a)); err != nil {
				return err
			}
			if err := alarms.Put(tx, p.key(), a); err != nil {
				return err
			}
		}
		return nil
	})
}
