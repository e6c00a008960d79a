package sqs

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

// garbage names places for messages that no queue has any more, after a delete
// or a purge.
const garbage = "sqs/garbage/"

func discard(tx store.Tx, data string) error { return tx.Put(garbage+data, []byte("{}")) }

// sweepBatch is how many documents one transaction of the sweep removes: few
// enough that nobody waits for it.
const sweepBatch = 300

// dirt is what a pass of the sweep finds to do.
type dirt struct {
	places []string                // that no queue has
	stale  []place                 // queues with something to remove in front
	walk   map[place]time.Duration // standard queues, and how long they keep messages
}

// sweepOnce removes what nobody can receive any more: the messages of deleted
// and purged queues, and those that have expired.
func (s *Service) sweepOnce(ctx context.Context) error {
	var d dirt
	now := s.now()
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		d, err = look(tx, now)
		return err
	})
	if err != nil {
		return err
	}
	for _, data := range d.places {
		if err := s.repeat(ctx, func(tx store.Tx) (bool, error) { return clearPlace(tx, data) }); err != nil {
			return err
		}
	}
	for _, p := range d.stale {
		if err := s.repeat(ctx, func(tx store.Tx) (bool, error) { return s.clean(tx, p) }); err != nil {
			return err
		}
	}
	for _, p := range s.walks.due(d.walk, now) {
		if err := s.walk(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func look(tx store.Tx, now time.Time) (dirt, error) {
	d := dirt{walk: map[place]time.Duration{}}
	for doc, err := range tx.Scan(garbage, store.PrefixEnd(garbage)) {
		if err != nil {
			return d, err
		}
		d.places = append(d.places, strings.TrimPrefix(doc.Key, garbage))
	}
	for e, err := range queues.Scan(tx, "") {
		if err != nil {
			return d, err
		}
		account, rest, _ := strings.Cut(e.Key, "/")
		region, name, _ := strings.Cut(rest, "/")
		p := place{arn.Scope{Account: account, Region: region}, name}
		work, err := over(tx, e.Value, now)
		if err != nil {
			return d, err
		}
		if work {
			d.stale = append(d.stale, p)
		}
		if !e.Value.Attributes.Fifo {
			d.walk[p] = time.Duration(e.Value.Attributes.Retention) * time.Second
		}
	}
	return d, nil
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

func clearPlace(tx store.Tx, data string) (more bool, err error) {
	n := 0
	for doc, err := range tx.Scan(root(data), store.PrefixEnd(root(data))) {
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
	return false, tx.Delete(garbage + data)
}

// oldest is the first message if it has expired: the oldest one of a FIFO queue,
// and the one that could be received longest ago of another.
func oldest(tx store.Tx, q *queue, now time.Time) (message, error) {
	from := q.stored()
	for doc, err := range tx.Scan(from, store.PrefixEnd(from)) {
		if err != nil {
			return message{}, err
		}
		var st state
		if err := decode(doc.Value, &st); err != nil || !q.expired(&st, now) {
			return message{}, err
		}
		return message{idOf(doc.Key), &st}, nil
	}
	return message{}, nil
}

// stored is where the states of a queue's messages stand.
func (q *queue) stored() string {
	if q.Attributes.Fifo {
		return root(q.Data) + "s/"
	}
	return root(q.Data) + "m/"
}

func idOf(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

// over says whether a queue keeps anything that nobody needs any more.
func over(tx store.Tx, q *queue, now time.Time) (bool, error) {
	old, err := oldest(tx, q, now)
	if err != nil || old.st != nil {
		return old.st != nil, err
	}
	for _, r := range [][2]string{{"c/", laterKey(q.Data, now.Unix())}, {"e/", root(q.Data) + "e/" + visibleAt(now.UnixMilli()+1)}} {
		for _, err := range tx.Scan(root(q.Data)+r[0], r[1]) {
			return err == nil, err
		}
	}
	return false, nil
}

// clean removes a queue's oldest messages, as far as they have expired, the
// counts of seconds that are over and what it need not remember.
func (s *Service) clean(tx store.Tx, p place) (more bool, err error) {
	q, err := queues.Get(tx, p.key())
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := s.now()
	n := 0
	for doc, err := range tx.Scan(root(q.Data)+"c/", laterKey(q.Data, now.Unix())) {
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
	if more, err := forget(tx, q.Data, now, sweepBatch); err != nil || more {
		return more, err
	}
	for range sweepBatch {
		m, err := oldest(tx, q, now)
		if err != nil || m.st == nil {
			return false, err
		}
		if err := remove(tx, q, m.id, m.st, now); err != nil {
			return false, err
		}
	}
	return true, nil
}
