package sqs

import (
	"context"
	"encoding/json"
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

// sweepOnce removes what nobody can receive any more: the messages of deleted
// and purged queues, and those that have expired.
func (s *Service) sweepOnce(ctx context.Context) error {
	var places []string
	var stale []place
	now := s.now()
	err := s.store.View(ctx, func(tx store.Tx) error {
		places, stale = nil, nil
		for doc, err := range tx.Scan(garbage, store.PrefixEnd(garbage)) {
			if err != nil {
				return err
			}
			places = append(places, strings.TrimPrefix(doc.Key, garbage))
		}
		for e, err := range queues.Scan(tx, "") {
			if err != nil {
				return err
			}
			work, err := over(tx, e.Value, now)
			if err != nil {
				return err
			}
			if !work {
				continue
			}
			account, rest, _ := strings.Cut(e.Key, "/")
			region, name, _ := strings.Cut(rest, "/")
			stale = append(stale, place{arn.Scope{Account: account, Region: region}, name})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, data := range places {
		if err := s.repeat(ctx, func(tx store.Tx) (bool, error) { return clearPlace(tx, data) }); err != nil {
			return err
		}
	}
	for _, p := range stale {
		if err := s.repeat(ctx, func(tx store.Tx) (bool, error) { return s.clean(tx, p) }); err != nil {
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

// oldest is the queue's oldest message if it has expired, otherwise nil.
func oldest(tx store.Tx, q *queue, now time.Time) (id string, st *state, err error) {
	from := root(q.Data) + "s/"
	for doc, err := range tx.Scan(from, store.PrefixEnd(from)) {
		if err != nil {
			return "", nil, err
		}
		var st state
		if err := json.Unmarshal(doc.Value, &st); err != nil || !q.expired(&st, now) {
			return "", nil, err
		}
		return strings.TrimPrefix(doc.Key, from), &st, nil
	}
	return "", nil, nil
}

// over says whether a queue keeps anything that nobody needs any more.
func over(tx store.Tx, q *queue, now time.Time) (bool, error) {
	_, old, err := oldest(tx, q, now)
	if err != nil || old != nil {
		return old != nil, err
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
		id, st, err := oldest(tx, q, now)
		if err != nil || st == nil {
			return false, err
		}
		if err := remove(tx, q, id, st, now); err != nil {
			return false, err
		}
	}
	return true, nil
}
