package wire

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// classify makes what a caller may see of an error. internal is true where the
// text stays in the log.
func (x *exchange) classify(err error) (e *fault.Error, internal bool) {
	var typ *typeError
	var size *http.MaxBytesError
	switch {
	case errors.As(err, &typ):
		return x.proto.unreadable(x, typ), false
	case errors.As(err, &size):
		return fault.New(fault.RequestTooLarge, "The request's body is larger than %d bytes.", size.Limit), false
	case errors.Is(err, store.ErrNoSpace):
		return fault.New(fault.ServiceUnavailable, "Slipway's data folder has no space left; nothing of this request was kept. Free some and try again."), true
	case errors.Is(err, store.ErrReadOnly):
		return fault.New(fault.ServiceUnavailable, "Slipway's data folder is on a read-only file system; nothing of this request was kept."), true
	case errors.Is(err, store.ErrClosed):
		return fault.New(fault.ServiceUnavailable, "Slipway is stopping; try again."), true
	}
	if e, ok := fault.As(err); ok {
		return e, false
	}
	return fault.New(fault.InternalFailure, "An internal error occurred. Slipway's log has more under request id %s.", x.id), true
}

// exception finds the modelled exception of an error, by the code that clients
// see or by its shape's name.
func (x *exchange) exception(code string) *api.Shape {
	if x.svc == nil {
		return nil
	}
	shapes := x.svc.desc.Shapes
	if x.op != nil {
		for _, i := range x.op.Errors {
			if s := &shapes[i]; s.Code == code || s.Name == code {
				return s
			}
		}
	}
	for i := range shapes {
		if s := &shapes[i]; s.Flags.Has(api.Exception) && (s.Code == code || s.Name == code) {
			return s
		}
	}
	return nil
}

// statusOf is the status of an error: its exception's, else the table's.
func statusOf(e *fault.Error, shape *api.Shape, p protocol) int {
	switch {
	case e.Status != 0:
		return e.Status
	case shape == nil:
	case shape.Status != 0:
		return int(shape.Status)
	case shape.Flags.Has(api.ServerFault):
		return http.StatusInternalServerError
	case p.id() != api.RESTXML:
		return http.StatusBadRequest
	}
	return fault.Status(e.Code)
}

// errorField is the modelled member of an exception that takes a field of the
// error, or nil.
func errorField(x *exchange, shape *api.Shape, name string, v reflect.Value) *field {
	if shape == nil || !v.IsValid() {
		return nil
	}
	for i := range shape.Members {
		m := &shape.Members[i]
		if m.Name != name {
			continue
		}
		if !carries(x.svc.desc, m.Shape, v.Type()) {
			return nil
		}
		return within(x.svc.desc, m, v.Type(), map[planKey]*plan{}, m.WireName())
	}
	return nil
}

// carries reports whether a Go type is the one that a shape travels in; what a
// service put into an error is its own choice, so this is not taken on trust.
func carries(svc *api.Service, shape int32, t reflect.Type) bool {
	s := &svc.Shapes[shape]
	switch s.Kind {
	case api.String:
		return t.Kind() == reflect.String
	case api.Boolean:
		return t.Kind() == reflect.Bool
	case api.Integer:
		return t.Kind() == reflect.Int32
	case api.Long:
		return t.Kind() == reflect.Int64
	case api.Float:
		return t.Kind() == reflect.Float32
	case api.Double:
		return t.Kind() == reflect.Float64
	case api.Timestamp:
		return t == timeType
	case api.Blob:
		return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
	case api.List:
		return t.Kind() == reflect.Slice && carries(svc, s.Members[0].Shape, t.Elem())
	case api.Map:
		return t.Kind() == reflect.Map && t.Key().Kind() == reflect.String && carries(svc, s.Members[1].Shape, t.Elem())
	case api.Structure:
		return t.Kind() == reflect.Struct && t.NumField() == len(s.Members)
	}
	return true
}

// textOf writes a field that no model describes.
func textOf(v reflect.Value) string {
	if !v.IsValid() {
		return ""
	}
	return fmt.Sprint(v.Interface())
}
