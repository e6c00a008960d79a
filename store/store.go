// Package store keeps documents: ordered keys, JSON values, serializable
// transactions, watches. This package is the interface and the typed view over
// it (Collection); implementations are in folders below, and storetest is the
// suite that each of them passes. It imports arn and fault only.
package store

import (
	"context"
	"errors"
	"iter"
)

// Errors of a store. A full or read-only disk is ErrNoSpace or ErrReadOnly:
// the wire turns both into a clear 503, and nothing of the update is kept.
var (
	ErrNotFound = errors.New("store: no such document")
	ErrConflict = errors.New("store: the document has changed since it was read")
	ErrExists   = errors.New("store: the document exists already")
	ErrClosed   = errors.New("store: closed")
	ErrLocked   = errors.New("store: another process uses this data folder")
	ErrNoSpace  = errors.New("store: no space left on the device")
	ErrReadOnly = errors.New("store: the file system is read-only")
)

// Doc is a stored document.
type Doc struct {
	Key      string
	Value    []byte // JSON
	Revision int64  // of the update that wrote it; grows over the whole store
}

// Tx is a transaction. It is valid only inside the function it was given to,
// and not for use by several goroutines.
type Tx interface {
	// Get returns ErrNotFound where there is no such key.
	Get(key string) (Doc, error)
	// Scan yields, in key order, the documents with from <= key < to; an empty
	// to means no upper end. Reverse order is ScanReverse.
	Scan(from, to string) iter.Seq2[Doc, error]
	ScanReverse(from, to string) iter.Seq2[Doc, error]
	// Put writes a document whether or not it exists. Put and Delete in a View
	// are errors.
	Put(key string, value []byte) error
	// Delete removes a document; removing none is no error.
	Delete(key string) error
	// Revision is the revision that this update's documents get, or in a View
	// the newest that it sees.
	Revision() int64
}

// Store is a durable store of documents.
type Store interface {
	// View runs fn on a consistent snapshot.
	View(ctx context.Context, fn func(Tx) error) error
	// Update runs fn and commits what it wrote, durably, before it returns nil.
	// Concurrent updates are serializable and share commits. fn may run more
	// than once and must have no other effect. An error of fn or a panic
	// undoes all that fn wrote.
	Update(ctx context.Context, fn func(Tx) error) error
	// Watch tells of changes to keys with the prefix, committed after Watch
	// returned. It is level-triggered: the channel holds at most one pending
	// signal, so a slow reader sees one for many changes and reads the state
	// itself. The channel closes when ctx ends or the store closes.
	Watch(ctx context.Context, prefix string) <-chan struct{}
	// Close waits for what is under way. It is safe to call twice.
	Close() error
}

// PrefixEnd is the end of the range of keys that begin with prefix.
func PrefixEnd(prefix string) string {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1])
		}
	}
	return ""
}
