package drift

import (
	"slices"
	"strconv"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
)

// Live tells what is there in a template's own terms: of the properties that the
// template sets, in its words wherever they say what is there. What the service
// cannot tell, and what a dynamic reference stands for, is taken to be as the
// template has it. s may be nil.
func Live(s *schema.Schema, expected, actual cfn.Properties) cfn.Properties {
	if s != nil {
		actual, _ = s.Conform(actual)
	}
	c := comparison{s: s, own: true}
	live := cfn.Properties{}
	for _, k := range keys(expected) {
		if path := []string{k}; c.skipped(path) || c.untold(expected[k], path) {
			live[k] = expected[k]
		} else if _, a := c.value(s.Shape().Member(k), expected[k], actual[k], path); a != nil {
			live[k] = a
		}
	}
	return live
}

// Says reports whether a property's value says what is there, and says nothing
// beside that the service cannot tell.
func Says(s *schema.Schema, name string, value any, actual cfn.Properties) bool {
	if s != nil {
		actual, _ = s.Conform(actual)
	}
	c := comparison{s: s}
	path := []string{name}
	return !c.partial(value, path) && c.equal(s.Shape().Member(name), value, actual[name], path)
}

// Told reports whether the service can tell a property.
func Told(s *schema.Schema, name string) bool { return !(&comparison{s: s}).skipped([]string{name}) }

// partial reports whether a value has parts that cannot be compared.
func (c *comparison) partial(v any, path []string) bool {
	if c.skipped(path) {
		return true
	}
	switch v := Document(v).(type) {
	case string:
		return template.HasDynamic(v)
	case map[string]any:
		for k, x := range v {
			if c.partial(x, append(slices.Clone(path), k)) {
				return true
			}
		}
	case []any:
		for i, x := range v {
			if c.partial(x, append(slices.Clone(path), strconv.Itoa(i))) {
				return true
			}
		}
	}
	return false
}

// WriteOnly are the places that properties set and that the service cannot tell,
// as JSON pointers from the properties.
func WriteOnly(s *schema.Schema, p cfn.Properties) []string {
	if s == nil {
		return nil
	}
	var found []string
	var walk func(v any, path []string)
	walk = func(v any, path []string) {
		if slices.ContainsFunc(s.WriteOnly, func(pattern string) bool { return covers(split(pattern), path) }) {
			found = append(found, pointer(path))
			return
		}
		switch v := Document(v).(type) {
		case map[string]any:
			for _, k := range keys(v) {
				walk(v[k], append(slices.Clone(path), k))
			}
		case []any:
			for i, x := range v {
				walk(x, append(slices.Clone(path), strconv.Itoa(i)))
			}
		}
	}
	for _, k := range keys(p) {
		walk(p[k], []string{k})
	}
	return found
}
