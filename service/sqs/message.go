package sqs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/store"
)

// A message is three documents below its queue's place for messages:
//
//	v/<visible at>/<id>  empty: what can be received when, so a receive reads a range
//	s/<id>               state: changes with each receive
//	b/<id>               content: written once
//
// The id begins with the time that the message was sent, so s/ is in the order
// in which messages expire.

// state is what changes about a message.
type state struct {
	MessageID string
	Visible   int64  // Unix milliseconds
	Sent      int64  // Unix milliseconds
	Receives  int    `json:",omitempty"`
	First     int64  `json:",omitempty"` // first receive, Unix milliseconds
	Source    string `json:",omitempty"` // the ARN of the queue that gave it up
}

// content is what a message says. It stands sealed where its queue is
// encrypted.
type content struct {
	Body       string
	Attributes map[string]attributeValue `json:",omitempty"`
	Trace      string                    `json:",omitempty"` // AWSTraceHeader
	Group      string                    `json:",omitempty"`
	Sender     string
}

// attributeValue is a message attribute: text or binary.
type attributeValue struct {
	Type   string
	Text   string `json:",omitempty"`
	Binary []byte `json:",omitempty"`
}

func (v attributeValue) isBinary() bool { return strings.HasPrefix(v.Type, "Binary") }

func (v attributeValue) api() api.MessageAttributeValue {
	return api.MessageAttributeValue{DataType: v.Type, StringValue: v.Text, BinaryValue: v.Binary}
}

// kept is the stored form of a content.
type kept struct {
	Plain  []byte `json:",omitempty"`
	Sealed []byte `json:",omitempty"`
}

func root(data string) string { return store.BulkPrefix + "sqs/" + data + "/" }

func visibleKey(data string, at int64, id string) string {
	return fmt.Sprintf("%sv/%013d/%s", root(data), at, id)
}

func stateKey(data, id string) string { return root(data) + "s/" + id }

func contentKey(data, id string) string { return root(data) + "b/" + id }

// newID makes the id of a message that is sent now as the nth of its request.
func newID(now time.Time, n int, messageID string) string {
	return fmt.Sprintf("%019d%02d-%s", now.UnixNano(), n, messageID[:8])
}

func putJSON(tx store.Tx, key string, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	return tx.Put(key, bytes.TrimSpace(b.Bytes()))
}

func (s *Service) seal(data, id string, encrypted bool, c content) (kept, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil || !encrypted {
		return kept{Plain: b.Bytes()}, err
	}
	sealed, err := s.ring.Seal("sqs/"+id, b.Bytes())
	return kept{Sealed: sealed}, err
}

func (s *Service) open(tx store.Tx, data, id string) (content, error) {
	var k kept
	var c content
	doc, err := tx.Get(contentKey(data, id))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(doc.Value, &k); err != nil {
		return c, err
	}
	if k.Sealed != nil {
		if k.Plain, err = s.ring.Open("sqs/"+id, k.Sealed); err != nil {
			return c, err
		}
	}
	return c, json.Unmarshal(k.Plain, &c)
}

// received marks a v/ entry of a message that was received before: it tells
// messages in flight from those that are delayed.
var (
	fresh    = []byte("0")
	received = []byte("1")
)

func putState(tx store.Tx, data, id string, st *state) error {
	mark := fresh
	if st.Receives > 0 {
		mark = received
	}
	if err := tx.Put(visibleKey(data, st.Visible, id), mark); err != nil {
		return err
	}
	return putJSON(tx, stateKey(data, id), st)
}

// getState finds a message; nil where there is none.
func getState(tx store.Tx, data, id string) (*state, error) {
	doc, err := tx.Get(stateKey(data, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var st state
	return &st, json.Unmarshal(doc.Value, &st)
}

func remove(tx store.Tx, data, id string, st *state) error {
	return errors.Join(
		tx.Delete(visibleKey(data, st.Visible, id)),
		tx.Delete(stateKey(data, id)),
		tx.Delete(contentKey(data, id)))
}

// expired says whether a message has been in the queue for longer than it keeps
// any.
func (q *queue) expired(st *state, now time.Time) bool {
	return st.Sent+int64(q.Attributes.Retention)*1000 <= now.UnixMilli()
}

type counts struct{ visible, inFlight, delayed int }

// count reads the queue's index; expired messages that the sweep has not met
// yet are part of it.
func count(tx store.Tx, q *queue, now time.Time) (counts, error) {
	var n counts
	from := root(q.Data) + "v/"
	edge := visibleKey(q.Data, now.UnixMilli()+1, "")
	for doc, err := range tx.Scan(from, store.PrefixEnd(from)) {
		switch {
		case err != nil:
			return n, err
		case doc.Key < edge:
			n.visible++
		case string(doc.Value) == string(received):
			n.inFlight++
		default:
			n.delayed++
		}
	}
	return n, nil
}
