package auth

import (
	"context"

	"github.com/slipway/slipway/store"
)

// KeyCache keeps long-term keys that were looked up: a client uses one all day,
// and to read and unseal it for each call costs more than a small call does. It
// holds no key longer than until the next change of the records that keys are
// made of.
type KeyCache struct {
	*Memo[string, Key]
	keys Keys
}

// NewKeyCache puts a cache before keys, whose records begin with the prefixes.
// Close ends its watches.
func NewKeyCache(keys Keys, st store.Store, prefixes ...string) *KeyCache {
	return &KeyCache{NewMemo[string, Key](st, prefixes...), keys}
}

// Key finds a key. Unknown ids are the caller's to make up, and are not kept.
func (c *KeyCache) Key(ctx context.Context, id string) (Key, error) {
	return c.Get(id, func() (Key, error) { return c.keys.Key(ctx, id) })
}

var _ Keys = (*KeyCache)(nil)
