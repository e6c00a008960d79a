package sns

import (
	"encoding/json"
	"strconv"
	"strings"
)

// values are what a message has under a key: none, or some of which one must match.
type values struct {
	there bool
	list  []any // string, float64, bool or nil
}

// matches decides a condition's patterns.
func (c *condition) matches(v values) bool {
	for i := range c.patterns {
		if c.patterns[i].matches(v) {
			return true
		}
	}
	return false
}

func (p *pattern) matches(v values) bool {
	if p.kind == exists {
		return p.on == v.there
	}
	for _, item := range v.list {
		switch item := item.(type) {
		case string:
			if p.matchesText(item) {
				return true
			}
		case float64:
			if p.matchesNumber(item) {
				return true
			}
		case bool:
			if p.kind == equalsBool && p.on == item || p.kind == anythingBut {
				return true
			}
		case nil:
			if p.kind == equalsNull || p.kind == anythingBut {
				return true
			}
		}
	}
	return false
}

// matchesAttributes decides a policy by a message's attributes.
func (f *filter) matchesAttributes(m map[string]messageAttribute) bool {
	for i := range f.conditions {
		c := &f.conditions[i]
		if c.either != nil {
			if !anyOf(c.either, func(f *filter) bool { return f.matchesAttributes(m) }) {
				return false
			}
			continue
		}
		a, ok := m[c.key]
		v := values{}
		if ok {
			v = a.values()
		} else if c.hasNull() {
			continue // null stands for no attribute
		}
		if !c.matches(v) {
			return false
		}
	}
	return true
}

func (c *condition) hasNull() bool {
	for i := range c.patterns {
		if c.patterns[i].kind == equalsNull {
			return true
		}
	}
	return false
}

func anyOf(list []*filter, holds func(*filter) bool) bool {
	for _, f := range list {
		if holds(f) {
			return true
		}
	}
	return false
}

// values are an attribute's as a filter sees them. A binary one has none.
func (a *messageAttribute) values() values {
	v := values{there: true}
	switch base, _, _ := strings.Cut(a.Type, "."); {
	case a.Type == typeArray:
		var items []any
		if json.Unmarshal([]byte(a.Text), &items) == nil {
			for _, item := range items {
				switch item.(type) {
				case string, float64, bool, nil:
					v.list = append(v.list, item)
				}
			}
		}
	case base == "Number":
		if n, err := strconv.ParseFloat(a.Text, 64); err == nil {
			v.list = []any{n}
		}
	case base == "String":
		v.list = []any{a.Text}
	}
	return v
}

// matchesBody decides a policy by a message's body, which must be a JSON object.
func (f *filter) matchesBody(body any) bool {
	o, ok := body.(map[string]any)
	return ok && f.matchesObject(o)
}

func (f *filter) matchesObject(o map[string]any) bool {
	for i := range f.conditions {
		c := &f.conditions[i]
		switch {
		case c.either != nil:
			if !anyOf(c.either, func(f *filter) bool { return f.matchesObject(o) }) {
				return false
			}
		case c.nested != nil:
			if !c.nested.matchesWithin(o[c.key]) {
				return false
			}
		default:
			v, there := o[c.key]
			if !c.matches(leaves(v, there)) {
				return false
			}
		}
	}
	return true
}

// matchesWithin decides a nested policy: of several objects in an array, one must match
// by itself. What is no object has none of its keys.
func (f *filter) matchesWithin(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return f.matchesObject(v)
	case []any:
		for _, item := range v {
			if f.matchesWithin(item) {
				return true
			}
		}
		return false
	}
	return f.matchesObject(nil)
}

// leaves are the scalars that stand under a key, also within arrays.
func leaves(v any, there bool) values {
	out := values{}
	if !there {
		return out
	}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			more := leaves(item, true)
			out.there = out.there || more.there
			out.list = append(out.list, more.list...)
		}
	case map[string]any: // exists tells of leaves alone
	default:
		out.there, out.list = true, []any{v}
	}
	return out
}
