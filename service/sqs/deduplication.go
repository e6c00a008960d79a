package sqs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/slipway/slipway/store"
)

// A FIFO queue remembers for five minutes what was sent to it and what was
// received from it under an attempt id ("Exactly-once processing", Developer
// Guide). The documents are below the queue's place for messages, so a purge
// forgets them, and a restart does not:
//
//	d/<scope><hash>   what was sent
//	a/<hash>          what was received
//	e/<until>/<key>   empty: which of them the sweep removes when
const interval = 5 * time.Minute

// sent is what a later message with the same deduplication id is answered with.
type sent struct {
	Until     int64 // Unix milliseconds
	MessageID string
	Sequence  int64
}

// attempt is a receive that can be repeated.
type attempt struct {
	Until    int64
	Messages []attempted
}

type attempted struct {
	ID       string
	Receives int
	Visible  int64
}

func hashOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

func sentKey(scope, group, id string) string {
	if scope == "messageGroup" {
		return "d/g" + hashOf(group, id)
	}
	return "d/q" + hashOf(id)
}

// remember keeps a document for the interval.
func remember(tx store.Tx, data, key string, until int64, v any) error {
	if err := tx.Put(fmt.Sprintf("%se/%013d/%s", root(data), until, key), empty); err != nil {
		return err
	}
	return putJSON(tx, root(data)+key, v)
}

// duplicate finds what was sent with the same deduplication id. What was sent
// while a queue deduplicated as a whole counts after it has begun to do so by
// group, as AWS was recorded to do it.
func duplicate(tx store.Tx, q *queue, c content, now time.Time) (*sent, error) {
	keys := []string{sentKey("", c.Group, c.Deduplication)}
	if q.Attributes.Scope == "messageGroup" {
		keys = append(keys, sentKey(q.Attributes.Scope, c.Group, c.Deduplication))
	}
	for _, key := range keys {
		var was sent
		found, err := getJSON(tx, root(q.Data)+key, &was)
		if err != nil {
			return nil, err
		}
		if found && was.Until > now.UnixMilli() {
			return &was, nil
		}
	}
	return nil, nil
}

// forget removes what is older than the interval, at most limit of it.
func forget(tx store.Tx, data string, now time.Time, limit int) (more bool, err error) {
	from := root(data) + "e/"
	n := 0
	for doc, err := range tx.Scan(from, fmt.Sprintf("%s%013d", from, now.UnixMilli()+1)) {
		if err != nil {
			return false, err
		}
		if n++; n > limit {
			return true, nil
		}
		_, key, _ := strings.Cut(strings.TrimPrefix(doc.Key, from), "/")
		var is struct{ Until int64 }
		if _, err := getJSON(tx, root(data)+key, &is); err != nil {
			return false, err
		}
		if is.Until <= now.UnixMilli() { // not written again since
			if err := tx.Delete(root(data) + key); err != nil {
				return false, err
			}
		}
		if err := tx.Delete(doc.Key); err != nil {
			return false, err
		}
	}
	return false, nil
}

// again repeats a receive of the same attempt, if nothing has become of its
// messages since, and begins their visibility timeout anew.
func (s *Service) again(tx store.Tx, q *queue, r *receipt) (bool, error) {
	var was attempt
	found, err := getJSON(tx, root(q.Data)+"a/"+hashOf(r.in.ReceiveRequestAttemptId), &was)
	now := r.now.UnixMilli()
	if err != nil || !found || was.Until <= now {
		return false, err
	}
	var all []*state
	for _, m := range was.Messages {
		st, err := getState(tx, q, m.ID, m.Visible)
		if err != nil || st == nil || st.Receives != m.Receives || st.Visible != m.Visible || st.Visible <= now {
			return false, err
		}
		all = append(all, st)
	}
	for i, m := range was.Messages {
		st := *all[i]
		st.Visible = now + int64(r.visibility(q))*1000
		if err := change(tx, q, m.ID, all[i], &st, r.now); err != nil {
			return false, err
		}
		if err := s.show(tx, q, r, m.ID, &st); err != nil {
			return false, err
		}
	}
	return true, r.keep(tx, q)
}

// keep remembers what the attempt received.
func (r *receipt) keep(tx store.Tx, q *queue) error {
	if r.in.ReceiveRequestAttemptId == "" || len(r.taken) == 0 {
		return nil
	}
	until := r.now.Add(interval).UnixMilli()
	return remember(tx, q.Data, "a/"+hashOf(r.in.ReceiveRequestAttemptId), until, attempt{until, r.taken})
}
