package wire

import (
	"reflect"
	"sort"
	"time"
	"unicode/utf8"

	"github.com/slipway/slipway/api"
)

// xmlWriter writes outputs as XML by their plans.
type xmlWriter struct {
	b []byte
	// query uses the Query names that some JSON services have beside theirs.
	query bool
	// brief leaves zero milliseconds out of timestamps.
	brief bool
}

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

func (w *xmlWriter) open(name, ns string) {
	w.b = append(w.b, '<')
	w.b = append(w.b, name...)
	if ns != "" {
		w.b = append(w.b, ` xmlns="`...)
		w.b = appendEscaped(w.b, ns)
		w.b = append(w.b, '"')
	}
	w.b = append(w.b, '>')
}

func (w *xmlWriter) close(name string) {
	w.b = append(w.b, '<', '/')
	w.b = append(w.b, name...)
	w.b = append(w.b, '>')
}

func (w *xmlWriter) element(name, text string) {
	w.open(name, "")
	w.b = appendEscaped(w.b, text)
	w.close(name)
}

func (w *xmlWriter) name(f *field) string {
	if w.query && f.Query != "" {
		return f.Query
	}
	return f.name
}

// members writes the members of a structure that travel in the body.
func (w *xmlWriter) members(p *plan, v reflect.Value) {
	for i := range p.fields {
		f := &p.fields[i]
		if f.Location != api.InBody || f.stream || f.Flags.Has(api.XMLAttribute) {
			continue
		}
		if fv, ok := f.get(v); ok {
			w.member(f, w.name(f), fv)
		}
	}
}

// absentLists writes an empty element for each list of an answer that is unset:
// EC2 and the Query services leave only a few out, and clients show an absent one
// as null.
func (w *xmlWriter) absentLists(p *plan, v reflect.Value) {
	for i := range p.fields {
		f := &p.fields[i]
		if _, ok := f.get(v); !ok && f.plan.shape.Kind == api.List && !f.flat && !f.Flags.Has(api.LeaveOut) {
			w.open(w.name(f), "")
			w.close(w.name(f))
		}
	}
}

func (w *xmlWriter) member(f *field, name string, v reflect.Value) {
	switch f.plan.shape.Kind {
	case api.Structure:
		w.structure(f, name, v)
	case api.List:
		w.list(f, name, v)
	case api.Map:
		w.mapping(f, name, v)
	default:
		w.open(name, f.XMLNS)
		w.scalar(f, v)
		w.close(name)
	}
}

func (w *xmlWriter) structure(f *field, name string, v reflect.Value) {
	w.b = append(w.b, '<')
	w.b = append(w.b, name...)
	if f.XMLNS != "" {
		w.b = append(w.b, " xmlns"...)
		if f.XMLNSPfx != "" {
			w.b = append(w.b, ':')
			w.b = append(w.b, f.XMLNSPfx...)
		}
		w.b = append(w.b, '=', '"')
		w.b = appendEscaped(w.b, f.XMLNS)
		w.b = append(w.b, '"')
	}
	for i := range f.plan.fields {
		a := &f.plan.fields[i]
		if !a.Flags.Has(api.XMLAttribute) {
			continue
		}
		if av, ok := a.get(v); ok {
			w.b = append(w.b, ' ')
			w.b = append(w.b, a.name...)
			w.b = append(w.b, '=', '"')
			w.scalar(a, av)
			w.b = append(w.b, '"')
		}
	}
	w.b = append(w.b, '>')
	w.members(f.plan, v)
	w.close(name)
}

func (w *xmlWriter) list(f *field, name string, v reflect.Value) {
	elem := f.plan.elem
	if f.flat {
		if elem.Wire != "" {
			name = elem.Wire
		}
		for i := range v.Len() {
			w.member(elem, name, v.Index(i))
		}
		return
	}
	w.open(name, f.XMLNS)
	for i := range v.Len() {
		w.member(elem, elem.name, v.Index(i))
	}
	w.close(name)
}

func (w *xmlWriter) mapping(f *field, name string, v reflect.Value) {
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	entry := name
	if !f.flat {
		w.open(name, "")
		entry = "entry"
	}
	for _, k := range keys {
		w.open(entry, "")
		w.member(f.plan.key, w.name(f.plan.key), k)
		w.member(f.plan.elem, w.name(f.plan.elem), v.MapIndex(k))
		w.close(entry)
	}
	if !f.flat {
		w.close(name)
	}
}

func (w *xmlWriter) scalar(f *field, v reflect.Value) {
	switch f.plan.shape.Kind {
	case api.String:
		w.b = appendEscaped(w.b, v.String())
	case api.Timestamp:
		t := v.Interface().(time.Time)
		format := f.time(api.ISO8601)
		if w.brief && format == api.ISO8601 && t.Nanosecond() < 1e6 {
			w.b = t.UTC().AppendFormat(w.b, "2006-01-02T15:04:05Z")
			return
		}
		w.b = appendTime(w.b, t, format)
	default:
		w.b = appendText(w.b, f.plan, v, api.ISO8601)
	}
}

// appendEscaped writes text as XML 1.0 can carry it; characters that it cannot
// become U+FFFD.
func appendEscaped(b []byte, s string) []byte {
	last := 0
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		var esc string
		switch {
		case r == '<':
			esc = "&lt;"
		case r == '>':
			esc = "&gt;"
		case r == '&':
			esc = "&amp;"
		case r == '"':
			esc = "&quot;"
		case r == '\r':
			esc = "&#xd;"
		case r < 0x20 && r != '\t' && r != '\n', r == utf8.RuneError && n == 1, r == 0xFFFE, r == 0xFFFF:
			esc = "\uFFFD"
		default:
			i += n
			continue
		}
		b = append(b, s[last:i]...)
		b = append(b, esc...)
		i += n
		last = i
	}
	return append(b, s[last:]...)
}
