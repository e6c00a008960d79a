package fault

// Codes of SQS (Amazon SQS API Reference): the shapes' names. The Query
// protocol's own codes come from the model.
const (
	QueueDoesNotExist        = "QueueDoesNotExist"
	QueueNameExists          = "QueueNameExists"
	InvalidAddress           = "InvalidAddress"
	InvalidAttributeName     = "InvalidAttributeName"
	InvalidAttributeValue    = "InvalidAttributeValue"
	InvalidMessageContents   = "InvalidMessageContents"
	ReceiptHandleIsInvalid   = "ReceiptHandleIsInvalid"
	EmptyBatchRequest        = "EmptyBatchRequest"
	TooManyEntriesInBatch    = "TooManyEntriesInBatchRequest"
	BatchEntryIdsNotDistinct = "BatchEntryIdsNotDistinct"
	BatchRequestTooLong      = "BatchRequestTooLong"
	InvalidBatchEntryID      = "InvalidBatchEntryId"
	OverLimit                = "OverLimit"
	KmsAccessDenied          = "KmsAccessDenied"
	KmsDisabled              = "KmsDisabled"
	KmsInvalidKeyUsage       = "KmsInvalidKeyUsage"
	KmsInvalidState          = "KmsInvalidState"
	KmsNotFound              = "KmsNotFound"
	KmsThrottled             = "KmsThrottled"
	PurgeQueueInProgress     = "PurgeQueueInProgress"

	ResourceNotFoundException = "ResourceNotFoundException" // of several JSON services
)
