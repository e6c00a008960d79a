package fault

// Codes of CloudFormation's stack sets (AWS CloudFormation API Reference).
const (
	CFNStackSetNotFound      = "StackSetNotFoundException"
	CFNStackSetNotEmpty      = "StackSetNotEmptyException"
	CFNStackInstanceNotFound = "StackInstanceNotFoundException"
	CFNOperationNotFound     = "OperationNotFoundException"
	CFNOperationInProgress   = "OperationInProgressException"
	CFNOperationIDExists     = "OperationIdAlreadyExistsException"
	CFNInvalidOperation      = "InvalidOperationException"
	CFNNameAlreadyExists     = "NameAlreadyExistsException"
	CFNCreatedButModified    = "CreatedButModifiedException"
	CFNStackNotFound         = "StackNotFoundException"
)
