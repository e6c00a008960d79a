package wire

import (
	"math"
	"reflect"
	"sort"
	"strconv"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/slipway/slipway/api"
)

// cborDecoder reads CBOR into maps and slices, bounded in depth and counts.
var cborDecoder = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		MaxNestedLevels:  maxDepth,
		MaxArrayElements: 1 << 17,
		MaxMapPairs:      1 << 17,
		DefaultMapType:   reflect.TypeFor[map[string]any](),
		IntDec:           cbor.IntDecConvertSignedOrFail,
		TimeTagToAny:     cbor.TimeTagToTime,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

func (d *decoding) readCBOR(p *plan, v reflect.Value, body []byte) error {
	if len(body) == 0 {
		return nil
	}
	var doc any
	if err := cborDecoder.Unmarshal(body, &doc); err != nil {
		return wrong("the body is not well-formed CBOR: %v", err)
	}
	return d.cborStructure(p, v, doc)
}

func (d *decoding) cborStructure(p *plan, v reflect.Value, doc any) error {
	m, ok := doc.(map[string]any)
	if !ok {
		return wrong("a %T can not be converted to a structure", doc)
	}
	for name, e := range m {
		i, ok := p.byName[name]
		if !ok || e == nil {
			continue
		}
		f := &p.fields[i]
		if err := d.cborValue(f, f.open(v), e); err != nil {
			return at(f.path, err)
		}
	}
	return nil
}

func (d *decoding) cborValue(f *field, v reflect.Value, doc any) error {
	p := f.plan
	switch p.shape.Kind {
	case api.Structure:
		return d.cborStructure(p, v, doc)
	case api.List:
		list, ok := doc.([]any)
		if !ok {
			return wrong("a %T can not be converted to a list", doc)
		}
		present(p, v)
		for i, e := range list {
			if e == nil {
				continue
			}
			if err := d.element(); err != nil {
				return err
			}
			if err := d.cborValue(p.elem, grow(v), e); err != nil {
				return at(strconv.Itoa(i+1)+".member", err)
			}
		}
		return nil
	case api.Map:
		m, ok := doc.(map[string]any)
		if !ok {
			return wrong("a %T can not be converted to a map", doc)
		}
		present(p, v)
		for k, e := range m {
			if e == nil {
				continue
			}
			if err := d.element(); err != nil {
				return err
			}
			val := reflect.New(p.elem.plan.typ).Elem()
			if err := d.cborValue(p.elem, val, e); err != nil {
				return at(k, err)
			}
			v.SetMapIndex(reflect.ValueOf(k), val)
		}
		return nil
	case api.Document:
		v.Set(reflect.ValueOf(&doc).Elem())
		return nil
	}
	return d.cborScalar(p, v, doc)
}

func (d *decoding) cborScalar(p *plan, v reflect.Value, doc any) error {
	switch p.shape.Kind {
	case api.String:
		if s, ok := doc.(string); ok {
			if s == "" {
				d.note(v)
			}
			v.SetString(s)
			return nil
		}
	case api.Boolean:
		if b, ok := doc.(bool); ok {
			v.SetBool(b)
			return nil
		}
	case api.Blob:
		if b, ok := doc.([]byte); ok {
			v.SetBytes(b)
			return nil
		}
	case api.Integer, api.Long:
		n, ok := doc.(int64)
		if f, isFloat := doc.(float64); isFloat && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			n, ok = int64(f), true
		}
		if ok && !v.OverflowInt(n) {
			v.SetInt(n)
			return nil
		}
	case api.Float, api.Double:
		switch n := doc.(type) {
		case float64:
			v.SetFloat(n)
			return nil
		case int64:
			v.SetFloat(float64(n))
			return nil
		}
	case api.Timestamp:
		return cborTime(v, doc)
	}
	return wrong("a %T can not be converted to a %s", doc, p.shape.Name)
}

func cborTime(v reflect.Value, doc any) error {
	var t time.Time
	var err error
	switch n := doc.(type) {
	case time.Time:
		t, err = unixTime(float64(n.UnixMilli()) / 1000)
	case float64:
		t, err = unixTime(n)
	case int64:
		t, err = unixTime(float64(n))
	default:
		return wrong("a %T can not be converted to a timestamp", doc)
	}
	v.Set(reflect.ValueOf(t))
	return err
}

// The major types of CBOR (RFC 8949, section 3.1).
const (
	cborUnsigned = 0 << 5
	cborNegative = 1 << 5
	cborBytes    = 2 << 5
	cborText     = 3 << 5
	cborArray    = 4 << 5
	cborMap      = 5 << 5
	cborTag      = 6 << 5
)

func appendCBORHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return append(b, major|25, byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return append(b, major|26, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	b = append(b, major|27)
	for shift := 56; shift >= 0; shift -= 8 {
		b = append(b, byte(n>>shift))
	}
	return b
}

func appendCBORText(b []byte, s string) []byte {
	return append(appendCBORHead(b, cborText, uint64(len(s))), s...)
}

func appendCBORFloat(b []byte, f float64) []byte {
	b = append(b, 0xfb)
	bits := math.Float64bits(f)
	for shift := 56; shift >= 0; shift -= 8 {
		b = append(b, byte(bits>>shift))
	}
	return b
}

func appendCBOR(b []byte, p *plan, v reflect.Value) []byte {
	n := 0
	for i := range p.fields {
		if _, ok := p.fields[i].get(v); ok {
			n++
		}
	}
	b = appendCBORHead(b, cborMap, uint64(n))
	for i := range p.fields {
		f := &p.fields[i]
		if fv, ok := f.get(v); ok {
			b = appendCBORText(b, f.name)
			b = appendCBORValue(b, f, fv)
		}
	}
	return b
}

func appendCBORValue(b []byte, f *field, v reflect.Value) []byte {
	p := f.plan
	switch p.shape.Kind {
	case api.Structure:
		return appendCBOR(b, p, v)
	case api.List:
		b = appendCBORHead(b, cborArray, uint64(v.Len()))
		for i := range v.Len() {
			b = appendCBORValue(b, p.elem, v.Index(i))
		}
		return b
	case api.Map:
		keys := v.MapKeys()
		sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
		b = appendCBORHead(b, cborMap, uint64(len(keys)))
		for _, k := range keys {
			b = appendCBORText(b, k.String())
			b = appendCBORValue(b, p.elem, v.MapIndex(k))
		}
		return b
	case api.String:
		return appendCBORText(b, v.String())
	case api.Boolean:
		if v.Bool() {
			return append(b, 0xf5)
		}
		return append(b, 0xf4)
	case api.Integer, api.Long:
		if n := v.Int(); n < 0 {
			return appendCBORHead(b, cborNegative, uint64(-1-n))
		}
		return appendCBORHead(b, cborUnsigned, uint64(v.Int()))
	case api.Float, api.Double:
		return appendCBORFloat(b, v.Float())
	case api.Timestamp:
		b = appendCBORHead(b, cborTag, 1)
		return appendCBORFloat(b, float64(v.Interface().(time.Time).UnixMilli())/1000)
	case api.Blob:
		return append(appendCBORHead(b, cborBytes, uint64(v.Len())), v.Bytes()...)
	}
	doc, err := cbor.Marshal(v.Interface())
	if err != nil {
		return append(b, 0xf6)
	}
	return append(b, doc...)
}
