package sqs

import (
	"context"
	"errors"
	"time"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const (
	// moveBatch is how many messages one transaction moves at most.
	moveBatch = 50
	// moveTick is how long the loop waits at most while a task goes by a rate:
	// a new task waits no longer.
	moveTick = 100 * time.Millisecond
)

// moveOnce works at all tasks until none runs. It reads them anew each time, so
// it goes on where it was after a restart.
func (s *Service) moveOnce(ctx context.Context) error {
	for {
		running, idle, err := s.movePass(ctx)
		if err != nil || !running {
			return err
		}
		if !idle {
			continue
		}
		timer := time.NewTimer(moveTick)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// movePass does a step of each task. It is idle when none was due.
func (s *Service) movePass(ctx context.Context) (running, idle bool, err error) {
	var keys []string
	err = s.store.View(ctx, func(tx store.Tx) error {
		keys = nil
		for e, err := range moveTasks.ByIndex(tx, "status", taskRunning) {
			if err != nil {
				return err
			}
			keys = append(keys, e.Key)
		}
		return nil
	})
	idle = true
	for _, key := range keys {
		if err != nil {
			break
		}
		err = s.store.Update(ctx, func(tx store.Tx) error {
			t, err := moveTasks.Get(tx, key)
			if errors.Is(err, store.ErrNotFound) {
				return nil // its queue is gone
			}
			now := s.now()
			if err != nil || t.Status != taskRunning || t.Next > now.UnixMilli() {
				return err
			}
			idle = false
			if err := s.step(tx, t, now); err != nil {
				return err
			}
			return moveTasks.Put(tx, key, t)
		})
	}
	return len(keys) > 0, idle, err
}

// share is how many messages a step moves, and how long after it the next one
// is due.
func (t *moveTask) share() (int, time.Duration) {
	switch {
	case t.Rate == 0:
		return moveBatch, 0
	case t.Rate < int(time.Second/moveTick):
		return 1, time.Second / time.Duration(t.Rate)
	}
	return t.Rate / int(time.Second/moveTick), moveTick
}

// step moves some messages, in one transaction with the task's record.
func (s *Service) step(tx store.Tx, t *moveTask, now time.Time) error {
	from, err := targetOf(t.Source)
	if err != nil {
		return err
	}
	q, err := find(tx, from)
	if fault.Is(err, fault.QueueDoesNotExist) {
		t.fail(noQueueReason)
		return nil
	}
	if err != nil {
		return err
	}
	n, pause := t.share()
	t.Next = now.Add(pause).UnixMilli()
	n = min(n, t.ToMove-t.Moved)
	due, err := visible(tx, q, now, n)
	if err != nil {
		return err
	}
	for _, m := range due {
		if err := s.moveBack(tx, t, q, m.id, m.st, now); err != nil || t.Status == taskFailed {
			return err
		}
	}
	if len(due) == 0 || t.Moved >= t.ToMove {
		t.Status = taskCompleted
	}
	return nil
}

func (t *moveTask) fail(reason string) { t.Status, t.Reason = taskFailed, reason }

// Reasons of failure, as AWS names them.
const (
	noQueueReason  = "AWS.SimpleQueueService.NonExistentQueue"
	noSourceReason = "CouldNotDetermineMessageSource"
)

// message is one that stands in a queue.
type message struct {
	id string
	st *state
}

// visible are the next messages to be received; of a FIFO queue the first of
// each group.
func visible(tx store.Tx, q *queue, now time.Time, n int) ([]message, error) {
	var due []message
	order := q.order()
	for doc, err := range tx.Scan(order, order+visibleAt(now.UnixMilli()+1)) {
		if err != nil || len(due) >= n {
			return due, err
		}
		m, err := met(tx, q, doc)
		if err != nil {
			return nil, err
		}
		if m.st != nil {
			due = append(due, m)
		}
	}
	return due, nil
}

// met is the message of an entry of the queue's order.
func met(tx store.Tx, q *queue, doc store.Doc) (message, error) {
	_, id := splitVisible(q.order(), doc.Key)
	if q.Attributes.Fifo {
		st, err := getState(tx, q, id, 0)
		return message{id, st}, err
	}
	var st state
	return message{id, &st}, decode(doc.Value, &st)
}

// moveBack sends a message on as a new one, which is how AWS treats it.
func (s *Service) moveBack(tx store.Tx, t *moveTask, q *queue, id string, st *state, now time.Time) error {
	if q.expired(st, now) {
		t.Moved++ // one of those that there were
		return remove(tx, q, id, st, now)
	}
	target := t.Target
	if target == "" {
		target = st.Source
	}
	if target == "" {
		t.fail(noSourceReason)
		return nil
	}
	p, err := targetOf(target)
	if err != nil {
		return err
	}
	to, err := find(tx, p)
	if fault.Is(err, fault.QueueDoesNotExist) {
		t.fail(noQueueReason)
		return nil
	}
	if err != nil {
		return err
	}
	lifted, err := s.lift(tx, q.Data, id, st)
	if err != nil {
		return err
	}
	if err := remove(tx, q, id, st, now); err != nil {
		return err
	}
	next := &state{MessageID: newMessageID(), Sent: now.UnixMilli(), Visible: now.UnixMilli(), Group: st.Group}
	if id, err = newPlaceInLine(tx, to, next, now, t.Moved%100); err != nil {
		return err
	}
	t.Moved++
	k, err := lifted(id)
	if err != nil {
		return err
	}
	return lay(tx, to, id, k, next, now)
}
