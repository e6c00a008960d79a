package pattern

import (
	"errors"
	"strconv"
	"strings"
)

// field is a value of a message that is delimited by spaces. It is a number where it
// reads as one.
type field string

// fields is a pattern of such a message.
type fields struct {
	before, after []column
	open          bool // "..." stands between before and after
}

// column is one field of the pattern.
type column struct {
	name      string // "" for none
	condition condition
}

func (p *Pattern) parseFields(text string) (matcher, error) {
	f := &fields{}
	s := scanner{text: text, pos: 1, p: p}
	into := &f.before
	if s.take("]") { // "[]" takes a message of any fields
		f.open = true
		return f, s.closed()
	}
	for {
		if s.take("...") {
			if f.open {
				return nil, s.wrong("a second ...")
			}
			f.open, into = true, &f.after
		} else {
			c, err := s.column()
			if err != nil {
				return nil, err
			}
			*into = append(*into, c)
		}
		switch {
		case s.take(","):
		case s.take("]"):
			return f, s.closed()
		default:
			return nil, s.wrong("a , or ] is missing")
		}
	}
}

func (s *scanner) closed() error {
	if s.skip(); !s.end() {
		return s.wrong("something stands behind the ]")
	}
	return nil
}

// column reads a field's name, or conditions of it.
func (s *scanner) column() (column, error) {
	s.skip()
	if c := s.peek(); c == ',' || c == ']' {
		return column{}, nil
	}
	start := s.pos
	if name := s.name(); name != "" {
		if s.skip(); s.peek() == ',' || s.peek() == ']' {
			return column{name: name}, nil
		}
		s.pos = start
	}
	var c column
	var err error
	c.condition, err = s.conditions(func() (string, error) {
		name := s.name()
		if c.name != "" && name != c.name {
			return "", errors.New("the conditions of a field name another one: " + strconv.Quote(name))
		}
		c.name = name
		return name, nil
	})
	return c, err
}

func (s *scanner) name() string {
	start := s.pos
	for !s.end() && (isWord(s.peek()) || s.peek() == '-' || s.peek() == '.' || s.peek() == '$') {
		s.pos++
	}
	return s.text[start:s.pos]
}

// split cuts a message at its spaces; what stands in quotes or brackets is one field.
func split(message string) []string {
	var out []string
	unclosed := false // no bracket closes any more: to look again for each that opens takes long
	for {
		message = strings.TrimLeft(message, " \t\r\n")
		if message == "" {
			return out
		}
		closing := byte(0)
		switch message[0] {
		case '"':
			closing = '"'
		case '[':
			closing = ']'
		}
		if closing == '"' || closing == ']' && !unclosed {
			if end := strings.IndexByte(message[1:], closing); end >= 0 {
				out = append(out, message[1:1+end])
				message = message[end+2:]
				continue
			}
			unclosed = unclosed || closing == ']'
		}
		end := strings.IndexAny(message, " \t\r\n")
		if end < 0 {
			return append(out, message)
		}
		out = append(out, message[:end])
		message = message[end:]
	}
}

func (f *fields) match(message []byte) bool {
	parts := split(string(message))
	n := len(f.before) + len(f.after)
	if len(parts) < n || len(parts) > n && !f.open {
		return false
	}
	hold := func(columns []column, parts []string) bool {
		for i, c := range columns {
			if c.condition != nil && !c.condition.holds(func(string) []any { return []any{field(parts[i])} }) {
				return false
			}
		}
		return true
	}
	return hold(f.before, parts) && hold(f.after, parts[len(parts)-len(f.after):])
}

// extract names a field by its name, or by its place from 1.
func (f *fields) extract(message []byte) map[string]string {
	out := map[string]string{}
	parts := split(string(message))
	for i, part := range parts {
		name := ""
		if back := i - (len(parts) - len(f.after)); back >= 0 && back < len(f.after) {
			name = f.after[back].name
		} else if i < len(f.before) {
			name = f.before[i].name
		}
		if name == "" {
			name = strconv.Itoa(i + 1)
		}
		out["$"+name] = part
	}
	return out
}
