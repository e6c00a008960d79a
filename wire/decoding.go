package wire

import (
	"reflect"

	"github.com/slipway/slipway/api"
)

// maxDepth bounds how deep inputs may nest, in every format.
const maxDepth = 64

// maxElements bounds how many elements of lists, entries of maps and steps of
// names an input may have, in every format: a few bytes of text can stand for
// hundreds in memory. The largest that S3 takes, ten thousand parts with all
// they may say, has 80,000.
const maxElements = 1 << 17

// decoding is the state of reading one input.
type decoding struct {
	svc   *api.Service
	empty empties
	count int // elements so far
}

// element counts an element, and refuses one too many.
func (d *decoding) element() error {
	if d.count++; d.count > maxElements {
		return wrong("the input has more than %d elements", maxElements)
	}
	return nil
}

// text reads a scalar from its text form and notes strings given as "".
func (d *decoding) text(p *plan, v reflect.Value, s string, format api.TimeFormat) error {
	if s == "" {
		d.note(v)
	}
	return setText(p, v, s, format)
}

func (d *decoding) note(v reflect.Value) {
	if v.Kind() != reflect.String || !v.CanAddr() {
		return
	}
	if d.empty == nil {
		d.empty = empties{}
	}
	d.empty[v.Addr().Interface().(*string)] = struct{}{}
}

// grow adds a zero element to a list and returns it.
func grow(list reflect.Value) reflect.Value {
	n := list.Len()
	if n == list.Cap() {
		list.Grow(max(4, n))
	}
	list.SetLen(n + 1)
	e := list.Index(n)
	e.SetZero()
	return e
}

// present makes an empty list or map of an absent one: the caller gave it.
func present(p *plan, v reflect.Value) {
	if !v.IsNil() {
		return
	}
	if p.shape.Kind == api.Map {
		v.Set(reflect.MakeMap(p.typ))
		return
	}
	v.Set(reflect.MakeSlice(p.typ, 0, 0))
}
