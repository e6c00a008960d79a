package drift

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
)

// Document is what a text of JSON stands for; any other value is itself. AWS
// takes documents as text and as objects.
func Document(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	if t := strings.TrimSpace(s); !strings.HasPrefix(t, "{") && !strings.HasPrefix(t, "[") {
		return v
	}
	var d any
	if json.Unmarshal([]byte(s), &d) != nil {
		return v
	}
	return d
}

// as gives a document back in the form that it had.
func as(form any, d map[string]any) any {
	if _, text := form.(string); !text {
		return d
	}
	b, err := json.Marshal(d)
	if err != nil {
		return form
	}
	return string(b)
}

// list is a value as a list. In a document, one value and a list of one mean the
// same ("IAM JSON policy elements: Action").
func list(v any, shape schema.Shape) ([]any, bool) {
	switch v := Document(v).(type) {
	case []any:
		return v, true
	case nil:
		return nil, true
	default:
		if shape == (schema.Shape{}) {
			return []any{v}, true
		}
		return nil, false
	}
}

// same compares values; numbers and truth values also with their text, and one
// value with a list of just it.
func same(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	if x, ok := b.([]any); ok && len(x) == 1 && scalar(a) {
		return same(a, x[0])
	}
	if !scalar(a) || !scalar(b) {
		return cfn.Text(a) == cfn.Text(b)
	}
	if p, q := prefix(a), prefix(b); p.IsValid() && p == q {
		return true
	}
	x, y := number(a), number(b)
	return x != nil && y != nil && *x == *y || fmt.Sprint(a) == fmt.Sprint(b)
}

// prefix is a text as a range of addresses: services keep 10.1.2.3/8 as 10.0.0.0/8.
func prefix(v any) netip.Prefix {
	s, _ := v.(string)
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}
	}
	return p.Masked()
}

func scalar(v any) bool {
	switch v.(type) {
	case string, bool, int64, float64, int, json.Number:
		return true
	}
	return false
}

// number is a value as a number, nil for what is none.
func number(v any) *float64 {
	var f float64
	switch v := v.(type) {
	case int64:
		f = float64(v)
	case int:
		f = float64(v)
	case float64:
		f = v
	default:
		return nil
	}
	return &f
}

// empty reports whether a value says no more than none.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// masks reports whether a text that nobody may see is masked in a value.
func masks(v any) bool { return strings.Contains(cfn.Text(v), hidden) }
