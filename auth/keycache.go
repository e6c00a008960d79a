package auth

import (
	"context"
	"sync"

	"github.com/slipway/slipway/store"
)

// KeyCache keeps long-term keys that were looked up: a client uses one all day,
// and to read and unseal it for each call costs more than a small call does. It
// holds no key longer than until the next change of the records that keys are
// made of.
type KeyCache struct {
	keys    Keys
	changes []<-chan struct{}
	stop    context.CancelFunc

	mu    sync.RWMutex
	known map[string]Key
	epoch int // grows with every change
}

// maxCachedKeys bounds the memory; a full cache starts afresh.
const maxCachedKeys = 4096

// NewKeyCache puts a cache before keys, whose records begin with the prefixes.
// Close ends its watches.
func NewKeyCache(keys Keys, st store.Store, prefixes ...string) *KeyCache {
	ctx, stop := context.WithCancel(context.Background())
	c := &KeyCache{keys: keys, stop: stop, known: map[string]Key{}}
	for _, prefix := range prefixes {
		c.changes = append(c.changes, st.Watch(ctx, prefix))
	}
	return c
}

// Close ends the watches; the cache is not used after.
func (c *KeyCache) Close() { c.stop() }

// Key finds a key. A store signals a change before its update returns, so a
// look-up that begins later meets it.
func (c *KeyCache) Key(ctx context.Context, id string) (Key, error) {
	c.forget()
	c.mu.RLock()
	key, ok := c.known[id]
	epoch := c.epoch
	c.mu.RUnlock()
	if ok {
		return key, nil
	}
	key, err := c.keys.Key(ctx, id)
	if err != nil {
		return key, err // unknown ids are the caller's to make up, and stay out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// What was read before a change that another look-up has seen is stale.
	if c.epoch == epoch {
		if len(c.known) >= maxCachedKeys {
			clear(c.known)
		}
		c.known[id] = key
	}
	return key, nil
}

// forget drops everything where a record has changed since the last look. The
// signal is taken under the lock: who finds it gone finds the keys gone, too.
func (c *KeyCache) forget() {
	for _, ch := range c.changes {
		if len(ch) == 0 {
			continue
		}
		c.mu.Lock()
		select {
		case <-ch:
			clear(c.known)
			c.epoch++
		default: // another look-up took it
		}
		c.mu.Unlock()
	}
}

var _ Keys = (*KeyCache)(nil)
