// Package hostile builds inputs that break an operation's model: a required
// member left out, a value of the wrong type, too long, out of range or unknown,
// a body that is no text of its protocol. A Case writes itself as the request
// that a client of any of the service's protocols would send. It imports package
// api only and starts no goroutine; its test sends every case of every generated
// operation to a whole Slipway.
package hostile

import (
	"fmt"
	"strings"

	"github.com/slipway/slipway/api"
)

// Case is one input of one operation.
type Case struct {
	Name string // "missing QueueName", "Tags[0].Key too long"
	// Input is a tree of map[string]any by member name, []any and scalars; nil
	// where Body stands for it.
	Input any
	// Body is sent as it is, where it is set.
	Body []byte
	// Breaks says that the model forbids the input in every protocol, so that
	// nothing but a refusal is right. The others may be answered.
	Breaks bool
	// Typed says that the input is forbidden where the protocol's text shows
	// types: a form's values are all text.
	Typed bool
}

// depth is how far below an operation's input values are broken.
const depth = 3

// longest is the longest value, in characters or elements, that is sent to be
// one too many.
const longest = 200_000

// builder collects the cases of an operation.
type builder struct {
	svc   *api.Service
	op    *api.Operation
	cases []Case
}

// Cases are the inputs that break an operation's model.
func Cases(svc *api.Service, op *api.Operation) []Case {
	b := &builder{svc: svc, op: op}
	base := b.plausible(op.Input, 0)
	replace := func(v any) any { return v }
	b.structure(op.Input, base.(map[string]any), "", 0, replace)
	b.cases = append(b.cases, Case{Name: "unknown members", Input: map[string]any{"MadeUp": map[string]any{"x": []any{1}}, "": "x"}})
	return b.cases
}

// structure breaks each member of a structure. whole puts a changed structure in
// its place in the operation's input.
func (b *builder) structure(shape int32, value map[string]any, path string, level int, whole func(any) any) {
	s := &b.svc.Shapes[shape]
	for i := range s.Members {
		m := &s.Members[i]
		name := m.Name
		if path != "" {
			name = path + "." + name
		}
		without := func(v any) any {
			c := make(map[string]any, len(value)+1)
			for k, e := range value {
				c[k] = e
			}
			if v == nil {
				delete(c, m.Name)
			} else {
				c[m.Name] = v
			}
			return whole(c)
		}
		// S3 reads what a header or the query leaves out as not said.
		strict := b.svc.Validation != api.S3Validation || m.Location == api.InBody && level > 0
		if m.Flags.Has(api.Required) && m.Location != api.InURI {
			b.add("missing "+name, without(nil), strict && !b.svc.Shapes[m.Shape].Flags.Has(api.Streaming), false)
		}
		if !m.Flags.Has(api.Streaming) && m.Location != api.InURI && m.WireName() != "Content-Length" {
			b.value(m, name, level, without)
		}
	}
}

// value breaks one member's value.
func (b *builder) value(m *api.Member, path string, level int, whole func(any) any) {
	s := &b.svc.Shapes[m.Shape]
	if s.Flags.Has(api.Streaming) {
		return
	}
	model := b.svc.Validation == api.ModelValidation && m.Location == api.InBody
	switch s.Kind {
	case api.String:
		b.text(s, path, model, whole)
	case api.Boolean:
		b.add(path+" is no boolean", whole("perhaps"), true, false)
	case api.Integer, api.Long, api.Float, api.Double:
		b.add(path+" is no number", whole("twelve"), true, false)
		if s.Flags.Has(api.HasMax) {
			b.add(path+" too great", whole(s.Max+1), model, false)
		}
		if s.Flags.Has(api.HasMin) {
			b.add(path+" too small", whole(s.Min-1), model, false)
		}
		if s.Kind == api.Integer || s.Kind == api.Long {
			b.add(path+" far too great", whole("99999999999999999999999"), true, false)
		}
	case api.Timestamp:
		b.add(path+" is no time", whole("the day before yesterday"), true, false)
	case api.Blob:
		b.add(path+" is no base64", whole("*not base64*"), m.Location == api.InBody && m.Name != b.svc.Shapes[b.op.Input].Payload, false)
	case api.List:
		b.add(path+" is no list", whole("text"), false, true)
		if max := int(s.Max); s.Flags.Has(api.HasMax) && max < longest/10 {
			element := b.plausible(s.Members[0].Shape, level+1)
			many := make([]any, max+1)
			for i := range many {
				many[i] = element
			}
			b.add(path+" has too many elements", whole(many), model, false)
		}
		b.nested(&s.Members[0], path+"[0]", level+1, func(v any) any { return whole([]any{v}) })
	case api.Map:
		b.add(path+" is no map", whole("text"), false, true)
		b.nested(&s.Members[1], path+"{k}", level+1, func(v any) any { return whole(map[string]any{"k": v}) })
	case api.Structure:
		b.add(path+" is no structure", whole("text"), false, true)
		b.nested(m, path, level+1, whole)
	}
}

func (b *builder) nested(m *api.Member, path string, level int, whole func(any) any) {
	s := &b.svc.Shapes[m.Shape]
	switch {
	case level > depth:
	case s.Kind == api.Structure:
		b.structure(m.Shape, b.plausible(m.Shape, level).(map[string]any), path, level, whole)
	default:
		b.value(m, path, level, whole)
	}
}

func (b *builder) text(s *api.Shape, path string, model bool, whole func(any) any) {
	b.add(path+" is a list", whole([]any{[]any{}}), false, true)
	if s.Flags.Has(api.HasMax) && s.Max < longest {
		b.add(path+" too long", whole(strings.Repeat("x", int(s.Max)+1)), model, false)
	}
	if s.Flags.Has(api.HasMin) && s.Min > 1 {
		b.add(path+" too short", whole(strings.Repeat("x", int(s.Min)-1)), model, false)
	}
	if len(s.Enum) > 0 {
		b.add(path+" unknown", whole("no-such-value"), model, false)
	}
	b.add(path+" with control characters", whole("a\x00b\u2028c\uffff"), false, false)
	b.add(path+" far too long", whole(strings.Repeat("y", longest)), false, false)
}

func (b *builder) add(name string, input any, breaks, typed bool) {
	b.cases = append(b.cases, Case{Name: name, Input: input, Breaks: breaks, Typed: breaks || typed})
}

// plausible is a value that keeps to the shape, as far as the model tells: with
// the members that are required, and no pattern looked at.
func (b *builder) plausible(shape int32, level int) any {
	s := &b.svc.Shapes[shape]
	switch s.Kind {
	case api.Structure:
		m := map[string]any{}
		for i := range s.Members {
			if s.Members[i].Flags.Has(api.Required) && level <= depth+1 {
				m[s.Members[i].Name] = b.plausible(s.Members[i].Shape, level+1)
			}
		}
		return m
	case api.List:
		if level > depth+1 {
			return []any{}
		}
		return []any{b.plausible(s.Members[0].Shape, level+1)}
	case api.Map:
		if level > depth+1 {
			return map[string]any{}
		}
		return map[string]any{"k": b.plausible(s.Members[1].Shape, level+1)}
	case api.String:
		if len(s.Enum) > 0 {
			return s.Enum[0]
		}
		return strings.Repeat("t", max(4, int(s.Min)))
	case api.Boolean:
		return true
	case api.Blob:
		return []byte("blob")
	case api.Timestamp:
		return Time{}
	case api.Document:
		return map[string]any{}
	}
	return int(s.Min) + 1
}

// Time stands for a moment, which each protocol writes in its own way.
type Time struct{}

// Bodies are broken as text of any protocol, or far too much.
func Bodies(noise []byte) []Case {
	var cases []Case
	for i, body := range []string{
		"{", `{"a":`, "[1", strings.Repeat("[", 50_000), `{"a":` + strings.Repeat("[", 50_000), strings.Repeat(`{"a":`, 20_000), "\xff\xfe{}",
		"<", "<a", "<a/><b/>", strings.Repeat("<a>", 20_000), "<!DOCTYPE x [<!ENTITY e \"x\">]><x>&e;</x>",
		"Action=%zz", "a=%", strings.Repeat("a.", 20_000) + "=1", "\xbf\xff", "\x9f\x9f\x9f", strings.Repeat("\x9f", 50_000),
	} {
		cases = append(cases, Case{Name: fmt.Sprintf("broken body %d", i), Body: []byte(body)})
	}
	return append(cases, Case{Name: "10 MB of noise", Body: noise})
}
