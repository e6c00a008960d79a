package sqs

import (
	"encoding/json"
	"reflect"
	"testing"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

func TestRecords(t *testing.T) {
	for _, tt := range []struct{ in, out record }{
		{&tally{Total: 5, Sequence: 1 << 60}, &tally{}},
		{&later{Fresh: 1, Received: 2}, &later{}},
		{&kept{Sealed: []byte("s"), Key: []byte("k"), Queue: "q", ID: "i"}, &kept{}},
		{&state{MessageID: "m", Visible: 1, Sent: 2, Receives: 3, First: 4, Source: "s", Group: "g", Sequence: 5, Moved: true}, &state{}},
		{&state{MessageID: "m", Content: &kept{Plain: []byte("p")}}, &state{}},
		{&content{Body: "b", Trace: "t", Group: "g", Sender: "s", Deduplication: "d",
			Attributes: map[string]attributeValue{"a": {Type: "String", Text: "x"}, "b": {Type: "Binary", Binary: []byte{0}}}}, &content{}},
	} {
		b := encode(tt.in)
		if err := decode(b, tt.out); err != nil || !reflect.DeepEqual(tt.in, tt.out) {
			t.Errorf("%+v became %+v, %v", tt.in, tt.out, err)
		}
		for n := range b {
			_ = decode(b[:n], reflect.New(reflect.TypeOf(tt.out).Elem()).Interface().(record)) // must not panic
		}
		if err := decode(b[:len(b)-1], reflect.New(reflect.TypeOf(tt.out).Elem()).Interface().(record)); err == nil {
			t.Errorf("%T is read though its end is missing", tt.in)
		}
	}
}

// TestRecordsOfEarlierSlipways lays a message as it was written in JSON; it is
// received, counted and deleted as any other.
func TestRecordsOfEarlierSlipways(t *testing.T) {
	b := newBench(t)
	url := b.create("q", nil)
	at := b.clock.Now().UnixMilli()
	err := b.store.Update(b.ctx, func(tx store.Tx) error {
		q, err := find(tx, place{auth.From(b.ctx).Scope, "q"})
		if err != nil {
			return err
		}
		id := newID(b.clock.Now().UnixNano(), 0, "01234567-89ab-cdef-0123-456789abcdef")
		plain, err := json.Marshal(content{Body: "from before", Attributes: map[string]attributeValue{"n": {Type: "Number", Text: "1"}}})
		if err != nil {
			return err
		}
		sealed, err := b.ring.Seal("sqs/"+id, plain)
		if err != nil {
			return err
		}
		st := state{MessageID: "01234567-89ab-cdef-0123-456789abcdef", Visible: at, Sent: at, Content: &kept{Sealed: sealed}}
		if err := putJSON(tx, messageKey(q.Data, at, id), st); err != nil {
			return err
		}
		return putJSON(tx, tallyKey(q.Data), tally{Total: 1})
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.ReceiveMessage(b.ctx, &api.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: []string{"All"}})
	if err != nil || len(got.Messages) != 1 || got.Messages[0].Body != "from before" || got.Messages[0].MessageAttributes["n"].StringValue != "1" {
		t.Fatalf("received %+v, %v", got, err)
	}
	if _, err := b.DeleteMessage(b.ctx, &api.DeleteMessageInput{QueueUrl: url, ReceiptHandle: got.Messages[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	if n := b.counts(url); n != "0 0 0" || b.documents() != 0 {
		t.Errorf("left: %s, %d documents", n, b.documents())
	}
}
