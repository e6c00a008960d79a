package sqlite

import (
	"fmt"

	"github.com/slipway/slipway/store"
)

// pending is what the updates of a batch have written and SQLite does not have
// yet, but for documents of short life (journal.go). A document that many of them write, such as a count, is written once. It
// belongs to whoever has the turn.
type pending struct {
	changes map[string]written
	order   []string // keys in the order of their first write
	some    bool     // the batch has such changes, or had them and SQLite has them by now
}

type written struct {
	change
	revision int64
}

func (p *pending) add(t *writeTx) {
	if p.changes == nil {
		p.changes = map[string]written{}
	}
	for i := range t.writes {
		key, w := t.writes[i].key, written{t.writes[i].change, t.revision}
		if isBrief(key) {
			t.s.journal.add(key, w)
			continue
		}
		if _, ok := p.changes[key]; !ok {
			p.order = append(p.order, key)
		}
		p.changes[key] = w
		p.some = true
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
		if err := s.write(key, s.pending.changes[key]); err != nil {
			return err
		}
		delete(s.pending.changes, key)
	}
	s.pending.order = rest
	return nil
}

// write hands a change to SQLite.
func (s *Store) write(key string, w written) (err error) {
	tab := tableOf(key)
	if w.deleted {
		err = s.writer.exec(tab.del, blob(key))
	} else {
		err = s.writer.exec(tab.put, blob(key), w.value, w.revision)
	}
	if err != nil {
		return fmt.Errorf("write %q: %w", key, err)
	}
	s.known.put(key, w)
	return nil
}

// drop forgets a batch that failed, and what the writer knew of it.
func (s *Store) drop() {
	s.pending, s.known = pending{}, known{}
	s.journal.lost(s.shown)
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

// look reads a document as the updates before this one left it. Its value is not
// the caller's alone.
func (s *Store) look(key string) (store.Doc, bool, error) {
	if isBrief(key) {
		if n := s.journal.held.get(key); n != nil {
			return n.look(), !n.deleted, nil
		}
		if !s.journal.held.sunk {
			return store.Doc{}, false, nil
		}
	}
	w, ok := s.pending.changes[key]
	if !ok {
		w, ok = s.known.docs[key]
	}
	if ok {
		return store.Doc{Key: key, Value: w.value, Revision: w.revision}, !w.deleted, nil
	}
	doc, found, err := s.writer.get(key)
	if err == nil && found {
		s.known.put(key, written{change{value: doc.Value}, doc.Revision})
	}
	return doc, found, err
}
