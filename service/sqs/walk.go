package sqs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/slipway/slipway/store"
)

// walks is when the sweep last looked through the standard queues: messages that
// were received and came back expire in another order than they stand in. It
// belongs to the sweep.
type walks map[place]time.Time

// due gives the queues to look through now: each at every fiftieth part of the
// time for which it keeps messages, and none at once after a start.
func (w *walks) due(all map[place]time.Duration, now time.Time) []place {
	var out []place
	next := walks{}
	for p, keeps := range all {
		last, known := (*w)[p]
		switch {
		case !known:
			last = now
		case now.Sub(last) >= keeps/50:
			last = now
			out = append(out, p)
		}
		next[p] = last
	}
	*w = next
	return out
}

// walk removes what has expired, anywhere in a standard queue.
func (s *Service) walk(ctx context.Context, p place) error {
	for after := ""; ; {
		var keys []string
		now := s.now()
		err := s.store.View(ctx, func(tx store.Tx) (err error) {
			keys, err = stale(tx, p, after, now)
			return err
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		err = s.store.Update(ctx, func(tx store.Tx) error { return s.removeExpired(tx, p, keys, now) })
		if err != nil {
			return err
		}
		after = keys[len(keys)-1]
	}
}

// stale finds the next keys of messages that have expired: their ids say when they
// were sent.
func stale(tx store.Tx, p place, after string, now time.Time) ([]string, error) {
	q, err := queues.Get(tx, p.key())
	if err != nil {
		return nil, ignoreGone(err)
	}
	limit := now.Add(-time.Duration(q.Attributes.Retention) * time.Second).UnixNano()
	var keys []string
	for doc, err := range tx.Scan(max(after+"\x00", q.stored()), store.PrefixEnd(q.stored())) {
		if err != nil || len(keys) >= sweepBatch {
			return keys, err
		}
		if idOf(doc.Key) < fmt.Sprintf("%019d", limit) {
			keys = append(keys, doc.Key)
		}
	}
	return keys, nil
}

func ignoreGone(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// removeExpired removes those of the messages that still stand where they were.
func (s *Service) removeExpired(tx store.Tx, p place, keys []string, now time.Time) error {
	q, err := queues.Get(tx, p.key())
	if err != nil {
		return ignoreGone(err)
	}
	for _, key := range keys {
		var st state
		found, err := getRecord(tx, key, &st)
		if err != nil {
			return err
		}
		if !found || !strings.HasPrefix(key, q.stored()) || !q.expired(&st, now) {
			continue
		}
		if err := remove(tx, q, idOf(key), &st, now); err != nil {
			return err
		}
	}
	return nil
}
