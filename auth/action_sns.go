package auth

import "strings"

var snsTable = table{prefix: "sns", keys: snsKeys, operations: entries(
	act(member("TopicArn"), "AddPermission ConfirmSubscription DeleteTopic GetTopicAttributes ListSubscriptionsByTopic RemovePermission "+
		"SetTopicAttributes Subscribe"),
	act(member("ResourceArn"), "GetDataProtectionPolicy ListTagsForResource PutDataProtectionPolicy TagResource UntagResource"),
	// Of a subscription the service's records tell whose it is, not policies.
	act(nil, "GetSubscriptionAttributes SetSubscriptionAttributes Unsubscribe ListSubscriptions ListTopics "+
		"CheckIfPhoneNumberIsOptedOut CreatePlatformApplication CreatePlatformEndpoint CreateSMSSandboxPhoneNumber DeleteEndpoint "+
		"DeletePlatformApplication DeleteSMSSandboxPhoneNumber GetEndpointAttributes GetPlatformApplicationAttributes GetSMSAttributes "+
		"GetSMSSandboxAccountStatus ListEndpointsByPlatformApplication ListOriginationNumbers ListPhoneNumbersOptedOut "+
		"ListPlatformApplications ListSMSSandboxPhoneNumbers OptInPhoneNumber SetEndpointAttributes SetPlatformApplicationAttributes "+
		"SetSMSAttributes VerifySMSSandboxPhoneNumber"),
	map[string]operation{
		"CreateTopic": {on: newTopic, needs: func(a *asking) {
			if a.in.has("Tags") {
				a.also("sns:TagResource", newTopic(a.call, a.in)...)
			}
		}},
		"Publish":      {on: publishedTo},
		"PublishBatch": {action: "sns:Publish", on: publishedTo},
	},
)}

func newTopic(c *Call, in membersOf) []string {
	if n := in.text("Name"); n != "" {
		return []string{c.Scope.ARN("sns", n).String()}
	}
	return nil
}

// publishedTo is a topic, under either of its names. A phone number is no resource.
func publishedTo(_ *Call, in membersOf) []string {
	switch {
	case in.text("TopicArn") != "":
		return in.some("TopicArn")
	case in.text("TargetArn") != "":
		return in.some("TargetArn")
	}
	return []string{"*"}
}

// snsKeys are the condition keys of SNS ("Condition keys for Amazon SNS", Service
// Authorization Reference).
func snsKeys(k *requestKeys, name string) ([]string, bool) {
	if kind, tag, ok := strings.Cut(name, "/"); ok {
		if kind == "resourcetag" {
			return k.resourceTag(tag)
		}
		return nil, false
	}
	switch name {
	case "endpoint":
		return k.in.value("Endpoint"), true
	case "protocol":
		return k.in.value("Protocol"), true
	}
	return nil, false
}

// anonymousActions are what nobody in particular may do, by what the request
// itself proves: that it has a token, or a subscription's ARN.
var anonymousActions = map[string]bool{"sns:ConfirmSubscription": true, "sns:Unsubscribe": true}
