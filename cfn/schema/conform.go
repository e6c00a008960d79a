package schema

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/template"
)

// Issue is a property that does not fit the schema. Its message begins as the
// resource type registry's does.
type Issue struct {
	Path    []string // from the properties: Tags, 0, Key
	Message string
}

func (i Issue) String() string {
	return "#" + pathText(i.Path) + ": " + i.Message
}

func pathText(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return "/" + strings.Join(path, "/")
}

// maxDepth bounds the nesting of properties.
const maxDepth = 100

// Conform checks properties and converts scalars to the types that the schema
// has ("80" to 80, true to "true"). What is not known yet, and dynamic
// references, fit everywhere. The properties given are not changed.
func (s *Schema) Conform(p cfn.Properties) (cfn.Properties, []Issue) {
	if s == nil {
		return p, nil
	}
	c := &checker{s: s}
	c.readOnly(p)
	out := c.value(s.root, map[string]any(p), nil)
	return out.(map[string]any), c.issues
}

// checker walks a value along its definition.
type checker struct {
	s      *Schema
	issues []Issue
}

func (c *checker) fail(path []string, format string, args ...any) {
	c.issues = append(c.issues, Issue{Path: append([]string(nil), path...), Message: fmt.Sprintf(format, args...)})
}

// readOnly refuses properties that only the service sets.
func (c *checker) readOnly(p cfn.Properties) {
	for _, name := range c.s.ReadOnly {
		if _, set := p[name]; set && !strings.Contains(name, "/") {
			c.fail([]string{name}, "extraneous key [%s] is not permitted: the property is read-only", name)
		}
	}
}

// open reports whether v can still become anything.
func open(v any) bool {
	s, ok := v.(string)
	return ok && (strings.Contains(s, template.Unknown) || template.HasDynamic(s))
}

// value checks v and returns it coerced.
func (c *checker) value(d *definition, v any, path []string) any {
	if d = c.s.resolve(d); d == nil || open(v) || len(path) > maxDepth {
		return v
	}
	v, ok := c.coerce(d, v, path)
	if !ok {
		return v
	}
	c.among(d, v, path)
	switch t := v.(type) {
	case string:
		c.text(d, t, path)
	case int64:
		c.number(d, float64(t), path)
	case float64:
		c.number(d, t, path)
	case []any:
		v = c.list(d, t, path)
	case map[string]any:
		v = c.object(d, t, path)
	}
	c.combined(d, v, path)
	return v
}

// jsonNames are the words for types in the registry's messages.
var jsonNames = map[string]string{"string": "String", "integer": "Integer", "number": "Number", "boolean": "Boolean", "array": "JSONArray", "object": "JSONObject", "null": "Null"}

func typeOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case int64:
		return "integer"
	case float64:
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "null"
}

// coerce converts a scalar to a type that the definition has. A definition that
// names none takes what there is.
func (c *checker) coerce(d *definition, v any, path []string) (any, bool) {
	have := typeOf(v)
	want := d.Type
	if len(want) == 0 && (len(d.Properties) > 0 || len(d.PatternProperties) > 0) {
		want = types{"object"}
	}
	if len(want) == 0 || want.has(have) || have == "integer" && want.has("number") {
		return v, true
	}
	for _, t := range want {
		if out, ok := convert(v, t); ok {
			return out, true
		}
	}
	names := make([]string, len(want))
	for i, t := range want {
		names[i] = jsonNames[t]
	}
	sort.Strings(names)
	c.fail(path, "expected type: %s, found: %s", strings.Join(names, " or "), jsonNames[have])
	return v, false
}

func convert(v any, to string) (any, bool) {
	switch to {
	case "string":
		switch v := v.(type) {
		case bool, int64:
			return fmt.Sprint(v), true
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64), true
		}
	case "integer":
		switch v := v.(type) {
		case string:
			i, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			if err == nil {
				return i, true
			}
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return integral(f, err == nil)
		case float64:
			return integral(v, true)
		}
	case "number":
		if s, ok := v.(string); ok {
			if i, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
				return i, true
			}
			f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
			return f, err == nil
		}
	case "boolean":
		if s, ok := v.(string); ok {
			b, ok := booleans[strings.ToLower(s)]
			return b, ok
		}
	}
	return nil, false
}

// booleans are YAML 1.1's words, which YAML 1.2 takes for strings.
var booleans = map[string]bool{"true": true, "yes": true, "on": true, "false": false, "no": false, "off": false}

func integral(f float64, ok bool) (any, bool) {
	if i := int64(f); ok && float64(i) == f {
		return i, true
	}
	return nil, false
}

// object checks a map's members.
func (c *checker) object(d *definition, m map[string]any, path []string) any {
	c.required(d, m, path)
	c.related(d, m, path)
	if n := len(m); d.MinProperties != nil && n < *d.MinProperties {
		c.fail(path, "minimum size: [%d], found: [%d]", *d.MinProperties, n)
	} else if d.MaxProperties != nil && n > *d.MaxProperties {
		c.fail(path, "maximum size: [%d], found: [%d]", *d.MaxProperties, n)
	}
	if d.Properties == nil && d.PatternProperties == nil && (d.Additional == nil || d.Additional.schema == nil) {
		return m // free-form, such as a policy document
	}
	out := make(map[string]any, len(m))
	for _, k := range sortedKeys(m) {
		out[k] = c.member(d, k, m[k], append(path, k))
	}
	return out
}

func (c *checker) member(d *definition, key string, v any, path []string) any {
	if p, ok := d.Properties[key]; ok {
		return c.value(p, v, path)
	}
	for text, p := range d.PatternProperties {
		if matches(text, key) {
			return c.value(p, v, path)
		}
	}
	switch {
	case d.Additional == nil:
	case d.Additional.schema != nil:
		return c.value(d.Additional.schema, v, path)
	case !d.Additional.allowed:
		c.fail(path, "extraneous key [%s] is not permitted%s", key, hint(key, d.Properties))
	}
	return v
}

func (c *checker) list(d *definition, l []any, path []string) any {
	if n := len(l); d.MinItems != nil && n < *d.MinItems {
		c.fail(path, "expected minimum item count: %d, found: %d", *d.MinItems, n)
	} else if d.MaxItems != nil && n > *d.MaxItems {
		c.fail(path, "expected maximum item count: %d, found: %d", *d.MaxItems, n)
	}
	out := l
	if d.Items != nil {
		out = make([]any, len(l))
		for i, v := range l {
			out[i] = c.value(d.Items, v, append(path, strconv.Itoa(i)))
		}
	}
	if d.UniqueItems {
		c.unique(out, path)
	}
	return out
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
