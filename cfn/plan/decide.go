package plan

import (
	"reflect"
	"sort"
	"strconv"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
)

// Decision is what a resource's change needs, from its properties before and after.
type Decision struct {
	Action      Action   // Keep, Update or Replace
	Changed     []string // names of properties, sorted
	Replacing   []string // of Changed, those that need a new resource
	DeleteFirst bool
	Unknown     bool // it rests on values that are not known yet
}

// Decide compares evaluated and coerced properties. It serves the plan, and
// again when a Check or Update runs, with the values known by then.
func Decide(types Types, typeName string, before, after cfn.Properties) (Decision, error) {
	var d Decision
	s, err := types.schema(typeName)
	if err != nil {
		return d, err
	}
	for _, name := range union(before, after) {
		if equal(before[name], after[name]) {
			continue
		}
		d.Changed = append(d.Changed, name)
		if types.replaces(s, typeName, name, before, after) {
			d.Replacing = append(d.Replacing, name)
		}
		d.Unknown = d.Unknown || template.HasUnknown(after[name])
	}
	d.DeleteFirst = s != nil && s.DeleteFirst && len(d.Replacing) > 0
	switch {
	case len(d.Replacing) > 0:
		d.Action = Replace
	case len(d.Changed) > 0:
		d.Action = Update
	default:
		d.Action = Keep
	}
	return d, nil
}

func (t Types) schema(typeName string) (*schema.Schema, error) {
	if t.Schema == nil {
		return nil, nil
	}
	return t.Schema(typeName)
}

func (t Types) provider(typeName string) (cfn.Type, bool) {
	if t.Provider == nil {
		return cfn.Type{}, false
	}
	return t.Provider(typeName)
}

// replaces reports whether a property's change needs a new resource.
func (t Types) replaces(s *schema.Schema, typeName, name string, before, after cfn.Properties) bool {
	p, ok := t.provider(typeName)
	if ok && p.Update == nil {
		return true
	}
	if s == nil {
		return false
	}
	for _, path := range s.CreateOnly {
		if covers(path, name) && !equal(extract(before, strings.Split(path, "/")), extract(after, strings.Split(path, "/"))) {
			return true
		}
	}
	return ok && p.Replaces != nil && schema.Has(s.ConditionalCreateOnly, name) && p.Replaces(name, before, after)
}

func covers(path, name string) bool { return path == name || strings.HasPrefix(path, name+"/") }

// extract finds all values at a path; * stands for every member of a list or map.
func extract(v any, path []string) []any {
	if len(path) == 0 {
		return []any{v}
	}
	var found []any
	switch v := v.(type) {
	case map[string]any:
		for _, k := range union(v, nil) {
			if path[0] == k || path[0] == "*" {
				found = append(found, extract(v[k], path[1:])...)
			}
		}
	case []any:
		rest := path
		if path[0] == "*" {
			rest = path[1:]
		}
		for _, x := range v {
			found = append(found, extract(x, rest)...)
		}
	}
	return found
}

// union is the keys of both maps, sorted.
func union[T any](a, b map[string]T) []string {
	keys := make([]string, 0, len(a)+len(b))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}

// equal compares values; numbers by value, since one may come from a record in
// JSON. What is not known yet equals nothing.
func equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k := range x {
			if _, ok := y[k]; !ok || !equal(x[k], y[k]) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case string:
		y, ok := b.(string)
		return ok && x == y && !template.HasUnknown(x)
	}
	if x, ok := toFloat(a); ok {
		y, ok := toFloat(b)
		return ok && x == y
	}
	return reflect.DeepEqual(a, b)
}

func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	case float64:
		return v, true
	case interface{ Float64() (float64, error) }: // json.Number
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}

// difference is a place where two values differ.
type difference struct {
	path          []string
	before, after any // nil: not there
}

// differences finds the deepest places where values differ. Lists of different
// lengths differ as a whole.
func differences(before, after any, path []string) []difference {
	if equal(before, after) {
		return nil
	}
	here := []difference{{append([]string(nil), path...), before, after}}
	switch x := before.(type) {
	case map[string]any:
		y, ok := after.(map[string]any)
		if !ok {
			return here
		}
		var found []difference
		for _, k := range union(x, y) {
			found = append(found, differences(x[k], y[k], append(path, k))...)
		}
		return found
	case []any:
		y, ok := after.([]any)
		if !ok || len(x) != len(y) {
			return here
		}
		var found []difference
		for i := range x {
			found = append(found, differences(x[i], y[i], append(path, strconv.Itoa(i)))...)
		}
		return found
	}
	return here
}
