package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
)

// Collection is the typed view of the documents under one prefix, with
// secondary indexes that change in the transactions that change the documents.
// It holds no state, so one package-level value serves every store.
type Collection[T any] struct {
	prefix  string
	indexes []Index[T]
}

// Coder is a type that has a form beside JSON, in which its documents are written
// from then on. Those that were written as JSON before are read as JSON.
type Coder interface {
	AppendDoc(to []byte) []byte
	Decoder
}

// Decoder reads what a Coder wrote. It may keep parts of doc, and changes none.
type Decoder interface{ DecodeDoc(doc []byte) error }

// Index finds documents by what is in them. Keys gives the values under which
// a document is found; none is fine. It must depend on its arguments only.
type Index[T any] struct {
	Name string
	Keys func(key string, v *T) []string
}

// Entry is one document of a collection.
type Entry[T any] struct {
	Key      string
	Value    *T
	Revision int64
}

// NewCollection names the documents whose keys are prefix + "/" + key. No other
// collection's prefix may lie below it: "sqs/queue" leaves no "sqs/queue/tag".
// It panics on a prefix or index that cannot be kept apart from others: a bug.
func NewCollection[T any](prefix string, indexes ...Index[T]) *Collection[T] {
	if prefix == "" || strings.HasPrefix(prefix, "/") || strings.HasSuffix(prefix, "/") || strings.Contains(prefix, "~") {
		panic(fmt.Sprintf("store: %q cannot be a collection's prefix", prefix))
	}
	seen := map[string]bool{}
	for _, ix := range indexes {
		if ix.Name == "" || strings.Contains(ix.Name, "/") || seen[ix.Name] || ix.Keys == nil {
			panic(fmt.Sprintf("store: %q cannot be an index of %s", ix.Name, prefix))
		}
		seen[ix.Name] = true
	}
	return &Collection[T]{prefix: prefix, indexes: indexes}
}

// Prefix begins every key of the collection; it is what Watch takes.
func (c *Collection[T]) Prefix() string { return c.prefix + "/" }

// Get returns ErrNotFound where there is no such document.
func (c *Collection[T]) Get(tx Tx, key string) (*T, error) {
	e, err := c.Entry(tx, key)
	return e.Value, err
}

// Entry is Get with the revision, for PutAt.
func (c *Collection[T]) Entry(tx Tx, key string) (Entry[T], error) {
	doc, err := tx.Look(c.docKey(key))
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("%w: %s", ErrNotFound, c.docKey(key))
		}
		return Entry[T]{}, err
	}
	return c.decode(doc)
}

// Put writes the document whether or not it exists.
func (c *Collection[T]) Put(tx Tx, key string, v *T) error {
	var old *T
	if len(c.indexes) > 0 {
		var err error
		if old, err = c.Get(tx, key); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return c.write(tx, key, old, v)
}

// Insert writes a new document, ErrExists where there is one.
func (c *Collection[T]) Insert(tx Tx, key string, v *T) error {
	switch _, err := tx.Get(c.docKey(key)); {
	case err == nil:
		return fmt.Errorf("%w: %s", ErrExists, c.docKey(key))
	case !errors.Is(err, ErrNotFound):
		return err
	}
	return c.write(tx, key, nil, v)
}

// PutAt writes the document if it still has the revision that the caller read,
// ErrConflict otherwise. Revision 0 stands for "there is none".
func (c *Collection[T]) PutAt(tx Tx, key string, v *T, revision int64) error {
	e, err := c.Entry(tx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if e.Revision != revision {
		return fmt.Errorf("%w: %s is at %d, not %d", ErrConflict, c.docKey(key), e.Revision, revision)
	}
	return c.write(tx, key, e.Value, v)
}

// Delete removes a document; removing none is no error.
func (c *Collection[T]) Delete(tx Tx, key string) error {
	if len(c.indexes) > 0 {
		old, err := c.Get(tx, key)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, ix := range c.indexes {
			for _, value := range ix.Keys(key, old) {
				if err := tx.Delete(c.indexKey(ix.Name, value, key)); err != nil {
					return err
				}
			}
		}
	}
	return tx.Delete(c.docKey(key))
}

// Scan yields, in key order, the documents whose keys begin with keyPrefix.
func (c *Collection[T]) Scan(tx Tx, keyPrefix string) iter.Seq2[Entry[T], error] {
	from := c.docKey(keyPrefix)
	return c.scan(tx, from, PrefixEnd(from))
}

func (c *Collection[T]) scan(tx Tx, from, to string) iter.Seq2[Entry[T], error] {
	return func(yield func(Entry[T], error) bool) {
		for doc, err := range tx.Scan(from, to) {
			var e Entry[T]
			if err == nil {
				e, err = c.decode(doc)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// ByIndex yields, in key order, the documents that the index has under value.
func (c *Collection[T]) ByIndex(tx Tx, index, value string) iter.Seq2[Entry[T], error] {
	ix := c.index(index)
	return func(yield func(Entry[T], error) bool) {
		from := c.indexKey(index, value, "")
		for doc, err := range tx.Scan(from, PrefixEnd(from)) {
			if err != nil {
				yield(Entry[T]{}, err)
				return
			}
			key := strings.TrimPrefix(doc.Key, from)
			e, err := c.Entry(tx, key)
			// An entry of an older form of the index may point astray.
			if errors.Is(err, ErrNotFound) || err == nil && !has(ix.Keys(key, e.Value), value) {
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Count tells how many documents the index has under value, and reads none of them.
func (c *Collection[T]) Count(tx Tx, index, value string) (int, error) {
	c.index(index)
	n, from := 0, c.indexKey(index, value, "")
	for _, err := range tx.Scan(from, PrefixEnd(from)) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Reindex writes every index entry anew: after an index was added or its Keys
// changed meaning.
func (c *Collection[T]) Reindex(tx Tx) error {
	from := c.indexRoot()
	for doc, err := range tx.Scan(from, PrefixEnd(from)) {
		if err != nil {
			return err
		}
		if err := tx.Delete(doc.Key); err != nil {
			return err
		}
	}
	for e, err := range c.Scan(tx, "") {
		if err != nil {
			return err
		}
		if err := c.writeIndexes(tx, e.Key, nil, e.Value); err != nil {
			return err
		}
	}
	return nil
}

func (c *Collection[T]) write(tx Tx, key string, old, v *T) error {
	if key == "" {
		return fmt.Errorf("%w: empty key in %s", ErrInvalid, c.prefix)
	}
	if err := c.writeIndexes(tx, key, old, v); err != nil {
		return err
	}
	docKey := c.docKey(key)
	if coder, ok := any(v).(Coder); ok {
		return putCoded(tx, docKey, coder)
	}
	value, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store: encode %s: %w", docKey, err)
	}
	return tx.Put(docKey, value)
}

// drafts are where documents of Coders are written at first: Put takes a copy.
var drafts = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}

const maxDraft = 16 << 10 // bytes that are kept

func putCoded(tx Tx, key string, v Coder) error {
	draft := drafts.Get().(*[]byte)
	b := v.AppendDoc(append((*draft)[:0], Binary))
	err := tx.Put(key, b)
	if cap(b) <= maxDraft {
		clear(b) // it may be a secret, as the keys of objects are
		*draft = b
		drafts.Put(draft)
	}
	return err
}

var indexValue = []byte("null")

func (c *Collection[T]) writeIndexes(tx Tx, key string, old, v *T) error {
	for _, ix := range c.indexes {
		var before []string
		if old != nil {
			before = ix.Keys(key, old)
		}
		after := ix.Keys(key, v)
		for _, value := range before {
			if !has(after, value) {
				if err := tx.Delete(c.indexKey(ix.Name, value, key)); err != nil {
					return err
				}
			}
		}
		for _, value := range after {
			if !has(before, value) {
				if err := tx.Put(c.indexKey(ix.Name, value, key), indexValue); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Decode reads a document into v, which points to a type of a Collection.
func Decode(doc Doc, v any) (err error) {
	if d, ok := v.(Decoder); ok && len(doc.Value) > 0 && doc.Value[0] == Binary {
		err = d.DecodeDoc(doc.Value[1:])
	} else {
		err = json.Unmarshal(doc.Value, v)
	}
	if err != nil {
		return fmt.Errorf("store: decode %s: %w", doc.Key, err)
	}
	return nil
}

func (c *Collection[T]) decode(doc Doc) (Entry[T], error) {
	v := new(T)
	if err := Decode(doc, v); err != nil {
		return Entry[T]{}, err
	}
	return Entry[T]{Key: doc.Key[len(c.prefix)+1:], Value: v, Revision: doc.Revision}, nil
}

func (c *Collection[T]) docKey(key string) string { return c.prefix + "/" + key }

// indexRoot keeps the entries of a bulk collection with the bulk data.
func (c *Collection[T]) indexRoot() string {
	if rest, ok := strings.CutPrefix(c.prefix, BulkPrefix); ok {
		return BulkPrefix + "~index/" + rest + "/"
	}
	return "~index/" + c.prefix + "/"
}

// escapeIndex keeps the order of values and leaves none with a NUL, which ends
// the value in an index entry's key.
var escapeIndex = strings.NewReplacer("\x00", "\x01\x01", "\x01", "\x01\x02")

func (c *Collection[T]) indexKey(index, value, key string) string {
	return c.indexRoot() + index + "/" + escapeIndex.Replace(value) + "\x00" + key
}

func (c *Collection[T]) index(name string) Index[T] {
	for _, ix := range c.indexes {
		if ix.Name == name {
			return ix
		}
	}
	panic(fmt.Sprintf("store: %s has no index %q", c.prefix, name))
}

func has(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
