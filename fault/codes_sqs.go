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
	PurgeQueueInProgress     = "PurgeQueueInProgress"

	ResourceNotFoundException = "ResourceNotFoundException" // of several JSON services
)
