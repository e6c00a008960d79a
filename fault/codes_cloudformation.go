package fault

// Codes of CloudFormation ("Errors" of its operations, AWS CloudFormation API
// Reference).
const (
	CFNAlreadyExists            = "AlreadyExistsException"
	CFNInsufficientCapabilities = "InsufficientCapabilitiesException"
	CFNChangeSetNotFound        = "ChangeSetNotFound"
	CFNInvalidChangeSetStatus   = "InvalidChangeSetStatus"
	CFNTokenAlreadyExists       = "TokenAlreadyExistsException"
	CFNResourceScanInProgress   = "ResourceScanInProgress"
	CFNResourceScanLimit        = "ResourceScanLimitExceeded"
	CFNResourceScanNotFound     = "ResourceScanNotFound"
	CFNGeneratedTemplateMissing = "GeneratedTemplateNotFound"
	CFNConcurrentLimit          = "ConcurrentResourcesLimitExceeded"
	CFNStackRefactorNotFound    = "StackRefactorNotFoundException"
	CFNLimitExceeded            = "LimitExceededException"
)
