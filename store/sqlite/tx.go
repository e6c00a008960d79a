package sqlite

import (
	"context"
	"iter"
	"sort"

	"github.com/slipway/slipway/store"
)

// change is what an update has written to a key.
type change struct {
	value   []byte
	deleted bool
	fresh   bool // SQLite has no document of the key
}

// keyed is a change with its key.
type keyed struct {
	key string
	change
}

// fewWrites are looked through faster than a map is made.
const fewWrites = 8

// writeTx is the transaction of an update. What fn writes is held in memory and
// joins what is pending once fn has succeeded: an error or a panic of fn then
// costs nothing and leaves the batch as it was, without a savepoint per update.
type writeTx struct {
	s        *Store
	ctx      context.Context
	revision int64
	writes   []keyed        // in the order of their keys' first write
	index    map[string]int // of writes, by key, once they are many
	sorted   []string       // keys in key order; nil when writes has grown since
	broken   error          // what SQLite refused: the batch is lost
	over     bool
}

func (t *writeTx) Revision() int64 { return t.revision }

func (t *writeTx) Get(key string) (store.Doc, error) { return owned(t.Look(key)) }

// owned is a document with a value of the caller's own.
func owned(doc store.Doc, err error) (store.Doc, error) {
	doc.Value = append([]byte(nil), doc.Value...)
	return doc, err
}

func (t *writeTx) Look(key string) (store.Doc, error) {
	if t.over {
		return store.Doc{}, store.ErrTxDone
	}
	if ch := t.written(key); ch != nil {
		if ch.deleted {
			return store.Doc{}, store.ErrNotFound
		}
		return store.Doc{Key: key, Value: ch.value, Revision: t.revision}, nil
	}
	doc, found, err := t.s.look(key)
	if err != nil {
		return store.Doc{}, t.s.fail(err)
	}
	if !found {
		return store.Doc{}, store.ErrNotFound
	}
	return doc, nil
}

// written is what this update has written to a key; nil for nothing.
func (t *writeTx) written(key string) *change {
	if t.index != nil {
		if i, ok := t.index[key]; ok {
			return &t.writes[i].change
		}
		return nil
	}
	for i := range t.writes {
		if t.writes[i].key == key {
			return &t.writes[i].change
		}
	}
	return nil
}

func (t *writeTx) doc(key string, ch *change) store.Doc {
	return store.Doc{Key: key, Value: append([]byte(nil), ch.value...), Revision: t.revision}
}

func (t *writeTx) Put(key string, value []byte) error { return t.put(key, value, false) }

func (t *writeTx) PutNew(key string, value []byte) error { return t.put(key, value, true) }

func (t *writeTx) put(key string, value []byte, fresh bool) error {
	if t.over {
		return store.ErrTxDone
	}
	if err := store.CheckDoc(key, value); err != nil {
		return err
	}
	// What this update has deleted may stand there still.
	met := t.written(key) != nil
	t.set(key, change{value: append([]byte(nil), value...), fresh: fresh && !met})
	return nil
}

func (t *writeTx) Delete(key string) error {
	if t.over {
		return store.ErrTxDone
	}
	if err := store.CheckKey(key); err != nil {
		return err
	}
	t.set(key, change{deleted: true})
	return nil
}

func (t *writeTx) set(key string, ch change) {
	if was := t.written(key); was != nil {
		*was = ch
		return
	}
	if t.writes == nil {
		t.writes = make([]keyed, 0, fewWrites/2)
	}
	t.writes, t.sorted = append(t.writes, keyed{key, ch}), nil
	switch n := len(t.writes); {
	case t.index != nil:
		t.index[key] = n - 1
	case n > fewWrites:
		t.index = make(map[string]int, 2*n)
		for i := range t.writes {
			t.index[t.writes[i].key] = i
		}
	}
}

// between gives the keys written in from <= key < to, in key order.
func (t *writeTx) between(from, to string) []string {
	if t.sorted == nil && len(t.writes) > 0 {
		t.sorted = make([]string, len(t.writes))
		for i := range t.writes {
			t.sorted[i] = t.writes[i].key
		}
		sort.Strings(t.sorted)
	}
	lo := sort.SearchStrings(t.sorted, from)
	hi := len(t.sorted)
	if to != "" {
		hi = sort.SearchStrings(t.sorted, to)
	}
	if lo >= hi {
		return nil
	}
	return t.sorted[lo:hi]
}

func (t *writeTx) Scan(from, to string) iter.Seq2[store.Doc, error] {
	return t.scan(from, to, false)
}

func (t *writeTx) ScanReverse(from, to string) iter.Seq2[store.Doc, error] {
	return t.scan(from, to, true)
}

// scan has SQLite know what the updates before this one wrote in the range.
func (t *writeTx) scan(from, to string, reverse bool) iter.Seq2[store.Doc, error] {
	return func(yield func(store.Doc, error) bool) {
		if !t.over {
			if err := t.s.flush(from, to); err != nil {
				t.broken = err
				yield(store.Doc{}, t.s.fail(err))
				return
			}
		}
		scan(t.ctx, t.s, t.s.writer, &t.over, from, to, reverse, &t.s.journal.held, t)(yield)
	}
}

// size is how many bytes the update writes.
func (t *writeTx) size() int {
	n := 0
	for i := range t.writes {
		n += len(t.writes[i].key) + len(t.writes[i].value)
	}
	return n
}
