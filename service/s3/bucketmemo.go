package s3

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/slipway/slipway/store"
)

// Almost every call reads the record of its bucket, and most read the same few.
// What a document decodes to is remembered beside the document's bytes, so it
// counts only as long as the record is the same.
var bucketMemo = struct {
	sync.RWMutex
	decoded map[string]decodedBucket
}{decoded: map[string]decodedBucket{}}

type decodedBucket struct {
	doc    []byte
	bucket *bucket
}

const maxBucketMemo = 1024

// getBucket reads a bucket's record. What it returns is the caller's own.
func getBucket(tx store.Tx, name string) (*bucket, error) {
	b, err := sharedBucket(tx, name)
	if err != nil {
		return nil, err
	}
	return b.clone(), nil
}

// sharedBucket is getBucket for those who only look.
func sharedBucket(tx store.Tx, name string) (*bucket, error) {
	doc, err := tx.Look(buckets.Prefix() + name)
	if err != nil {
		return nil, err
	}
	bucketMemo.RLock()
	known, ok := bucketMemo.decoded[name]
	bucketMemo.RUnlock()
	if ok && bytes.Equal(known.doc, doc.Value) {
		return known.bucket, nil
	}
	b := new(bucket)
	if err := json.Unmarshal(doc.Value, b); err != nil {
		return nil, fmt.Errorf("decode %s: %w", doc.Key, err)
	}
	bucketMemo.Lock()
	defer bucketMemo.Unlock()
	if len(bucketMemo.decoded) >= maxBucketMemo {
		clear(bucketMemo.decoded)
	}
	bucketMemo.decoded[name] = decodedBucket{bytes.Clone(doc.Value), b}
	return b, nil
}

// clone copies a bucket so that its holder may change it.
func (b *bucket) clone() *bucket {
	c := *b
	c.Tags = slices.Clone(b.Tags)
	c.Grants = slices.Clone(b.Grants)
	c.Encryption = cloned(b.Encryption)
	c.Public = cloned(b.Public)
	c.Retention = cloned(b.Retention)
	return &c
}

func cloned[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
