package sqs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/store"
)

// A message of a standard queue is one document below its queue's place for
// messages, mostly: a row less is what a send, a receive and a delete gain most by.
//
//	m/<visible at>/<id>  state, in the order in which messages can be received; a
//	                     small content is in it
//	p/<id>               when a message is visible whose receipt handles do not all
//	                     say it: it was received again, or its visibility changed
//	b/<id>               a larger content: written once
//
// A FIFO queue's state stands at s/<id>, and group.go tells how it finds the next.
// An id begins with the time that the message was sent; a FIFO queue's with the
// sequence number, which follows the time.

// state is what changes about a message.
type state struct {
	MessageID string
	Visible   int64  // Unix milliseconds
	Sent      int64  // Unix milliseconds
	Receives  int    `json:",omitempty"`
	First     int64  `json:",omitempty"` // first receive, Unix milliseconds
	Source    string `json:",omitempty"` // the ARN of the queue that gave it up
	Group     string `json:",omitempty"` // FIFO queues only
	Sequence  int64  `json:",omitempty"` // FIFO queues only
	Moved     bool   `json:",omitempty"` // p/ says where it stands
	Content   *kept  `json:",omitempty"` // nil: it stands apart
}

// maxInState is how many bytes of content are written again with each change of
// a message's state rather than read and removed apart.
const maxInState = 1024

func (k *kept) small() bool { return len(k.Plain)+len(k.Sealed)+len(k.Key) <= maxInState }

// content is the stored content of a message.
func (st *state) content(tx store.Tx, data, id string) (kept, error) {
	if st.Content != nil {
		return *st.Content, nil
	}
	var k kept
	doc, err := tx.Look(contentKey(data, id))
	if err != nil {
		return k, err
	}
	return k, decode(doc.Value, &k)
}

// content is what a message says. It stands sealed where its queue is
// encrypted.
type content struct {
	Body       string
	Attributes map[string]attributeValue `json:",omitempty"`
	Trace      string                    `json:",omitempty"` // AWSTraceHeader
	Group      string                    `json:",omitempty"`
	Sender     string

	Deduplication string `json:",omitempty"` // FIFO queues only
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
	// Under a KMS key: the data key's ciphertext, and the queue's ARN and the
	// message's id when it was sent.
	Key       []byte `json:",omitempty"`
	Queue, ID string `json:",omitempty"`
}

func root(data string) string { return store.BulkPrefix + "sqs/" + data + "/" }

func messageKey(data string, at int64, id string) string {
	b := make([]byte, 0, 96)
	b = append(append(b, root(data)...), "m/"...)
	b = append(appendPadded(b, at, 13), '/')
	return string(append(b, id...))
}

func pointerKey(data, id string) string { return root(data) + "p/" + id }

// stands is the key of a message's state.
func (q *queue) stands(id string, visible int64) string {
	if q.Attributes.Fifo {
		return stateKey(q.Data, id)
	}
	return messageKey(q.Data, visible, id)
}

func visibleAt(at int64) string {
	var room [20]byte
	return string(appendPadded(room[:0], at, 13))
}

// appendPadded is fmt's %0*d of what is not negative.
func appendPadded(b []byte, n int64, width int) []byte {
	if n < 0 {
		return fmt.Appendf(b, "%0*d", width, n)
	}
	var room [20]byte
	digits := strconv.AppendInt(room[:0], n, 10)
	for range width - len(digits) {
		b = append(b, '0')
	}
	return append(b, digits...)
}

func stateKey(data, id string) string { return root(data) + "s/" + id }

func contentKey(data, id string) string { return root(data) + "b/" + id }

// newID makes the id of a message that is sent at a time, in nanoseconds, as the
// nth of its request.
func newID(at int64, n int, messageID string) string {
	b := appendPadded(make([]byte, 0, 32), at, 19)
	b = append(appendPadded(b, int64(n), 2), '-')
	return string(append(b, messageID[:8]...))
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

// seal encrypts a message that is sent.
func (s *Service) seal(ctx context.Context, q *queue, id string, c content) (kept, error) {
	plain := encode(&c)
	switch {
	case q.Attributes.KeyID != "":
		return s.sealUnderKey(ctx, q, id, plain)
	case !q.Attributes.Encrypted:
		return kept{Plain: plain}, nil
	}
	sealed, err := s.ring.Seal("sqs/"+id, plain)
	return kept{Sealed: sealed}, err
}

// open decrypts a message for a caller.
func (s *Service) open(tx store.Tx, data, id, who string, st *state) (content, error) {
	var c content
	k, err := st.content(tx, data, id)
	if err != nil {
		return c, err
	}
	switch {
	case k.Key != nil:
		k.Plain, err = s.openUnderKey(who, k)
	case k.Sealed != nil:
		k.Plain, err = s.ring.Open("sqs/"+id, k.Sealed)
	}
	if err != nil {
		return c, err
	}
	return c, decode(k.Plain, &c)
}

// lift takes a message's stored form for its move to another place: encryption
// stays as it was.
func (s *Service) lift(tx store.Tx, data, id string, st *state) (func(newID string) (kept, error), error) {
	k, err := st.content(tx, data, id)
	if err != nil {
		return nil, err
	}
	return func(newID string) (kept, error) {
		if k.Key != nil || k.Sealed == nil || newID == id {
			return k, nil
		}
		plain, err := s.ring.Open("sqs/"+id, k.Sealed)
		if err != nil {
			return kept{}, err
		}
		sealed, err := s.ring.Seal("sqs/"+newID, plain)
		return kept{Sealed: sealed}, err
	}, nil
}

// empty is the value of documents that only their keys matter of.
var empty = []byte("0")

// write keeps a state and what counts it. put is PutNew where no state has stood
// before: an id is of one message, and a message that is to be visible at another
// time leaves its old place first.
func write(put func(string, []byte) error, tx store.Tx, q *queue, id string, st *state, now time.Time) error {
	if err := drafted(put, q.stands(id, st.Visible), st); err != nil {
		return err
	}
	return addLater(tx, q.Data, st.Visible, st.Receives > 0, 1, now)
}

// insert puts a new message's state.
func insert(tx store.Tx, q *queue, id string, st *state, now time.Time) error {
	st.Moved = false
	err := errors.Join(addTotal(tx, q.Data, 1), write(tx.PutNew, tx, q, id, st, now))
	if err != nil || !q.Attributes.Fifo {
		return err
	}
	return joinGroup(tx, q.Data, id, st)
}

// change puts another state in the place of a message's old one.
func change(tx store.Tx, q *queue, id string, old, st *state, now time.Time) error {
	if err := addLater(tx, q.Data, old.Visible, old.Receives > 0, -1, now); err != nil {
		return err
	}
	if q.Attributes.Fifo {
		return errors.Join(write(tx.Put, tx, q, id, st, now), moveInGroup(tx, q.Data, id, old, st))
	}
	if err := tx.Delete(messageKey(q.Data, old.Visible, id)); err != nil {
		return err
	}
	if old.Receives > 0 && old.Visible != st.Visible { // a handle says the old time
		st.Moved = true
		if err := putJSON(tx, pointerKey(q.Data, id), st.Visible); err != nil {
			return err
		}
	}
	return write(tx.PutNew, tx, q, id, st, now)
}

// getState finds a message that was to be visible at a time when its handle was
// made; nil where there is none.
func getState(tx store.Tx, q *queue, id string, visible int64) (*state, error) {
	var st state
	found, err := getRecord(tx, q.stands(id, visible), &st)
	if err == nil && !found && !q.Attributes.Fifo {
		if found, err = getJSON(tx, pointerKey(q.Data, id), &visible); err == nil && found {
			found, err = getRecord(tx, messageKey(q.Data, visible, id), &st)
		}
	}
	if err != nil || !found {
		return nil, err
	}
	return &st, nil
}

func remove(tx store.Tx, q *queue, id string, st *state, now time.Time) error {
	if q.Attributes.Fifo {
		if err := leaveGroup(tx, q.Data, id, st); err != nil {
			return err
		}
	}
	if st.Content == nil {
		if err := tx.Delete(contentKey(q.Data, id)); err != nil {
			return err
		}
	}
	if st.Moved {
		if err := tx.Delete(pointerKey(q.Data, id)); err != nil {
			return err
		}
	}
	return errors.Join(
		tx.Delete(q.stands(id, st.Visible)),
		addTotal(tx, q.Data, -1),
		addLater(tx, q.Data, st.Visible, st.Receives > 0, -1, now))
}

// expired says whether a message has been in the queue for longer than it keeps
// any.
func (q *queue) expired(st *state, now time.Time) bool {
	return st.Sent+int64(q.Attributes.Retention)*1000 <= now.UnixMilli()
}
