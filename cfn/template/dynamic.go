package template

import (
	"fmt"
	"regexp"
	"strconv"
)

var dynamicReference = regexp.MustCompile(`\{\{resolve:([a-z-]+):([^{}]*)\}\}`)

// HasDynamic reports whether a string holds a dynamic reference.
func HasDynamic(s string) bool { return dynamicReference.MatchString(s) }

// ResolveDynamic returns v with its dynamic references ({{resolve:ssm:name:1}},
// {{resolve:ssm-secure:...}},
// {{resolve:secretsmanager:...}}) replaced by what resolve answers. It is done right
// before a provider is called, so that secrets are in no plan, event or record.
// at is the node that v was evaluated from, for the problems' places; it may be nil.
func ResolveDynamic(v any, at *Node, resolve func(service, reference string) (string, error)) (any, Problems) {
	d := &dynamic{root: at, resolve: resolve}
	return d.value(v, nil), d.done()
}

type dynamic struct {
	root    *Node
	resolve func(service, reference string) (string, error)
	report
}

func (d *dynamic) value(v any, path []string) any {
	switch v := v.(type) {
	case string:
		return d.text(v, path)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = d.value(x, append(path, strconv.Itoa(i)))
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = d.value(x, append(path, k))
		}
		return out
	}
	return v
}

func (d *dynamic) text(s string, path []string) string {
	return dynamicReference.ReplaceAllStringFunc(s, func(match string) string {
		m := dynamicReference.FindStringSubmatch(match)
		var at *Node
		if d.root != nil {
			at = d.root.Locate(path...)
		}
		switch m[1] {
		case "ssm", "ssm-secure", "secretsmanager":
			v, err := d.resolve(m[1], m[2])
			if err == nil {
				return v
			}
			d.at(at, "Could not resolve the dynamic reference %s: %v", match, err)
		default:
			d.at(at, "%s", fmt.Sprintf("Dynamic reference %s names an unknown service", match))
		}
		return match
	})
}
