package lambda

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"strings"

	api "github.com/slipway/slipway/api/lambda"
)

// A filter decides which records of an event source a function gets, by the rules
// of EventBridge's patterns ("Control which events Lambda sends to your function",
// AWS Lambda Developer Guide).

// Bounds of filters.
const (
	maxFilters = 10
	maxPattern = 4096
	maxDepth   = 20
)

func badPattern() error { return invalid("Invalid filter pattern definition.") }

// filters are those of a mapping: a record that one of them matches is let through.
type filters []map[string]any

func parseFilters(c *api.FilterCriteria) (filters, error) {
	if c == nil {
		return nil, nil
	}
	if len(c.Filters) > maxFilters {
		return nil, invalid("A maximum of %d filters can be given.", maxFilters)
	}
	var out filters
	for _, f := range c.Filters {
		pattern, err := parsePattern(f.Pattern)
		if err != nil {
			return nil, err
		}
		out = append(out, pattern)
	}
	return out, nil
}

// parsePattern reads a pattern, and checks it: what matches later never fails.
func parsePattern(text string) (map[string]any, error) {
	if len(text) > maxPattern {
		return nil, badPattern()
	}
	v, ok := readJSON([]byte(text))
	pattern, isObject := v.(map[string]any)
	if !ok || !isObject || !soundObject(pattern, 0) {
		return nil, badPattern()
	}
	return pattern, nil
}

// readJSON reads one JSON value, numbers as they are written.
func readJSON(b []byte) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return nil, false
	}
	return v, true
}

func soundObject(pattern map[string]any, depth int) bool {
	if depth > maxDepth || len(pattern) == 0 {
		return false
	}
	for key, p := range pattern {
		switch p := p.(type) {
		case map[string]any:
			if !soundObject(p, depth+1) {
				return false
			}
		case []any:
			if key == "$or" {
				if !soundOr(p, depth) {
					return false
				}
				continue
			}
			if len(p) == 0 {
				return false
			}
			for _, rule := range p {
				if !soundRule(rule) {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}

func soundOr(alternatives []any, depth int) bool {
	for _, a := range alternatives {
		o, ok := a.(map[string]any)
		if !ok || !soundObject(o, depth+1) {
			return false
		}
	}
	return len(alternatives) > 0
}

func soundRule(rule any) bool {
	o, ok := rule.(map[string]any)
	if !ok {
		_, list := rule.([]any)
		return !list
	}
	if len(o) != 1 {
		return false
	}
	for name, arg := range o {
		_, isText := arg.(string)
		switch name {
		case "prefix", "suffix", "equals-ignore-case":
			return isText
		case "cidr":
			_, err := netip.ParsePrefix(asText(arg))
			return isText && err == nil
		case "exists":
			_, isBool := arg.(bool)
			return isBool
		case "numeric":
			list, ok := arg.([]any)
			_, sound := numericRule(list)
			return ok && sound
		case "anything-but":
			return soundAnythingBut(arg)
		}
	}
	return false
}

func soundAnythingBut(arg any) bool {
	switch arg := arg.(type) {
	case string, json.Number:
		return true
	case []any:
		for _, v := range arg {
			switch v.(type) {
			case string, json.Number:
			default:
				return false
			}
		}
		return len(arg) > 0
	case map[string]any:
		if len(arg) != 1 {
			return false
		}
		for name, v := range arg {
			_, isText := v.(string)
			return isText && (name == "prefix" || name == "suffix" || name == "equals-ignore-case")
		}
	}
	return false
}

func asText(v any) string {
	s, _ := v.(string)
	return s
}

// comparison is a part of a numeric rule: an operator and a number.
type comparison struct {
	operator string
	number   float64
}

func numericRule(list []any) (out []comparison, ok bool) {
	if len(list) == 0 || len(list)%2 != 0 || len(list) > 4 {
		return nil, false
	}
	for i := 0; i < len(list); i += 2 {
		operator := asText(list[i])
		n, isNumber := list[i+1].(json.Number)
		f, err := n.Float64()
		if !isNumber || err != nil || !strings.Contains(" = < <= > >= ", " "+operator+" ") || operator == "" {
			return nil, false
		}
		out = append(out, comparison{operator, f})
	}
	return out, true
}

// match reports whether a record is let through: by one of the filters, or because
// there are none.
func (f filters) match(record map[string]any) bool {
	for _, pattern := range f {
		if matchObject(pattern, record) {
			return true
		}
	}
	return len(f) == 0
}

func matchObject(pattern, record map[string]any) bool {
	for key, p := range pattern {
		if key == "$or" {
			if list, ok := p.([]any); ok {
				if !matchOr(list, record) {
					return false
				}
				continue
			}
		}
		v, there := record[key]
		switch p := p.(type) {
		case map[string]any:
			inner, _ := v.(map[string]any)
			if !matchObject(p, inner) {
				return false
			}
		case []any:
			if !matchRules(p, v, there) {
				return false
			}
		}
	}
	return true
}

func matchOr(alternatives []any, record map[string]any) bool {
	for _, a := range alternatives {
		if o, ok := a.(map[string]any); ok && matchObject(o, record) {
			return true
		}
	}
	return false
}

// matchRules reports whether a value, or one of a list's, fits one of the rules.
func matchRules(rules []any, v any, there bool) bool {
	values, isList := v.([]any)
	if !isList {
		values = []any{v}
	}
	for _, rule := range rules {
		if o, ok := rule.(map[string]any); ok {
			if want, ok := o["exists"].(bool); ok {
				_, inner := v.(map[string]any) // exists is of leaves
				if want == (there && !inner) {
					return true
				}
				continue
			}
		}
		for _, v := range values {
			if there && matchRule(rule, v) {
				return true
			}
		}
	}
	return false
}

func matchRule(rule, v any) bool {
	o, ok := rule.(map[string]any)
	if !ok {
		return equal(rule, v)
	}
	text, isText := v.(string)
	for name, arg := range o {
		switch name {
		case "prefix":
			return isText && strings.HasPrefix(text, asText(arg))
		case "suffix":
			return isText && strings.HasSuffix(text, asText(arg))
		case "equals-ignore-case":
			return isText && strings.EqualFold(text, asText(arg))
		case "cidr":
			prefix, err := netip.ParsePrefix(asText(arg))
			addr, bad := netip.ParseAddr(text)
			return err == nil && bad == nil && prefix.Contains(addr)
		case "numeric":
			list, _ := arg.([]any)
			return matchNumeric(list, v)
		case "anything-but":
			return matchAnythingBut(arg, v)
		}
	}
	return false
}

func matchNumeric(list []any, v any) bool {
	n, ok := v.(json.Number)
	f, err := n.Float64()
	if !ok || err != nil || math.IsNaN(f) {
		return false
	}
	all, _ := numericRule(list)
	for _, c := range all {
		holds := false
		switch c.operator {
		case "=":
			holds = f == c.number
		case "<":
			holds = f < c.number
		case "<=":
			holds = f <= c.number
		case ">":
			holds = f > c.number
		case ">=":
			holds = f >= c.number
		}
		if !holds {
			return false
		}
	}
	return len(all) > 0
}

func matchAnythingBut(arg, v any) bool {
	switch arg := arg.(type) {
	case []any:
		for _, a := range arg {
			if equal(a, v) {
				return false
			}
		}
		return true
	case map[string]any:
		_, isText := v.(string)
		return isText && !matchRule(arg, v)
	}
	return !equal(arg, v)
}

func equal(a, b any) bool {
	m, isNumber := a.(json.Number)
	n, other := b.(json.Number)
	if !isNumber || !other {
		switch b.(type) {
		case map[string]any, []any:
			return false
		}
		return a == b
	}
	x, err := m.Float64()
	y, bad := n.Float64()
	return err == nil && bad == nil && x == y
}
