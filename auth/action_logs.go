package auth

import "strings"

var logsTable = table{prefix: "logs", keys: logsKeys, operations: entries(
	act(logGroup, "AssociateKmsKey CreateExportTask CreateLogStream DeleteDataProtectionPolicy DeleteIndexPolicy DeleteLogGroup "+
		"DeleteMetricFilter DeleteRetentionPolicy DeleteSubscriptionFilter DeleteTransformer DescribeLogGroups DescribeLogStreams "+
		"DescribeMetricFilters DescribeSubscriptionFilters DisassociateKmsKey FilterLogEvents GetDataProtectionPolicy GetLogGroupFields "+
		"GetTransformer ListTagsLogGroup PutBearerTokenAuthentication PutDataProtectionPolicy PutIndexPolicy PutLogGroupDeletionProtection "+
		"PutMetricFilter PutRetentionPolicy PutTransformer StartQuery TagLogGroup UntagLogGroup"),
	act(logStream, "DeleteLogStream GetLogEvents PutLogEvents"),
	act(taggedLog, "ListTagsForResource TagResource UntagResource"),
	act(nil, "AssociateSourceToS3TableIntegration CancelExportTask CancelImportTask CreateDelivery CreateImportTask CreateLogAnomalyDetector "+
		"CreateLookupTable CreateScheduledQuery DeleteAccountPolicy DeleteDelivery DeleteDeliveryDestination DeleteDeliveryDestinationPolicy "+
		"DeleteDeliverySource DeleteDestination DeleteIntegration DeleteLogAnomalyDetector DeleteLookupTable DeleteQueryDefinition "+
		"DeleteResourcePolicy DeleteScheduledQuery DescribeAccountPolicies DescribeConfigurationTemplates DescribeDeliveries "+
		"DescribeDeliveryDestinations DescribeDeliverySources DescribeDestinations DescribeExportTasks DescribeFieldIndexes "+
		"DescribeImportTaskBatches DescribeImportTasks DescribeIndexPolicies DescribeLookupTables DescribeQueries DescribeQueryDefinitions "+
		"DescribeResourcePolicies DisassociateSourceFromS3TableIntegration GetDelivery GetDeliveryDestination GetDeliveryDestinationPolicy "+
		"GetDeliverySource GetIntegration GetLogAnomalyDetector GetLogFields GetLogRecord GetLookupTable GetQueryResults GetScheduledQuery "+
		"GetScheduledQueryHistory ListAggregateLogGroupSummaries ListAnomalies ListIntegrations ListLogAnomalyDetectors ListLogGroups "+
		"ListLogGroupsForQuery ListScheduledQueries ListSourcesForS3TableIntegration PutAccountPolicy PutDeliveryDestination "+
		"PutDeliveryDestinationPolicy PutDeliverySource PutIntegration PutQueryDefinition PutResourcePolicy StopQuery TestMetricFilter "+
		"TestTransformer UpdateAnomaly UpdateDeliveryConfiguration UpdateLogAnomalyDetector UpdateLookupTable UpdateScheduledQuery"),
	map[string]operation{
		"CreateLogGroup": {on: logGroup, needs: func(a *asking) {
			if a.in.has("Tags") {
				a.also("logs:TagResource", logGroup(a.call, a.in)...)
			}
		}},
		"PutDestination":       {needs: func(a *asking) { a.passRole(a.in.text("RoleArn"), "logs.amazonaws.com") }},
		"PutDestinationPolicy": {},
		"PutSubscriptionFilter": {on: logGroup, needs: func(a *asking) {
			a.passRole(a.in.text("RoleArn"), "logs.amazonaws.com")
		}},
	},
)}

// logGroup is a log group as policies name it: with ":log-stream:" behind it, so that
// "log-group:NAME:*" means the group and its streams.
func logGroup(c *Call, in membersOf) []string {
	for _, member := range []string{"LogGroupIdentifier", "ResourceIdentifier"} {
		if id := in.text(member); strings.HasPrefix(id, "arn:") {
			return []string{strings.TrimSuffix(id, ":*") + ":log-stream:"}
		} else if id != "" {
			return []string{c.Scope.ARN("logs", "log-group:"+id+":log-stream:").String()}
		}
	}
	return []string{c.Scope.ARN("logs", "log-group:"+in.text("LogGroupName")+":log-stream:").String()}
}

func logStream(c *Call, in membersOf) []string {
	return []string{logGroup(c, in)[0] + in.text("LogStreamName")}
}

// taggedLog is a resource that a call of the newer tag operations names.
func taggedLog(_ *Call, in membersOf) []string { return in.some("ResourceArn") }

// logsKeys are the condition keys of CloudWatch Logs ("Condition keys for Amazon
// CloudWatch Logs", Service Authorization Reference).
func logsKeys(k *requestKeys, name string) ([]string, bool) {
	if tag, ok := strings.CutPrefix(name, "resourcetag/"); ok {
		return k.resourceTag(tag)
	}
	if name == "destinationarn" {
		return k.in.value("DestinationArn"), true
	}
	return nil, false
}
