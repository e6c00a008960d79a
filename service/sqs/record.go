package sqs

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/slipway/slipway/store"
)

// What is written and read with each message has a form of its own: JSON took
// more time than all else that a queue does. A record begins with store.Binary and
// recordForm, its numbers are varints and its texts stand behind their lengths. Earlier Slipways
// wrote JSON, which begins with a brace and is read as ever.
const recordForm = 1

var errRecord = errors.New("sqs: a record of a queue is damaged")

// record is what has that form.
type record interface {
	write(b []byte) []byte
	read(r *reader)
}

func getRecord(tx store.Tx, key string, rec record) (found bool, err error) {
	doc, err := tx.Look(key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = decode(doc.Value, rec)
	}
	return err == nil, err
}

// putRecord writes a record. The store keeps a copy of what it is given.
func putRecord(tx store.Tx, key string, rec record) error { return drafted(tx.Put, key, rec) }

// drafts are where records are written at first.
var drafts = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

const maxDraft = 4 << 10 // bytes that are kept

// drafted has put write a record under a key. It does not keep the bytes.
func drafted(put func(string, []byte) error, key string, rec record) error {
	draft := drafts.Get().(*[]byte)
	b := rec.write(append((*draft)[:0], store.Binary, recordForm))
	err := put(key, b)
	if cap(b) <= maxDraft {
		clear(b) // it may hold what is not yet sealed
		*draft = b
		drafts.Put(draft)
	}
	return err
}

// encode is a record's form.
func encode(rec record) (form []byte) {
	_ = drafted(func(_ string, b []byte) error { form = bytes.Clone(b); return nil }, "", rec)
	return form
}

// decode reads a record whole. What it holds is a part of b.
func decode(b []byte, rec record) error {
	switch {
	case len(b) > 0 && b[0] == '{':
		return json.Unmarshal(b, rec)
	case len(b) < 2 || b[0] != store.Binary || b[1] != recordForm:
		return fmt.Errorf("%w: unknown form", errRecord)
	}
	r := reader{b: b[2:]}
	if rec.read(&r); r.bad || len(r.b) > 0 {
		return fmt.Errorf("%w: %T", errRecord, rec)
	}
	return nil
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) fail() { r.b, r.bad = nil, true }

func (r *reader) number() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) bytes() []byte {
	n := r.number()
	if n < 0 || n > int64(len(r.b)) {
		r.fail()
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	if n == 0 {
		return nil
	}
	return out
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) flag() bool { return r.number() != 0 }

func appendNumber(b []byte, n int64) []byte { return binary.AppendVarint(b, n) }

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

func appendFlag(b []byte, is bool) []byte {
	if is {
		return append(b, 2) // the varint 1
	}
	return append(b, 0)
}

func (t *tally) write(b []byte) []byte {
	return appendNumber(appendNumber(b, int64(t.Total)), t.Sequence)
}

func (t *tally) read(r *reader) { t.Total, t.Sequence = int(r.number()), r.number() }

func (l *later) write(b []byte) []byte {
	return appendNumber(appendNumber(b, int64(l.Fresh)), int64(l.Received))
}

func (l *later) read(r *reader) { l.Fresh, l.Received = int(r.number()), int(r.number()) }

func (k *kept) write(b []byte) []byte {
	for _, part := range [][]byte{k.Plain, k.Sealed, k.Key} {
		b = appendText(b, part)
	}
	return appendText(appendText(b, k.Queue), k.ID)
}

func (k *kept) read(r *reader) {
	k.Plain, k.Sealed, k.Key = r.bytes(), r.bytes(), r.bytes()
	k.Queue, k.ID = r.text(), r.text()
}

func (st *state) write(b []byte) []byte {
	b = appendText(b, st.MessageID)
	for _, n := range []int64{st.Visible, st.Sent, int64(st.Receives), st.First, st.Sequence} {
		b = appendNumber(b, n)
	}
	b = appendText(appendText(b, st.Source), st.Group)
	b = appendFlag(appendFlag(b, st.Moved), st.Content != nil)
	if st.Content != nil {
		b = st.Content.write(b)
	}
	return b
}

func (st *state) read(r *reader) {
	st.MessageID = r.text()
	st.Visible, st.Sent, st.Receives = r.number(), r.number(), int(r.number())
	st.First, st.Sequence = r.number(), r.number()
	st.Source, st.Group = r.text(), r.text()
	st.Moved = r.flag()
	if r.flag() {
		st.Content = &kept{}
		st.Content.read(r)
	}
}

func (c *content) write(b []byte) []byte {
	b = appendText(b, c.Body)
	b = appendNumber(b, int64(len(c.Attributes)))
	for _, name := range sortedKeys(c.Attributes) {
		v := c.Attributes[name]
		b = appendText(appendText(appendText(appendText(b, name), v.Type), v.Text), v.Binary)
	}
	for _, s := range []string{c.Trace, c.Group, c.Sender, c.Deduplication} {
		b = appendText(b, s)
	}
	return b
}

func (c *content) read(r *reader) {
	c.Body = r.text()
	if n := r.number(); n > 0 && n <= maxAttributes {
		c.Attributes = make(map[string]attributeValue, n)
		for range n {
			name := r.text()
			c.Attributes[name] = attributeValue{Type: r.text(), Text: r.text(), Binary: r.bytes()}
		}
	} else if n != 0 {
		r.fail()
	}
	c.Trace, c.Group, c.Sender, c.Deduplication = r.text(), r.text(), r.text(), r.text()
}
