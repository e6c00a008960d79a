package wire

import (
	"io"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/slipway/slipway/api"
)

// plan is what a shape and the Go type that it is carried in come to: which
// field is which member, and what is inside. Plans are made once, on first use.
type plan struct {
	shape  *api.Shape
	typ    reflect.Type
	fields []field        // of a structure
	byName map[string]int // a structure's fields by body name
	elem   *field         // of a list; the value of a map
	key    *field         // of a map
	pay    int            // field that is the whole body, or -1
	bound  bool           // some members travel outside the body
}

// field is a member of a structure, or what a list or map holds.
type field struct {
	*api.Member
	plan    *plan
	index   int
	pointer bool
	stream  bool // io.ReadCloser
	name    string
	header  string // name, in the form of header keys
	path    string // name in validation messages
	flat    bool   // list or map without an element around it
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	streamType = reflect.TypeFor[io.ReadCloser]()
)

type planKey struct {
	shape *api.Shape
	typ   reflect.Type
}

// No sync.Map: its keys would be allocated for each look.
var plans struct {
	sync.RWMutex
	done map[planKey]*plan // complete
}

// planOf finds or makes the plan of a shape carried in a Go type.
func planOf(svc *api.Service, shape int32, typ reflect.Type) *plan {
	key := planKey{&svc.Shapes[shape], typ}
	plans.RLock()
	p := plans.done[key]
	plans.RUnlock()
	if p != nil {
		return p
	}
	plans.Lock()
	defer plans.Unlock()
	made := map[planKey]*plan{}
	p = compile(svc, shape, typ, made)
	if plans.done == nil {
		plans.done = map[planKey]*plan{}
	}
	maps.Copy(plans.done, made)
	return p
}

func compile(svc *api.Service, shape int32, typ reflect.Type, made map[planKey]*plan) *plan {
	s := &svc.Shapes[shape]
	key := planKey{s, typ}
	if p, ok := plans.done[key]; ok {
		return p
	}
	if p, ok := made[key]; ok {
		return p
	}
	p := &plan{shape: s, typ: typ, pay: -1}
	made[key] = p
	switch s.Kind {
	case api.Structure:
		p.compileStructure(svc, made)
	case api.List:
		p.elem = within(svc, &s.Members[0], typ.Elem(), made, "member")
	case api.Map:
		p.key = within(svc, &s.Members[0], typ.Key(), made, "key")
		p.elem = within(svc, &s.Members[1], typ.Elem(), made, "value")
	}
	return p
}

func within(svc *api.Service, m *api.Member, typ reflect.Type, made map[planKey]*plan, name string) *field {
	f := &field{Member: m, name: m.Wire, path: name, plan: compile(svc, m.Shape, typ, made)}
	if f.name == "" {
		f.name = name
	}
	return f
}

func (p *plan) compileStructure(svc *api.Service, made map[planKey]*plan) {
	p.fields = make([]field, len(p.shape.Members))
	p.byName = make(map[string]int, len(p.fields))
	for i := range p.fields {
		m := &p.shape.Members[i]
		typ := p.typ.Field(i).Type
		f := &p.fields[i]
		*f = field{Member: m, index: i, name: m.WireName(), path: lowerFirst(m.Name)}
		switch {
		case typ == streamType:
			f.stream = true
		case typ.Kind() == reflect.Pointer:
			f.pointer, typ = true, typ.Elem()
		}
		f.plan = compile(svc, m.Shape, typ, made)
		f.flat = m.Flags.Has(api.Flattened) || f.plan.shape.Flags.Has(api.Flattened)
		if m.Location == api.InBody {
			p.byName[f.name] = i
		} else {
			f.header = http.CanonicalHeaderKey(f.name)
			p.bound = true
		}
		if m.Name == p.shape.Payload {
			p.pay = i
		}
	}
}

// open returns what the field holds, made if it is a nil pointer.
func (f *field) open(structure reflect.Value) reflect.Value {
	v := structure.Field(f.index)
	if !f.pointer {
		return v
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	return v.Elem()
}

// get returns what the field holds; ok is false where it is unset.
func (f *field) get(structure reflect.Value) (v reflect.Value, ok bool) {
	v = structure.Field(f.index)
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v, false
		}
		return v.Elem(), true
	case reflect.Slice, reflect.Map, reflect.Interface:
		return v, !v.IsNil()
	case reflect.String:
		return v, v.Len() > 0 || f.Flags.Has(api.KeepEmpty)
	}
	return v, true
}

// time is the timestamp format of a field: its own, its shape's, or fallback.
func (f *field) time(fallback api.TimeFormat) api.TimeFormat {
	if f.Time != api.DefaultTime {
		return f.Time
	}
	if f.plan.shape.Time != api.DefaultTime {
		return f.plan.shape.Time
	}
	return fallback
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
