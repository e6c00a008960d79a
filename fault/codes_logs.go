package fault

// Codes of CloudWatch Logs (Amazon CloudWatch Logs API Reference).
const (
	ResourceAlreadyExists = "ResourceAlreadyExistsException"
	OperationAborted      = "OperationAbortedException"
	TooManyTags           = "TooManyTagsException"
)
