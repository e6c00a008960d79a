package logs

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	kms "github.com/slipway/slipway/api/kms"
	lambda "github.com/slipway/slipway/api/lambda"
	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	kmsservice "github.com/slipway/slipway/service/kms"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// recorded is a file of records, and a world in their account.
func recorded(t *testing.T, file string) (*replay.Records, *world) {
	t.Helper()
	w := &world{t: t, clock: time.Now()}
	w.ctx = auth.With(t.Context(), auth.Call{Principal: auth.RootOf(replay.Account), Scope: arn.Scope{Account: replay.Account, Region: "us-east-1"}})
	st, ring := storetest.New(t), keyring.Ephemeral()
	w.Service = New(Config{Store: st, Ring: ring, Now: w.time, KMS: kmsservice.New(kmsservice.Config{Store: st, Ring: ring, Now: w.time})})
	t.Cleanup(w.Stop)
	return replay.Open(t, "logs/test_logs_"+file, api.Describe(), w.Service), w
}

func TestRecordedGroups(t *testing.T) {
	records, w := recorded(t, "groups")
	create := func(c *replay.Case, entry, name string) {
		_, _ = c.Call(entry, w.ctx, &api.CreateLogGroupInput{LogGroupName: name})
	}

	c := records.Case(t, "TestLogsGroups::test_create_log_group_with_kms_key")
	key, err := w.kms.CreateKey(w.ctx, &kms.CreateKeyInput{Policy: letsLogs})
	w.check(err)
	c.Bind("<key-id>", key.KeyMetadata.KeyId)
	_, _ = c.Call("", w.ctx, &api.CreateLogGroupInput{LogGroupName: "keyed", KmsKeyId: key.KeyMetadata.Arn})
	_, _ = c.Call("describe-log-groups-with-kms", w.ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: "keyed"})

	c = records.Case(t, "TestLogsGroups::test_create_log_group_duplicate_error")
	create(c, "", "twice")
	create(c, "error-duplicate-log-group", "twice")

	c = records.Case(t, "TestLogsGroups::test_create_log_group_invalid_name_length")
	c.Except("error-invalid-name-length/Error/Message", "AWS checks the length of this name before the model does; ours are the model's words")
	create(c, "error-invalid-name-length", strings.Repeat("a", 513))

	c = records.Case(t, "TestLogsGroups::test_describe_log_groups_with_prefix")
	for _, name := range []string{"prefix-1", "prefix-2", "prefix-3"} {
		create(c, "", name)
	}
	_, _ = c.Call("describe-log-groups-prefix", w.ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: "prefix"})

	c = records.Case(t, "TestLogsGroups::test_list_log_groups_with_pattern")
	_, _ = c.Call("list-log-groups-no-match", w.ctx, &api.DescribeLogGroupsInput{LogGroupNamePattern: "no-such-group"})
	c.Leave("list-log-groups-match", "it has of each group what the caller took")

	c = records.Case(t, "TestLogsGroupsTags::test_create_log_group_with_tags")
	_, _ = c.Call("", w.ctx, &api.CreateLogGroupInput{LogGroupName: "tagged", Tags: map[string]string{"env": "testing"}})
	_, _ = c.Call("list-tags-after-create", w.ctx, &api.ListTagsLogGroupInput{LogGroupName: "tagged"})

	c = records.Case(t, "TestLogsGroupsTags::test_untag_log_group")
	_, _ = c.Call("", w.ctx, &api.CreateLogGroupInput{LogGroupName: "untagged", Tags: map[string]string{"tag_key_1": "tag_value_1", "tag_key_2": "tag_value_2"}})
	_, _ = c.Call("", w.ctx, &api.UntagLogGroupInput{LogGroupName: "untagged", Tags: []string{"tag_key_1"}})
	_, _ = c.Call("list-tags-after-untag", w.ctx, &api.ListTagsLogGroupInput{LogGroupName: "untagged"})
}

func TestRecordedStreams(t *testing.T) {
	records, w := recorded(t, "streams")
	w.group("group")
	create := func(c *replay.Case, entry, name string) {
		_, _ = c.Call(entry, w.ctx, &api.CreateLogStreamInput{LogGroupName: "group", LogStreamName: name})
	}
	c := records.Case(t, "TestLogsStreams::test_create_log_stream_duplicate_error")
	create(c, "", "twice")
	create(c, "error-duplicate-log-stream", "twice")

	c = records.Case(t, "TestLogsStreams::test_describe_log_streams_with_prefix")
	c.Bind("<log-group>", "group")
	for _, name := range []string{"prefix-1", "prefix-2", "prefix-3"} {
		create(c, "", name)
	}
	_, _ = c.Call("describe-streams-with-prefix", w.ctx, &api.DescribeLogStreamsInput{LogGroupName: "group", LogStreamNamePrefix: "prefix"})

	c = records.Case(t, "TestLogsStreams::test_log_stream_arn_format")
	c.Bind("<log-group>", "group")
	create(c, "", "arn-1")
	_, _ = c.Call("describe-log-streams-with-arn", w.ctx, &api.DescribeLogStreamsInput{LogGroupName: "group", LogStreamNamePrefix: "arn"})
}

func TestRecordedEvents(t *testing.T) {
	records, w := recorded(t, "events")
	w.group("group", "stream")
	put := func(c *replay.Case, entry, group, stream string, times ...int64) {
		in := &api.PutLogEventsInput{LogGroupName: group, LogStreamName: stream}
		for _, ms := range times {
			in.LogEvents = append(in.LogEvents, api.InputLogEvent{Timestamp: &ms, Message: "message"})
		}
		_, _ = c.Call(entry, w.ctx, in)
	}
	now := w.ago(0)
	put(records.Case(t, "TestLogsEvents::test_put_log_events_to_invalid_stream"), "error-invalid-stream", "group", "none", now)
	put(records.Case(t, "TestLogsEvents::test_put_log_events_wrong_order"), "error-wrong-order", "group", "stream", now, now-1000)
	c := records.Case(t, "TestLogsEvents::test_put_log_events_too_new")
	c.Except("response-too-new/rejectedLogEventsInfo/tooNewLogEventStartIndex", "the record has words instead of the number")
	put(c, "response-too-new", "group", "stream", now+3*3600_000)
	c = records.Case(t, "TestLogsEvents::test_get_log_events_limit_validation")
	_, _ = c.Call("error-limit-exceeded", w.ctx, &api.GetLogEventsInput{LogGroupName: "group", LogStreamName: "stream", Limit: new(int32(10001))})
	c = records.Case(t, "TestLogsEventsErrors::test_resource_does_not_exist")
	put(c, "error-log-group-does-not-exist", "none", "stream", now)
	put(c, "error-log-stream-does-not-exist", "group", "none", now)
}

func TestRecordedMetricFilters(t *testing.T) {
	records, w := recorded(t, "metric_filters")
	transformation := func(value *float64) []api.MetricTransformation {
		return []api.MetricTransformation{{MetricName: "metric", MetricNamespace: "namespace", MetricValue: "1", DefaultValue: value}}
	}
	zero := 0.0
	for name, pattern := range map[string]string{"test_put_metric_filter_basic": " ", "test_put_metric_filter_json_pattern": `{$.message = "test"}`} {
		c := records.Case(t, "TestMetricFilters::"+name)
		entry := "describe-metric-filters"
		if pattern != " " {
			entry += "-json"
		}
		w.group(name)
		_, _ = c.Call("", w.ctx, &api.PutMetricFilterInput{LogGroupName: name, FilterName: "filter", FilterPattern: pattern, MetricTransformations: transformation(&zero)})
		_, _ = c.Call(entry, w.ctx, &api.DescribeMetricFiltersInput{LogGroupName: name, FilterNamePrefix: "filter"})
	}
	c := records.Case(t, "TestMetricFilters::test_describe_metric_filters_by_log_group")
	w.group("group")
	_, _ = c.Call("", w.ctx, &api.PutMetricFilterInput{LogGroupName: "group", FilterName: "filter", FilterPattern: "pattern", MetricTransformations: transformation(nil)})
	_, _ = c.Call("describe-by-log-group", w.ctx, &api.DescribeMetricFiltersInput{LogGroupName: "group"})

	const class = "TestMetricFiltersValidation::"
	long := strings.Repeat("X", 513)
	c = records.Case(t, class+"test_put_metric_filter_invalid_filter_name")
	_, _ = c.Call("error-invalid-filter-name", w.ctx, &api.PutMetricFilterInput{LogGroupName: "group", FilterName: long, FilterPattern: "p", MetricTransformations: transformation(nil)})
	c = records.Case(t, class+"test_put_metric_filter_invalid_filter_pattern")
	_, _ = c.Call("error-invalid-filter-pattern", w.ctx, &api.PutMetricFilterInput{LogGroupName: "group", FilterName: "f", FilterPattern: strings.Repeat("X", 1025), MetricTransformations: transformation(nil)})
	c = records.Case(t, class+"test_put_metric_filter_too_many_transformations")
	c.Except("error-too-many-transformations/Error/Message", "it writes the members in the order of a class of AWS's, which differs from the model's")
	_, _ = c.Call("error-too-many-transformations", w.ctx, &api.PutMetricFilterInput{LogGroupName: "group", FilterName: "f", FilterPattern: "p", MetricTransformations: []api.MetricTransformation{
		{MetricName: "metric1", MetricNamespace: "namespace1", MetricValue: "1"}, {MetricName: "metric2", MetricNamespace: "namespace2", MetricValue: "1"},
	}})
	c = records.Case(t, class+"test_delete_metric_filter_invalid_filter_name")
	_, _ = c.Call("error-invalid-filter-name", w.ctx, &api.DeleteMetricFilterInput{LogGroupName: "group", FilterName: long})
	c = records.Case(t, class+"test_describe_metric_filters_invalid_parameters")
	_, _ = c.Call("error-invalid-filter-prefix", w.ctx, &api.DescribeMetricFiltersInput{LogGroupName: "group", FilterNamePrefix: long})
	_, _ = c.Call("error-invalid-metric-name", w.ctx, &api.DescribeMetricFiltersInput{MetricName: long[:256], MetricNamespace: "n"})
}

func TestRecordedResourcePolicies(t *testing.T) {
	records, w := recorded(t, "resource_policies")
	c := records.Case(t, "TestResourcePolicies::test_put_resource_policy_update")
	document := func(version string) string {
		return `{"Version":"` + version + `","Statement":[{"Effect":"Allow","Principal":{"Service":"route53.amazonaws.com"},"Action":"logs:*","Resource":"*"}]}`
	}
	for _, version := range []string{"2012-10-17", "2008-10-17"} {
		_, _ = c.Call("", w.ctx, &api.PutResourcePolicyInput{PolicyName: "policy", PolicyDocument: document(version)})
	}
	out, err := w.DescribeResourcePolicies(w.ctx, &api.DescribeResourcePoliciesInput{})
	w.check(err)
	var written any
	w.check(json.Unmarshal([]byte(out.ResourcePolicies[0].PolicyDocument), &written))
	c.Hold("updated-policy", map[string]any{
		"policyName": out.ResourcePolicies[0].PolicyName, "policyScope": out.ResourcePolicies[0].PolicyScope, "policyDocument": written,
		"lastUpdatedTime": "last-updated-time",
	})
	_, err = w.DeleteResourcePolicy(w.ctx, &api.DeleteResourcePolicyInput{PolicyName: "policy"})
	w.check(err)
	_, err = w.DeleteResourcePolicy(w.ctx, &api.DeleteResourcePolicyInput{PolicyName: "policy"})
	wants(t, err, "ResourceNotFoundException", "Policy with name [policy] does not exist.")
}

func TestRecordedSubscriptionFilters(t *testing.T) {
	records, w := recorded(t, "subscription_filters")
	w.lambda = func() lambda.Service { return &functions{} }
	w.group("group")
	c := records.Case(t, "TestSubscriptionFilters::test_describe_subscription_filters_empty")
	_, _ = c.Call("describe-subscription-filters-empty", w.ctx, &api.DescribeSubscriptionFiltersInput{LogGroupName: "group"})

	c = records.Case(t, "TestSubscriptionFilterUpdates::test_put_subscription_filter_errors")
	const foreign = "arn:aws:lambda:us-east-1:000000000000:function:f"
	for entry, in := range map[string]api.PutSubscriptionFilterInput{
		"error-log-group-not-found": {LogGroupName: "none", DestinationArn: foreign},
		"error-lambda-not-found":    {LogGroupName: "group", DestinationArn: foreign},
		"error-kinesis-not-found":   {LogGroupName: "group", DestinationArn: "arn:aws:kinesis:us-east-1:111111111111:stream/s"},
	} {
		in.FilterName, in.FilterPattern = "filter", "test"
		_, _ = c.Call(entry, w.ctx, &in)
	}
}
