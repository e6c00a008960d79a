package sqs

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/slipway/slipway/store"
)

// What a queue holds is counted as it changes, so that a queue of a million
// messages tells its numbers as fast as an empty one. Below its place:
//
//	n            how many messages there are, and the last sequence number
//	c/<second>   how many messages become visible in that second
//
// A second counts only what was written before it began. When it is over,
// nothing reads it any more; the sweep removes it.

// tally is the document n.
type tally struct {
	Total    int
	Sequence int64 `json:",omitempty"`
}

// later counts the messages that become visible in one second.
type later struct {
	Fresh    int `json:",omitempty"` // delayed
	Received int `json:",omitempty"` // in flight
}

func (l *later) of(received bool) *int {
	if received {
		return &l.Received
	}
	return &l.Fresh
}

func tallyKey(data string) string { return root(data) + "n" }

func laterKey(data string, second int64) string {
	b := append(append(make([]byte, 0, 64), root(data)...), "c/"...)
	return string(appendPadded(b, second, 10))
}

// getJSON reads a document; found is false where there is none.
func getJSON(tx store.Tx, key string, v any) (found bool, err error) {
	doc, err := tx.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(doc.Value, v)
}

func getTally(tx store.Tx, data string) (tally, error) {
	var t tally
	_, err := getRecord(tx, tallyKey(data), &t)
	return t, err
}

func addTotal(tx store.Tx, data string, n int) error {
	t, err := getTally(tx, data)
	if err != nil {
		return err
	}
	t.Total = max(t.Total+n, 0)
	if t == (tally{}) {
		return tx.Delete(tallyKey(data))
	}
	return putRecord(tx, tallyKey(data), &t)
}

// nextSequence is greater than each one before it. It follows the clock, so a
// purge does not begin again.
func nextSequence(tx store.Tx, data string, now time.Time) (int64, error) {
	t, err := getTally(tx, data)
	if err != nil {
		return 0, err
	}
	t.Sequence = max(t.Sequence+1, now.UnixNano())
	return t.Sequence, putRecord(tx, tallyKey(data), &t)
}

// addLater counts a message that becomes visible at a time to come.
func addLater(tx store.Tx, data string, at int64, received bool, n int, now time.Time) error {
	if at/1000 <= now.Unix() {
		return nil
	}
	key := laterKey(data, at/1000)
	var l later
	if _, err := getRecord(tx, key, &l); err != nil {
		return err
	}
	*l.of(received) = max(*l.of(received)+n, 0)
	if l == (later{}) {
		return tx.Delete(key)
	}
	return putRecord(tx, key, &l)
}

type counts struct{ visible, inFlight, delayed int }

// count reads at most a document for each second to come, and the rest of this
// one. Expired messages that the sweep has not met yet are part of it.
func count(tx store.Tx, q *queue, now time.Time) (counts, error) {
	t, err := getTally(tx, q.Data)
	if err != nil {
		return counts{}, err
	}
	var n later
	from := laterKey(q.Data, now.Unix()+1)
	for doc, err := range tx.Scan(from, store.PrefixEnd(root(q.Data)+"c/")) {
		if err != nil {
			return counts{}, err
		}
		var l later
		if err := decode(doc.Value, &l); err != nil {
			return counts{}, err
		}
		n.Fresh += l.Fresh
		n.Received += l.Received
	}
	if q.Attributes.Fifo { // its messages count as visible up to a second early
		return n.counts(t), nil
	}
	from, to := messageKey(q.Data, now.UnixMilli()+1, ""), messageKey(q.Data, (now.Unix()+1)*1000, "")
	for doc, err := range tx.Scan(from, to) {
		if err != nil {
			return counts{}, err
		}
		m, err := met(tx, q, doc)
		if err != nil {
			return counts{}, err
		}
		*n.of(m.st.Receives > 0)++
	}
	return n.counts(t), nil
}

func (n later) counts(t tally) counts {
	return counts{visible: max(t.Total-n.Fresh-n.Received, 0), inFlight: n.Received, delayed: n.Fresh}
}

// maxInFlight is how many messages of a queue can be in flight ("Amazon SQS
// standard queue quotas" and "FIFO queue quotas", Developer Guide).
const maxInFlight = 120000

// room says how many more messages may be in flight. While the queue holds
// fewer than the limit there is nothing to count.
func (s *Service) room(tx store.Tx, q *queue, now time.Time) (int, error) {
	t, err := getTally(tx, q.Data)
	if err != nil || t.Total < s.maxInFlight {
		return s.maxInFlight, err
	}
	n, err := count(tx, q, now)
	return s.maxInFlight - n.inFlight, err
}
