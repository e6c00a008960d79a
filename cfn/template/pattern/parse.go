package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// reader reads the syntax that Java and JavaScript share.
type reader struct {
	text   []rune
	pos    int
	groups int
	depth  int
	fold   bool // (?i)
	dotAll bool // (?s)
}

var errEnd = errors.New("the pattern ends too early")

func parse(text string) (n node, err error) {
	r := &reader{text: []rune(text)}
	n, err = r.choice()
	if err == nil && r.pos < len(r.text) {
		err = fmt.Errorf("unexpected %q at %d", r.text[r.pos], r.pos)
	}
	return n, err
}

func (r *reader) more() bool { return r.pos < len(r.text) }

func (r *reader) take(s string) bool {
	if strings.HasPrefix(string(r.text[r.pos:min(len(r.text), r.pos+len(s))]), s) {
		r.pos += len(s)
		return true
	}
	return false
}

func (r *reader) choice() (node, error) {
	if r.depth++; r.depth > 100 {
		return nil, errors.New("groups are nested too deeply")
	}
	defer func() { r.depth-- }()
	var ways choice
	for {
		var s sequence
		for r.more() && r.text[r.pos] != '|' && r.text[r.pos] != ')' {
			part, err := r.part()
			if err != nil {
				return nil, err
			}
			s = append(s, part)
		}
		ways = append(ways, s)
		if !r.take("|") {
			break
		}
	}
	if len(ways) == 1 {
		return ways[0], nil
	}
	return ways, nil
}

func (r *reader) part() (node, error) {
	n, err := r.atom()
	if err != nil {
		return nil, err
	}
	for r.more() {
		q := repeat{body: n}
		switch {
		case r.take("*"):
			q.max = -1
		case r.take("+"):
			q.min, q.max = 1, -1
		case r.take("?"):
			q.max = 1
		default:
			var ok bool
			if q.min, q.max, ok = r.counts(); !ok {
				return n, nil
			}
		}
		if q.min > 10_000 || q.max > 10_000 {
			return nil, errors.New("a repetition of more than 10,000")
		}
		if r.take("?") {
			q.lazy = true
		} else if r.take("+") {
			q.possessed = true
		}
		n = q
	}
	return n, nil
}

var braces = regexp.MustCompile(`^\{(\d{1,6})(,(\d{0,6}))?\}`)

func (r *reader) counts() (least, most int, ok bool) {
	m := braces.FindStringSubmatch(string(r.text[r.pos:min(len(r.text), r.pos+20)]))
	if m == nil {
		return 0, 0, false
	}
	r.pos += len(m[0])
	least, _ = strconv.Atoi(m[1])
	switch {
	case m[2] == "":
		most = least
	case m[3] == "":
		most = -1
	default:
		most, _ = strconv.Atoi(m[3])
	}
	return least, most, true
}

func (r *reader) atom() (node, error) {
	c := r.text[r.pos]
	r.pos++
	switch c {
	case '(':
		return r.group()
	case '[':
		return r.class()
	case '.':
		all := r.dotAll
		return class(func(c rune) bool { return all || c != '\n' }), nil
	case '^':
		return assertion(func(_ []rune, at int) bool { return at == 0 }), nil
	case '$':
		return assertion(func(t []rune, at int) bool { return at == len(t) }), nil
	case '\\':
		return r.escape()
	case '*', '+', '?':
		return nil, fmt.Errorf("%q repeats nothing", c)
	}
	return r.literal(c), nil
}

func (r *reader) literal(c rune) class {
	if r.fold {
		low, up := unicode.ToLower(c), unicode.ToUpper(c)
		return func(x rune) bool { return x == c || x == low || x == up }
	}
	return func(x rune) bool { return x == c }
}

var flags = regexp.MustCompile(`^\?[imsu]+\)`)

func (r *reader) group() (node, error) {
	if m := flags.FindString(string(r.text[r.pos:min(len(r.text), r.pos+8)])); m != "" {
		r.pos += len(m)
		r.fold = r.fold || strings.Contains(m, "i")
		r.dotAll = r.dotAll || strings.Contains(m, "s")
		return sequence(nil), nil
	}
	var wrap func(node) node
	switch {
	case r.take("?:"), r.take("?>"):
		wrap = func(n node) node { return n }
	case r.take("?="):
		wrap = func(n node) node { return look{body: n} }
	case r.take("?!"):
		wrap = func(n node) node { return look{body: n, not: true} }
	case r.take("?<="):
		wrap = func(n node) node { return look{body: n, behind: true} }
	case r.take("?<!"):
		wrap = func(n node) node { return look{body: n, behind: true, not: true} }
	default:
		if r.take("?<") {
			for r.more() && r.text[r.pos] != '>' {
				r.pos++
			}
			r.pos++
		}
		if r.groups++; r.groups > 99 {
			return nil, errors.New("more than 99 groups")
		}
		index := r.groups
		wrap = func(n node) node { return group{index, n} }
	}
	if r.pos > len(r.text) {
		return nil, errEnd
	}
	n, err := r.choice()
	if err != nil {
		return nil, err
	}
	if !r.more() || !r.take(")") {
		return nil, errors.New("a group is not closed")
	}
	return wrap(n), nil
}

// escape is what follows a backslash outside of a class.
func (r *reader) escape() (node, error) {
	if !r.more() {
		return nil, errEnd
	}
	switch c := r.text[r.pos]; {
	case c == 'b' || c == 'B':
		r.pos++
		return assertion(func(t []rune, at int) bool {
			edge := (at > 0 && word(t[at-1])) != (at < len(t) && word(t[at]))
			return edge == (c == 'b')
		}), nil
	case c == 'A':
		r.pos++
		return assertion(func(_ []rune, at int) bool { return at == 0 }), nil
	case c == 'z' || c == 'Z':
		r.pos++
		return assertion(func(t []rune, at int) bool { return at == len(t) }), nil
	case c >= '1' && c <= '9':
		r.pos++
		return backreference(c - '0'), nil
	}
	set, single, isSet, err := r.escaped()
	if err != nil || isSet {
		return class(set), err
	}
	return r.literal(single), nil
}

func word(c rune) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

var plainEscapes = map[rune]rune{'n': '\n', 'r': '\r', 't': '\t', 'f': '\f', 'v': '\v', '0': 0, 'e': 0x1b, 'a': 7}

// escaped reads an escape that stands for one character or for a set of them.
func (r *reader) escaped() (set func(rune) bool, single rune, isSet bool, err error) {
	if !r.more() {
		return nil, 0, false, errEnd
	}
	c := r.text[r.pos]
	r.pos++
	switch c {
	case 'd', 'D':
		return func(x rune) bool { return (x >= '0' && x <= '9') == (c == 'd') }, 0, true, nil
	case 'w', 'W':
		return func(x rune) bool { return word(x) == (c == 'w') }, 0, true, nil
	case 's', 'S':
		return func(x rune) bool { return unicode.IsSpace(x) == (c == 's') }, 0, true, nil
	case 'p', 'P':
		set, err = r.property(c == 'P')
		return set, 0, true, err
	case 'u':
		single, err = r.hex(4)
		return nil, single, false, err
	case 'x':
		single, err = r.hex(2)
		return nil, single, false, err
	}
	if p, ok := plainEscapes[c]; ok {
		return nil, p, false, nil
	}
	if word(c) {
		return nil, 0, false, fmt.Errorf("unknown escape \\%c", c)
	}
	return nil, c, false, nil
}

func (r *reader) hex(digits int) (rune, error) {
	if r.pos+digits > len(r.text) {
		return 0, errEnd
	}
	u, err := strconv.ParseUint(string(r.text[r.pos:r.pos+digits]), 16, 32)
	r.pos += digits
	return rune(u), err
}

// property is what follows \p: L, {L}, {IsAlphabetic}, {Alpha}.
func (r *reader) property(not bool) (func(rune) bool, error) {
	if !r.more() {
		return nil, errEnd
	}
	name := string(r.text[r.pos])
	r.pos++
	if name == "{" {
		start := r.pos
		for r.more() && r.text[r.pos] != '}' {
			r.pos++
		}
		if !r.more() {
			return nil, errEnd
		}
		name = string(r.text[start:r.pos])
		r.pos++
	}
	if posix, ok := posixClasses[name]; ok {
		return func(c rune) bool { return posix(c) != not }, nil
	}
	table := unicode.Categories[strings.TrimPrefix(name, "Is")]
	if table == nil {
		table = unicode.Scripts[strings.TrimPrefix(name, "Is")]
	}
	if table == nil {
		return nil, fmt.Errorf("unknown class \\p{%s}", name)
	}
	return func(c rune) bool { return unicode.Is(table, c) != not }, nil
}

var posixClasses = map[string]func(rune) bool{
	"Alpha": func(c rune) bool { return word(c) && c != '_' && !(c >= '0' && c <= '9') },
	"Digit": func(c rune) bool { return c >= '0' && c <= '9' },
	"Alnum": func(c rune) bool { return word(c) && c != '_' },
	"Lower": func(c rune) bool { return c >= 'a' && c <= 'z' },
	"Upper": func(c rune) bool { return c >= 'A' && c <= 'Z' },
	"Punct": func(c rune) bool { return c > ' ' && c < 0x7f && (!word(c) || c == '_') },
	"Graph": func(c rune) bool { return c > ' ' && c < 0x7f },
	"Print": func(c rune) bool { return c >= ' ' && c < 0x7f },
	"Space": unicode.IsSpace,
	"ASCII": func(c rune) bool { return c < 0x80 },
}

// class reads a character class after its opening bracket.
func (r *reader) class() (node, error) {
	not := r.take("^")
	var sets []func(rune) bool
	for first := true; ; first = false {
		if !r.more() {
			return nil, errors.New("a character class is not closed")
		}
		if r.text[r.pos] == ']' && !first {
			r.pos++
			break
		}
		low, set, err := r.member()
		if err != nil {
			return nil, err
		}
		if set != nil {
			sets = append(sets, set)
			continue
		}
		high := low
		if r.pos+1 < len(r.text) && r.text[r.pos] == '-' && r.text[r.pos+1] != ']' {
			at := r.pos
			r.pos++
			if high, set, err = r.member(); err != nil {
				return nil, err
			}
			if set != nil { // a dash before a set is a dash
				r.pos, high = at+1, low
				sets = append(sets, func(c rune) bool { return c == '-' })
			}
		}
		if high < low {
			return nil, fmt.Errorf("the range %c-%c goes backwards", low, high)
		}
		sets = append(sets, between(low, high, r.fold))
	}
	return class(func(c rune) bool {
		for _, in := range sets {
			if in(c) {
				return !not
			}
		}
		return not
	}), nil
}

func between(low, high rune, fold bool) func(rune) bool {
	if !fold {
		return func(c rune) bool { return c >= low && c <= high }
	}
	return func(c rune) bool {
		l, u := unicode.ToLower(c), unicode.ToUpper(c)
		return l >= low && l <= high || u >= low && u <= high
	}
}

func (r *reader) member() (single rune, set func(rune) bool, err error) {
	c := r.text[r.pos]
	r.pos++
	if c != '\\' {
		return c, nil, nil
	}
	if r.more() && r.text[r.pos] == 'b' {
		r.pos++
		return '\b', nil, nil
	}
	set, single, isSet, err := r.escaped()
	if !isSet {
		set = nil
	}
	return single, set, err
}
