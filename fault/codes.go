package fault

// Codes that more than one service uses ("Common Error Types" of the API
// references). Codes of one service stand in that service's block. Every code
// that the code base gives out is named here, once.
const (
	NotImplemented        = "NotImplemented"
	InternalFailure       = "InternalFailure"
	ServiceUnavailable    = "ServiceUnavailable"
	Throttling            = "Throttling"
	ValidationError       = "ValidationError"     // Query services
	ValidationException   = "ValidationException" // JSON services
	SerializationError    = "SerializationException"
	MalformedInput        = "MalformedInput"
	InvalidAction         = "InvalidAction"
	UnknownOperation      = "UnknownOperationException"
	MissingAction         = "MissingAction"
	MissingParameter      = "MissingParameter"
	InvalidParameterValue = "InvalidParameterValue"
	RequestTooLarge       = "RequestEntityTooLarge"

	AccessDenied             = "AccessDenied"
	AccessDeniedException    = "AccessDeniedException"
	UnauthorizedOperation    = "UnauthorizedOperation"
	AuthFailure              = "AuthFailure"
	MissingAuthToken         = "MissingAuthenticationToken"
	IncompleteSignature      = "IncompleteSignature"
	InvalidClientTokenID     = "InvalidClientTokenId"
	SignatureDoesNotMatch    = "SignatureDoesNotMatch"
	RequestExpired           = "RequestExpired"
	ExpiredToken             = "ExpiredToken"
	UnrecognizedClient       = "UnrecognizedClientException"
	InvalidAccessKeyID       = "InvalidAccessKeyId"
	RequestTimeTooSkewed     = "RequestTimeTooSkewed"
	IdempotentParameterMatch = "IdempotentParameterMismatch"
)
