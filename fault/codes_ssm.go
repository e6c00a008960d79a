package fault

// Codes of Systems Manager.
const (
	ParameterNotFound        = "ParameterNotFound"
	ParameterVersionNotFound = "ParameterVersionNotFound"
	ParameterAlreadyExists   = "ParameterAlreadyExists"
	ParameterPatternMismatch = "ParameterPatternMismatchException"
	ParameterMaxVersions     = "ParameterMaxVersionLimitExceeded"
	ParameterVersionLabels   = "ParameterVersionLabelLimitExceeded"
	InvalidAllowedPattern    = "InvalidAllowedPatternException"
	HierarchyLevelLimit      = "HierarchyLevelLimitExceededException"
	HierarchyTypeMismatch    = "HierarchyTypeMismatchException"
	UnsupportedParameterType = "UnsupportedParameterType"
	InvalidFilterKey         = "InvalidFilterKey"
	InvalidFilterOption      = "InvalidFilterOption"
	InvalidFilterValue       = "InvalidFilterValue"
	InvalidResourceID        = "InvalidResourceId"
	InvalidResourceType      = "InvalidResourceType"
	TooManyTagsError         = "TooManyTagsError"
)
