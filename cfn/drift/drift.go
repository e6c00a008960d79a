// Package drift compares what a template says of a resource with what is there.
// It is pure and starts no goroutine. It may import cfn, cfn/schema and
// cfn/template only.
package drift

import (
	"slices"
	"strconv"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
)

// Kinds of differences ("PropertyDifference", CloudFormation API Reference).
const (
	Add      = "ADD"
	Remove   = "REMOVE"
	NotEqual = "NOT_EQUAL"
)

// Difference is a place where a resource differs from its template.
type Difference struct {
	Path     string // a JSON pointer from the properties: /Tags/0/Value
	Kind     string
	Expected string // text, or JSON of lists and objects; "null" where there is nothing
	Actual   string
}

// Result is what a comparison found. Expected and Actual are the properties that
// were compared, with what nobody may see masked in both.
type Result struct {
	Differences []Difference
	Expected    cfn.Properties
	Actual      cfn.Properties
}

// hidden stands for a value that nobody may see.
const hidden = "****"

// Compare tells how a resource differs from its template. Only what the template
// sets is compared, as on AWS: neither defaults nor what the service adds. shown
// are the expected properties as events show them; what they mask, the result
// masks. What the service cannot tell (write-only properties) is not compared,
// nor what a dynamic reference stands for. s may be nil.
func Compare(s *schema.Schema, expected, shown, actual cfn.Properties) Result {
	if s != nil {
		actual, _ = s.Conform(actual) // numbers as numbers, on both sides
	}
	c := comparison{s: s}
	r := Result{Expected: cfn.Properties{}, Actual: cfn.Properties{}}
	for _, k := range keys(expected) {
		path := []string{k}
		if c.skipped(path) || c.untold(expected[k], path) {
			continue
		}
		e, a := c.value(s.Shape().Member(k), expected[k], actual[k], path)
		if masked, ok := shown[k]; ok && masks(masked) && !same(masked, expected[k]) {
			e, a = c.mask(masked, path)
		}
		r.Expected[k] = e
		if a != nil {
			r.Actual[k] = a
		}
	}
	slices.SortStableFunc(c.found, func(x, y Difference) int { return strings.Compare(x.Path, y.Path) })
	r.Differences = c.found
	return r
}

// mask hides what was found at a property, but that something was.
func (c *comparison) mask(masked any, path []string) (expected, actual any) {
	at := pointer(path)
	was := len(c.found)
	c.found = slices.DeleteFunc(c.found, func(d Difference) bool { return d.Path == at || strings.HasPrefix(d.Path, at+"/") })
	if len(c.found) == was {
		return masked, masked
	}
	c.found = append(c.found, Difference{Path: at, Kind: NotEqual, Expected: hidden, Actual: hidden})
	return masked, hidden
}

type comparison struct {
	s     *schema.Schema
	own   bool // what is there is told in the template's words: see Live
	found []Difference
}

// differ adds a difference. Missing values are nil.
func (c *comparison) differ(path []string, kind string, expected, actual any) {
	c.found = append(c.found, Difference{Path: pointer(path), Kind: kind, Expected: cfn.Text(expected), Actual: cfn.Text(actual)})
}

// pointer is a path as RFC 6901 writes it.
func pointer(path []string) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteString("/" + strings.ReplaceAll(strings.ReplaceAll(p, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// skipped reports whether the service cannot tell what is at a path.
func (c *comparison) skipped(path []string) bool {
	if c.s == nil {
		return false
	}
	for _, list := range [][]string{c.s.WriteOnly, c.s.ReadOnly} {
		for _, p := range list {
			if covers(split(p), path) {
				return true
			}
		}
	}
	return false
}

// untold reports whether all that the template sets at a path is what the service
// cannot tell: such as the code of a function, which comes as a property of one.
func (c *comparison) untold(expected any, path []string) bool {
	m, ok := Document(expected).(map[string]any)
	if !ok || len(m) == 0 {
		return false
	}
	for k, v := range m {
		if at := append(slices.Clone(path), k); !c.skipped(at) && !c.untold(v, at) {
			return false
		}
	}
	return true
}

func split(path string) []string { return strings.Split(path, "/") }

// covers reports whether a schema's path, in which * is any item, is the path.
func covers(pattern, path []string) bool {
	return slices.EqualFunc(pattern, path, func(p, name string) bool {
		_, index := strconv.Atoi(name)
		return p == name || p == "*" && index == nil
	})
}

// object compares what the template sets, and returns both sides' views of it.
func (c *comparison) object(shape schema.Shape, expected, actual map[string]any, path []string) (seenE, seenA map[string]any) {
	seenE, seenA = map[string]any{}, map[string]any{}
	for _, k := range keys(expected) {
		at := append(slices.Clone(path), k)
		if c.skipped(at) || c.untold(expected[k], at) {
			if c.own {
				seenA[k] = expected[k]
			}
			continue
		}
		e, a := c.value(shape.Member(k), expected[k], actual[k], at)
		seenE[k] = e
		if a != nil {
			seenA[k] = a
		}
	}
	if !shape.FreeForm() {
		return seenE, seenA
	}
	for _, k := range keys(actual) { // nobody's defaults: what is there was put there
		if _, set := expected[k]; !set {
			seenA[k] = actual[k]
			c.differ(append(slices.Clone(path), k), Add, nil, actual[k])
		}
	}
	return seenE, seenA
}

// value compares one place, and returns both sides' views of it.
func (c *comparison) value(shape schema.Shape, expected, actual any, path []string) (any, any) {
	was := len(c.found)
	e, a := c.place(shape, expected, actual, path)
	if c.own && len(c.found) == was {
		return expected, expected
	}
	return e, a
}

func (c *comparison) place(shape schema.Shape, expected, actual any, path []string) (any, any) {
	if s, ok := expected.(string); ok && template.HasDynamic(s) {
		return s, s
	}
	switch e := Document(expected).(type) {
	case map[string]any:
		if a, ok := Document(actual).(map[string]any); ok {
			seenE, seenA := c.object(shape, e, a, path)
			return as(expected, seenE), as(actual, seenA)
		}
	case []any:
		if a, ok := list(actual, shape); ok {
			return expected, c.items(shape, e, a, path)
		}
	}
	switch {
	case same(expected, actual) || empty(expected) && empty(actual):
	case actual == nil:
		c.differ(path, Remove, expected, nil)
	default:
		c.differ(path, NotEqual, expected, actual)
	}
	return expected, actual
}

// equal compares aside: what differs is not told.
func (c *comparison) equal(shape schema.Shape, expected, actual any, path []string) bool {
	aside := comparison{s: c.s}
	aside.value(shape, expected, actual, path)
	return len(aside.found) == 0
}

// items compares lists. Items that are equal belong together wherever they stand,
// then those with one Key (tags); in an ordered list, those at one place do. It
// returns the actual items in the template's order.
func (c *comparison) items(shape schema.Shape, expected, actual []any, path []string) []any {
	item := shape.Item()
	at := func(i int) []string { return append(slices.Clone(path), strconv.Itoa(i)) }
	pairs, taken := make([]int, len(expected)), make([]bool, len(actual))
	pair := func(fits func(i, j int) bool) {
		for i := range expected {
			for j := 0; pairs[i] < 0 && j < len(actual); j++ {
				if !taken[j] && fits(i, j) {
					pairs[i], taken[j] = j, true
				}
			}
		}
	}
	for i := range pairs {
		pairs[i] = -1
	}
	ordered := shape.Ordered() && !keyed(expected) && !keyed(actual)
	if !ordered {
		pair(func(i, j int) bool { return c.equal(item, expected[i], actual[j], at(i)) })
		pair(func(i, j int) bool { return key(expected[i]) != "" && key(expected[i]) == key(actual[j]) })
	} else {
		pair(func(i, j int) bool { return i == j })
	}
	seen := []any{}
	for i, j := range pairs {
		if j < 0 {
			c.differ(at(i), Remove, expected[i], nil)
			continue
		}
		_, a := c.value(item, expected[i], actual[j], at(i))
		seen = append(seen, a)
	}
	for j, a := range actual {
		if !taken[j] {
			c.differ(at(j), Add, nil, a)
			seen = append(seen, a)
		}
	}
	return seen
}

// key is a tag's or attribute's name, "" for what has none.
func key(v any) string {
	m, _ := v.(map[string]any)
	k, _ := m["Key"].(string)
	return k
}

// keyed reports whether each item has a Key of its own.
func keyed(items []any) bool {
	seen := map[string]bool{}
	for _, i := range items {
		k := key(i)
		if k == "" || seen[k] {
			return false
		}
		seen[k] = true
	}
	return len(items) > 0
}

func keys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
