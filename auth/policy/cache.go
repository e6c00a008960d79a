package policy

import "sync"

// Cache keeps documents that were parsed, which are read far more often than they
// change. A changed policy has another text and so another entry. The zero value
// is ready; it is safe for use by several goroutines.
type Cache struct {
	mu   sync.RWMutex
	docs map[cached]*Document
	size int
}

type cached struct {
	kind Kind
	text string
}

// maxCached bounds the memory by the texts' length; a full cache starts afresh.
const maxCached = 8 << 20

// Parse is the function Parse, once for each text.
func (c *Cache) Parse(text string, kind Kind) (*Document, error) {
	key := cached{kind, text}
	c.mu.RLock()
	doc := c.docs[key]
	c.mu.RUnlock()
	if doc != nil {
		return doc, nil
	}
	doc, err := Parse(text, kind)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.docs == nil || c.size+len(text) > maxCached {
		c.docs, c.size = map[cached]*Document{}, 0
	}
	c.docs[key] = doc
	c.size += len(text)
	return doc, nil
}
