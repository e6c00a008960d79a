package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// signingKeys derives the keys that sign, and keeps the recent ones: deriving
// takes four HMACs, and a client uses one key all day.
type signingKeys struct {
	mu   sync.RWMutex
	keys map[signingKey][]byte
}

// signingKey names a derived key by all that it is made of. The secret is part
// of it, so a replaced secret never meets the old key.
type signingKey struct{ secret, date, region, service string }

// maxSigningKeys bounds the memory; a full cache starts afresh.
const maxSigningKeys = 4096

func (c *signingKeys) derive(k signingKey) []byte {
	c.mu.RLock()
	key, ok := c.keys[k]
	c.mu.RUnlock()
	if ok {
		return key
	}
	key = sum([]byte("AWS4"+k.secret), k.date)
	key = sum(key, k.region)
	key = sum(key, k.service)
	key = sum(key, "aws4_request")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil || len(c.keys) >= maxSigningKeys {
		c.keys = make(map[signingKey][]byte)
	}
	c.keys[k] = key
	return key
}

// sum is HMAC-SHA256 of text.
func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexSum(key []byte, text string) string { return hex.EncodeToString(sum(key, text)) }
