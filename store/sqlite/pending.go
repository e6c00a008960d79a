package sqlite

import (
	"fmt"

	"github.com/slipway/slipway/store"
)

// pending is what the updates of a batch have written and SQLite does not have
// yet. A document that many of them write, such as a count, is written once. It
// belongs to whoever has the turn.
type pending struct {
	changes map[string]written
	order   []string // keys in the order of their first write
}

type written struct {
	change
	revision int64
}

func (p *pending) add(t *writeTx) {
	if p.changes == nil {
		p.changes = map[string]written{}
	}
	for _, key := range t.order {
		if _, ok := p.changes[key]; !ok {
			p.order = append(p.order, key)
		}
		p.changes[key] = written{t.changes[key], t.revision}
	}
}

// flush hands the changes in from <= key < to to SQLite.
func (s *Store) flush(from, to string) error {
	rest := s.pending.order[:0]
	for _, key := range s.pending.order {
		if key < from || to != "" && key >= to {
			rest = append(rest, key)
			continue
		}
		w, tab := s.pending.changes[key], tableOf(key)
		var err error
		if w.deleted {
			err = s.writer.exec(tab.del, blob(key))
		} else {
			err = s.writer.exec(tab.put, blob(key), w.value, w.revision)
		}
		if err != nil {
			return fmt.Errorf("write %q: %w", key, err)
		}
		delete(s.pending.changes, key)
		s.known.put(key, w)
	}
	s.pending.order = rest
	return nil
}

// drop forgets a batch that failed, and what the writer knew of it.
func (s *Store) drop() {
	s.pending, s.known = pending{}, known{}
}

// known keeps documents that updates have read or written lately: what is
// changed often is not read again each time. Only the writer changes documents,
// so it is never behind. It belongs to whoever has the turn.
type known struct {
	docs  map[string]written
	bytes int
}

// Bounds in bytes. A full cache starts afresh.
const (
	maxKnown    = 4 << 20
	maxKnownDoc = 8 << 10
)

func (k *known) put(key string, w written) {
	if old, ok := k.docs[key]; ok {
		k.bytes -= len(key) + len(old.value) + docOverhead
		delete(k.docs, key)
	}
	size := len(key) + len(w.value) + docOverhead
	if w.deleted || size > maxKnownDoc {
		return
	}
	if k.docs == nil || k.bytes+size > maxKnown {
		k.docs, k.bytes = map[string]written{}, 0
	}
	k.docs[key] = w
	k.bytes += size
}

// get reads a document as the updates before this one left it.
func (s *Store) get(key string) (store.Doc, bool, error) {
	w, ok := s.pending.changes[key]
	if !ok {
		w, ok = s.known.docs[key]
	}
	if ok {
		return store.Doc{Key: key, Value: append([]byte(nil), w.value...), Revision: w.revision}, !w.deleted, nil
	}
	doc, found, err := s.writer.get(key)
	if err == nil && found {
		s.known.put(key, written{change{value: append([]byte(nil), doc.Value...)}, doc.Revision})
	}
	return doc, found, err
}
