package fault

// Codes of IAM's credentials ("Errors" of its operations, AWS Identity and
// Access Management API Reference).
const (
	InvalidUserType               = "InvalidUserType"
	ConcurrentModification        = "ConcurrentModification"
	PasswordPolicyViolation       = "PasswordPolicyViolation"
	ReportNotPresent              = "ReportNotPresent"
	ReportExpired                 = "ReportExpired"
	InvalidPublicKey              = "InvalidPublicKey"
	UnrecognizedPublicKeyEncoding = "UnrecognizedPublicKeyEncoding"
	DuplicateSSHPublicKey         = "DuplicateSSHPublicKey"
	MalformedCertificate          = "MalformedCertificate"
	KeyPairMismatch               = "KeyPairMismatch"
	InvalidCertificate            = "InvalidCertificate"
	DuplicateCertificate          = "DuplicateCertificate"
)
