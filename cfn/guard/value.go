package guard

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// kind is a value's type.
type kind int

const (
	nullKind kind = iota
	boolKind
	intKind
	floatKind
	stringKind
	listKind
	mapKind
	regexKind // of rules alone
	rangeKind // of rules alone
)

func (k kind) String() string {
	return [...]string{"null", "bool", "int", "float", "String", "array", "map", "Regex", "range"}[k]
}

// Value is a value of a document, or a literal of the rules. It knows where it stands.
type Value struct {
	kind  kind
	truth bool
	int   int64
	float float64
	text  string // of strings and expressions
	list  []*Value
	keys  []string // of a map, in order
	items map[string]*Value
	regex *regexp.Regexp
	span  *span

	in *Value // that it is part of
	at string // its key or index there
}

// span is a range: r[1,10).
type span struct {
	low, high         *Value
	withLow, withHigh bool
}

// Of makes a document of what encoding/json decodes: nil, bool, numbers, string, []any
// and map[string]any, whose keys it sorts.
func Of(document any) (*Value, error) { return of(document, 0) }

func of(document any, depth int) (*Value, error) {
	if depth > 1000 {
		return nil, fmt.Errorf("the document is nested deeper than 1000")
	}
	switch x := document.(type) {
	case nil:
		return &Value{}, nil
	case bool:
		return &Value{kind: boolKind, truth: x}, nil
	case string:
		return text(x), nil
	case json.Number:
		return number(string(x))
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return &Value{kind: intKind, int: int64(x)}, nil
		}
		return &Value{kind: floatKind, float: x}, nil
	case int:
		return &Value{kind: intKind, int: int64(x)}, nil
	case int64:
		return &Value{kind: intKind, int: x}, nil
	case []any:
		v := &Value{kind: listKind}
		for _, each := range x {
			item, err := of(each, depth+1)
			if err != nil {
				return nil, err
			}
			v.add(item)
		}
		return v, nil
	case map[string]any:
		v := &Value{kind: mapKind, items: make(map[string]*Value, len(x))}
		keys := make([]string, 0, len(x))
		for key := range x {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			item, err := of(x[key], depth+1)
			if err != nil {
				return nil, err
			}
			v.set(key, item)
		}
		return v, nil
	}
	return nil, fmt.Errorf("a document has no value of the Go type %T", document)
}

func text(s string) *Value { return &Value{kind: stringKind, text: s} }

// number reads a number of JSON. One with neither fraction nor exponent is an integer,
// if 64 bits hold it.
func number(s string) (*Value, error) {
	if !strings.ContainsAny(s, ".eE") {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return &Value{kind: intKind, int: i}, nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is no number of 64 bits", s)
	}
	return &Value{kind: floatKind, float: f}, nil
}

func (v *Value) add(item *Value) {
	item.in, item.at = v, strconv.Itoa(len(v.list))
	v.list = append(v.list, item)
}

func (v *Value) set(key string, item *Value) {
	item.in, item.at = v, key
	if _, there := v.items[key]; !there {
		v.keys = append(v.keys, key)
	}
	v.items[key] = item
}

// path tells where a value stands in its document.
func (v *Value) path() string {
	if v.in == nil {
		return ""
	}
	return v.in.path() + "/" + v.at
}

func (v *Value) scalar() bool { return v.kind != listKind && v.kind != mapKind }

// plain is the value as encoding/json takes it.
func (v *Value) plain() any {
	switch v.kind {
	case boolKind:
		return v.truth
	case intKind:
		return v.int
	case floatKind:
		return v.float
	case stringKind:
		return v.text
	case listKind:
		out := make([]any, 0, len(v.list))
		for _, item := range v.list {
			out = append(out, item.plain())
		}
		return out
	case mapKind:
		out := make(map[string]any, len(v.items))
		for key, item := range v.items {
			out[key] = item.plain()
		}
		return out
	case regexKind:
		return "/" + v.text + "/"
	case rangeKind:
		return v.span.String()
	}
	return nil
}

func (s *span) String() string {
	open, end := "(", ")"
	if s.withLow {
		open = "["
	}
	if s.withHigh {
		end = "]"
	}
	return "r" + open + s.low.String() + "," + s.high.String() + end
}

// maxShown bounds the values that reasons tell.
const maxShown = 256

// String is the value's JSON, of bounded length.
func (v *Value) String() string {
	if v.kind == floatKind {
		return strconv.FormatFloat(v.float, 'g', -1, 64)
	}
	b, err := json.Marshal(v.plain())
	if err != nil {
		return v.kind.String()
	}
	if r := []rune(string(b)); len(r) > maxShown {
		return string(r[:maxShown]) + "..."
	}
	return string(b)
}
