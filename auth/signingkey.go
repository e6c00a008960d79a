package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
)

// signingKeys derives the keys that sign, and keeps the recent ones: deriving
// takes four HMACs, and a client uses one key all day.
type signingKeys struct {
	mu   sync.RWMutex
	keys map[signingKey]*derivedKey
}

// signingKey names a derived key by all that it is made of. The secret is part
// of it, so a replaced secret never meets the old key.
type signingKey struct{ secret, date, region, service string }

// derivedKey is a key that signs. Its HMACs are kept: keying one takes half of
// the hashes that a signature takes.
type derivedKey struct {
	key  []byte
	macs sync.Pool // of *mac
}

// mac is a keyed HMAC, with room for its sum.
type mac struct {
	hash.Hash
	sum [sha256.Size]byte
}

// maxSigningKeys bounds the memory; a full cache starts afresh.
const maxSigningKeys = 4096

func (c *signingKeys) derive(k signingKey) *derivedKey {
	c.mu.RLock()
	derived, ok := c.keys[k]
	c.mu.RUnlock()
	if ok {
		return derived
	}
	key := sum([]byte("AWS4"+k.secret), k.date)
	key = sum(key, k.region)
	key = sum(key, k.service)
	key = sum(key, "aws4_request")
	derived = &derivedKey{key: key}
	derived.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, key)} }
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil || len(c.keys) >= maxSigningKeys {
		c.keys = make(map[signingKey]*derivedKey)
	}
	c.keys[k] = derived
	return derived
}

// sign appends the text's signature in hexadecimal.
func (k *derivedKey) sign(dst, text []byte) []byte {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.Reset()
	m.Write(text)
	return hex.AppendEncode(dst, m.Sum(m.sum[:0]))
}

// sum is HMAC-SHA256 of text.
func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexSum(key []byte, text string) string { return hex.EncodeToString(sum(key, text)) }
