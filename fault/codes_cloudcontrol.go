package fault

// Codes of the Cloud Control API (Cloud Control API Reference).
const (
	ClientTokenConflict             = "ClientTokenConflictException"
	ConcurrentModificationException = "ConcurrentModificationException"
	ConcurrentOperationException    = "ConcurrentOperationException"
	NotUpdatableException           = "NotUpdatableException"
	RequestTokenNotFound            = "RequestTokenNotFoundException"
	ServiceLimitExceeded            = "ServiceLimitExceededException"
	TypeNotFoundException           = "TypeNotFoundException"
	UnsupportedActionException      = "UnsupportedActionException"
)
