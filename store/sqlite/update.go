package sqlite

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/slipway/slipway/store"
)

// batch is the updates that share one commit.
type batch struct {
	n     int
	bytes int
	keys  []string // that its updates changed
	begun time.Time
	err   error         // set before done closes
	done  chan struct{} // closed when the batch is durable, or is not
}

// A batch takes whoever waits, up to these bounds.
const (
	maxBatch      = 512
	maxBatchBytes = 8 << 20
)

// turns lets one update run at a time, in the order of arrival.
type turns struct {
	mu    sync.Mutex
	busy  bool
	queue []chan struct{}
}

// take waits for the turn. Once it is given it must be passed on.
func (t *turns) take(ctx context.Context) error {
	t.mu.Lock()
	if !t.busy {
		t.busy = true
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	t.queue = append(t.queue, mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	if i := slices.Index(t.queue, mine); i >= 0 {
		t.queue = slices.Delete(t.queue, i, i+1)
		t.mu.Unlock()
		return ctx.Err()
	}
	t.mu.Unlock()
	return nil // given in the same instant: the caller finds ctx ended
}

// handOn gives the turn to the one who has waited longest; false if nobody has.
func (t *turns) handOn() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return false
	}
	next := t.queue[0]
	t.queue = t.queue[1:]
	close(next)
	return true
}

// release gives the turn on, or back where nobody waits.
func (t *turns) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		t.busy, t.queue = false, nil
		return
	}
	next := t.queue[0]
	t.queue = t.queue[1:]
	close(next)
}

// Update runs fn in its turn. Whoever finds nobody waiting commits for all who
// ran since the last commit; the others wait for that.
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.turns.take(ctx); err != nil {
		return err
	}
	b, err := s.turn(ctx, fn)
	if b == nil {
		return err
	}
	// Also a failed fn waits: it may have judged by what is not durable yet.
	<-b.done
	if b.err != nil {
		return b.err
	}
	return err
}

// turn runs one update and passes the turn on, also when fn panics or ends its
// goroutine (as t.FailNow does). Without a batch nothing is to be waited for.
func (s *Store) turn(ctx context.Context, fn func(store.Tx) error) (*batch, error) {
	tx := &writeTx{s: s, ctx: ctx, revision: s.revision + 1}
	defer func() {
		tx.over = true
		s.endTurn()
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.batch == nil {
		if err := s.writer.exec(sqlBeginNow); err != nil {
			return nil, s.fail(fmt.Errorf("begin: %w", err))
		}
		s.batch = &batch{begun: time.Now(), done: make(chan struct{})}
	}
	b := s.batch
	b.n++
	if err := fn(tx); err != nil {
		return b, err
	}
	if len(tx.order) == 0 {
		return b, nil
	}
	if err := tx.apply(); err != nil {
		b.err = s.fail(err)
		return b, nil
	}
	s.revision = tx.revision
	for _, key := range tx.order {
		b.bytes += len(key) + len(tx.changes[key].value)
	}
	b.keys = append(b.keys, tx.order...)
	return b, nil
}

// endTurn lets the next update join the batch, or commits it.
func (s *Store) endTurn() {
	b := s.batch
	if b == nil {
		s.turns.release()
		return
	}
	full := b.n >= maxBatch || b.bytes >= maxBatchBytes || time.Since(b.begun) > timeBound
	if b.err == nil && !full {
		if s.turns.handOn() {
			return
		}
		// Those whom the last commit answered are about to come back: let them
		// run first, as a commit costs more than their turn. A lone update
		// finds a last batch of one and waits for nobody.
		for i := 0; i < 4 && b.n*2 < s.lastBatch; i++ {
			runtime.Gosched()
			if s.turns.handOn() {
				return
			}
		}
	}
	s.commit(b)
	s.turns.release()
}

func (s *Store) commit(b *batch) {
	s.batch = nil
	s.lastBatch = b.n
	if b.err == nil && s.revision != s.committed {
		if err := s.writer.exec(sqlRevision, s.revision); err != nil {
			b.err = s.fail(err)
		}
	}
	if b.err == nil {
		if err := s.writer.exec(sqlCommit); err != nil {
			b.err = s.fail(fmt.Errorf("commit: %w", err))
		}
	}
	if b.err != nil {
		// After some errors SQLite has rolled back by itself; then this fails.
		_ = s.writer.exec(sqlRollback)
		s.revision = s.committed
		b.keys = nil
	}
	s.committed = s.revision
	s.watch.changed(b.keys)
	close(b.done)
}
