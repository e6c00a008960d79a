package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/cfn/template/pattern"
)

// among checks enum and const.
func (c *checker) among(d *definition, v any, path []string) {
	text := scalarText(v)
	if len(d.Enum) > 0 && !oneOf(d.Enum, text, false) || len(d.EnumAnyCase) > 0 && !oneOf(d.EnumAnyCase, text, true) {
		c.fail(path, "%s is not a valid enum value: it must be one of %s", text, listed(append(append([]any(nil), d.Enum...), d.EnumAnyCase...)))
	}
	if d.Const != nil && scalarText(d.Const) != text {
		c.fail(path, "%s is not the value that is permitted here: %s", text, scalarText(d.Const))
	}
}

func scalarText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any, map[string]any:
		b, _ := json.Marshal(v)
		return string(b)
	}
	return fmt.Sprint(v)
}

func oneOf(values []any, text string, anyCase bool) bool {
	for _, v := range values {
		if t := scalarText(v); t == text || anyCase && strings.EqualFold(t, text) {
			return true
		}
	}
	return false
}

// maxNamed bounds the values that a message lists.
const maxNamed = 20

func listed(values []any) string {
	var names []string
	for i, v := range values {
		if i == maxNamed {
			names = append(names, fmt.Sprintf("and %d more", len(values)-i))
			break
		}
		names = append(names, scalarText(v))
	}
	return "[" + strings.Join(names, ", ") + "]"
}

func (c *checker) text(d *definition, s string, path []string) {
	n := utf8.RuneCountInString(s)
	if d.MinLength != nil && n < *d.MinLength {
		c.fail(path, "expected minLength: %d, actual: %d", *d.MinLength, n)
	}
	if d.MaxLength != nil && n > *d.MaxLength {
		c.fail(path, "expected maxLength: %d, actual: %d", *d.MaxLength, n)
	}
	if d.Pattern != "" && !matches(d.Pattern, s) {
		c.fail(path, "failed validation constraint for keyword [pattern]: %q does not match %s", short(s), d.Pattern)
	}
	if d.Format == "json" && !json.Valid([]byte(s)) {
		c.fail(path, "failed validation constraint for keyword [format]: the text is not JSON")
	}
}

// short keeps long values out of messages.
func short(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// matches reports whether a schema's pattern matches. A pattern that is none,
// which some published schemas have, restricts nothing.
func matches(text, s string) bool {
	p, err := pattern.Cached(text)
	return err != nil || p.Match(s)
}

func (c *checker) number(d *definition, f float64, path []string) {
	if d.Minimum != nil && f < float64(*d.Minimum) {
		c.fail(path, "%v is not greater or equal to %v", f, float64(*d.Minimum))
	}
	if d.Maximum != nil && f > float64(*d.Maximum) {
		c.fail(path, "%v is not less or equal to %v", f, float64(*d.Maximum))
	}
	if d.MultipleOf != nil && *d.MultipleOf != 0 && math.Mod(f, float64(*d.MultipleOf)) != 0 {
		c.fail(path, "%v is not a multiple of %v", f, float64(*d.MultipleOf))
	}
}

func (c *checker) unique(l []any, path []string) {
	seen := map[string]bool{}
	for _, v := range l {
		if template.HasUnknown(v) {
			continue
		}
		b, _ := json.Marshal(v)
		if seen[string(b)] {
			c.fail(path, "array items are not unique")
			return
		}
		seen[string(b)] = true
	}
}

func (c *checker) required(d *definition, m map[string]any, path []string) {
	for _, name := range d.Required {
		if _, ok := m[name]; !ok {
			c.fail(path, "required key [%s] not found", name)
		}
	}
}

// related checks what members ask of each other.
func (c *checker) related(d *definition, m map[string]any, path []string) {
	for _, name := range sortedKeys(d.DependentRequired) {
		if _, ok := m[name]; !ok {
			continue
		}
		for _, other := range d.DependentRequired[name] {
			if _, ok := m[other]; !ok {
				c.fail(path, "required key [%s] not found: [%s] needs it", other, name)
			}
		}
	}
	for _, name := range sortedKeys(d.DependentExcluded) {
		if _, ok := m[name]; !ok {
			continue
		}
		for _, other := range d.DependentExcluded[name] {
			if _, ok := m[other]; ok && (name < other || !excludes(d, other, name)) {
				c.fail(path, "the keys [%s] and [%s] may not stand together", name, other)
			}
		}
	}
	switch n := present(m, d.RequiredXor); {
	case len(d.RequiredXor) == 0:
	case n == 0:
		c.fail(path, "one of the keys [%s] is required", strings.Join(d.RequiredXor, ", "))
	case n > 1:
		c.fail(path, "only one of the keys [%s] is permitted", strings.Join(d.RequiredXor, ", "))
	}
	if len(d.RequiredOr) > 0 && present(m, d.RequiredOr) == 0 {
		c.fail(path, "one of the keys [%s] is required", strings.Join(d.RequiredOr, ", "))
	}
}

func excludes(d *definition, a, b string) bool {
	for _, x := range d.DependentExcluded[a] {
		if x == b {
			return true
		}
	}
	return false
}

func present(m map[string]any, names []string) int {
	n := 0
	for _, name := range names {
		if _, ok := m[name]; ok {
			n++
		}
	}
	return n
}

// combined checks allOf, anyOf and oneOf. AWS's own validation of oneOf is lax
// about two matching at once, and so is this: one of them must match.
func (c *checker) combined(d *definition, v any, path []string) {
	for _, part := range d.AllOf {
		c.value(part, v, path)
	}
	c.some(d.AnyOf, v, path)
	c.some(d.OneOf, v, path)
}

func (c *checker) some(ways []*definition, v any, path []string) {
	var closest []Issue
	for i, way := range ways {
		trial := &checker{s: c.s}
		trial.value(way, v, path)
		if len(trial.issues) == 0 {
			return
		}
		if i == 0 || len(trial.issues) < len(closest) {
			closest = trial.issues
		}
	}
	if len(ways) > 0 {
		c.fail(path, "0 subschemas matched of %d; the closest: %s", len(ways), closest[0])
	}
}

// hint names the property that was probably meant.
func hint(key string, properties map[string]*definition) string {
	for _, name := range sortedKeys(properties) {
		if strings.EqualFold(name, key) || near(name, key) {
			return "; did you mean " + name + "?"
		}
	}
	return ""
}

// near reports whether one edit, or two letters exchanged, make b of a.
func near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		if i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] {
			return a[i+2:] == b[i+2:]
		}
		return i < len(a) && a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}

// Exclusive are the properties that have to go where some may not stand together:
// of two, the one whose name comes later.
func (s *Schema) Exclusive(p map[string]any) []string {
	gone := map[string]bool{}
	there := func(name string) bool { _, ok := p[name]; return ok && !gone[name] }
	for _, name := range sortedKeys(s.root.DependentExcluded) {
		for _, other := range s.root.DependentExcluded[name] {
			if there(name) && there(other) {
				gone[max(name, other)] = true
			}
		}
	}
	return sortedKeys(gone)
}
