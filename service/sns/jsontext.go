package sns

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// SNS tells where in a policy it found what it refuses, in the words of its JSON
// parser. So policies are read into trees whose nodes know their columns.

type nodeKind int

const (
	objectNode nodeKind = iota
	arrayNode
	stringNode
	numberNode
	boolNode
	nullNode
)

// node is a value of a JSON text.
type node struct {
	kind  nodeKind
	text  string   // of a string; of a number, as it is written
	on    bool     // of a boolean
	keys  []string // of an object, as they come
	items []*node  // of an object or an array
	at    int      // the offset that the parser has reached when it meets the value
	end   int      // the offset behind the value
}

// syntaxError is where a text is no JSON.
type syntaxError struct {
	message      string
	line, column int
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("%s\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %d, column: %d]", e.message, e.line, e.column)
}

// checkJSON says where a text is no JSON.
func checkJSON(text string) error {
	_, err := parseJSON(text)
	return err
}

const maxNesting = 100

type jsonReader struct {
	text string
	pos  int
}

// place is a line and a column, from 1, of an offset.
func (r *jsonReader) place(offset int) (line, column int) {
	before := r.text[:offset]
	last := strings.LastIndexByte(before, '\n')
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[last+1:]) + 1
}

func (r *jsonReader) fail(offset int, format string, args ...any) error {
	line, column := r.place(offset)
	return &syntaxError{fmt.Sprintf(format, args...), line, column}
}

func parseJSON(text string) (*node, error) {
	r := &jsonReader{text: text}
	n, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if r.space(); r.pos < len(text) {
		return nil, r.unexpected("expected end of input")
	}
	if !json.Valid([]byte(text)) {
		return nil, r.fail(0, "Invalid JSON") // what is finer than this reader: escapes
	}
	return n, nil
}

func (r *jsonReader) space() {
	for r.pos < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.pos]) >= 0 {
		r.pos++
	}
}

func (r *jsonReader) peek() byte {
	if r.space(); r.pos < len(r.text) {
		return r.text[r.pos]
	}
	return 0
}

func (r *jsonReader) unexpected(expected string) error {
	if r.pos >= len(r.text) {
		return r.fail(len(r.text), "Unexpected end-of-input")
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.pos:])
	return r.fail(r.pos, "Unexpected character ('%c' (code %d)): %s", c, c, expected)
}

func (r *jsonReader) value(depth int) (*node, error) {
	if depth > maxNesting {
		return nil, r.fail(r.pos, "Document nesting depth exceeds the maximum allowed (%d)", maxNesting)
	}
	switch c := r.peek(); {
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.array(depth)
	case c == '"':
		return r.string()
	case c == '-' || '0' <= c && c <= '9':
		return r.number()
	}
	return r.word()
}

func (r *jsonReader) word() (*node, error) {
	start := r.pos
	for r.pos < len(r.text) && isWord(r.text[r.pos]) {
		r.pos++
	}
	n := &node{at: r.pos, end: r.pos}
	switch word := r.text[start:r.pos]; word {
	case "true", "false":
		n.kind, n.on = boolNode, word == "true"
	case "null":
		n.kind = nullNode
	case "":
		return nil, r.unexpected("expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')")
	default:
		return nil, r.fail(r.pos, "Unrecognized token '%s': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')", word)
	}
	return n, nil
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '$' || c >= utf8.RuneSelf
}

func (r *jsonReader) number() (*node, error) {
	start := r.pos
	for r.pos < len(r.text) && strings.IndexByte("+-.eE0123456789", r.text[r.pos]) >= 0 {
		r.pos++
	}
	text := r.text[start:r.pos]
	if !json.Valid([]byte(text)) {
		return nil, r.fail(start, "Unexpected character in number value")
	}
	return &node{kind: numberNode, text: text, at: r.pos, end: r.pos}, nil
}

func (r *jsonReader) string() (*node, error) {
	start := r.pos
	for r.pos++; r.pos < len(r.text); r.pos++ {
		switch r.text[r.pos] {
		case '\\':
			r.pos++
		case '"':
			r.pos++
			var s string
			if err := json.Unmarshal([]byte(r.text[start:r.pos]), &s); err != nil {
				return nil, r.fail(start, "Unrecognized character in string value")
			}
			return &node{kind: stringNode, text: s, at: start + 1, end: r.pos}, nil
		}
	}
	r.pos = len(r.text)
	return nil, r.fail(r.pos, "Unexpected end-of-input in VALUE_STRING")
}

func (r *jsonReader) array(depth int) (*node, error) {
	r.pos++
	n := &node{kind: arrayNode, at: r.pos}
	for r.peek() != ']' {
		if len(n.items) > 0 {
			if r.peek() != ',' {
				return nil, r.unexpected("was expecting comma to separate Array entries")
			}
			r.pos++
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, v)
	}
	r.pos++
	n.end = r.pos
	return n, nil
}

func (r *jsonReader) object(depth int) (*node, error) {
	r.pos++
	n := &node{kind: objectNode, at: r.pos}
	for r.peek() != '}' {
		if len(n.items) > 0 {
			if r.peek() != ',' {
				return nil, r.unexpected("was expecting comma to separate Object entries")
			}
			r.pos++
		}
		if r.peek() != '"' {
			return nil, r.unexpected("was expecting double-quote to start field name")
		}
		key, err := r.string()
		if err != nil {
			return nil, err
		}
		if r.peek() != ':' {
			return nil, r.unexpected("was expecting a colon to separate field name and value")
		}
		r.pos++
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.keys, n.items = append(n.keys, key.text), append(n.items, v)
	}
	r.pos++
	n.end = r.pos
	return n, nil
}
