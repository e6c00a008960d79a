package cloudwatch

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store/storetest"
)

var scope = arn.Scope{Account: "111111111111", Region: "us-east-1"}

const topic = "arn:aws:sns:us-east-1:111111111111:topic"

// taken is an Action that keeps what it was asked, and fails as it is told to.
type taken struct {
	mu       sync.Mutex
	fail     error
	messages []string
}

func (a *taken) Take(ctx context.Context, target arn.ARN, n Notification) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		return a.fail
	}
	text, err := n.Message()
	if err != nil {
		return err
	}
	call := auth.From(ctx)
	a.messages = append(a.messages, call.Principal.Name+" "+target.Resource+" "+n.Subject()+"\n"+text)
	return nil
}

// world is a service whose clock stands.
type world struct {
	*Service
	t      *testing.T
	ctx    context.Context
	clock  time.Time
	action *taken
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), action: &taken{}}
	w.ctx = auth.With(t.Context(), auth.Call{Principal: auth.RootOf(scope.Account), Scope: scope})
	w.Service = New(Config{Store: storetest.New(t), Now: func() time.Time { return w.clock }, Actions: map[string]Action{"sns": w.action}})
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func input(name string, change ...func(*api.PutMetricAlarmInput)) *api.PutMetricAlarmInput {
	in := &api.PutMetricAlarmInput{
		AlarmName: name, MetricName: "m", Namespace: "n", Statistic: api.StatisticSum, Period: new(int32(60)), EvaluationPeriods: new(int32(1)),
		Threshold: new(30.0), ComparisonOperator: api.ComparisonOperatorGreaterThanThreshold,
	}
	for _, fn := range change {
		fn(in)
	}
	return in
}

func (w *world) alarm(name string, change ...func(*api.PutMetricAlarmInput)) {
	w.t.Helper()
	_, err := w.PutMetricAlarm(w.ctx, input(name, change...))
	w.check(err)
}

func (w *world) set(name, state, reason string) {
	w.t.Helper()
	w.clock = w.clock.Add(time.Second)
	_, err := w.SetAlarmState(w.ctx, &api.SetAlarmStateInput{AlarmName: name, StateValue: state, StateReason: reason})
	w.check(err)
}

func (w *world) history(name string) string {
	w.t.Helper()
	in := &api.DescribeAlarmHistoryInput{AlarmName: name, MaxRecords: new(int32(2)), ScanBy: api.ScanByTimestampAscending}
	var lines []string
	for {
		out, err := w.DescribeAlarmHistory(w.ctx, in)
		w.check(err)
		for _, i := range out.AlarmHistoryItems {
			lines = append(lines, i.HistoryItemType+": "+i.HistorySummary)
			if !json.Valid([]byte(i.HistoryData)) {
				w.t.Errorf("data %s", i.HistoryData)
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return strings.Join(lines, "\n")
		}
	}
}

func wants(t *testing.T, err error, code, text string) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok || f.Code != code || !strings.Contains(f.Message, text) {
		t.Errorf("got %v, want %s with %q", err, code, text)
	}
}

func TestStatesAreHistoryAndActions(t *testing.T) {
	w := newWorld(t)
	w.alarm("a", func(in *api.PutMetricAlarmInput) {
		in.AlarmActions, in.AlarmDescription, in.Dimensions = []string{topic}, "d", []api.Dimension{{Name: "k", Value: "v"}}
	})
	w.set("a", api.StateValueAlarm, "one")
	w.set("a", api.StateValueAlarm, "two") // no change
	w.action.fail = errors.New("not now")
	if err := w.actOnce(w.ctx); err == nil {
		t.Error("a failure that passes was final")
	}
	w.action.fail = nil
	for range 2 {
		w.check(w.actOnce(w.ctx))
	}
	if len(w.action.messages) != 1 {
		t.Fatalf("taken %v", w.action.messages)
	}
	head, body, _ := strings.Cut(w.action.messages[0], "\n")
	if head != `cloudwatch.amazonaws.com topic ALARM: "a" in US East (N. Virginia)` {
		t.Errorf("head %s", head)
	}
	var m map[string]any
	w.check(json.Unmarshal([]byte(body), &m))
	want := map[string]any{
		"AlarmName": "a", "AlarmDescription": "d", "AWSAccountId": "111111111111", "NewStateValue": "ALARM", "NewStateReason": "one",
		"StateChangeTime": "2026-11-01T12:00:01.000+0000", "AlarmConfigurationUpdatedTimestamp": "2026-11-01T12:00:00.000+0000",
		"Region": "US East (N. Virginia)", "AlarmArn": "arn:aws:cloudwatch:us-east-1:111111111111:alarm:a", "OldStateValue": "INSUFFICIENT_DATA",
		"OKActions": []any{}, "AlarmActions": []any{topic}, "InsufficientDataActions": []any{},
		"Trigger": map[string]any{
			"MetricName": "m", "Namespace": "n", "StatisticType": "Statistic", "Statistic": "SUM", "Dimensions": []any{map[string]any{"name": "k", "value": "v"}},
			"Period": 60.0, "EvaluationPeriods": 1.0, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 30.0, "TreatMissingData": "",
			"EvaluateLowSampleCountPercentile": "",
		},
	}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}

	_, err := w.DisableAlarmActions(w.ctx, &api.DisableAlarmActionsInput{AlarmNames: []string{"a", "none"}})
	w.check(err)
	w.set("a", api.StateValueOk, "fine")
	w.set("a", api.StateValueAlarm, "again")
	w.action.fail = fault.New(fault.NotFoundException, "Topic does not exist")
	_, err = w.EnableAlarmActions(w.ctx, &api.EnableAlarmActionsInput{AlarmNames: []string{"a"}})
	w.check(err)
	w.set("a", api.StateValueInsufficientData, "no more")
	w.set("a", api.StateValueAlarm, "third")
	w.check(w.actOnce(w.ctx))
	_, err = w.DeleteAlarms(w.ctx, &api.DeleteAlarmsInput{AlarmNames: []string{"a", "none"}})
	w.check(err)
	want2 := `ConfigurationUpdate: Alarm "a" created
StateUpdate: Alarm updated from INSUFFICIENT_DATA to ALARM
Action: Successfully executed action ` + topic + `
ConfigurationUpdate: Alarm "a" updated
StateUpdate: Alarm updated from ALARM to OK
StateUpdate: Alarm updated from OK to ALARM
ConfigurationUpdate: Alarm "a" updated
StateUpdate: Alarm updated from ALARM to INSUFFICIENT_DATA
StateUpdate: Alarm updated from INSUFFICIENT_DATA to ALARM
Action: Failed to execute action ` + topic + `. Received error: "Topic does not exist"
ConfigurationUpdate: Alarm "a" deleted`
	if d := cmp.Diff(want2, w.history("a")); d != "" {
		t.Error(d)
	}
	w.clock = w.clock.Add(keptHistory + time.Minute)
	w.check(w.forgetOnce(w.ctx))
	if got := w.history("a"); got != "" {
		t.Errorf("kept %s", got)
	}
}

func TestCompositeAlarmsFollowTheirChildren(t *testing.T) {
	w := newWorld(t)
	w.alarm("a")
	w.alarm("b")
	rule := `ALARM("arn:aws:cloudwatch:us-east-1:111111111111:alarm:a") OR (ALARM(b) AND NOT OK("a"))`
	put := func(name, rule string, actions ...string) error {
		_, err := w.PutCompositeAlarm(w.ctx, &api.PutCompositeAlarmInput{AlarmName: name, AlarmRule: rule, AlarmActions: actions})
		return err
	}
	w.check(put("c", rule, topic))
	w.check(put("above", "ALARM(c)"))
	state := func(name string) string {
		out, err := w.DescribeAlarms(w.ctx, &api.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []string{api.AlarmTypeCompositeAlarm}})
		w.check(err)
		return out.CompositeAlarms[0].StateValue
	}
	for _, step := range []struct{ name, state, want string }{
		{"b", api.StateValueAlarm, "ALARM"}, {"a", api.StateValueOk, "OK"}, {"a", api.StateValueAlarm, "ALARM"},
		{"b", api.StateValueOk, "ALARM"}, {"a", api.StateValueInsufficientData, "OK"},
	} {
		w.set(step.name, step.state, "test")
		if got, above := state("c"), state("above"); got != step.want || above != step.want {
			t.Errorf("after %s %s: %s, above %s, want %s", step.name, step.state, got, above, step.want)
		}
	}
	w.check(w.actOnce(w.ctx))
	if len(w.action.messages) != 2 || !strings.Contains(w.action.messages[0], `"TriggeringChildren":[{"arn":"arn:aws:cloudwatch:us-east-1:111111111111:alarm:b"`) {
		t.Errorf("taken %v", w.action.messages)
	}
	names := func(in *api.DescribeAlarmsInput) string {
		out, err := w.DescribeAlarms(w.ctx, in)
		w.check(err)
		var names []string
		for _, a := range out.MetricAlarms {
			names = append(names, a.AlarmName)
		}
		for _, a := range out.CompositeAlarms {
			names = append(names, a.AlarmName)
		}
		return strings.Join(names, " ")
	}
	if got := names(&api.DescribeAlarmsInput{ChildrenOfAlarmName: "c"}); got != "a b" {
		t.Errorf("children %s", got)
	}
	if got := names(&api.DescribeAlarmsInput{ParentsOfAlarmName: "a"}); got != "c" {
		t.Errorf("parents %s", got)
	}
	_, err := w.DeleteAlarms(w.ctx, &api.DeleteAlarmsInput{AlarmNames: []string{"a"}})
	wants(t, err, fault.ValidationError, "composite alarm(s) depending on it")
	wants(t, put("d", "ALARM(none)"), fault.ValidationError, "alarms [none] in the alarm rule do not exist")
	// A circle of rules ends.
	w.check(put("c", "ALARM(above) OR ALARM(a)"))
	w.set("a", api.StateValueAlarm, "test")
	if got := state("c") + state("above"); got != "ALARMALARM" {
		t.Errorf("a circle: %s", got)
	}
}

func TestRules(t *testing.T) {
	of := func(name string) string { return map[string]string{"a": "ALARM", "o": "OK"}[name] }
	for text, want := range map[string]bool{
		"TRUE": true, "FALSE": false, "NOT FALSE": true, "ALARM(a)": true, `OK("a")`: false,
		"ALARM(o) OR ALARM(a) AND OK(o)": true, "(ALARM(a) OR OK(o)) AND NOT (OK(o))": false, "INSUFFICIENT_DATA(o) OR OK(o)": true,
	} {
		r, err := parseRule(text)
		if err != nil || r.holds(of) != want {
			t.Errorf("%s: %v, want %t", text, err, want)
		}
	}
	for _, text := range []string{"", "ALARM", "ALARM(", "ALARM()", "ALARM(a) ALARM(b)", "ALARM(a) AND", "alarm(a)", "(TRUE", `ALARM("a)`, strings.Repeat("(", 200) + "TRUE", "TRUE" + strings.Repeat(" OR TRUE", 2000)} {
		if r, err := parseRule(text); err == nil {
			t.Errorf("%q is %v", text, r)
		}
	}
}

func TestDescribeAlarms(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"web-cpu", "web-mem", "db"} {
		w.alarm(name, func(in *api.PutMetricAlarmInput) {
			if name == "db" {
				in.OKActions, in.MetricName = []string{topic}, "other"
			}
		})
	}
	w.set("web-mem", api.StateValueOk, "fine")
	for want, in := range map[string]*api.DescribeAlarmsInput{
		"db web-cpu web-mem": {}, "web-cpu web-mem": {AlarmNamePrefix: "web"}, "web-mem": {StateValue: api.StateValueOk},
		"db": {ActionPrefix: "arn:aws:sns"}, "db web-cpu": {AlarmNames: []string{"db", "web-cpu", "none"}},
	} {
		in.MaxRecords = new(int32(1))
		var names []string
		for {
			out, err := w.DescribeAlarms(w.ctx, in)
			w.check(err)
			for _, a := range out.MetricAlarms {
				names = append(names, a.AlarmName)
			}
			if in.NextToken = out.NextToken; in.NextToken == "" {
				break
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	out, err := w.DescribeAlarmsForMetric(w.ctx, &api.DescribeAlarmsForMetricInput{MetricName: "other", Namespace: "n"})
	w.check(err)
	if len(out.MetricAlarms) != 1 || out.MetricAlarms[0].AlarmName != "db" {
		t.Errorf("for a metric: %+v", out)
	}
	// A new configuration leaves the state.
	w.alarm("web-mem", func(in *api.PutMetricAlarmInput) { in.Threshold = new(1.0) })
	d, err := w.DescribeAlarms(w.ctx, &api.DescribeAlarmsInput{AlarmNames: []string{"web-mem"}})
	w.check(err)
	if a := d.MetricAlarms[0]; *a.Threshold != 1 || a.StateValue != api.StateValueOk || a.StateReason != "fine" {
		t.Errorf("put anew: %+v", a)
	}
}

func TestPutMetricAlarmRefuses(t *testing.T) {
	w := newWorld(t)
	for want, change := range map[string]func(*api.PutMetricAlarmInput){
		"MissingParameter Namespace":             func(in *api.PutMetricAlarmInput) { in.Namespace = "" },
		"MissingParameter Threshold":             func(in *api.PutMetricAlarmInput) { in.Threshold = nil },
		"ValidationError multiple of 60":         func(in *api.PutMetricAlarmInput) { in.Period = new(int32(70)) },
		"InvalidParameterCombination Statistic":  func(in *api.PutMetricAlarmInput) { in.ExtendedStatistic = "p90" },
		"ValidationError Exactly one of":         func(in *api.PutMetricAlarmInput) { in.MetricName = "" },
		"InvalidParameterValue TreatMissingData": func(in *api.PutMetricAlarmInput) { in.TreatMissingData = "x" },
		"ValidationError Invalid arn syntax":     func(in *api.PutMetricAlarmInput) { in.OKActions = []string{"x"} },
		"NotImplemented actions of automate":     func(in *api.PutMetricAlarmInput) { in.AlarmActions = []string{"arn:aws:automate:us-east-1:ec2:stop"} },
		"ValidationError DatapointsToAlarm":      func(in *api.PutMetricAlarmInput) { in.DatapointsToAlarm = new(int32(2)) },
		"NotImplemented EvaluationCriteria":      func(in *api.PutMetricAlarmInput) { in.EvaluationInterval = new(int32(60)) },
		"InvalidParameterValue begin with aws:":  func(in *api.PutMetricAlarmInput) { in.Tags = []api.Tag{{Key: "aws:x", Value: "y"}} },
		"InvalidParameterCombination with Metrics": func(in *api.PutMetricAlarmInput) {
			in.MetricName, in.Metrics = "", []api.MetricDataQuery{{Id: "a", Expression: "1"}}
		},
	} {
		_, err := w.PutMetricAlarm(w.ctx, input("a", change))
		code, text, _ := strings.Cut(want, " ")
		wants(t, err, code, text)
	}
	_, err := w.SetAlarmState(w.ctx, &api.SetAlarmStateInput{AlarmName: "none", StateValue: "OK", StateReason: "r"})
	wants(t, err, fault.ResourceNotFound, "")
	_, err = w.TagResource(w.ctx, &api.TagResourceInput{ResourceARN: "arn:aws:cloudwatch:us-east-1:111111111111:alarm:none", Tags: []api.Tag{{Key: "a", Value: "b"}}})
	wants(t, err, fault.ResourceNotFoundException, "")
}
