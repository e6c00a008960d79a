package fault

// Codes of Secrets Manager (AWS Secrets Manager API Reference).
const (
	DecryptionFailure         = "DecryptionFailure"
	EncryptionFailure         = "EncryptionFailure"
	InvalidNextTokenException = "InvalidNextTokenException"
	InvalidParameterException = "InvalidParameterException"
	InvalidRequestException   = "InvalidRequestException"
	LimitExceededException    = "LimitExceededException"
	MalformedSecretPolicy     = "MalformedPolicyDocumentException"
	PublicPolicy              = "PublicPolicyException"
	ResourceExists            = "ResourceExistsException"
)
