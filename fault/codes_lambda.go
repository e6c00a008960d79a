package fault

// Codes of Lambda (AWS Lambda API Reference).
const (
	CodeStorageExceededException   = "CodeStorageExceededException"
	InvalidParameterValueException = "InvalidParameterValueException"
	InvalidRequestContentException = "InvalidRequestContentException"
	InvalidRuntimeException        = "InvalidRuntimeException"
	PolicyLengthExceededException  = "PolicyLengthExceededException"
	PreconditionFailedException    = "PreconditionFailedException"
	RequestTooLargeException       = "RequestTooLargeException"
	ResourceConflictException      = "ResourceConflictException"
	ResourceInUseException         = "ResourceInUseException"
	LambdaServiceException         = "ServiceException"
	TooManyRequestsException       = "TooManyRequestsException"
)
