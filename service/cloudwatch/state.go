package cloudwatch

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// SetAlarmState sets an alarm's state. Nothing evaluates a metric alarm, so it stays.
func (s *Service) SetAlarmState(ctx context.Context, in *api.SetAlarmStateInput) (*api.SetAlarmStateOutput, error) {
	if in.StateReasonData != "" && !json.Valid([]byte(in.StateReasonData)) {
		return nil, fault.New(fault.InvalidFormat, "StateReasonData was not valid JSON")
	}
	p := here(ctx, in.AlarmName)
	now := s.clock()
	err := s.store.Update(ctx, func(tx store.Tx) error {
		a, err := find(tx, p)
		if err != nil {
			return err
		}
		if a == nil {
			return fault.New(fault.ResourceNotFound, "")
		}
		return s.turn(tx, p, a, now, in.StateValue, in.StateReason, in.StateReasonData, map[string]bool{})
	})
	if err != nil {
		return nil, err
	}
	s.acts.Wake()
	return &api.SetAlarmStateOutput{}, nil
}

// turn brings an alarm into a state. Where that is another one it is history, its
// actions are due, and the composite alarms above are judged anew. seen are the
// alarms that have turned already: a circle of rules ends there.
func (s *Service) turn(tx store.Tx, p place, a *alarm, now time.Time, state, reason, data string, seen map[string]bool) error {
	was := *a
	a.State, a.Reason, a.ReasonData, a.Updated = state, reason, data, now
	if was.State == state {
		return alarms.Put(tx, p.key(), a)
	}
	a.Turned = now
	if err := alarms.Put(tx, p.key(), a); err != nil {
		return err
	}
	if err := s.note(tx, p, a, api.HistoryItemTypeStateUpdate, "Alarm updated from "+was.State+" to "+state, transition(&was, a)); err != nil {
		return err
	}
	if a.Enabled {
		if err := due(tx, p, &was, a); err != nil {
			return err
		}
	}
	seen[p.name] = true
	var parents []place
	for e, err := range alarms.ByIndex(tx, byChild, p.key()) {
		if err != nil {
			return err
		}
		parents = append(parents, placeOf(e.Key))
	}
	for _, parent := range parents {
		if seen[parent.name] {
			continue
		}
		if err := s.judge(tx, parent, now, p.name, seen); err != nil {
			return err
		}
	}
	return nil
}

// judge evaluates a composite alarm's rule. child is the alarm that has turned; "":
// the alarm was put.
func (s *Service) judge(tx store.Tx, p place, now time.Time, child string, seen map[string]bool) error {
	a, err := find(tx, p)
	if err != nil || a == nil {
		return err
	}
	r, err := parseRule(a.Rule)
	if err != nil {
		return err
	}
	var failed error
	states := map[string]*alarm{}
	holds := r.holds(func(name string) string {
		c, err := find(tx, place{p.Scope, name})
		if err != nil {
			failed = err
		}
		if c == nil {
			return api.StateValueInsufficientData
		}
		states[name] = c
		return c.State
	})
	if failed != nil {
		return failed
	}
	state := api.StateValueOk
	if holds {
		state = api.StateValueAlarm
	}
	if state == a.State {
		return nil
	}
	reason, of := p.arn()+" was created and its alarm rule evaluates to "+state, slices.Sorted(maps.Keys(states))
	if c := states[child]; c != nil {
		reason = place{p.Scope, child}.arn() + " transitioned to " + c.State + " at " + now.Format("Monday 02 January, 2006 15:04:05 MST")
		of = []string{child}
	}
	data := ""
	if len(of) > 0 {
		var by []triggering
		for _, name := range of {
			by = append(by, triggering{place{p.Scope, name}.arn(), triggered{states[name].State, wireTime(states[name].Turned)}})
		}
		b, err := json.Marshal(map[string]any{"triggeringAlarms": by})
		if err != nil {
			return err
		}
		data = string(b)
	}
	return s.turn(tx, p, a, now, state, reason, data, seen)
}

type triggering struct {
	ARN   string    `json:"arn"`
	State triggered `json:"state"`
}

type triggered struct {
	Value     string `json:"value"`
	Timestamp string `json:"timestamp"`
}

// wireTime is a time as documents of CloudWatch have it.
func wireTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }
