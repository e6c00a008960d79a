package fault

// Codes of IAM and STS.
const (
	NoSuchEntity              = "NoSuchEntity"
	EntityAlreadyExists       = "EntityAlreadyExists"
	InvalidAuthenticationCode = "InvalidAuthenticationCode"
	DeleteConflict            = "DeleteConflict"
	LimitExceeded             = "LimitExceeded"
	MalformedPolicyDocument   = "MalformedPolicyDocument"
	InvalidInput              = "InvalidInput"
	UnmodifiableEntity        = "UnmodifiableEntity"
)
