package cloudformation_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
)

const alarmARN = "arn:aws:cloudwatch:us-east-1:111111111111:alarm:errors"

// alarms is CloudWatch with one alarm, "errors", whose state on tells.
type alarms struct {
	cloudwatch.Unimplemented
	on func() bool

	mu    sync.Mutex
	looks int
}

func (a *alarms) DescribeAlarms(_ context.Context, in *cloudwatch.DescribeAlarmsInput) (*cloudwatch.DescribeAlarmsOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks++
	out := &cloudwatch.DescribeAlarmsOutput{}
	if slices.Contains(in.AlarmNames, "denied") {
		return nil, fault.New(fault.AccessDenied, "You may not look.")
	}
	if slices.Contains(in.AlarmNames, "errors") && slices.Contains(in.AlarmTypes, cloudwatch.AlarmTypeMetricAlarm) {
		state := cloudwatch.StateValueOk
		if a.on() {
			state = cloudwatch.StateValueAlarm
		}
		out.MetricAlarms = []cloudwatch.MetricAlarm{{AlarmName: "errors", StateValue: state}}
	}
	return out, nil
}

func (a *alarms) config(scale float64) func(*cloudformation.Config) {
	return func(c *cloudformation.Config) { c.Alarms, c.WaitScale = a, scale }
}

func trigger(arn string) []api.RollbackTrigger {
	return []api.RollbackTrigger{{Arn: arn, Type: "AWS::CloudWatch::Alarm"}}
}

func never() bool { return false }

func TestTriggersEndCreations(t *testing.T) {
	for name, c := range map[string]struct {
		arn, reason string
		on          bool
	}{
		"on":      {alarmARN, "The rollback trigger " + alarmARN + " is in ALARM state.", true},
		"missing": {alarmARN + "2", "The rollback trigger " + alarmARN + "2 does not exist.", false},
		"foreign": {strings.Replace(alarmARN, "us-east-1", "us-west-2", 1), "does not exist.", false},
		"denied":  {strings.Replace(alarmARN, "errors", "denied", 1), "cannot be monitored: You may not look.", false},
	} {
		t.Run(name, func(t *testing.T) {
			a := &alarms{on: func() bool { return c.on }}
			w := newWorld(t, a.config(1))
			w.create("s", chain, func(in *api.CreateStackInput) {
				in.RollbackConfiguration = &api.RollbackConfiguration{RollbackTriggers: trigger(c.arn)}
			})
			w.settle("s", "ROLLBACK_COMPLETE")
			events := w.events("s")
			if len(events) != 3 || !strings.Contains(events[1], c.reason+" Rollback requested by user.") {
				t.Errorf("events %q", events)
			}
		})
	}
}

func TestTriggersAreKeptUntilTakenAway(t *testing.T) {
	a := &alarms{on: never}
	w := newWorld(t, a.config(1e-6))
	want := api.RollbackConfiguration{RollbackTriggers: trigger(alarmARN), MonitoringTimeInMinutes: new(int32(2))}
	w.create("s", chain, func(in *api.CreateStackInput) { in.RollbackConfiguration = &want })
	if d := cmp.Diff(&want, w.settle("s", "CREATE_COMPLETE").RollbackConfiguration); d != "" {
		t.Error(d)
	}
	if a.looks != 2 { // before, and behind the time of monitoring
		t.Errorf("looked %d times", a.looks)
	}
	body := strings.Replace(chain, "Value: ", "Value: x", 1)
	w.updateTo("s", body)
	if d := cmp.Diff(&want, w.settle("s", "UPDATE_COMPLETE").RollbackConfiguration); d != "" {
		t.Error(d)
	}
	if a.looks != 4 {
		t.Errorf("looked %d times", a.looks)
	}
	w.updateTo("s", chain, func(in *api.UpdateStackInput) {
		in.RollbackConfiguration = &api.RollbackConfiguration{RollbackTriggers: []api.RollbackTrigger{}}
	})
	if d := cmp.Diff(&api.RollbackConfiguration{}, w.settle("s", "UPDATE_COMPLETE").RollbackConfiguration); d != "" {
		t.Error(d)
	}
	// A change set has them, too.
	if _, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "s", ChangeSetName: "c", TemplateBody: body, RollbackConfiguration: &want}); err != nil {
		t.Fatal(err)
	}
	cs, err := w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{StackName: "s", ChangeSetName: "c"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&want, cs.RollbackConfiguration); d != "" {
		t.Error(d)
	}
	if _, err := w.ExecuteChangeSet(w.ctx, &api.ExecuteChangeSetInput{StackName: "s", ChangeSetName: "c"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&want, w.settle("s", "UPDATE_COMPLETE").RollbackConfiguration); d != "" {
		t.Error(d)
	}
}

// reached waits until the stack has an event.
func (w *world) reached(name, event string) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.ctx, 20*time.Second)
	defer stop()
	changed := w.store.Watch(ctx, "cloudformation/")
	for !slices.Contains(w.events(name), event) {
		if _, ok := <-changed; !ok {
			w.t.Fatalf("no event %q in %q", event, w.events(name))
		}
	}
}

func TestTriggersEndUpdatesWhileTheyAreMonitored(t *testing.T) {
	for _, how := range []string{"alarm", "cancel"} {
		t.Run(how, func(t *testing.T) {
			var mu sync.Mutex
			on := false
			a := &alarms{on: func() bool { mu.Lock(); defer mu.Unlock(); return on }}
			w := newWorld(t, a.config(1))
			w.Start(w.ctx)
			t.Cleanup(w.Stop)
			w.create("s", pair)
			w.settle("s", "CREATE_COMPLETE")
			seen := len(w.events("s"))
			w.updateTo("s", strings.Replace(pair, "Name: first", "Name: second", 1), func(in *api.UpdateStackInput) {
				in.RollbackConfiguration = &api.RollbackConfiguration{RollbackTriggers: trigger(alarmARN), MonitoringTimeInMinutes: new(int32(180))}
			})
			w.reached("s", "B UPDATE_COMPLETE") // all is there; the old A is, too
			reason := "The rollback trigger " + alarmARN + " is in ALARM state."
			if how == "alarm" {
				mu.Lock()
				on = true
				mu.Unlock()
			} else {
				reason = "User Initiated"
				if _, err := w.CancelUpdateStack(w.ctx, &api.CancelUpdateStackInput{StackName: "s"}); err != nil {
					t.Fatal(err)
				}
			}
			st := w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
			if d := cmp.Diff(&api.RollbackConfiguration{}, st.RollbackConfiguration); d != "" {
				t.Error(d)
			}
			if events := w.events("s")[seen:]; !slices.Contains(events, "(stack) UPDATE_ROLLBACK_IN_PROGRESS "+reason) {
				t.Errorf("events %q", events)
			}
		})
	}
}

// An alarm that goes off while a resource is being made keeps the next from it.
func TestTriggersEndCreationsUnderWay(t *testing.T) {
	var mu sync.Mutex
	on := false
	a := &alarms{on: func() bool { mu.Lock(); defer mu.Unlock(); return on }}
	w := newWorld(t, a.config(1))
	w.Start(w.ctx)
	t.Cleanup(w.Stop)
	w.create("s", strings.Replace(conditionedShort, "Timeout: 0", "Timeout: 3600", 1), func(in *api.CreateStackInput) {
		in.RollbackConfiguration = &api.RollbackConfiguration{RollbackTriggers: trigger(alarmARN)}
	})
	w.reached("s", "Wait CREATE_IN_PROGRESS Resource creation Initiated")
	mu.Lock()
	on = true
	mu.Unlock()
	w.settle("s", "ROLLBACK_COMPLETE")
	if events := w.events("s"); !slices.Contains(events, "(stack) ROLLBACK_IN_PROGRESS The rollback trigger "+alarmARN+" is in ALARM state. Rollback requested by user.") {
		t.Errorf("events %q", events)
	}
}

func TestTriggersAreChecked(t *testing.T) {
	w := newWorld(t, (&alarms{on: never}).config(1))
	for _, c := range []struct {
		in   api.RollbackConfiguration
		says string
	}{
		{api.RollbackConfiguration{RollbackTriggers: []api.RollbackTrigger{{Arn: alarmARN, Type: "AWS::SNS::Topic"}}}, "type AWS::SNS::Topic is not supported"},
		{api.RollbackConfiguration{RollbackTriggers: trigger("errors")}, "is not the ARN"},
		{api.RollbackConfiguration{RollbackTriggers: slices.Repeat(trigger(alarmARN), 6)}, "at most 5"},
		{api.RollbackConfiguration{MonitoringTimeInMinutes: new(int32(181))}, "between 0 and 180"},
	} {
		_, err := w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: chain, RollbackConfiguration: &c.in})
		refused(t, err, fault.ValidationError, c.says)
	}
}
