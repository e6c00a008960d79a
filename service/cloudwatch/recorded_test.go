package cloudwatch

import (
	"encoding/json"
	"testing"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// The records have each case in up to three protocols, whose answers are alike: the
// protocols themselves are package wire's.
var protocols = []string{"query", "json", "smithy-rpc-v2-cbor"}

// each runs a case in every protocol that it was recorded in.
func each(t *testing.T, test string, run func(w *world, c *replay.Case)) {
	t.Helper()
	n := 0
	for _, protocol := range protocols {
		w := newWorld(t)
		records := replay.Open(t, "cloudwatch/test_cloudwatch", api.Describe(), w.Service)
		name := test + "[" + protocol + "]"
		if len(records.Names(name)) == 0 {
			continue
		}
		n++
		run(w, records.Case(t, name))
	}
	if n == 0 {
		t.Errorf("no record of %s", test)
	}
}

func TestRecordedAlarms(t *testing.T) {
	const class = "TestCloudwatch::"
	describe := func(w *world, c *replay.Case, entry, name string) {
		c.Helper()
		_, _ = c.Call(entry, w.ctx, &api.DescribeAlarmsInput{AlarmNames: []string{name}})
	}
	each(t, class+"test_describe_alarms_converts_date_format_correctly", func(w *world, c *replay.Case) {
		_, _ = c.Call("", w.ctx, input("dated"))
		describe(w, c, "describe-alarms", "dated")
	})
	each(t, class+"test_delete_alarm", func(w *world, c *replay.Case) {
		_, _ = c.Call("", w.ctx, input("deleted", func(in *api.PutMetricAlarmInput) { in.MetricName = "metric1" }))
		describe(w, c, "describe-alarm", "deleted")
		_, _ = c.Call("delete-alarm", w.ctx, &api.DeleteAlarmsInput{AlarmNames: []string{"deleted"}})
		describe(w, c, "describe-after-delete", "deleted")
	})
	each(t, class+"test_set_alarm", func(w *world, c *replay.Case) {
		c.Bind("<topic_alarm>", "topic")
		c.Bind("<topic_ok>", "arn:aws:sns:us-east-1:111111111111:ok")
		_, _ = c.Call("", w.ctx, input("set", func(in *api.PutMetricAlarmInput) {
			in.AlarmDescription, in.MetricName, in.Statistic, in.Period = "Test Alarm when CPU exceeds 50 percent", "CPUUtilization-3", api.StatisticAverage, new(int32(300))
			in.Dimensions, in.Unit = []api.Dimension{{Name: "InstanceId", Value: "i-0317828c84edbe100"}}, api.StandardUnitPercent
			in.EvaluationPeriods, in.Threshold, in.TreatMissingData = new(int32(2)), new(50.0), "ignore"
			in.AlarmActions, in.OKActions = []string{topic}, []string{"arn:aws:sns:us-east-1:111111111111:ok"}
		}))
		_, _ = c.Call("", w.ctx, &api.SetAlarmStateInput{AlarmName: "set", StateValue: "ALARM", StateReason: "testing alarm"})
		describe(w, c, "triggered-alarm", "set")
		_, _ = c.Call("", w.ctx, &api.SetAlarmStateInput{AlarmName: "set", StateValue: "OK", StateReason: "resetting alarm"})
		describe(w, c, "reset-alarm", "set")
	})
	each(t, class+"test_set_alarm_invalid_input", func(w *world, c *replay.Case) {
		_, _ = c.Call("", w.ctx, input("invalid"))
		c.Except("error-invalid-state/Error/Message", "AWS lists the values in an order of its own")
		_, _ = c.Call("error-invalid-state", w.ctx, &api.SetAlarmStateInput{AlarmName: "invalid", StateValue: "INVALID", StateReason: "r"})
		_, _ = c.Call("error-resource-not-found", w.ctx, &api.SetAlarmStateInput{AlarmName: "none", StateValue: "OK", StateReason: "r"})
	})
	each(t, class+"test_enable_disable_alarm_actions", func(w *world, c *replay.Case) {
		c.Bind("<topic_arn>", "topic")
		_, _ = c.Call("", w.ctx, input("acts", func(in *api.PutMetricAlarmInput) {
			in.AlarmDescription, in.MetricName, in.Statistic, in.Period = "testing cloudwatch alarms", "my-metric101", api.StatisticAverage, new(int32(10))
			in.Dimensions, in.Unit = []api.Dimension{{Name: "InstanceId", Value: "abc"}}, api.StandardUnitSeconds
			in.EvaluationPeriods, in.Threshold, in.TreatMissingData = new(int32(2)), new(2.0), "ignore"
			in.AlarmActions, in.OKActions = []string{topic}, []string{topic}
		}))
		describe(w, c, "describe_alarm", "acts")
		_, _ = c.Call("", w.ctx, &api.SetAlarmStateInput{AlarmName: "acts", StateValue: "ALARM", StateReason: "testing alarm"})
		w.check(w.actOnce(w.ctx))
		var message any
		w.check(json.Unmarshal([]byte(w.action.messages[0][len(`cloudwatch.amazonaws.com topic ALARM: "acts" in US East (N. Virginia)`)+1:]), &message))
		c.Hold("alarm-state-sqs-msg", message)
		describe(w, c, "alarm-state-describe", "acts")
		_, _ = c.Call("", w.ctx, &api.DisableAlarmActionsInput{AlarmNames: []string{"acts"}})
		_, _ = c.Call("", w.ctx, &api.SetAlarmStateInput{AlarmName: "acts", StateValue: "OK", StateReason: "testing OK state"})
		describe(w, c, "describe_alarm_disabled", "acts")
		describe(w, c, "ok-state-action-disabled-describe", "acts")
		_, _ = c.Call("", w.ctx, &api.EnableAlarmActionsInput{AlarmNames: []string{"acts"}})
		describe(w, c, "describe_alarm_enabled", "acts")
	})
}

func TestRecordedTags(t *testing.T) {
	const class = "TestCloudwatch::"
	tag := func(key, value string) api.Tag { return api.Tag{Key: key, Value: value} }
	life := func(w *world, c *replay.Case, name, suffix string) {
		resource := "arn:aws:cloudwatch:us-east-1:111111111111:alarm:" + name
		list := func(entry string) {
			_, _ = c.Call(entry, w.ctx, &api.ListTagsForResourceInput{ResourceARN: resource})
		}
		list("list_tags_for_resource_after_creation" + suffix)
		_, _ = c.Call("", w.ctx, &api.TagResourceInput{ResourceARN: resource, Tags: []api.Tag{tag("tag1", "foo"), tag("tag2", "bar")}})
		list("list_tags_for_resource_updated")
		_, _ = c.Call("", w.ctx, &api.UntagResourceInput{ResourceARN: resource, TagKeys: []string{"tag1"}})
		list("list_tags_for_resource_post_untag")
		_, _ = c.Call("", w.ctx, &api.DeleteAlarmsInput{AlarmNames: []string{name}})
		list("list_tags_for_deleted_resource")
	}
	environment := []api.Tag{tag("Environment", "Production")}
	each(t, class+"test_tagging_metric_alarm", func(w *world, c *replay.Case) {
		_, _ = c.Call("put_metric_alarm", w.ctx, input("tagged", func(in *api.PutMetricAlarmInput) { in.Tags = environment }))
		life(w, c, "tagged", "")
	})
	each(t, class+"test_tagging_composite_alarm", func(w *world, c *replay.Case) {
		_, _ = c.Call("", w.ctx, input("child"))
		_, _ = c.Call("", w.ctx, &api.PutCompositeAlarmInput{AlarmName: "tagged", AlarmRule: "ALARM(child)", Tags: environment})
		life(w, c, "tagged", " ")
	})
	each(t, class+"test_store_tags", func(w *world, c *replay.Case) {
		_, _ = c.Call("put_metric_alarm", w.ctx, input("stored", func(in *api.PutMetricAlarmInput) { in.MetricName = "store_tags" }))
		_, _ = c.Call("describe_alarms", w.ctx, &api.DescribeAlarmsInput{AlarmNames: []string{"stored"}})
		resource := "arn:aws:cloudwatch:us-east-1:111111111111:alarm:stored"
		list := func(entry string) {
			_, _ = c.Call(entry, w.ctx, &api.ListTagsForResourceInput{ResourceARN: resource})
		}
		list("list_tags_for_resource_empty ")
		_, _ = c.Call("", w.ctx, &api.TagResourceInput{ResourceARN: resource, Tags: []api.Tag{tag("tag1", "foo"), tag("tag2", "bar")}})
		list("list_tags_for_resource")
		_, _ = c.Call("", w.ctx, &api.UntagResourceInput{ResourceARN: resource, TagKeys: []string{"tag1"}})
		list("list_tags_for_resource_post_untag")
	})
}

func TestRecordedCompositeAlarm(t *testing.T) {
	each(t, "TestCloudwatch::test_trigger_composite_alarm", func(w *world, c *replay.Case) {
		for placeholder, name := range map[string]string{
			"<alarm-topic-name>": "topic", "<ok-topic-name>": "ok", "<composite-alarm-name>": "composite", "<simple-alarm-1-name>": "one", "<simple-alarm-2-name>": "two",
		} {
			c.Bind(placeholder, name)
		}
		const base = "arn:aws:cloudwatch:us-east-1:111111111111:alarm:"
		for _, name := range []string{"one", "two"} {
			_, _ = c.Call("", w.ctx, input(name))
		}
		_, _ = c.Call("put-composite-alarm", w.ctx, &api.PutCompositeAlarmInput{
			AlarmName: "composite", AlarmDescription: "composite alarm description", AlarmRule: `ALARM("` + base + `one") OR ALARM("` + base + `two")`,
			AlarmActions: []string{topic}, OKActions: []string{"arn:aws:sns:us-east-1:111111111111:ok"},
		})
		for _, step := range []struct{ entry, name, state string }{
			{"composite-alarm-in-alarm-when-alarm-1-is-in-alarm", "one", "ALARM"},
			{"composite-alarm-in-ok-when-alarm-1-is-back-to-ok", "one", "OK"},
			{"composite-alarm-in-alarm-when-alarm-2-is-in-alarm", "two", "ALARM"},
			{"composite-alarm-in-ok-when-alarm-2-is-back-to-ok", "two", "OK"},
			{"", "one", "ALARM"},
			{"composite-alarm-is-triggered-by-alarm-1-and-then-unchanged-by-alarm-2", "two", "ALARM"},
		} {
			w.set(step.name, step.state, "test")
			if step.entry == "" {
				continue
			}
			out, err := w.DescribeAlarms(w.ctx, &api.DescribeAlarmsInput{AlarmNames: []string{"composite"}, AlarmTypes: []string{"CompositeAlarm"}})
			w.check(err)
			list, _ := replay.Tree(api.Describe(), "DescribeAlarms", out)["CompositeAlarms"].([]any)
			c.Hold(step.entry, list[0])
		}
	})
}

func TestRecordedFunctionEvent(t *testing.T) {
	w := newWorld(t)
	records := replay.Open(t, "cloudwatch/test_cloudwatch", api.Describe(), w.Service)
	c := records.Case(t, "TestCloudwatch::test_alarm_lambda_target")
	w.alarm("function", func(in *api.PutMetricAlarmInput) {
		in.AlarmDescription, in.MetricName, in.Namespace, in.Statistic, in.Period = "testing lambda alarm action", "metric1", "namespace", api.StatisticAverage, new(int32(10))
	})
	was, err := w.stored("function")
	w.check(err)
	w.set("function", "ALARM", "testing alarm")
	now, err := w.stored("function")
	w.check(err)
	b, err := json.Marshal(eventOf(Notification{Place: here(w.ctx, "function").key(), Was: *was, Now: *now}))
	w.check(err)
	var event any
	w.check(json.Unmarshal(b, &event))
	c.Hold("lambda-alarm-invocations", event)
}

func (w *world) stored(name string) (a *alarm, err error) {
	err = w.store.View(w.ctx, func(tx store.Tx) error {
		a, err = find(tx, here(w.ctx, name))
		return err
	})
	return a, err
}
