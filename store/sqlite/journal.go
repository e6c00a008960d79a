package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway/slipway/store"
)

// The journal. Documents of short life (store.BriefPrefix) are written, moved and
// deleted within seconds, and a B-tree's work for each of these costs more than
// all the rest of a call. So a batch's changes to them are one row of the table
// journal, committed with the batch, and the documents stand in memory (held).
// What has stood there for long goes to the table bulk, oldest first, as a part
// of later batches, once there is too much of it; the rows whose changes have all
// gone there, or were changed again, are deleted. Most documents never get so far.
//
// A start reads the journal into memory. SQLite's file with the journal is the
// truth at any moment, so a copy of it is whole.
type journal struct {
	held tree   // as the updates run so far left it
	row  []byte // of the batch under way
	next int64  // number of that row

	order  []entry // the writes in held, oldest first; some were overtaken since
	traces []entry // those of them that delete what SQLite may have
	rows   []stored
	bytes  int // of rows

	most  int      // maxHeld, or a test's
	under progress // the batch under way
}

// progress is what a batch does to the journal.
type progress struct {
	changes, order, traces int   // added
	spilled, deleted       int   // of order and traces, moved to SQLite or overtaken
	first                  int64 // row that is left; 0 where none was deleted
}

// entry is a write of a row.
type entry struct {
	key string
	row int64
}

// stored is a row of the table, with its size in bytes.
type stored struct {
	number int64
	size   int
}

// maxHeld bounds what is held in memory, in bytes; the journal is bounded by twice
// as much. One in traceShare of the bytes is how many traces of deleted documents
// there are at most: a scan meets each of them.
const (
	maxHeld    = 8 << 20
	traceShare = 512 << 10
)

const (
	sqlJournal     = "INSERT INTO journal(number, changes) VALUES(?, ?)"
	sqlForget      = "DELETE FROM journal WHERE number < ?"
	sqlReadJournal = "SELECT number, changes FROM journal ORDER BY number"
	journalVersion = 1
	// Flags, in front of a key's length.
	journalDeletion = 1
	journalFresh    = 2
	journalFlags    = 2 // bits
)

func isBrief(key string) bool { return strings.HasPrefix(key, store.BriefPrefix) }

// add notes a change of an update that has succeeded.
func (j *journal) add(key string, w written) {
	if len(j.row) == 0 {
		j.row = append(j.row, journalVersion)
	}
	n := uint64(len(key)) << journalFlags
	if w.deleted {
		n |= journalDeletion
	}
	if w.fresh {
		n |= journalFresh
	}
	j.row = binary.AppendUvarint(j.row, n)
	j.row = append(j.row, key...)
	j.row = binary.AppendUvarint(j.row, uint64(w.revision))
	if !w.deleted {
		j.row = binary.AppendUvarint(j.row, uint64(len(w.value)))
		j.row = append(j.row, w.value...)
	}
	j.apply(key, w, j.next)
}

// apply follows a change. What SQLite has not got leaves no trace of its deletion.
func (j *journal) apply(key string, w written, row int64) {
	j.under.changes++
	if old := j.held.get(key); old != nil {
		if old.fresh && w.deleted {
			j.held.remove(key)
			return
		}
		w.fresh = old.fresh
	}
	j.held.set(key, w, row)
	j.order = append(j.order, entry{key, row})
	j.under.order++
	if w.deleted {
		j.traces = append(j.traces, entry{key, row})
		j.under.traces++
	}
}

var errJournal = errors.New("the journal is damaged")

// replay applies a row that was read.
func (j *journal) replay(number int64, b []byte) error {
	if len(b) == 0 || b[0] != journalVersion {
		return fmt.Errorf("%w: row %d has an unknown form", errJournal, number)
	}
	r := rowReader{b: b[1:]}
	for len(r.b) > 0 && !r.bad {
		n := r.number()
		key := string(r.bytes(n >> journalFlags))
		w := written{revision: int64(r.number())}
		// What has moved to SQLite may stand in rows that are not deleted yet.
		w.fresh = n&journalFresh != 0 && !j.held.sunk
		if w.deleted = n&journalDeletion != 0; !w.deleted {
			w.value = append([]byte(nil), r.bytes(r.number())...)
		}
		if !r.bad {
			j.apply(key, w, number)
		}
	}
	if r.bad {
		return fmt.Errorf("%w: row %d is cut short", errJournal, number)
	}
	j.rows = append(j.rows, stored{number, len(b)})
	j.bytes += len(b)
	j.next = number + 1
	return nil
}

type rowReader struct {
	b   []byte
	bad bool
}

func (r *rowReader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *rowReader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// readJournal brings what the journal says into memory.
func (s *Store) readJournal() error {
	var bad error
	s.journal.next = 1
	_, more, failed := s.writer.chunk(span{bulk, store.BriefPrefix, briefEnd}, false, 0)
	s.journal.held.sunk = more
	err := s.writer.query(sqlReadJournal, 2, nil, func(v []driver.Value) bool {
		number, _ := v[0].(int64)
		row, _ := v[1].([]byte)
		bad = s.journal.replay(number, row)
		return bad == nil
	})
	s.shown = s.journal.held
	s.journal.again()
	return errors.Join(failed, err, bad)
}

// writeJournal writes the batch's row, and moves what has been held for long to
// its table. moved says that something was.
func (s *Store) writeJournal() (moved bool, err error) {
	j := &s.journal
	if len(j.row) > 0 {
		if err := s.writer.exec(sqlJournal, j.next, j.row); err != nil {
			return false, fmt.Errorf("write the journal: %w", err)
		}
	}
	for ; len(j.traces)-j.under.deleted > j.most/traceShare; j.under.deleted++ {
		n := j.of(j.traces[j.under.deleted])
		if n == nil || !n.deleted {
			continue
		}
		if err := s.spill(n); err != nil {
			return false, err
		}
		moved = true
	}
	// More than the batch brought, so that it gets less.
	left := 2*j.under.changes + 64
	full := j.held.bytes > j.most || j.bytes > 2*j.most
	for ; left > 0 && j.under.spilled < len(j.order); j.under.spilled++ {
		n := j.of(j.order[j.under.spilled])
		if n == nil {
			continue
		}
		if !full {
			break
		}
		if err := s.spill(n); err != nil {
			return false, err
		}
		moved = true
		left--
	}
	first := j.next + 1
	if j.under.spilled < len(j.order) {
		first = j.order[j.under.spilled].row
	}
	if len(j.rows) > 0 && first-j.rows[0].number >= forgetRows {
		if err := s.writer.exec(sqlForget, first); err != nil {
			return false, fmt.Errorf("shorten the journal: %w", err)
		}
		j.under.first = first
	}
	return moved, nil
}

// forgetRows is how many rows that nobody needs are deleted at once.
const forgetRows = 64

// of is what an entry wrote, unless it was overtaken or moved since.
func (j *journal) of(e entry) *node {
	if n := j.held.get(e.key); n != nil && n.row == e.row {
		return n
	}
	return nil
}

// spill moves a document or its trace to SQLite.
func (s *Store) spill(n *node) error {
	if err := s.write(n.key, n.written); err != nil {
		return err
	}
	s.journal.held.remove(n.key)
	s.journal.held.sunk = true
	return nil
}

// kept follows a commit.
func (j *journal) kept() {
	if len(j.row) > 0 {
		j.rows = append(j.rows, stored{j.next, len(j.row)})
		j.bytes += len(j.row)
		j.next++
	}
	j.order, j.traces = j.order[j.under.spilled:], j.traces[j.under.deleted:]
	n := 0
	for ; n < len(j.rows) && j.rows[n].number < j.under.first; n++ {
		j.bytes -= j.rows[n].size
	}
	j.rows = j.rows[n:]
	j.again()
}

// lost follows a commit that failed: what is held is what was shown.
func (j *journal) lost(shown tree) {
	epoch := j.held.epoch
	j.held = shown
	j.held.epoch = epoch
	j.order = j.order[:len(j.order)-j.under.order]
	j.traces = j.traces[:len(j.traces)-j.under.traces]
	j.again()
}

// maxRow is how much of a row's room is kept for the next.
const maxRow = 1 << 20

func (j *journal) again() {
	j.held.epoch++
	j.under = progress{}
	if j.row = j.row[:0]; cap(j.row) > maxRow {
		j.row = nil
	}
}
