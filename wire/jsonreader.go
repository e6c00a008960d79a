package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/slipway/slipway/api"
)

// jsonReader reads inputs from JSON straight into their Go structs.
type jsonReader struct {
	*decoding
	b     []byte
	i     int
	depth int
}

// readJSON reads a body that holds one structure. An empty body is an empty one.
func (d *decoding) readJSON(p *plan, v reflect.Value, body []byte) error {
	r := jsonReader{decoding: d, b: body}
	if r.peek() == 0 && r.i == len(r.b) {
		return nil
	}
	if err := r.structure(p, v); err != nil {
		return err
	}
	if r.peek(); r.i != len(r.b) {
		return wrong("Unexpected data after the end of the JSON document")
	}
	return nil
}

// peek skips white space and returns the next byte, 0 at the end.
func (r *jsonReader) peek() byte {
	for r.i < len(r.b) {
		switch c := r.b[r.i]; c {
		case ' ', '\t', '\r', '\n':
			r.i++
		default:
			return c
		}
	}
	return 0
}

func (r *jsonReader) syntax() error {
	if r.i >= len(r.b) {
		return wrong("Unexpected end of the JSON document")
	}
	return wrong("Unexpected character %q in the JSON document at byte %d", rune(r.b[r.i]), r.i)
}

func (r *jsonReader) enter() error {
	if r.depth++; r.depth > maxDepth {
		return wrong("The JSON document nests too deeply")
	}
	return nil
}

// object calls member for each of an object's names, with the reader at the value.
func (r *jsonReader) object(member func(name string) error) error {
	if r.peek() != '{' {
		return r.mismatch("a structure")
	}
	if err := r.enter(); err != nil {
		return err
	}
	r.i++
	if r.peek() == '}' {
		r.i++
		r.depth--
		return nil
	}
	for {
		if r.peek() != '"' {
			return r.syntax()
		}
		name, err := r.str()
		if err != nil {
			return err
		}
		if r.peek() != ':' {
			return r.syntax()
		}
		r.i++
		if err := member(name); err != nil {
			return err
		}
		switch r.peek() {
		case ',':
			r.i++
		case '}':
			r.i++
			r.depth--
			return nil
		default:
			return r.syntax()
		}
	}
}

// array calls element with the reader at each of an array's values.
func (r *jsonReader) array(element func() error) error {
	if r.peek() != '[' {
		return r.mismatch("a list")
	}
	if err := r.enter(); err != nil {
		return err
	}
	r.i++
	if r.peek() == ']' {
		r.i++
		r.depth--
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch r.peek() {
		case ',':
			r.i++
		case ']':
			r.i++
			r.depth--
			return nil
		default:
			return r.syntax()
		}
	}
}

// mismatch tells, in AWS's words, what was found where something else belongs.
func (r *jsonReader) mismatch(want string) error {
	switch c := r.peek(); {
	case c == '{' || c == '[':
		return wrong("Start of structure or map found where not expected.")
	case c == '"':
		return wrong("STRING_VALUE can not be converted to %s", want)
	case c == 't':
		return wrong("TRUE_VALUE can not be converted to %s", want)
	case c == 'f':
		return wrong("FALSE_VALUE can not be converted to %s", want)
	case c == '-' || c >= '0' && c <= '9':
		return wrong("NUMBER_VALUE can not be converted to %s", want)
	}
	return r.syntax()
}

// null skips a null.
func (r *jsonReader) null() bool {
	if r.peek() == 'n' && bytes.HasPrefix(r.b[r.i:], []byte("null")) {
		r.i += 4
		return true
	}
	return false
}

func (r *jsonReader) structure(p *plan, v reflect.Value) error {
	return r.object(func(name string) error {
		i, ok := p.byName[name]
		if !ok {
			return r.skip()
		}
		if r.null() {
			return nil
		}
		f := &p.fields[i]
		return at(f.path, r.value(f, f.open(v)))
	})
}

func (r *jsonReader) value(f *field, v reflect.Value) error {
	p := f.plan
	switch p.shape.Kind {
	case api.Structure:
		return r.structure(p, v)
	case api.List:
		present(p, v)
		n := 0
		return r.array(func() error {
			n++
			if r.null() {
				return nil
			}
			if err := r.element(); err != nil {
				return err
			}
			return at(strconv.Itoa(n)+".member", r.value(p.elem, grow(v)))
		})
	case api.Map:
		present(p, v)
		return r.object(func(name string) error {
			if r.null() {
				return nil
			}
			if err := r.element(); err != nil {
				return err
			}
			e := reflect.New(p.elem.plan.typ).Elem()
			if err := r.value(p.elem, e); err != nil {
				return at(name, err)
			}
			v.SetMapIndex(reflect.ValueOf(name).Convert(p.typ.Key()), e)
			return nil
		})
	case api.Document:
		return r.document(v)
	}
	return r.scalar(f, v)
}

func (r *jsonReader) scalar(f *field, v reflect.Value) error {
	p, c := f.plan, r.peek()
	switch p.shape.Kind {
	case api.String:
		if c != '"' {
			return r.mismatch("String")
		}
		s, err := r.str()
		if s == "" {
			r.note(v)
		}
		v.SetString(s)
		return err
	case api.Boolean:
		for _, word := range []string{"true", "false"} {
			if bytes.HasPrefix(r.b[r.i:], []byte(word)) {
				r.i += len(word)
				v.SetBool(word == "true")
				return nil
			}
		}
		return r.mismatch("Boolean")
	case api.Blob:
		if c != '"' {
			return r.mismatch("Blob")
		}
		s, err := r.str()
		if err != nil {
			return err
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return wrong("a blob is not base64")
		}
		v.SetBytes(b)
		return nil
	case api.Timestamp:
		return r.timestamp(f, v)
	}
	return r.number(p, v)
}

func (r *jsonReader) timestamp(f *field, v reflect.Value) error {
	var text string
	if r.peek() == '"' {
		s, err := r.str()
		if err != nil {
			return err
		}
		text = s
	} else if text = r.digits(); text == "" {
		return r.mismatch("Timestamp")
	}
	t, err := parseTime(text, f.time(api.UnixTime))
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(t))
	return nil
}

var kindNames = map[api.Kind]string{api.Integer: "an Integer", api.Long: "a Long", api.Float: "a Float", api.Double: "a Double"}

func (r *jsonReader) number(p *plan, v reflect.Value) error {
	want := kindNames[p.shape.Kind]
	float := p.shape.Kind == api.Float || p.shape.Kind == api.Double
	if r.peek() == '"' && float {
		start := r.i
		switch s, _ := r.str(); s {
		case "NaN":
			v.SetFloat(math.NaN())
			return nil
		case "Infinity":
			v.SetFloat(math.Inf(1))
			return nil
		case "-Infinity":
			v.SetFloat(math.Inf(-1))
			return nil
		}
		r.i = start
	}
	text := r.digits()
	if text == "" {
		return r.mismatch(want)
	}
	if !float {
		if n, err := strconv.ParseInt(text, 10, p.typ.Bits()); err == nil {
			v.SetInt(n)
			return nil
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return wrong("%s is not a number", quoted(text))
	case float:
		if v.OverflowFloat(n) {
			return wrong("%s is out of the range of %s", quoted(text), want)
		}
		v.SetFloat(n)
	case n != math.Trunc(n) || math.Abs(n) >= 1<<53 || v.OverflowInt(int64(n)):
		return wrong("%s can not be converted to %s", quoted(text), want)
	default:
		v.SetInt(int64(n))
	}
	return nil
}

// digits takes a number's text, or "".
func (r *jsonReader) digits() string {
	if c := r.peek(); c != '-' && (c < '0' || c > '9') {
		return ""
	}
	start := r.i
	for r.i < len(r.b) {
		switch c := r.b[r.i]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			r.i++
			continue
		}
		break
	}
	return string(r.b[start:r.i])
}

// str reads a string; the reader stands at its quote.
func (r *jsonReader) str() (string, error) {
	start := r.i + 1
	for i := start; i < len(r.b); i++ {
		switch c := r.b[i]; {
		case c == '"':
			r.i = i + 1
			if !utf8.Valid(r.b[start:i]) {
				return "", wrong("a string is not UTF-8")
			}
			return string(r.b[start:i]), nil
		case c == '\\':
			return r.escaped(start - 1)
		case c < 0x20:
			r.i = i
			return "", r.syntax()
		}
	}
	r.i = len(r.b)
	return "", r.syntax()
}

// escaped reads a string that has escapes, whose quote is at start.
func (r *jsonReader) escaped(start int) (string, error) {
	end := start + 1
	for end < len(r.b) && r.b[end] != '"' {
		if r.b[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(r.b) {
		r.i = len(r.b)
		return "", r.syntax()
	}
	var s string
	if err := json.Unmarshal(r.b[start:end+1], &s); err != nil {
		r.i = start
		return "", r.syntax()
	}
	r.i = end + 1
	return s, nil
}

// skip passes over a value that no member takes.
func (r *jsonReader) skip() error {
	switch c := r.peek(); {
	case c == '{':
		return r.object(func(string) error { return r.skip() })
	case c == '[':
		return r.array(r.skip)
	case c == '"':
		_, err := r.str()
		return err
	case r.null():
		return nil
	}
	for _, word := range []string{"true", "false"} {
		if bytes.HasPrefix(r.b[r.i:], []byte(word)) {
			r.i += len(word)
			return nil
		}
	}
	if text := r.digits(); text == "" || !json.Valid([]byte(text)) {
		return r.syntax()
	}
	return nil
}

// document reads JSON of any shape.
func (r *jsonReader) document(v reflect.Value) error {
	start := r.i
	if err := r.skip(); err != nil {
		return err
	}
	var doc any
	if err := json.Unmarshal(r.b[start:r.i], &doc); err != nil {
		return wrong("a document is not JSON")
	}
	v.Set(reflect.ValueOf(&doc).Elem())
	return nil
}
