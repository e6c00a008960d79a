package cloudwatch

import (
	"context"
	"encoding/json"
	"time"

	lambda "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
)

// Functions are the actions that call a Lambda function.
type Functions struct{ Lambda lambda.Service }

var _ Action = Functions{}

// functionsPrincipal is who calls functions for alarms ("Invoke a Lambda function from
// an alarm", Amazon CloudWatch User Guide).
const functionsPrincipal = "lambda.alarms.cloudwatch.amazonaws.com"

// Take calls the function, without waiting for it. Its policy is asked.
func (f Functions) Take(ctx context.Context, target arn.ARN, n Notification) error {
	b, err := json.Marshal(eventOf(n))
	if err != nil {
		return err
	}
	call := auth.From(ctx)
	call.Principal.Name, call.Principal.ARN, call.Principal.UserID = functionsPrincipal, functionsPrincipal, functionsPrincipal
	_, err = f.Lambda.Invoke(auth.With(ctx, call), &lambda.InvokeInput{
		FunctionName: target.String(), InvocationType: lambda.InvocationTypeEvent, Payload: b,
	})
	return err
}

// functionEvent is what a function gets.
type functionEvent struct {
	Source    string    `json:"source"`
	AlarmARN  string    `json:"alarmArn"`
	AccountID string    `json:"accountId"`
	Time      string    `json:"time"`
	Region    string    `json:"region"`
	AlarmData alarmData `json:"alarmData"`
}

type alarmData struct {
	AlarmName     string         `json:"alarmName"`
	State         alarmState     `json:"state"`
	PreviousState alarmState     `json:"previousState"`
	Configuration map[string]any `json:"configuration"`
}

type alarmState struct {
	Value      string `json:"value"`
	Reason     string `json:"reason"`
	ReasonData string `json:"reasonData,omitempty"`
	Timestamp  string `json:"timestamp"`
}

func stateOf(a *alarm, at time.Time) alarmState {
	return alarmState{a.State, a.Reason, a.ReasonData, wireTime(at)}
}

func eventOf(n Notification) functionEvent {
	p, a := placeOf(n.Place), &n.Now
	configuration := map[string]any{}
	if a.Description != "" {
		configuration["description"] = a.Description
	}
	if a.composite() {
		configuration["alarmRule"] = a.Rule
	} else {
		configuration["metrics"] = metricsOf(n)
	}
	return functionEvent{
		Source: "aws.cloudwatch", AlarmARN: p.arn(), AccountID: p.Account, Time: wireTime(a.Turned), Region: p.Region,
		AlarmData: alarmData{AlarmName: a.Name, State: stateOf(a, a.Turned), PreviousState: stateOf(&n.Was, n.Was.Updated), Configuration: configuration},
	}
}

// metricsOf are the metrics of an alarm as events of functions have them.
func metricsOf(n Notification) any {
	m := n.Now.Metric
	stat := func(namespace, name string, dimensions map[string]string, period *int32, stat string) map[string]any {
		return map[string]any{"metric": map[string]any{"namespace": namespace, "name": name, "dimensions": dimensions}, "period": period, "stat": stat}
	}
	if len(m.Metrics) == 0 {
		dimensions := map[string]string{}
		for _, d := range m.Dimensions {
			dimensions[d.Name] = d.Value
		}
		s := m.Statistic
		if s == "" {
			s = m.ExtendedStatistic
		}
		h := arn.Hash(n.Place)
		id := h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
		return []any{map[string]any{"id": id, "metricStat": stat(m.Namespace, m.MetricName, dimensions, m.Period, s), "returnData": true}}
	}
	out := []any{}
	for _, q := range m.Metrics {
		e := map[string]any{"id": q.Id, "returnData": q.ReturnData == nil || *q.ReturnData}
		if q.Expression != "" {
			e["expression"] = q.Expression
		}
		if q.MetricStat != nil && q.MetricStat.Metric != nil {
			dimensions := map[string]string{}
			for _, d := range q.MetricStat.Metric.Dimensions {
				dimensions[d.Name] = d.Value
			}
			e["metricStat"] = stat(q.MetricStat.Metric.Namespace, q.MetricStat.Metric.MetricName, dimensions, q.MetricStat.Period, q.MetricStat.Stat)
		}
		out = append(out, e)
	}
	return out
}
