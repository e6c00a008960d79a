package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// item is an entry of an alarm's history.
type item struct {
	Alarm   string
	Kind    string // of the alarm
	At      time.Time
	Type    string
	Summary string
	Data    string
}

// histories are keyed by account, region, the time and what keeps two of one time
// apart.
var histories = store.NewCollection[item](store.BulkPrefix + "cloudwatch/history")

// keptHistory is how long history is kept ("DescribeAlarmHistory").
const keptHistory = 30 * 24 * time.Hour

func historyKey(p place, at time.Time) string {
	return fmt.Sprintf("%s/%016x", p.Scope.Key(), at.UnixMilli())
}

// note writes an entry of an alarm's history. data is its JSON.
func (s *Service) note(tx store.Tx, p place, a *alarm, kind, summary string, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	at := s.clock()
	base := fmt.Sprintf("%s-%016x", historyKey(p, at), tx.Revision())
	n := 0
	for _, err := range histories.Scan(tx, base) {
		if err != nil {
			return err
		}
		n++
	}
	return histories.Put(tx, fmt.Sprintf("%s-%04x", base, n), &item{a.Name, a.kind(), at, kind, summary, string(b)})
}

// The forms of HistoryData.
func creation(p place, a *alarm) any {
	return map[string]any{"version": "1.0", "type": "Create", "createdAlarm": a.configuration(p)}
}

func update(p place, was, a *alarm) any {
	return map[string]any{"version": "1.0", "type": "Update", "updatedAlarm": a.configuration(p), "previousAlarm": was.configuration(p)}
}

func deletion(p place, a *alarm) any {
	return map[string]any{"version": "1.0", "type": "Delete", "deletedAlarm": a.configuration(p)}
}

func transition(was, a *alarm) any {
	state := func(a *alarm) map[string]any {
		m := map[string]any{"stateValue": a.State, "stateReason": a.Reason}
		if a.ReasonData != "" {
			m["stateReasonData"] = json.RawMessage(a.ReasonData)
		}
		return m
	}
	return map[string]any{"version": "1.0", "oldState": state(was), "newState": state(a)}
}

// configuration is an alarm without its state.
func (a *alarm) configuration(p place) any {
	c := map[string]any{
		"alarmName": a.Name, "alarmArn": p.arn(), "alarmDescription": a.Description, "actionsEnabled": a.Enabled,
		"okActions": list(a.OK), "alarmActions": list(a.Alarm), "insufficientDataActions": list(a.Unknown),
		"alarmConfigurationUpdatedTimestamp": wireTime(a.Configured),
	}
	if a.composite() {
		c["alarmRule"] = a.Rule
		return c
	}
	m := a.Metric
	c["metricName"], c["namespace"], c["statistic"], c["period"] = m.MetricName, m.Namespace, m.Statistic, m.Period
	c["evaluationPeriods"], c["threshold"], c["comparisonOperator"] = m.EvaluationPeriods, m.Threshold, m.ComparisonOperator
	c["dimensions"], c["treatMissingData"] = m.Dimensions, m.TreatMissingData
	return c
}

// DescribeAlarmHistory lists what has happened to alarms, the last first.
func (s *Service) DescribeAlarmHistory(ctx context.Context, in *api.DescribeAlarmHistoryInput) (*api.DescribeAlarmHistoryOutput, error) {
	if in.AlarmContributorId != "" {
		return &api.DescribeAlarmHistoryOutput{AlarmHistoryItems: []api.AlarmHistoryItem{}}, nil // no alarm has any
	}
	scope := auth.From(ctx).Scope
	keep := asked(in)
	root := histories.Prefix() + scope.Key() + "/"
	first, last := root, store.PrefixEnd(root)
	ascending := in.ScanBy == api.ScanByTimestampAscending
	if in.NextToken != "" {
		if !isPosition(in.NextToken) {
			return nil, badToken()
		}
		if ascending {
			first = root + in.NextToken + "\x00"
		} else {
			last = root + in.NextToken
		}
	}
	limit := limitOf(in.MaxRecords)
	out := &api.DescribeAlarmHistoryOutput{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		out.AlarmHistoryItems, out.NextToken = []api.AlarmHistoryItem{}, ""
		scan := tx.ScanReverse
		if ascending {
			scan = tx.Scan
		}
		at := ""
		for doc, err := range scan(first, last) {
			var i item
			if err == nil {
				err = store.Decode(doc, &i)
			}
			if err != nil {
				return err
			}
			if !keep(&i) {
				continue
			}
			if len(out.AlarmHistoryItems) == limit {
				out.NextToken = at
				return nil
			}
			at = strings.TrimPrefix(doc.Key, root)
			out.AlarmHistoryItems = append(out.AlarmHistoryItems, api.AlarmHistoryItem{
				AlarmName: i.Alarm, AlarmType: i.Kind, Timestamp: &i.At, HistoryItemType: i.Type, HistorySummary: i.Summary, HistoryData: i.Data,
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// asked says which entries a call asks for.
func asked(in *api.DescribeAlarmHistoryInput) func(*item) bool {
	types := in.AlarmTypes
	if len(types) == 0 {
		types = []string{api.AlarmTypeMetricAlarm}
	}
	return func(i *item) bool {
		return (in.AlarmName == "" && slices.Contains(types, i.Kind) || in.AlarmName != "" && i.Alarm == in.AlarmName) &&
			(in.HistoryItemType == "" || i.Type == in.HistoryItemType) &&
			(in.StartDate == nil || !i.At.Before(*in.StartDate)) && (in.EndDate == nil || !i.At.After(*in.EndDate))
	}
}

// isPosition says whether a text has the form of the end of a history's key.
func isPosition(text string) bool {
	return len(text) == 16+1+16+1+4 && strings.Trim(text, "0123456789abcdef-") == ""
}

// forgetBatch is how many entries one transaction forgets.
const forgetBatch = 300

// forgetOnce forgets what is older than history is kept. An entry never changes, so what
// a look has found can go.
func (s *Service) forgetOnce(ctx context.Context) error {
	before := s.now().Add(-keptHistory)
	for token := ""; ; {
		var old []store.Entry[item]
		var next string
		err := s.store.View(ctx, func(tx store.Tx) (err error) {
			old, next, err = histories.Page(tx, "", token, forgetBatch, func(i *item) bool { return i.At.Before(before) })
			return err
		})
		if err != nil || len(old) == 0 {
			return err
		}
		err = s.store.Update(ctx, func(tx store.Tx) error {
			for _, e := range old {
				if err := histories.Delete(tx, e.Key); err != nil {
					return err
				}
			}
			return nil
		})
		if token = next; err != nil || token == "" {
			return err
		}
	}
}
