package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// dueAction is an action that a change of state asks for. It is written with the
// change, and is there until it was taken: at least once.
type dueAction struct {
	Target       string
	Notification Notification
}

// dueActions are keyed by account, region, revision, number.
var dueActions = store.NewCollection[dueAction]("cloudwatch/action")

// Notification is what an action tells of a change.
type Notification struct {
	Place    string // key of the alarm
	Was, Now alarm
}

// due notes the actions of a change.
func due(tx store.Tx, p place, was, now *alarm) error {
	for i, target := range now.actionsFor(now.State) {
		d := &dueAction{Target: target, Notification: Notification{Place: p.key(), Was: *was, Now: *now}}
		// The name keeps alarms apart that turn in one transaction.
		key := fmt.Sprintf("%s/%016x-%s-%02d", p.Scope.Key(), tx.Revision(), arn.Hash(p.name)[:16], i)
		if err := dueActions.Put(tx, key, d); err != nil {
			return err
		}
	}
	return nil
}

// actOnce takes the actions that are due, in the order in which they came.
func (s *Service) actOnce(ctx context.Context) error {
	var waiting []store.Entry[dueAction]
	err := s.store.View(ctx, func(tx store.Tx) error {
		waiting = nil
		for e, err := range dueActions.Scan(tx, "") {
			if err != nil {
				return err
			}
			waiting = append(waiting, e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var failed error
	for _, e := range waiting {
		if err := s.take(ctx, e.Key, e.Value); err != nil {
			failed = err // the others are taken all the same
		}
	}
	return failed
}

const servicePrincipal = "cloudwatch.amazonaws.com"

// take takes one action, and notes what became of it.
func (s *Service) take(ctx context.Context, key string, d *dueAction) error {
	p := placeOf(d.Notification.Place)
	target, err := arn.Parse(d.Target)
	if err != nil {
		return err
	}
	as := auth.With(ctx, auth.Call{
		Principal: auth.Principal{Kind: auth.Service, Name: servicePrincipal, ARN: servicePrincipal, UserID: servicePrincipal},
		Scope:     arn.Scope{Region: target.Region}, Service: "cloudwatch", Time: s.now(), RequestID: arn.NewID("req-"),
		SourceIP: servicePrincipal, UserAgent: servicePrincipal, SourceARN: p.arn(), SourceAccount: p.Account,
	})
	summary, state, reason := "Successfully executed action "+d.Target, "Succeeded", ""
	do := s.actions[target.Service]
	if do == nil {
		err = fault.New(fault.NotImplemented, "actions of %s are not built", target.Service)
	} else {
		err = do.Take(as, target, d.Notification)
	}
	if f, final := fault.As(err); final {
		summary, state, reason = "Failed to execute action "+d.Target+". Received error: \""+f.Message+"\"", "Failed", f.Message
	} else if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		if err := dueActions.Delete(tx, key); err != nil {
			return err
		}
		data := map[string]any{"actionState": state, "notificationResource": d.Target, "stateUpdateTimestamp": d.Notification.Now.Turned.UnixMilli(), "error": nil}
		if reason != "" {
			data["error"] = reason
		}
		return s.note(tx, p, &d.Notification.Now, api.HistoryItemTypeAction, summary, data)
	})
}

// regions are the names of regions in messages.
var regions = map[string]string{
	"us-east-1": "US East (N. Virginia)", "us-east-2": "US East (Ohio)", "us-west-1": "US West (N. California)", "us-west-2": "US West (Oregon)",
	"ca-central-1": "Canada (Central)", "eu-west-1": "EU (Ireland)", "eu-west-2": "EU (London)", "eu-west-3": "EU (Paris)",
	"eu-central-1": "EU (Frankfurt)", "eu-north-1": "EU (Stockholm)", "ap-south-1": "Asia Pacific (Mumbai)", "ap-northeast-1": "Asia Pacific (Tokyo)",
	"ap-northeast-2": "Asia Pacific (Seoul)", "ap-southeast-1": "Asia Pacific (Singapore)", "ap-southeast-2": "Asia Pacific (Sydney)", "sa-east-1": "South America (Sao Paulo)",
}

func regionName(region string) string {
	if name, ok := regions[region]; ok {
		return name
	}
	return region
}

// message is what a topic gets, in the form of AWS's.
type message struct {
	AlarmName                          string
	AlarmDescription                   *string
	AWSAccountID                       string `json:"AWSAccountId"`
	AlarmConfigurationUpdatedTimestamp string `json:",omitempty"`
	AlarmRule                          string `json:",omitempty"`
	NewStateValue                      string
	NewStateReason                     string
	StateChangeTime                    string
	Region                             string
	AlarmArn                           string
	OldStateValue                      string
	OKActions                          []string
	AlarmActions                       []string
	InsufficientDataActions            []string
	Trigger                            *trigger        `json:",omitempty"`
	TriggeringChildren                 json.RawMessage `json:",omitempty"`
}

// trigger is what a metric alarm watches.
type trigger struct {
	MetricName                       string  `json:",omitempty"`
	Namespace                        string  `json:",omitempty"`
	StatisticType                    string  `json:",omitempty"`
	Statistic                        string  `json:",omitempty"`
	ExtendedStatistic                string  `json:",omitempty"`
	Unit                             *string `json:",omitempty"`
	Dimensions                       any     `json:",omitempty"` // []dimension; nil with Metrics
	Metrics                          any     `json:",omitempty"`
	Period                           *int32  `json:",omitempty"`
	EvaluationPeriods                *int32
	DatapointsToAlarm                *int32 `json:",omitempty"`
	ComparisonOperator               string
	Threshold                        *float64 `json:",omitempty"`
	TreatMissingData                 string
	EvaluateLowSampleCountPercentile string
}

type dimension struct {
	Value string `json:"value"`
	Name  string `json:"name"`
}

// Subject is the subject of a message.
func (n Notification) Subject() string {
	return fmt.Sprintf("%s: %q in %s", n.Now.State, n.Now.Name, regionName(placeOf(n.Place).Region))
}

// Message is the text that a topic gets.
func (n Notification) Message() (string, error) {
	p, a := placeOf(n.Place), &n.Now
	m := message{
		AlarmName: a.Name, AWSAccountID: p.Account, NewStateValue: a.State, NewStateReason: a.Reason, StateChangeTime: wireTime(a.Turned),
		Region: regionName(p.Region), AlarmArn: p.arn(), OldStateValue: n.Was.State, AlarmRule: a.Rule,
		OKActions: list(a.OK), AlarmActions: list(a.Alarm), InsufficientDataActions: list(a.Unknown),
		AlarmConfigurationUpdatedTimestamp: wireTime(a.Configured),
	}
	if a.Description != "" {
		m.AlarmDescription = &a.Description
	}
	if a.composite() {
		var data struct {
			TriggeringAlarms json.RawMessage `json:"triggeringAlarms"`
		}
		if json.Unmarshal([]byte(a.ReasonData), &data) == nil {
			m.TriggeringChildren = data.TriggeringAlarms
		}
	} else {
		m.Trigger = triggerOf(a.Metric)
	}
	b, err := json.Marshal(m)
	return string(b), err
}

func triggerOf(m *api.MetricAlarm) *trigger {
	t := &trigger{
		MetricName: m.MetricName, Namespace: m.Namespace, Period: m.Period, EvaluationPeriods: m.EvaluationPeriods, DatapointsToAlarm: m.DatapointsToAlarm,
		ComparisonOperator: m.ComparisonOperator, Threshold: m.Threshold, TreatMissingData: m.TreatMissingData,
		EvaluateLowSampleCountPercentile: m.EvaluateLowSampleCountPercentile,
	}
	if len(m.Metrics) > 0 {
		t.Metrics = m.Metrics
		return t
	}
	if m.Unit != "" {
		t.Unit = &m.Unit
	}
	dimensions := make([]dimension, 0, len(m.Dimensions))
	for _, d := range m.Dimensions {
		dimensions = append(dimensions, dimension{d.Value, d.Name})
	}
	t.Dimensions = dimensions
	if t.StatisticType, t.Statistic = "Statistic", strings.ToUpper(m.Statistic); m.ExtendedStatistic != "" {
		t.StatisticType, t.Statistic, t.ExtendedStatistic = "ExtendedStatistic", "", m.ExtendedStatistic
	}
	return t
}
