package fault

// Codes of KMS (AWS KMS API Reference).
const (
	AlreadyExistsException        = "AlreadyExistsException"
	DisabledException             = "DisabledException"
	DryRunOperationException      = "DryRunOperationException"
	ExpiredImportToken            = "ExpiredImportTokenException"
	IncorrectKey                  = "IncorrectKeyException"
	IncorrectKeyMaterial          = "IncorrectKeyMaterialException"
	InvalidArn                    = "InvalidArnException"
	InvalidCiphertext             = "InvalidCiphertextException"
	InvalidGrantToken             = "InvalidGrantTokenException"
	InvalidImportToken            = "InvalidImportTokenException"
	InvalidKeyUsage               = "InvalidKeyUsageException"
	InvalidMarker                 = "InvalidMarkerException"
	KMSLimitExceeded              = "LimitExceededException"
	KMSInvalidMac                 = "KMSInvalidMacException"
	KMSInvalidSignature           = "KMSInvalidSignatureException"
	KMSInvalidState               = "KMSInvalidStateException"
	MalformedKeyPolicy            = "MalformedPolicyDocumentException"
	NotAuthorized                 = "NotAuthorizedException"
	NotFoundException             = "NotFoundException"
	TagException                  = "TagException"
	UnsupportedOperationException = "UnsupportedOperationException"
)
