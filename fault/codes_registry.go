package fault

// Codes of CloudFormation's registry and hooks (AWS CloudFormation API Reference).
const (
	CFNRegistry               = "CFNRegistryException"
	HookResultNotFound        = "HookResultNotFound"
	TypeConfigurationNotFound = "TypeConfigurationNotFoundException"
)
