package auth

var cloudwatchTable = table{prefix: "cloudwatch", keys: cloudwatchKeys, operations: entries(
	act(alarmsNamed, "DeleteAlarms DisableAlarmActions EnableAlarmActions SetAlarmState"),
	act(alarmResource, "ListTagsForResource TagResource UntagResource"),
	act(nil, "DeleteAlarmMuteRule DeleteAnomalyDetector DeleteDashboards DeleteInsightRules DeleteMetricStream DescribeAlarmContributors "+
		"DescribeAlarmHistory DescribeAlarms DescribeAlarmsForMetric DescribeAnomalyDetectors DescribeInsightRules DisableInsightRules "+
		"EnableInsightRules GetAlarmMuteRule GetDashboard GetInsightRuleReport GetMetricData GetMetricStatistics GetMetricStream "+
		"GetMetricWidgetImage GetOTelEnrichment ListAlarmMuteRules ListDashboards ListManagedInsightRules ListMetricStreams ListMetrics "+
		"PutAlarmMuteRule PutAnomalyDetector PutDashboard PutInsightRule PutManagedInsightRules PutMetricData StartMetricStreams "+
		"StartOTelEnrichment StopMetricStreams StopOTelEnrichment"),
	map[string]operation{
		"PutMetricAlarm":    {on: alarmsNamed, needs: alarmTags},
		"PutCompositeAlarm": {on: alarmsNamed, needs: alarmTags},
		"PutMetricStream":   {needs: func(a *asking) { a.passRole(a.in.text("RoleArn"), "streams.metrics.cloudwatch.amazonaws.com") }},
	},
)}

// alarmTags is the leave to tag an alarm as it is made.
func alarmTags(a *asking) {
	if a.in.has("Tags") {
		a.also("cloudwatch:TagResource", alarmsNamed(a.call, a.in)...)
	}
}

// alarmsNamed are alarms by their names, one or several.
func alarmsNamed(c *Call, in membersOf) (out []string) {
	for _, name := range append(in.some("AlarmName"), in.value("AlarmNames")...) {
		out = append(out, c.Scope.ARN("cloudwatch", "alarm:"+name).String())
	}
	return out
}

func alarmResource(_ *Call, in membersOf) []string { return in.some("ResourceARN") }

// cloudwatchKeys are the condition keys of CloudWatch ("Condition keys for Amazon
// CloudWatch", Service Authorization Reference).
func cloudwatchKeys(k *requestKeys, name string) ([]string, bool) {
	switch name {
	case "alarmactions":
		var actions []string
		for _, m := range []string{"AlarmActions", "OKActions", "InsufficientDataActions"} {
			actions = append(actions, k.in.value(m)...)
		}
		return actions, true
	case "namespace":
		return k.in.value("Namespace"), true
	}
	return nil, false
}
