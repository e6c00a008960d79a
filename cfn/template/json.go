package template

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader reads JSON with positions, which encoding/json does not keep. It
// also finds duplicate keys, and bounds depth and size.
type jsonReader struct {
	text      []byte
	pos       int
	line      int32
	lineStart int
	depth     int
	nodes     int
	dups      Problems
}

type syntaxError struct {
	line, column int32
	what         string
	atEnd        bool // the text ends too early
}

func (e *syntaxError) Error() string { return e.what }

// readJSON returns the tree and the duplicate keys in it.
func readJSON(text []byte) (n *Node, dups Problems, err *syntaxError) {
	r := &jsonReader{text: text, line: 1}
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(*syntaxError)
			if !ok {
				panic(p)
			}
			n, err = nil, e
		}
	}()
	n = r.value()
	r.space()
	if r.pos < len(r.text) {
		r.fail("text after the template's end")
	}
	return n, r.dups, nil
}

func (r *jsonReader) column() int32 {
	return int32(utf8.RuneCount(r.text[r.lineStart:r.pos])) + 1
}

func (r *jsonReader) fail(format string, args ...any) {
	panic(&syntaxError{r.line, r.column(), fmt.Sprintf(format, args...), r.pos >= len(r.text)})
}

func (r *jsonReader) space() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case '\n':
			r.line++
			r.lineStart = r.pos + 1
		case ' ', '\t', '\r':
		default:
			return
		}
		r.pos++
	}
}

func (r *jsonReader) peek() byte {
	r.space()
	if r.pos == len(r.text) {
		r.fail("the text ends too early")
	}
	return r.text[r.pos]
}

func (r *jsonReader) expect(c byte) {
	if got := r.peek(); got != c {
		r.fail("expected %q, found %q", c, got)
	}
	r.pos++
}

func (r *jsonReader) value() *Node {
	c := r.peek()
	n := &Node{Line: r.line, Column: r.column()}
	if r.nodes++; r.nodes > maxNodes {
		r.fail("the template has more than %d values", maxNodes)
	}
	if r.depth++; r.depth > maxDepth {
		r.fail("values are nested deeper than %d", maxDepth)
	}
	defer func() { r.depth-- }()
	switch {
	case c == '{':
		r.object(n)
	case c == '[':
		r.array(n)
	case c == '"':
		n.Kind, n.Text = String, r.str()
	case c == '-' || c >= '0' && c <= '9':
		n.Kind, n.Text = Number, r.number()
	case r.word("true"):
		n.Kind, n.Text = Bool, "true"
	case r.word("false"):
		n.Kind, n.Text = Bool, "false"
	case r.word("null"):
	default:
		r.fail("unexpected %q", rune(c))
	}
	return n
}

func (r *jsonReader) word(w string) bool {
	if len(r.text)-r.pos < len(w) || string(r.text[r.pos:r.pos+len(w)]) != w {
		return false
	}
	r.pos += len(w)
	return true
}

func (r *jsonReader) object(n *Node) {
	n.Kind = Map
	r.pos++
	if r.peek() == '}' {
		r.pos++
		return
	}
	var seen keys
	for {
		if c := r.peek(); c != '"' {
			r.fail("expected a key in double quotes, found %q", rune(c))
		}
		e := Entry{Line: r.line, Column: r.column()}
		e.Key = r.str()
		r.expect(':')
		e.Value = r.value()
		if seen.has(n.Entries, e.Key) {
			r.dups = append(r.dups, duplicate(e))
		} else {
			n.Entries = append(n.Entries, e)
		}
		if r.peek() == '}' {
			r.pos++
			break
		}
		r.expect(',')
	}
	n.fold()
}

// keys finds a map's duplicate keys: small maps are searched, large ones indexed.
type keys struct{ index map[string]bool }

// has reports whether key is among the entries, and remembers it.
func (k *keys) has(entries []Entry, key string) bool {
	const small = 16
	if len(entries) <= small {
		for i := range entries {
			if entries[i].Key == key {
				return true
			}
		}
		return false
	}
	if k.index == nil {
		k.index = make(map[string]bool, 2*len(entries))
		for i := range entries {
			k.index[entries[i].Key] = true
		}
	}
	was := k.index[key]
	k.index[key] = true
	return was
}

func duplicate(e Entry) Problem {
	return Problem{Line: int(e.Line), Column: int(e.Column),
		Message: fmt.Sprintf("Template format error: the key %q stands twice in one map", e.Key)}
}

func (r *jsonReader) array(n *Node) {
	n.Kind = List
	r.pos++
	if r.peek() == ']' {
		r.pos++
		return
	}
	for {
		n.Items = append(n.Items, r.value())
		if r.peek() == ']' {
			r.pos++
			return
		}
		r.expect(',')
	}
}

func (r *jsonReader) number() string {
	start := r.pos
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			r.pos++
			continue
		}
		break
	}
	s := string(r.text[start:r.pos])
	if _, err := strconv.ParseFloat(s, 64); err != nil && !isRange(err) {
		r.pos = start
		r.fail("%q is not a number", s)
	}
	return s
}

func isRange(err error) bool {
	e, ok := err.(*strconv.NumError)
	return ok && e.Err == strconv.ErrRange
}

// str reads a string; the position is at its opening quote.
func (r *jsonReader) str() string {
	r.pos++
	start := r.pos
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; {
		case c == '"':
			s := r.text[start:r.pos]
			if !utf8.Valid(s) {
				r.fail("the string is not UTF-8")
			}
			r.pos++
			return string(s)
		case c == '\\':
			return r.escaped(append([]byte(nil), r.text[start:r.pos]...))
		case c < ' ' && c != '\t':
			r.fail("a control character (%#x) in a string", c)
		}
		r.pos++
	}
	r.fail("a string is not closed")
	return ""
}

var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped reads the rest of a string that has escapes.
func (r *jsonReader) escaped(b []byte) string {
	for r.pos < len(r.text) {
		c := r.text[r.pos]
		switch {
		case c == '"':
			if !utf8.Valid(b) {
				r.fail("the string is not UTF-8")
			}
			r.pos++
			return string(b)
		case c < ' ' && c != '\t':
			r.fail("a control character (%#x) in a string", c)
		case c != '\\':
			b = append(b, c)
			r.pos++
		default:
			if r.pos+1 >= len(r.text) {
				r.fail("a string is not closed")
			}
			e := r.text[r.pos+1]
			if e == 'u' {
				b = utf8.AppendRune(b, r.codePoint())
				continue
			}
			plain, ok := escapes[e]
			if !ok {
				r.fail("\\%c is not an escape of JSON", e)
			}
			b = append(b, plain)
			r.pos += 2
		}
	}
	r.fail("a string is not closed")
	return ""
}

func (r *jsonReader) codePoint() rune {
	u := r.hex()
	if !utf16.IsSurrogate(u) {
		return u
	}
	if r.pos+1 < len(r.text) && r.text[r.pos] == '\\' && r.text[r.pos+1] == 'u' {
		return utf16.DecodeRune(u, r.hex())
	}
	return utf8.RuneError
}

func (r *jsonReader) hex() rune {
	if len(r.text)-r.pos < 6 {
		r.fail("\\u needs four hexadecimal digits")
	}
	u, err := strconv.ParseUint(string(r.text[r.pos+2:r.pos+6]), 16, 16)
	if err != nil {
		r.fail("\\u needs four hexadecimal digits")
	}
	r.pos += 6
	return rune(u)
}
