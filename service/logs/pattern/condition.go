package pattern

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// condition is a tree of comparisons. values gives what a selector finds: none where
// there is nothing, several where it has a wildcard.
type condition interface {
	holds(values func(selector string) []any) bool
}

type both struct{ left, right condition }

func (b both) holds(v func(string) []any) bool { return b.left.holds(v) && b.right.holds(v) }

type either struct{ left, right condition }

func (e either) holds(v func(string) []any) bool { return e.left.holds(v) || e.right.holds(v) }

// comparison compares what a selector finds with an operand.
type comparison struct {
	selector string
	op       string // "=", "!=", "<", ">", "<=", ">=", or one of the keywords
	operand  operand
}

// The operators that are words.
const (
	isNull    = "IS NULL"
	isTrue    = "IS TRUE"
	isFalse   = "IS FALSE"
	notExists = "NOT EXISTS"
)

// operand is what is compared with: a text, which may have wildcards, a number or a
// regular expression.
type operand struct {
	text   string
	number float64
	isNum  bool
	re     *regexp.Regexp
}

func (c comparison) holds(values func(string) []any) bool {
	found := values(c.selector)
	if c.op == notExists {
		return len(found) == 0
	}
	for _, v := range found {
		if c.with(v) {
			return true
		}
	}
	return false
}

func (c comparison) with(v any) bool {
	switch c.op {
	case isNull:
		return v == nil
	case isTrue:
		return v == true
	case isFalse:
		return v == false
	case "=":
		return c.operand.equals(v)
	case "!=":
		return !c.operand.equals(v)
	}
	n, ok := numberOf(v)
	if !ok {
		return false
	}
	switch to := c.operand.number; c.op {
	case "<":
		return n < to
	case ">":
		return n > to
	case "<=":
		return n <= to
	}
	return n >= c.operand.number
}

func numberOf(v any) (float64, bool) {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = string(v)
	case field:
		text = string(v)
	default:
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

func (o operand) equals(v any) bool {
	if o.isNum {
		if n, ok := numberOf(v); ok {
			return n == o.number
		}
	}
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case field:
		text = string(v)
	case json.Number:
		text = string(v)
	case bool:
		text = strconv.FormatBool(v)
	case nil:
		return false
	default: // an object or an array is there, and no more
		return o.text == "*"
	}
	if o.re != nil {
		return o.re.MatchString(text)
	}
	return glob(o.text, text)
}

// glob matches a text with a pattern in which * stands for any text.
func glob(pattern, text string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, head)
	if !ok {
		return false
	}
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], next
	}
}

// conditions reads comparisons joined by && and ||, of which the first binds closer.
// selector reads what stands on the left.
func (s *scanner) conditions(selector func() (string, error)) (condition, error) {
	left, err := s.conjunction(selector)
	for err == nil && s.take("||") {
		var right condition
		right, err = s.conjunction(selector)
		left = either{left, right}
	}
	return left, err
}

func (s *scanner) conjunction(selector func() (string, error)) (condition, error) {
	left, err := s.primary(selector)
	for err == nil && s.take("&&") {
		var right condition
		right, err = s.primary(selector)
		left = both{left, right}
	}
	return left, err
}

func (s *scanner) primary(selector func() (string, error)) (condition, error) {
	if s.take("(") {
		c, err := s.conditions(selector)
		if err == nil && !s.take(")") {
			err = s.wrong("a ) is missing")
		}
		return c, err
	}
	s.skip()
	name, err := selector()
	if err != nil {
		return nil, err
	}
	return s.comparison(name)
}

func (s *scanner) comparison(selector string) (condition, error) {
	c := comparison{selector: selector}
	switch {
	case s.word("IS"):
		for _, what := range []string{isNull, isTrue, isFalse} {
			if s.word(strings.TrimPrefix(what, "IS ")) {
				c.op = what
				return c, nil
			}
		}
		return nil, s.wrong("IS wants NULL, TRUE or FALSE")
	case s.word("NOT"):
		if !s.word("EXISTS") {
			return nil, s.wrong("NOT wants EXISTS")
		}
		c.op = notExists
		return c, nil
	}
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if s.take(op) {
			c.op = op
			break
		}
	}
	if c.op == "" {
		return nil, s.wrong("an operator is missing")
	}
	var err error
	if c.operand, err = s.operand(); err != nil {
		return nil, err
	}
	if c.op != "=" && c.op != "!=" && !c.operand.isNum {
		return nil, s.wrong("the operator " + c.op + " wants a number")
	}
	return c, nil
}

func (s *scanner) operand() (o operand, err error) {
	s.skip()
	switch s.peek() {
	case '"':
		o.text, err = s.quoted()
		return o, err
	case '%':
		o.re, err = s.regex()
		return o, err
	}
	start := s.pos
	for !s.end() && !isSpace(s.peek()) && !strings.ContainsRune("()&|{},]", rune(s.peek())) {
		s.pos++
	}
	if o.text = s.text[start:s.pos]; o.text == "" {
		return o, s.wrong("a value is missing")
	}
	n, err := strconv.ParseFloat(o.text, 64)
	if o.isNum = err == nil; o.isNum {
		o.number = n
	}
	return o, nil
}
