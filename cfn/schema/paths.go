package schema

import (
	"maps"
	"slices"
	"strings"

	"github.com/slipway/slipway/cfn"
)

// Without is a copy of the properties without what stands at the paths, in which *
// is every item of a list or member of a map.
func Without(p cfn.Properties, paths []string) cfn.Properties {
	out := p
	for _, path := range paths {
		out, _ = without(out, strings.Split(path, "/")).(map[string]any)
	}
	return out
}

func without(v any, path []string) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		for k := range v {
			switch {
			case path[0] != k && path[0] != "*":
			case len(path) == 1:
				delete(out, k)
			default:
				out[k] = without(v[k], path[1:])
			}
		}
		return out
	case []any:
		rest := path
		if path[0] == "*" {
			rest = path[1:]
		}
		if len(rest) == 0 {
			return []any{}
		}
		out := slices.Clone(v)
		for i := range out {
			out[i] = without(v[i], rest)
		}
		return out
	}
	return v
}
