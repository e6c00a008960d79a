package sqs

import (
	"sync"

	"github.com/slipway/slipway/store"
)

// lines keep, for each standard queue, the keys of messages that a look at its
// order has found to be visible, so that one look serves many receives. A key is
// a hint: whoever takes one looks whether the message stands there still. What is
// lost of a line, by a transaction that failed or a restart, the next look finds:
// it begins at the front. What comes later becomes visible later, so the order
// stays.
type lines struct {
	mu sync.Mutex
	of map[string][]string
}

// Bounds: of keys in a line, and of lines. Too many lines start afresh.
const (
	maxLine  = 256
	maxLines = 1000
)

func (l *lines) pop(data string) (key string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := l.of[data]
	if len(line) == 0 {
		return "", false
	}
	l.of[data] = line[1:]
	if len(line) == 1 {
		delete(l.of, data)
	}
	return line[0], true
}

func (l *lines) set(data string, line []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil || len(l.of) >= maxLines {
		l.of = map[string][]string{}
	}
	l.of[data] = line
}

// takeLine receives messages of a standard queue until the receipt has enough or
// none is left.
func (s *Service) takeLine(tx store.Tx, q *queue, r *receipt) error {
	// With a visibility timeout of 0 a message taken is met again.
	done := map[string]bool{}
	looked := false
	for !r.full() {
		key, ok := s.lines.pop(q.Data)
		if !ok {
			if looked {
				return nil
			}
			looked = true
			if err := s.look(tx, q, r); err != nil {
				return err
			}
			continue
		}
		at, id := splitVisible(q.order(), key)
		if at > r.now.UnixMilli() || done[id] {
			continue // it was found by somebody whose clock was ahead, or is ours
		}
		var st state
		found, err := getRecord(tx, key, &st)
		if err != nil {
			return err
		}
		if found {
			done[id] = true
			if err := s.takeOne(tx, q, r, id, &st); err != nil {
				return err
			}
		}
	}
	return nil
}

// look makes the line anew.
func (s *Service) look(tx store.Tx, q *queue, r *receipt) error {
	var line []string
	for doc, err := range tx.Scan(q.order(), q.order()+visibleAt(r.now.UnixMilli()+1)) {
		if err != nil {
			return err
		}
		if line = append(line, doc.Key); len(line) >= maxLine {
			break
		}
	}
	if len(line) > 0 {
		s.lines.set(q.Data, line)
	}
	return nil
}
