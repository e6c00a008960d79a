package guard

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// value reads a literal, if one comes. nil: there is none.
func (p *parser) value() (*Value, error) {
	switch c := p.peek(); {
	case c == '"' || c == '\'':
		s, err := p.quoted()
		return text(s), err
	case c == '/':
		return p.expression()
	case c == '[':
		return p.listLiteral()
	case c == '{':
		return p.mapLiteral()
	case c >= '0' && c <= '9' || c == '-':
		return p.number()
	case c == 'r' && (p.sees("r[") || p.sees("r(")):
		return p.rangeLiteral()
	case p.word("null") || p.exactly("Null"):
		return &Value{}, nil
	case p.word("true") || p.exactly("True"):
		return &Value{kind: boolKind, truth: true}, nil
	case p.word("false") || p.exactly("False"):
		return &Value{kind: boolKind}, nil
	}
	return nil, nil
}

func (p *parser) exactly(name string) bool {
	return p.sees(name) && !p.inName(p.at+len(name)) && p.takes(name)
}

// quoted reads a string. A backslash stands for itself, but before the quote that ends
// the string.
func (p *parser) quoted() (string, error) {
	begin, quote := p.at, p.peek()
	var b strings.Builder
	for p.at++; p.at < len(p.src); p.at++ {
		switch c := p.src[p.at]; {
		case c == '\\' && p.at+1 < len(p.src) && p.src[p.at+1] == quote:
			b.WriteByte(quote)
			p.at++
		case c == quote:
			p.at++
			return b.String(), nil
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fail(begin, "the string has no end")
}

// expression reads /a regular expression/.
func (p *parser) expression() (*Value, error) {
	begin := p.at
	var b strings.Builder
	for p.at++; p.at < len(p.src); p.at++ {
		switch c := p.src[p.at]; {
		case c == '\\' && strings.HasPrefix(p.src[p.at+1:], "/"):
			b.WriteByte('/')
			p.at++
		case c == '/':
			p.at++
			re, err := compile(b.String())
			if err != nil {
				return nil, p.fail(begin, "%s", err)
			}
			return &Value{kind: regexKind, text: b.String(), regex: re}, nil
		default:
			b.WriteByte(c)
		}
	}
	return nil, p.fail(begin, "the regular expression has no end")
}

func compile(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("the regular expression is longer than %d bytes", maxPattern)
	}
	for _, look := range []string{"(?=", "(?!", "(?<=", "(?<!", "(?>"} {
		if strings.Contains(pattern, look) {
			return nil, fmt.Errorf("the regular expression %q has %s: lookarounds and atomic groups are not implemented", pattern, look)
		}
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("the regular expression %q cannot be read: %s", pattern, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

// number reads an integer or a float. No name may go on where it ends.
func (p *parser) number() (*Value, error) {
	begin := p.at
	p.takes("-")
	digits := func() bool {
		from := p.at
		for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
			p.at++
		}
		return p.at > from
	}
	if !digits() {
		p.at = begin
		return nil, p.expected("a number")
	}
	whole := p.at
	if p.takes(".") && !digits() {
		p.at = whole
	}
	if mantissa := p.at; p.takes("e") || p.takes("E") {
		_ = p.takes("+") || p.takes("-")
		if !digits() {
			p.at = mantissa
		}
	}
	if p.inName(p.at) {
		return nil, p.fail(begin, "a letter follows the number")
	}
	v, err := number(p.src[begin:p.at])
	if err != nil || v.kind == floatKind && p.at == whole {
		return nil, p.fail(begin, "%s is no number of 64 bits", p.src[begin:p.at])
	}
	return v, nil
}

// rangeLiteral reads r[low,high) of two numbers, or of two characters. nil: what
// comes is a property that is called r.
func (p *parser) rangeLiteral() (*Value, error) {
	begin := p.at
	p.at++
	s := &span{withLow: p.peek() == '['}
	p.at++
	var err error
	if s.low, err = p.limit(); err != nil || s.low == nil || !p.takes(",") {
		p.at = begin
		return nil, nil //nolint:nilerr // read as a query instead, which tells what is wrong
	}
	if s.high, err = p.limit(); err != nil {
		return nil, err
	}
	s.withHigh = p.takes("]")
	if !s.withHigh && !p.takes(")") {
		return nil, p.expected("the end of the range")
	}
	if s.high == nil || s.low.kind != s.high.kind {
		return nil, p.fail(begin, "a range has two limits of one type: integers, floats or characters")
	}
	return &Value{kind: rangeKind, span: s}, nil
}

func (p *parser) limit() (v *Value, err error) {
	blank := func() {
		for p.peek() == ' ' || p.peek() == '\t' {
			p.at++
		}
	}
	blank()
	defer blank()
	if c := p.peek(); c >= '0' && c <= '9' || c == '-' {
		return p.number()
	}
	r, n := utf8.DecodeRuneInString(p.src[p.at:])
	if n == 0 || strings.ContainsRune(",)]\n", r) {
		return nil, nil
	}
	p.at += n
	return text(string(r)), nil
}

// item is value behind white space, of what has to be one.
func (p *parser) item() (*Value, error) {
	p.space()
	v, err := p.value()
	if err == nil && v == nil {
		err = p.expected("a value")
	}
	return v, err
}

func (p *parser) listLiteral() (*Value, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.at++
	v := &Value{kind: listKind}
	for p.space(); !p.takes("]"); p.space() {
		if len(v.list) > 0 {
			if err := p.need(","); err != nil {
				return nil, err
			}
		}
		item, err := p.item()
		if err != nil {
			return nil, err
		}
		v.list = append(v.list, item)
	}
	return v, nil
}

func (p *parser) mapLiteral() (*Value, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.at++
	v := &Value{kind: mapKind, items: map[string]*Value{}}
	for p.space(); !p.takes("}"); p.space() {
		if len(v.keys) > 0 {
			if err := p.need(","); err != nil {
				return nil, err
			}
			p.space()
		}
		begin := p.at
		key, err := p.mapKey()
		if err != nil {
			return nil, err
		}
		if _, twice := v.items[key]; twice {
			return nil, p.fail(begin, "the key %q stands twice in the map", key)
		}
		if err := p.need(":"); err != nil {
			return nil, err
		}
		item, err := p.item()
		if err != nil {
			return nil, err
		}
		v.keys = append(v.keys, key)
		v.items[key] = item
	}
	return v, nil
}

func (p *parser) mapKey() (string, error) {
	if c := p.peek(); c == '"' || c == '\'' {
		return p.quoted()
	}
	begin := p.at
	for p.inName(p.at) || p.peek() == '-' {
		_, n := utf8.DecodeRuneInString(p.src[p.at:])
		p.at += n
	}
	if p.at == begin {
		return "", p.expected("a key")
	}
	return p.src[begin:p.at], nil
}
