package sqlite

import (
	"context"
	"iter"
	"slices"

	"github.com/slipway/slipway/store"
)

// scan reads a range in chunks, each read whole before its first document is
// given, so the loop may write and may scan again. own, where there is one,
// lays its changes over what SQLite has.
func scan(ctx context.Context, s *Store, c *conn, over *bool, from, to string, reverse bool, own *writeTx) iter.Seq2[store.Doc, error] {
	return func(yield func(store.Doc, error) bool) {
		parts := spans(from, to)
		if reverse {
			slices.Reverse(parts)
		}
		limit := firstChunk
		for _, sp := range parts {
			for more := true; more; limit = min(4*limit, maxChunk) {
				if *over {
					yield(store.Doc{}, store.ErrTxDone)
					return
				}
				if err := ctx.Err(); err != nil {
					yield(store.Doc{}, err)
					return
				}
				var got []store.Doc
				var err error
				if got, more, err = c.chunk(sp, reverse, limit); err != nil {
					yield(store.Doc{}, s.fail(err))
					return
				}
				covered := sp
				if more {
					covered, sp = split(sp, got[len(got)-1].Key, reverse)
				}
				if !own.yieldMerged(got, covered, reverse, over, yield) {
					return
				}
			}
		}
	}
}

// split cuts a span behind the last key read: what was read, and what is left.
func split(sp span, last string, reverse bool) (read, left span) {
	read, left = sp, sp
	if reverse {
		read.from, left.to = last, last
	} else {
		read.to = last + "\x00"
		left.from = read.to
	}
	return read, left
}

// yieldMerged gives the documents of a span, with the update's own changes in
// place. It looks at each key as it gives it: the loop may have changed it.
func (t *writeTx) yieldMerged(got []store.Doc, sp span, reverse bool, over *bool, yield func(store.Doc, error) bool) bool {
	var mine []string
	if t != nil {
		mine = slices.Clone(t.between(sp.from, sp.to))
		if reverse {
			slices.Reverse(mine)
		}
	}
	for len(got) > 0 || len(mine) > 0 {
		var doc store.Doc
		switch {
		case len(mine) == 0 || len(got) > 0 && before(got[0].Key, mine[0], reverse):
			doc, got = got[0], got[1:]
		default:
			if len(got) > 0 && got[0].Key == mine[0] {
				got = got[1:]
			}
			doc, mine = store.Doc{Key: mine[0]}, mine[1:]
		}
		if t != nil {
			if ch, ok := t.changes[doc.Key]; ok && ch.deleted {
				continue
			} else if ok {
				doc = t.doc(doc.Key, ch)
			}
		}
		if !yield(doc, nil) {
			return false
		}
		if *over {
			yield(store.Doc{}, store.ErrTxDone)
			return false
		}
	}
	return true
}

func before(a, b string, reverse bool) bool {
	if reverse {
		return a > b
	}
	return a < b
}
