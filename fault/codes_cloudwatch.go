package fault

// Codes of CloudWatch (Amazon CloudWatch API Reference).
const (
	InvalidFormat    = "InvalidFormat"
	ResourceNotFound = "ResourceNotFound"
)
