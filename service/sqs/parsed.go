package sqs

import (
	"bytes"
	"encoding/json"
	"maps"
	"sync"

	"github.com/slipway/slipway/store"
)

// parsed keeps queues as they were decoded: each call needs one, and decoding it
// costs as much as storing a message. The text of the record decides, not its
// revision, so a queue is never behind its transaction.
type parsed struct {
	mu     sync.Mutex
	queues map[place]parsedQueue
	size   int
}

type parsedQueue struct {
	key  string // of the record
	text []byte
	q    queue
}

var decoded parsed

// maxParsed bounds the texts kept, in bytes; a full cache starts afresh.
const maxParsed = 4 << 20

// get gives the caller a queue of its own.
func (c *parsed) get(tx store.Tx, p place) (*queue, error) {
	c.mu.Lock()
	key := c.queues[p].key
	c.mu.Unlock()
	if key == "" {
		key = queues.Prefix() + p.key()
	}
	doc, err := tx.Look(key)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	had, ok := c.queues[p]
	if !ok || !bytes.Equal(had.text, doc.Value) {
		var q queue
		if err := json.Unmarshal(doc.Value, &q); err != nil {
			return nil, err
		}
		if ok {
			c.size -= len(had.text)
		}
		if c.queues == nil || c.size+len(doc.Value) > maxParsed {
			c.queues, c.size = map[place]parsedQueue{}, 0
		}
		had = parsedQueue{key, doc.Value, q}
		c.queues[p] = had
		c.size += len(doc.Value)
	}
	q := had.q
	q.Tags, q.at = maps.Clone(q.Tags), p
	return &q, nil
}
