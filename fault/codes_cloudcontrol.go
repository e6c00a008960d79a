package fault

// Codes of the Cloud Control API (Cloud Control API Reference).
const (
	ClientTokenConflict             = "ClientTokenConflictException"
	ConcurrentModificationException = "ConcurrentModificationException"
	ConcurrentOperationException    = "ConcurrentOperationException"
	GeneralServiceException         = "GeneralServiceException"
	HandlerInternalFailure          = "HandlerInternalFailureException"
	InvalidCredentialsException     = "InvalidCredentialsException"
	NetworkFailureException         = "NetworkFailureException"
	NotStabilizedException          = "NotStabilizedException"
	NotUpdatableException           = "NotUpdatableException"
	RequestTokenNotFound            = "RequestTokenNotFoundException"
	ServiceInternalError            = "ServiceInternalErrorException"
	ServiceLimitExceeded            = "ServiceLimitExceededException"
	TypeNotFoundException           = "TypeNotFoundException"
	UnsupportedActionException      = "UnsupportedActionException"
)
