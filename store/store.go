// Package store keeps documents: ordered keys, JSON values, serializable
// transactions, watches. This package is the interface and the typed view over
// it (Collection); implementations are in folders below, and storetest is the
// suite that each of them passes. It imports arn and fault only.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	ErrBadToken = errors.New("store: the paging token is not one of this listing")
	ErrTooLarge = errors.New("store: the document or its key is too large")
	ErrInvalid  = errors.New("store: the key is empty or the value is neither JSON nor binary")
	ErrView     = errors.New("store: a view cannot write")
	ErrTxDone   = errors.New("store: the transaction is over")
)

// Bounds of a document. A larger one is ErrTooLarge: bodies belong in files.
const (
	MaxKey   = 4 << 10 // bytes
	MaxValue = 4 << 20 // bytes
)

// Binary begins a value that is in a form of its owner's and not JSON, which no
// JSON begins with: for documents whose encoding would be most of what a call costs.
const Binary = 0

// BulkPrefix begins the keys of bulk data, such as queue messages and log
// events: many, short-lived. A store keeps them apart from the other documents;
// to its users they are documents like any other, in the same transactions.
const BulkPrefix = "bulk/"

// BriefPrefix begins the keys of bulk data of short life: documents that are
// written, changed and deleted within seconds, mostly. A store may keep the last
// of them in another form; their durability is that of all others.
const BriefPrefix = BulkPrefix + "sqs/"

// CheckDoc says whether a store takes the document: its size and form.
func CheckDoc(key string, value []byte) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("%w: %q has %d bytes, at most %d are kept", ErrTooLarge, key, len(value), MaxValue)
	}
	if !(len(value) > 0 && value[0] == Binary) && !json.Valid(value) {
		return fmt.Errorf("%w: value of %q", ErrInvalid, key)
	}
	return nil
}

// CheckKey says whether a store takes the key.
func CheckKey(key string) error {
	if key == "" {
		return fmt.Errorf("%w: empty key", ErrInvalid)
	}
	if len(key) > MaxKey {
		return fmt.Errorf("%w: a key of %d bytes, at most %d are kept", ErrTooLarge, len(key), MaxKey)
	}
	return nil
}

// Doc is a stored document.
type Doc struct {
	Key      string
	Value    []byte // JSON, or begins with Binary
	Revision int64  // of the update that wrote it; grows over the whole store
}

// Tx is a transaction. It is valid only inside the function it was given to,
// and not for use by several goroutines.
type Tx interface {
	// Get returns ErrNotFound where there is no such key.
	Get(key string) (Doc, error)
	// Look is Get for those who do not change the value: others have it, too.
	Look(key string) (Doc, error)
	// Scan yields, in key order, the documents with from <= key < to; an empty
	// to means no upper end. Reverse order is ScanReverse. The loop may write:
	// what it deletes is not yielded later, what it changes is yielded changed,
	// and a new key that lies ahead may or may not be met.
	Scan(from, to string) iter.Seq2[Doc, error]
	ScanReverse(from, to string) iter.Seq2[Doc, error]
	// Put writes a document whether or not it exists. Put and Delete in a View
	// are errors.
	Put(key string, value []byte) error
	// PutNew is Put for a document of which the caller knows that no transaction
	// before this one has left one under its key; a store may rely on it.
	PutNew(key string, value []byte) error
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
	// undoes all that fn wrote. fn must not call Update of the same store: it
	// would wait for itself.
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
