package fault

// Codes of S3's settings and of what browsers ask it ("Error responses", Amazon
// S3 API Reference).
const (
	AccessForbidden                 = "AccessForbidden"
	CORSConfigurationNotFound       = "NoSuchCORSConfiguration"
	IncorrectNumberOfFiles          = "IncorrectNumberOfFilesInPostRequest"
	InvalidBucketACLBlocked         = "InvalidBucketAclWithBlockPublicAccessError"
	InvalidBucketState              = "InvalidBucketState"
	InvalidPolicyDocument           = "InvalidPolicyDocument"
	MalformedACL                    = "MalformedACLError"
	MalformedPOSTRequest            = "MalformedPOSTRequest"
	MaxPostPreDataLength            = "MaxPostPreDataLengthExceededError"
	MissingSecurityHeader           = "MissingSecurityHeader"
	NoSuchLifecycleConfiguration    = "NoSuchLifecycleConfiguration"
	NoSuchObjectLock                = "NoSuchObjectLockConfiguration"
	NoSuchWebsite                   = "NoSuchWebsiteConfiguration"
	ObjectLockConfigurationNotFound = "ObjectLockConfigurationNotFoundError"
	PermanentRedirect               = "PermanentRedirect"
	TooManyBuckets                  = "TooManyBuckets"
	UnexpectedContent               = "UnexpectedContent"
)
