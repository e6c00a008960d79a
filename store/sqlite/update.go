package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/slipway/slipway/store"
)

// Group commit. One update runs at a time, and nobody else touches the writer
// then: that one has the turn. An update that finds the turn free runs on its
// caller's goroutine and, if nobody has come meanwhile, commits at once. Those
// who come while the turn is taken queue; whoever ends its update and finds a
// queue leaves the turn, and the open transaction, to a goroutine that runs the
// queue's functions one after another (a hand-over from goroutine to goroutine
// for each would cost as much as the update itself), commits for all of them,
// and ends when the queue is empty. The sync of a commit is not part of the turn
// (sync.go). Its callers wait for it, so Close does.

// request is one call of Update.
type request struct {
	ctx  context.Context
	fn   func(store.Tx) error
	err  error // of fn, or of the commit
	done chan struct{}
}

// batch is the updates that share one commit.
type batch struct {
	reqs  []*request
	bytes int
	keys  []string // that its updates changed
	begun time.Time
	err   error // that ends the batch
	// revision is up to which its updates have read and written.
	revision int64
}

// A batch takes whoever waits, up to these bounds.
const (
	maxBatch      = 512
	maxBatchBytes = 8 << 20
	// maxBatchTime ends a batch whose first update has waited this long.
	maxBatchTime = 5 * time.Millisecond
)

// turns says who may write.
type turns struct {
	mu    sync.Mutex
	taken bool
	queue []*request
}

// enqueue queues the request, or takes the turn for it and returns true.
func (t *turns) enqueue(r *request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.taken {
		t.taken = true
		return true
	}
	t.queue = append(t.queue, r)
	return false
}

// next takes the request that has waited longest; nil if none waits.
func (t *turns) next() *request {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil
	}
	r := t.queue[0]
	t.queue[0] = nil
	if t.queue = t.queue[1:]; len(t.queue) == 0 {
		t.queue = nil
	}
	return r
}

func (t *turns) waiting() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue) > 0
}

// release gives the turn back, unless somebody waits for it.
func (t *turns) release() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = len(t.queue) > 0
	return !t.taken
}

// withdraw takes a request out of the queue; false if it has left it.
func (t *turns) withdraw(r *request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.queue, r)
	if i >= 0 {
		t.queue = slices.Delete(t.queue, i, i+1)
	}
	return i >= 0
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{ctx: ctx, fn: fn, done: make(chan struct{})}
	if s.turns.enqueue(r) {
		s.lead(r)
	} else {
		select {
		case <-r.done:
		case <-ctx.Done():
			if s.turns.withdraw(r) {
				return ctx.Err()
			}
		}
	}
	<-r.done
	if p, ok := r.err.(*Panic); ok {
		panic(p)
	}
	return r.err
}

// lead runs a request on its caller's goroutine. If fn panics, or ends the
// goroutine as t.FailNow does, nothing of it is kept and the turn goes on.
func (s *Store) lead(r *request) {
	b := &batch{begun: time.Now()}
	defer func() {
		runtime.Gosched() // who is about to come shares the commit
		if s.turns.waiting() || s.lastBatch > 1 {
			s.goCombine(b)
			return
		}
		place := s.log.acquire(false)
		if place == nil && s.log != nil {
			s.goCombine(b) // which waits for one
			return
		}
		revision := s.commit(b)
		if !s.turns.release() {
			s.goCombine(&batch{begun: time.Now()})
		}
		s.sync(place, revision)
	}()
	s.join(b, r)
}

// goCombine leaves the turn to a goroutine that Close waits for.
func (s *Store) goCombine(b *batch) {
	s.life.Lock()
	s.inflight++
	s.life.Unlock()
	go s.combine(b)
}

// combine has the turn: it runs and commits what is queued until nothing is.
func (s *Store) combine(b *batch) {
	defer s.leave()
	ended := false
	var place *os.File
	defer func() {
		if !ended { // a function ended this goroutine; another goes on
			s.log.release(place)
			s.goCombine(b)
		}
	}()
	for {
		for r := s.nextFor(b); r != nil; r = s.nextFor(b) {
			s.joinGuarded(b, r)
		}
		// Who comes while this waits for the disk is one of the batch.
		place = s.log.acquire(true)
		for r := s.nextFor(b); r != nil; r = s.nextFor(b) {
			s.joinGuarded(b, r)
		}
		s.goSync(place, s.commit(b))
		place = nil
		if s.turns.release() {
			ended = true
			return
		}
		b = &batch{begun: time.Now()}
	}
}

// nextFor is the next request for the batch; nil when it is to be committed.
func (s *Store) nextFor(b *batch) *request {
	if b.err != nil || len(b.reqs) >= maxBatch || b.bytes >= maxBatchBytes {
		return nil
	}
	if len(b.reqs) > 0 && len(b.reqs)%16 == 0 && time.Since(b.begun) > maxBatchTime {
		return nil
	}
	r := s.turns.next()
	// Let those run who can: some are about to come, those first whom the last
	// commit answered, and a commit costs more than their turn. Where nobody can
	// run this takes no time.
	for i := 0; r == nil && (i < 2 || i < 8 && len(b.reqs)*2 < s.lastBatch); i++ {
		runtime.Gosched()
		r = s.turns.next()
	}
	return r
}

// Panic is what Update panics with when its function panicked on another
// goroutine than the caller's.
type Panic struct {
	Value any
	Stack []byte // of the function
}

func (p *Panic) Error() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// errGoexit is what remains to be said when a function ended its goroutine.
var errGoexit = errors.New("store: the function of an update called runtime.Goexit")

func (s *Store) joinGuarded(b *batch, r *request) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			r.err = &Panic{Value: p, Stack: debug.Stack()}
		} else {
			r.err = errGoexit
		}
	}()
	s.join(b, r)
	returned = true
}

// join runs one update as part of a batch. fn's error is the caller's only when
// the batch is durable: fn may have judged by what others of it wrote.
func (s *Store) join(b *batch, r *request) {
	b.reqs = append(b.reqs, r)
	if r.err = r.ctx.Err(); r.err != nil {
		return
	}
	if b.err = s.fail(s.log.broken()); b.err != nil {
		return
	}
	if !s.begun {
		if err := s.writer.exec(sqlBeginNow); err != nil {
			b.err = s.fail(fmt.Errorf("begin: %w", err))
			return
		}
		s.begun = true
	}
	tx := &writeTx{s: s, ctx: r.ctx, revision: s.revision + 1}
	defer func() {
		tx.over = true
		b.err = s.fail(tx.broken)
	}()
	if r.err = r.fn(tx); r.err != nil || tx.broken != nil || len(tx.writes) == 0 {
		return
	}
	s.pending.add(tx)
	s.revision = tx.revision
	b.bytes += tx.size()
	for i := range tx.writes {
		b.keys = append(b.keys, tx.writes[i].key)
	}
}

// prepareCommit hands the batch's changes to SQLite. changes says that there are
// any, visible that SQLite's documents change with them.
func (s *Store) prepareCommit(b *batch) (changes, visible bool) {
	if !s.begun || b.err != nil || s.revision == s.committed {
		return false, false
	}
	visible = s.pending.some
	if b.err = s.fail(s.flush("", "")); b.err != nil {
		return false, false
	}
	moved, err := s.writeJournal()
	visible = visible || moved
	if err == nil && visible {
		err = s.writer.exec(sqlRevision, s.revision)
	}
	b.err = s.fail(err)
	return b.err == nil, visible
}

// commit hands the batch to SQLite, and to whoever makes it durable. It returns
// the revision that is to be; 0 where the batch changes nothing.
func (s *Store) commit(b *batch) (revision int64) {
	changes, visible := s.prepareCommit(b)
	if visible {
		s.recent.begin(b.keys)
	}
	if changes {
		s.publish.Lock()
	}
	if s.begun && b.err == nil {
		if err := s.writer.exec(sqlCommit); err != nil {
			b.err = s.fail(fmt.Errorf("commit: %w", err))
		}
	}
	if changes {
		if b.err == nil {
			s.shown, s.shownAt = s.journal.held, s.revision
			s.journal.kept()
			s.pending.some = false
		}
		s.publish.Unlock()
	}
	if visible {
		s.recent.end()
	}
	if b.err != nil {
		// After some errors SQLite has rolled back by itself; then this fails.
		_ = s.writer.exec(sqlRollback)
		s.drop()
		s.revision = s.committed
		b.keys = nil
	}
	s.begun = false
	s.committed = s.revision
	s.lastBatch = len(b.reqs)
	b.revision = s.committed
	if changes && b.err == nil {
		revision = s.committed
	}
	if b.err != nil || !s.log.follow(b) {
		s.answer(b)
	}
	return revision
}

// sync makes durable what was committed, and answers whom that answers. Other
// syncs may be under way, and the next commit.
func (s *Store) sync(place *os.File, revision int64) {
	if revision == 0 || place == nil {
		s.log.release(place)
		return
	}
	for _, b := range s.log.sync(place, revision) {
		s.answer(b)
	}
}

// goSync is sync on a goroutine that Close waits for.
func (s *Store) goSync(place *os.File, revision int64) {
	if revision == 0 || place == nil {
		s.log.release(place)
		return
	}
	s.life.Lock()
	s.inflight++
	s.life.Unlock()
	go func() {
		defer s.leave()
		s.sync(place, revision)
	}()
}

// answer tells the watchers and the callers of a batch what became of it.
func (s *Store) answer(b *batch) {
	if b.err == nil {
		s.watch.changed(b.keys)
	} else {
		b.err = s.fail(b.err)
	}
	for _, r := range b.reqs {
		if _, panicked := r.err.(*Panic); b.err != nil && !panicked {
			r.err = b.err
		}
		close(r.done)
	}
	b.reqs = nil
}
