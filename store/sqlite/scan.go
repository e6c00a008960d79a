package sqlite

import (
	"context"
	"iter"
	"slices"

	"github.com/slipway/slipway/store"
)

// scan reads a range in chunks, each read whole before its first document is
// given, so the loop may write and may scan again. What is held lies over what
// SQLite has, and own, where there is one, over both.
func scan(ctx context.Context, s *Store, c *conn, over *bool, from, to string, reverse bool, held *tree, own *writeTx) iter.Seq2[store.Doc, error] {
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
				got, covered, err := c.chunkWith(held, sp, reverse, limit)
				if err != nil {
					yield(store.Doc{}, s.fail(err))
					return
				}
				if more = covered != sp; more {
					sp = sp.without(covered, reverse)
				}
				if !own.yieldMerged(got, covered, reverse, over, yield) {
					return
				}
			}
		}
	}
}

// chunkWith reads documents from the span's beginning, and says which part of it
// they cover.
func (c *conn) chunkWith(held *tree, sp span, reverse bool, limit int) (got []store.Doc, covered span, err error) {
	more := false
	if held.sunk || !sp.allBrief() {
		if got, more, err = c.chunk(sp, reverse, limit); err != nil {
			return nil, sp, err
		}
	}
	covered = sp
	if more {
		covered = sp.upTo(got[len(got)-1].Key, reverse)
	}
	if held.root == nil || !sp.brief() {
		return got, covered, nil
	}
	over, more := held.some(covered, reverse, limit)
	if more {
		covered = covered.upTo(over[len(over)-1].key, reverse)
	}
	return lay(over, got, covered, reverse), covered, nil
}

// lay puts documents that are held, and the traces of deleted ones, over those of
// the span that SQLite has.
func lay(over []*node, got []store.Doc, sp span, reverse bool) []store.Doc {
	if len(over) == 0 {
		return got
	}
	out := make([]store.Doc, 0, len(over)+len(got))
	for len(over) > 0 || len(got) > 0 {
		if len(over) == 0 || len(got) > 0 && before(got[0].Key, over[0].key, reverse) {
			if got[0].Key < sp.from || sp.to != "" && got[0].Key >= sp.to {
				break // it comes with the next chunk
			}
			out, got = append(out, got[0]), got[1:]
			continue
		}
		if len(got) > 0 && got[0].Key == over[0].key {
			got = got[1:]
		}
		if !over[0].deleted {
			out = append(out, over[0].doc())
		}
		over = over[1:]
	}
	return out
}

// upTo is the part of a span that ends with a key.
func (sp span) upTo(last string, reverse bool) span {
	if reverse {
		sp.from = last
	} else {
		sp.to = last + "\x00"
	}
	return sp
}

// without is what is left of a span behind its beginning.
func (sp span) without(beginning span, reverse bool) span {
	if reverse {
		sp.to = beginning.from
	} else {
		sp.from = beginning.to
	}
	return sp
}

// brief reports whether documents of short life may stand in the span.
func (sp span) brief() bool {
	return sp.t == bulk && sp.from < briefEnd && (sp.to == "" || sp.to > store.BriefPrefix)
}

// allBrief reports whether no others may.
func (sp span) allBrief() bool {
	return sp.from >= store.BriefPrefix && sp.to != "" && sp.to <= briefEnd
}

var briefEnd = store.PrefixEnd(store.BriefPrefix)

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
			if ch := t.written(doc.Key); ch != nil && ch.deleted {
				continue
			} else if ch != nil {
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
