package cloudwatch

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudwatch"
	"github.com/slipway/slipway/store/storetest"
)

func as(t *testing.T, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf("123456789012"), Scope: arn.Scope{Account: "123456789012", Region: "us-east-1"}, Token: token,
	})
}

func request(token, physicalID string, properties, prior cfn.Properties) cfn.Request {
	return cfn.Request{
		StackName: "stack", LogicalID: "Alarm", PhysicalID: physicalID, Token: token, Name: "stack-Alarm-ABCDEF123456",
		Properties: properties, Prior: prior, Tags: map[string]string{"aws:cloudformation:stack-name": "stack"},
		Progress: func(string) {}, Initiated: func(string) {},
	}
}

func TestTypes(t *testing.T) {
	types := Types(cloudwatch.New(cloudwatch.Config{Store: storetest.New(t)}))
	const id = "stack-Alarm-ABCDEF123456"
	const alarmARN = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:"
	tags := func(v string) []any { return []any{map[string]any{"Key": "k", "Value": v}} }
	metric := func(threshold int64, v string) cfn.Properties {
		return cfn.Properties{
			"MetricName": "m", "Namespace": "n", "Statistic": "Sum", "Period": int64(60), "EvaluationPeriods": int64(1), "Threshold": threshold,
			"ComparisonOperator": "GreaterThanThreshold", "Dimensions": []any{map[string]any{"Name": "a", "Value": "b"}}, "Tags": tags(v),
		}
	}
	// The child of the composite one.
	if _, err := types[0].Create(as(t, "child"), request("child", "", cfn.Properties{
		"AlarmName": "child", "EvaluationPeriods": int64(1), "Threshold": 1.5, "ComparisonOperator": "LessThanThreshold", "Metrics": []any{
			map[string]any{"Id": "a", "Expression": "b * 2"},
			map[string]any{"Id": "b", "ReturnData": false, "MetricStat": map[string]any{"Metric": map[string]any{"MetricName": "m", "Namespace": "n"}, "Period": int64(60), "Stat": "Sum"}},
		},
	}, nil)); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct{ props, next cfn.Properties }{
		{metric(1, "v"), metric(2, "w")},
		{cfn.Properties{"AlarmRule": "ALARM(child)", "Tags": tags("v")}, cfn.Properties{"AlarmRule": "NOT ALARM(child)", "Tags": tags("w")}},
	} {
		typ := types[i]
		for range 2 {
			got, err := typ.Create(as(t, "create"), request("create", "", c.props, nil))
			if err != nil || got.PhysicalID != id || got.Attributes["Arn"] != alarmARN+id {
				t.Fatal(got, err)
			}
		}
		check := func(props cfn.Properties) {
			t.Helper()
			got, err := typ.Read(as(t, ""), request("", id, props, nil))
			if err != nil {
				t.Fatal(err)
			}
			want := cfn.Properties{"AlarmName": id, "Arn": alarmARN + id, "ActionsEnabled": true}
			for k, v := range props {
				want[k] = v
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		}
		check(c.props)
		for range 2 {
			if _, err := typ.Update(as(t, "update"), request("update", id, c.next, c.props)); err != nil {
				t.Fatal(err)
			}
		}
		check(c.next)
		if ids, err := typ.List(as(t, "")); err != nil || len(ids) == 0 || ids[len(ids)-1] != id {
			t.Errorf("listed %v, %v", ids, err)
		}
		for range 2 {
			if err := typ.Delete(as(t, "delete"), request("delete", id, c.props, nil)); err != nil {
				t.Error(err)
			}
		}
		if _, err := typ.Read(as(t, ""), request("", id, c.props, nil)); !fault.Is(err, cfn.NotFound) {
			t.Errorf("read after the deletion: %v", err)
		}
	}
}
