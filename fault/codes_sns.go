package fault

// Codes of SNS ("Common Errors" and the operations' errors, Amazon SNS API Reference).
// What SQS, EC2 and KMS name alike stands with them.
const (
	SNSNotFound           = "NotFound"
	SNSResourceNotFound   = "ResourceNotFound"
	AuthorizationError    = "AuthorizationError"
	ParameterValueInvalid = "ParameterValueInvalid"
	FilterPolicyLimit     = "FilterPolicyLimitExceeded"
	SubscriptionLimit     = "SubscriptionLimitExceeded"
	TopicKMSAccessDenied  = "KMSAccessDenied"
	TopicKMSDisabled      = "KMSDisabled"
	TopicKMSInvalidState  = "KMSInvalidState"
	TopicKMSNotFound      = "KMSNotFound"
	TopicKMSThrottling    = "KMSThrottling"
)
