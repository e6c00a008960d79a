package sqs

import (
	"regexp"
	"sync"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/fault"
)

const maxBatch = 10

var entryForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`) })

// checkBatch refuses batches as a whole.
func checkBatch(operation string, ids []string) error {
	if len(ids) == 0 {
		return fault.New(fault.EmptyBatchRequest, "There should be at least one %sRequestEntry in the request.", operation)
	}
	if len(ids) > maxBatch {
		return fault.New(fault.TooManyEntriesInBatch, "Maximum number of entries per request are %d. You have sent %d.", maxBatch, len(ids))
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if !entryForm().MatchString(id) {
			return fault.New(fault.InvalidBatchEntryID, "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if seen[id] {
			return fault.New(fault.BatchEntryIdsNotDistinct, "Id %s repeated.", id)
		}
		seen[id] = true
	}
	return nil
}

// failure makes an entry's error part of the answer; an internal one fails the
// whole batch.
func failure(id string, err error) (*api.BatchResultErrorEntry, error) {
	if err == nil {
		return nil, nil
	}
	f, ok := fault.As(err)
	if !ok {
		return nil, err
	}
	return &api.BatchResultErrorEntry{Id: id, Code: f.Code, Message: f.Message, SenderFault: new(true)}, nil
}
