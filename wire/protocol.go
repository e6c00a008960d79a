package wire

import (
	"io"
	"net/http"
	"reflect"
	"sync"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/fault"
)

// protocol is one of AWS's wire protocols, server side.
type protocol interface {
	// id is the protocol's name in tables.
	id() api.Protocol
	// decode reads an operation's input.
	decode(x *exchange, d *decoding, p *plan, v reflect.Value) error
	// encode writes an operation's output; p is nil where it has none.
	encode(x *exchange, resp *response, p *plan, v reflect.Value) error
	// refuse writes an error. shape is the modelled exception, or nil.
	refuse(x *exchange, resp *response, e *fault.Error, shape *api.Shape)
	// unreadable is the error for an input that is not of the model's types.
	unreadable(x *exchange, err *typeError) *fault.Error
	// unknown is the error for an operation that AWS does not have.
	unknown(x *exchange) *fault.Error
}

// response is an answer before it is written.
type response struct {
	status int
	header http.Header
	body   []byte
	stream io.ReadCloser // in place of body
	room   *[]byte       // that the body was begun in, to be given back
}

// Bounds of the room that an answer's body begins with, in bytes: at first enough
// for most, and what is kept of a larger one.
const (
	firstRoom = 512
	maxRoom   = 16 << 10
)

var rooms = sync.Pool{New: func() any { b := make([]byte, 0, firstRoom); return &b }}

// begin is the room for a body, which nobody else may keep.
func (r *response) begin() []byte {
	if r.room == nil {
		r.room = rooms.Get().(*[]byte)
	}
	return (*r.room)[:0]
}

// sent gives the room back, with the body that it has grown to: it was written.
func (r *response) sent() {
	if r.room == nil {
		return
	}
	if cap(r.body) > cap(*r.room) && cap(r.body) <= maxRoom {
		*r.room = r.body[:0]
	}
	rooms.Put(r.room)
	r.room, r.body = nil, nil
}

// bodyOf is what the protocols but REST's read: all of it, bounded.
func restBody(x *exchange, p *plan, v reflect.Value) (doc *field, body []byte, err error) {
	if p.pay < 0 {
		body, err = x.readBody()
		return nil, body, err
	}
	f := &p.fields[p.pay]
	if f.stream {
		v.Field(f.index).Set(reflect.ValueOf(x.takeStream()))
		return nil, nil, nil
	}
	if body, err = x.readBody(); err != nil || len(body) == 0 {
		return nil, nil, err
	}
	switch f.plan.shape.Kind {
	case api.Blob:
		f.open(v).SetBytes(body)
		return nil, nil, nil
	case api.String:
		f.open(v).SetString(string(body))
		return nil, nil, nil
	}
	return f, body, nil
}

// restOutput writes what is the same in both REST protocols: status, headers,
// and a payload that is no document. It returns the field whose document is
// left to write; whole is true where that is the output itself.
func restOutput(x *exchange, resp *response, p *plan, v reflect.Value) (doc *field, whole bool) {
	resp.status = http.StatusOK
	if x.op.Status != 0 {
		resp.status = x.op.Status
	}
	if p == nil {
		return nil, false
	}
	unbind(resp, p, v)
	if p.pay < 0 {
		return nil, len(p.byName) > 0
	}
	f := &p.fields[p.pay]
	fv, ok := f.get(v)
	switch {
	case !ok:
		return nil, false
	case f.stream:
		resp.stream = fv.Interface().(io.ReadCloser)
		return nil, false
	case f.plan.shape.Kind == api.Blob:
		resp.body = fv.Bytes()
		return nil, false
	case f.plan.shape.Kind == api.String:
		resp.body = []byte(fv.String())
		return nil, false
	}
	return f, false
}
