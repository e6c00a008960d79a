package logs

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/slipway/slipway/store"
)

// garbage names what nobody can reach any more: "<group id>", or "<group id>/<stream
// id>".
const garbage = "logs/garbage/"

func discard(tx store.Tx, what string) error { return tx.Put(garbage+what, []byte("{}")) }

// sweepBatch is how many documents one transaction of the sweep removes: few enough
// that nobody waits for it.
const sweepBatch = 300

// expiring is a group of which something has expired.
type expiring struct {
	id     string
	window int64 // the first that has not expired whole
}

// sweepOnce removes what was deleted, and what has been kept for its time.
func (s *Service) sweepOnce(ctx context.Context) error {
	var gone []string
	var old []expiring
	now := s.now()
	err := s.store.View(ctx, func(tx store.Tx) error {
		gone, old = nil, nil
		for doc, err := range tx.Scan(garbage, store.PrefixEnd(garbage)) {
			if err != nil {
				return err
			}
			gone = append(gone, strings.TrimPrefix(doc.Key, garbage))
		}
		for e, err := range groups.Scan(tx, "") {
			if err != nil {
				return err
			}
			if x, is, err := overdue(tx, e.Value, now); err != nil {
				return err
			} else if is {
				old = append(old, x)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, what := range gone {
		clear := clearGroup
		if strings.Contains(what, "/") {
			clear = clearStream
		}
		if err := s.repeat(ctx, func(tx store.Tx) (bool, error) { return clear(tx, what) }); err != nil {
			return err
		}
	}
	for _, x := range old {
		if err := s.repeat(ctx, func(tx store.Tx) (bool, error) { return x.clear(tx) }); err != nil {
			return err
		}
	}
	return nil
}

// repeat runs a transaction until it has no more to do.
func (s *Service) repeat(ctx context.Context, fn func(tx store.Tx) (more bool, err error)) error {
	for {
		more := false
		err := s.store.Update(ctx, func(tx store.Tx) (err error) {
			more, err = fn(tx)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
}

// overdue says whether a window of a group's events has expired whole.
func overdue(tx store.Tx, g *group, now time.Time) (expiring, bool, error) {
	if g.Retention == 0 {
		return expiring{}, false, nil
	}
	x := expiring{g.ID, windowOf(now.AddDate(0, 0, -int(g.Retention)).UnixMilli())}
	for _, err := range tx.Scan(x.bounds()) {
		return x, err == nil, err
	}
	return x, false, nil
}

// bounds are those of the notes of the windows that have expired.
func (x expiring) bounds() (begin, end string) {
	root := windowRoot + x.id + "/"
	return root, from(root, x.window)
}

// clear removes the oldest windows. Those that a put adds meanwhile are younger.
func (x expiring) clear(tx store.Tx) (more bool, err error) {
	n := 0
	root := windowRoot + x.id + "/"
	for doc, err := range tx.Scan(x.bounds()) {
		if err != nil {
			return false, err
		}
		note, err := readNote(doc, root)
		if err != nil {
			return false, err
		}
		blocks := eventsOf(x.id, note.id)
		more, err := removeBlocks(tx, x.id, from(blocks, note.window*windowLength), from(blocks, (note.window+1)*windowLength), &n, nil)
		if err != nil || more {
			return more, err
		}
		if err := tx.Delete(doc.Key); err != nil {
			return false, err
		}
		if err := forgetFirst(tx, x.id, note); err != nil {
			return false, err
		}
		if n++; n > sweepBatch {
			return true, nil
		}
	}
	return false, nil
}

// removeBlocks removes the blocks in a range of keys, and takes their bytes off the
// group's. n counts them: more says that it got too many.
func removeBlocks(tx store.Tx, groupID, begin, end string, n *int, each func(first int64) error) (more bool, err error) {
	var bytes int64
	for doc, err := range tx.Scan(begin, end) {
		if err != nil {
			return false, err
		}
		if *n++; *n > sweepBatch {
			more = true
			break
		}
		b, err := readBlock(doc)
		if err != nil {
			return false, err
		}
		bytes += b.bytes
		if err := tx.Delete(doc.Key); err != nil {
			return false, err
		}
		if each != nil {
			if err := each(b.first); err != nil {
				return false, err
			}
		}
	}
	if bytes == 0 {
		return more, nil
	}
	t, err := tallies.Get(tx, groupID)
	if errors.Is(err, store.ErrNotFound) { // the group is gone, too
		return more, nil
	}
	if err != nil {
		return false, err
	}
	t.Bytes = max(0, t.Bytes-bytes)
	return more, tallies.Put(tx, groupID, t)
}

// forgetFirst has a stream's record follow the loss of a window.
func forgetFirst(tx store.Tx, groupID string, note noted) error {
	key := groupID + "/" + note.name
	st, err := streams.Get(tx, key)
	if errors.Is(err, store.ErrNotFound) || err == nil && st.ID != note.id {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Window == note.window {
		st.Window = 0
	}
	root := eventsOf(groupID, st.ID)
	left := false
	for doc, err := range tx.Scan(root, store.PrefixEnd(root)) {
		if err != nil {
			return err
		}
		if st.First, _, err = timeOf(doc.Key); err != nil {
			return err
		}
		left = true
		break
	}
	if !left {
		st.First, st.Last = 0, 0
	}
	return streams.Put(tx, key, st)
}

// clearGroup removes what a deleted group has held.
func clearGroup(tx store.Tx, id string) (more bool, err error) {
	n := 0
	for _, root := range []string{eventRoot, windowRoot, streams.Prefix()} {
		root += id + "/"
		for doc, err := range tx.Scan(root, store.PrefixEnd(root)) {
			if err != nil {
				return false, err
			}
			if n++; n > sweepBatch {
				return true, nil
			}
			if err := tx.Delete(doc.Key); err != nil {
				return false, err
			}
		}
	}
	if err := tallies.Delete(tx, id); err != nil {
		return false, err
	}
	return false, tx.Delete(garbage + id)
}

// clearStream removes what a deleted stream has held.
func clearStream(tx store.Tx, what string) (more bool, err error) {
	groupID, streamID, _ := strings.Cut(what, "/")
	root := eventsOf(groupID, streamID)
	n := 0
	more, err = removeBlocks(tx, groupID, root, store.PrefixEnd(root), &n, func(first int64) error {
		return tx.Delete(windowKey(groupID, windowOf(first), streamID))
	})
	if err != nil || more {
		return more, err
	}
	return false, tx.Delete(garbage + what)
}
