package pattern

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// object is a pattern of a message that is JSON.
type object struct {
	condition condition
	selectors map[string][]step
	order     []string
}

// step leads from a value to one within it.
type step struct {
	name  string
	index int // -1: a member; -2: every element
}

const (
	byName = -1
	every  = -2
)

func (p *Pattern) parseJSON(text string) (matcher, error) {
	o := &object{selectors: map[string][]step{}}
	s := scanner{text: text, pos: 1, p: p}
	c, err := s.conditions(func() (string, error) { return s.selector(o) })
	if err != nil {
		return nil, err
	}
	if !s.take("}") {
		return nil, s.wrong("a } is missing")
	}
	if s.skip(); !s.end() {
		return nil, s.wrong("something stands behind the }")
	}
	o.condition = c
	return o, nil
}

// selector reads a path: $.a.b, $.a[0], $.a[*], $['a'].
func (s *scanner) selector(o *object) (string, error) {
	start := s.pos
	if s.peek() != '$' {
		return "", s.wrong("a selector begins with $")
	}
	s.pos++
	var steps []step
	for !s.end() {
		switch s.peek() {
		case '.':
			s.pos++
			if s.peek() == '[' { // $.['a'] is $['a']
				continue
			}
			from := s.pos
			for !s.end() && !isSpace(s.peek()) && !strings.ContainsRune(".[]=!<>&|(){},%\"", rune(s.peek())) {
				s.pos++
			}
			if s.pos == from {
				return "", s.wrong("a selector lacks a name")
			}
			steps = append(steps, step{s.text[from:s.pos], byName})
			continue
		case '[':
			next, err := s.bracket()
			if err != nil {
				return "", err
			}
			steps = append(steps, next)
			continue
		}
		break
	}
	if len(steps) == 0 {
		return "", s.wrong("a selector lacks a name")
	}
	name := s.text[start:s.pos]
	if _, ok := o.selectors[name]; !ok {
		o.selectors[name] = steps
		o.order = append(o.order, name)
	}
	return name, nil
}

func (s *scanner) bracket() (step, error) {
	end := strings.IndexByte(s.text[s.pos:], ']')
	if end < 0 {
		return step{}, s.wrong("a ] is missing")
	}
	inner := strings.TrimSpace(s.text[s.pos+1 : s.pos+end])
	at := s.pos
	s.pos += end + 1
	n := len(inner)
	switch {
	case inner == "*":
		return step{index: every}, nil
	case n > 2 && (inner[0] == '\'' || inner[0] == '"') && inner[n-1] == inner[0]:
		return step{inner[1 : n-1], byName}, nil
	}
	i, err := strconv.Atoi(inner)
	if err != nil || i < 0 {
		s.pos = at
		return step{}, s.wrong("an index is no number")
	}
	return step{index: i}, nil
}

// find follows steps from a value.
func find(v any, steps []step, found []any) []any {
	for i, st := range steps {
		switch st.index {
		case byName:
			m, _ := v.(map[string]any)
			next, ok := m[st.name]
			if !ok {
				return found
			}
			v = next
		case every:
			list, _ := v.([]any)
			for _, e := range list {
				found = find(e, steps[i+1:], found)
			}
			return found
		default:
			list, _ := v.([]any)
			if st.index >= len(list) {
				return found
			}
			v = list[st.index]
		}
	}
	return append(found, v)
}

func decode(message []byte) (any, bool) {
	trimmed := bytes.TrimLeft(message, " \t\r\n")
	if len(trimmed) == 0 || trimmed[0] != '{' && trimmed[0] != '[' {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(trimmed))
	d.UseNumber()
	var v any
	return v, d.Decode(&v) == nil
}

func (o *object) match(message []byte) bool {
	v, ok := decode(message)
	return ok && o.condition.holds(func(selector string) []any { return find(v, o.selectors[selector], nil) })
}

func (o *object) extract(message []byte) map[string]string {
	out := map[string]string{}
	v, ok := decode(message)
	if !ok {
		return out
	}
	for _, name := range o.order {
		found := find(v, o.selectors[name], nil)
		if len(found) == 0 {
			continue
		}
		if text, ok := found[0].(string); ok {
			out[name] = text
		} else if b, err := json.Marshal(found[0]); err == nil {
			out[name] = string(b)
		}
	}
	return out
}
