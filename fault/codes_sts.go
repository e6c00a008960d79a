package fault

// Codes of STS.
const (
	InvalidAuthorizationMessage = "InvalidAuthorizationMessageException"
	PackedPolicyTooLarge        = "PackedPolicyTooLarge"
	IDPCommunicationError       = "IDPCommunicationError"
	IDPRejectedClaim            = "IDPRejectedClaim"
	InvalidIdentityToken        = "InvalidIdentityToken"
)
