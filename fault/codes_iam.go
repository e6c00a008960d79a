package fault

// Codes of IAM and STS.
const (
	NoSuchEntity            = "NoSuchEntity"
	EntityAlreadyExists     = "EntityAlreadyExists"
	DeleteConflict          = "DeleteConflict"
	LimitExceeded           = "LimitExceeded"
	MalformedPolicyDocument = "MalformedPolicyDocument"
	InvalidInput            = "InvalidInput"
	UnmodifiableEntity      = "UnmodifiableEntity"
)
