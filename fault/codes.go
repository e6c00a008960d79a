package fault

// Codes that more than one service uses ("Common Error Types" of the API
// references). Codes of one service stand in that service's block. Every code
// that the code base gives out is named here, once.
const (
	NotImplemented        = "NotImplemented"
	InternalFailure       = "InternalFailure"
	ServiceUnavailable    = "ServiceUnavailable"
	Throttling            = "Throttling"
	ThrottlingException   = "ThrottlingException"  // JSON services
	RequestThrottled      = "RequestThrottled"     // SQS
	RequestLimitExceeded  = "RequestLimitExceeded" // EC2
	SlowDown              = "SlowDown"             // S3
	ValidationError       = "ValidationError"      // Query services
	ValidationException   = "ValidationException"  // JSON services
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

// Codes of signatures and payloads, given out before a service is reached.
const (
	MissingAuthTokenException   = "MissingAuthenticationTokenException" // JSON services
	InvalidSignatureException   = "InvalidSignatureException"           // JSON services
	IncompleteSignatureEx       = "IncompleteSignatureException"        // JSON services
	ExpiredTokenException       = "ExpiredTokenException"               // JSON services
	InvalidToken                = "InvalidToken"                        // S3
	AuthorizationHeaderMalform  = "AuthorizationHeaderMalformed"        // S3
	AuthorizationQueryMalformed = "AuthorizationQueryParametersError"   // S3
	ContentSHA256Mismatch       = "XAmzContentSHA256Mismatch"           // S3
	MalformedTrailer            = "MalformedTrailerError"               // S3
	BadDigest                   = "BadDigest"
	IncompleteBody              = "IncompleteBody"
	RequestTimeout              = "RequestTimeout"
	InvalidArgument             = "InvalidArgument"
	InvalidRequest              = "InvalidRequest"
)

// Codes of S3 ("Error responses", Amazon S3 API Reference).
const (
	NoSuchBucket               = "NoSuchBucket"
	NoSuchKey                  = "NoSuchKey"
	NoSuchVersion              = "NoSuchVersion"
	NoSuchUpload               = "NoSuchUpload"
	NoSuchTagSet               = "NoSuchTagSet"
	NoSuchBucketPolicy         = "NoSuchBucketPolicy"
	NoSuchPublicAccessBlock    = "NoSuchPublicAccessBlockConfiguration"
	OwnershipControlsNotFound  = "OwnershipControlsNotFoundError"
	BucketAlreadyExists        = "BucketAlreadyExists"
	BucketAlreadyOwnedByYou    = "BucketAlreadyOwnedByYou"
	BucketNotEmpty             = "BucketNotEmpty"
	InvalidBucketName          = "InvalidBucketName"
	InvalidBucketOwner         = "InvalidBucketOwnerAWSAccountID"
	InvalidBucketACLOwnership  = "InvalidBucketAclWithObjectOwnership"
	ACLNotSupported            = "AccessControlListNotSupported"
	InvalidLocationConstraint  = "InvalidLocationConstraint"
	IllegalLocationConstraint  = "IllegalLocationConstraintException"
	IllegalVersioning          = "IllegalVersioningConfigurationException"
	InvalidURI                 = "InvalidURI"
	KeyTooLong                 = "KeyTooLongError"
	MetadataTooLarge           = "MetadataTooLarge"
	EntityTooLarge             = "EntityTooLarge"
	EntityTooSmall             = "EntityTooSmall"
	InvalidDigest              = "InvalidDigest"
	InvalidRange               = "InvalidRange"
	InvalidPart                = "InvalidPart"
	InvalidPartNumber          = "InvalidPartNumber"
	InvalidPartOrder           = "InvalidPartOrder"
	InvalidStorageClass        = "InvalidStorageClass"
	InvalidEncryptionAlgorithm = "InvalidEncryptionAlgorithmError"
	InvalidTag                 = "InvalidTag"
	BadRequest                 = "BadRequest"
	MalformedXML               = "MalformedXML"
	MalformedPolicy            = "MalformedPolicy"
	MethodNotAllowed           = "MethodNotAllowed"
	NotModified                = "NotModified"
	PreconditionFailed         = "PreconditionFailed"
)

// Codes of requests that package wire cannot read.
const (
	UnknownService = "UnknownService" // ours: the request tells no service
)
