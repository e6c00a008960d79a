package sqlite

import (
	"context"
	"database/sql/driver"
	"iter"
	"sync"

	"github.com/slipway/slipway/store"
)

// View runs fn on a snapshot, which it takes at fn's first read.
func (s *Store) View(ctx context.Context, fn func(store.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	tx := &readTx{s: s, ctx: ctx}
	err := tx.run(fn)
	if broken := s.log.await(tx.seen); broken != nil {
		return s.fail(broken)
	}
	return err
}

func (t *readTx) run(fn func(store.Tx) error) error {
	defer t.end()
	return fn(t)
}

// readTx is the transaction of a view. SQLite keeps a snapshot for as long as a
// statement is in the middle of its rows, so the statement of a first read is the
// whole transaction: BEGIN and COMMIT would double what it costs.
type readTx struct {
	s    *Store
	ctx  context.Context
	over bool

	mu     sync.Mutex // of what a commit may do on the view's behalf
	c      *conn      // nil until there is a snapshot
	held   tree       // of the snapshot
	at     int64      // its revision
	extra  bool       // c has no slot of the pool
	anchor driver.Rows
	err    error // of a snapshot that could not be taken
	ended  bool
	seen   int64 // revision up to which it has read
	served bool  // from the recent documents; the snapshot must be of their state
	epoch  int64 // of the snapshot; -1 where its documents are not to be kept
}

func (t *readTx) Get(key string) (store.Doc, error) { return owned(t.Look(key)) }

func (t *readTx) Look(key string) (store.Doc, error) {
	if t.over {
		return store.Doc{}, store.ErrTxDone
	}
	if err := t.ctx.Err(); err != nil {
		return store.Doc{}, err
	}
	if t.bare() {
		if doc, ok := t.s.recent.get(t, key); ok {
			t.served = true
			t.seen = max(t.seen, doc.Revision)
			return doc, nil
		}
	}
	doc, found, err := t.read(key)
	if err != nil {
		return store.Doc{}, t.s.fail(err)
	}
	if !found {
		t.seen = t.at // that there is none
		return store.Doc{}, store.ErrNotFound
	}
	t.seen = max(t.seen, doc.Revision)
	if t.epoch >= 0 {
		t.s.recent.put(t.epoch, doc)
	}
	return doc, nil
}

// bare reports whether there is no snapshot yet.
func (t *readTx) bare() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.c == nil && t.err == nil
}

// read gets a document from SQLite, and with it the snapshot where there is none.
func (t *readTx) read(key string) (store.Doc, bool, error) {
	if t.bare() && !isBrief(key) {
		doc, found := store.Doc{Key: key}, false
		first := func(c *conn) (driver.Rows, error) {
			rows, v, err := c.open(tableOf(key).first, 2, blob(key))
			if err == nil {
				doc.Value, _ = v[0].([]byte)
				doc.Revision, found = v[1].(int64)
			}
			return rows, err
		}
		if done, err := t.take(first); err != nil || done {
			return doc, found, err
		}
	}
	if err := t.snapshot(); err != nil {
		return store.Doc{}, false, err
	}
	if isBrief(key) {
		if n := t.held.get(key); n != nil {
			return n.look(), !n.deleted, nil
		}
		if !t.held.sunk {
			return store.Doc{}, false, nil
		}
	}
	return t.c.get(key)
}

// take gets a connection, and the snapshot by a statement that it leaves open.
// done is false where a commit has done so meanwhile.
func (t *readTx) take(first func(c *conn) (driver.Rows, error)) (done bool, err error) {
	c, err := t.s.reads.take(t.ctx)
	if err != nil {
		return false, err
	}
	epoch := t.s.recent.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.c != nil || t.err != nil {
		t.s.reads.give(c)
		return false, nil
	}
	t.c, t.epoch = c, epoch
	t.pinned(first)
	return true, t.err
}

// pinned takes the snapshot of SQLite and what belongs to it.
func (t *readTx) pinned(first func(c *conn) (driver.Rows, error)) {
	t.s.publish.RLock()
	defer t.s.publish.RUnlock()
	t.anchor, t.err = first(t.c)
	t.held, t.at = t.s.shown, t.s.shownAt
}

// pin opens a statement that always has a row.
func pin(c *conn) (driver.Rows, error) {
	rows, _, err := c.open(sqlPin, 1)
	return rows, err
}

// snapshot takes the snapshot where there is none.
func (t *readTx) snapshot() error {
	if t.bare() {
		if _, err := t.take(pin); err != nil {
			return err
		}
	}
	return t.err
}

// secure takes the snapshot for a view that has none, on the goroutine of a
// commit, which must not wait for a slot: views that have one may wait for it.
func (t *readTx) secure() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || t.c != nil || t.err != nil {
		return
	}
	c, err := t.s.reads.takeExtra()
	if err != nil {
		t.err = err
		return
	}
	t.c, t.extra, t.epoch = c, true, -1
	t.pinned(pin)
}

// end gives the snapshot up. The pool closes a connection that does not.
func (t *readTx) end() {
	t.over = true
	if t.served {
		t.s.recent.drop(t)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	if t.c == nil {
		return
	}
	if t.anchor == nil || t.anchor.Close() != nil {
		t.c.broken = true
	}
	if t.extra {
		t.s.reads.giveExtra(t.c)
	} else {
		t.s.reads.give(t.c)
	}
}

func (t *readTx) Put(string, []byte) error    { return store.ErrView }
func (t *readTx) PutNew(string, []byte) error { return store.ErrView }
func (t *readTx) Delete(string) error         { return store.ErrView }

// Revision is 0 where it cannot be read; the next Get says why.
func (t *readTx) Revision() int64 {
	if t.over || t.snapshot() != nil {
		return 0
	}
	t.seen = t.at
	n, err := t.c.int("SELECT value FROM meta WHERE name='revision'")
	if err != nil {
		return 0
	}
	return max(n, t.held.revision)
}

func (t *readTx) Scan(from, to string) iter.Seq2[store.Doc, error] {
	return t.scan(from, to, false)
}

func (t *readTx) ScanReverse(from, to string) iter.Seq2[store.Doc, error] {
	return t.scan(from, to, true)
}

func (t *readTx) scan(from, to string, reverse bool) iter.Seq2[store.Doc, error] {
	return func(yield func(store.Doc, error) bool) {
		if t.over {
			yield(store.Doc{}, store.ErrTxDone)
			return
		}
		if err := t.snapshot(); err != nil {
			yield(store.Doc{}, t.s.fail(err))
			return
		}
		t.seen = t.at
		for doc, err := range scan(t.ctx, t.s, t.c, &t.over, from, to, reverse, &t.held, nil) {
			if !yield(doc, err) {
				return
			}
		}
	}
}
