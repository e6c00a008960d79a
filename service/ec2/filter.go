package ec2

import (
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/fault"
)

// Limits of filters ("List and filter your resources", EC2 User Guide).
const (
	maxFilters      = 50
	maxFilterValues = 200
)

// fields reads from a resource the values that the filter of this name
// compares. ok is false where the operation has no such filter; that must not
// depend on the resource, for unknown filters are refused even where there is none.
type fields[T any] func(v T, name string) (values []string, ok bool)

// matcher keeps what passes every filter: filters are joined by "and", the values
// of one by "or".
type matcher[T any] struct {
	filters []api.Filter
	fields  fields[T]
}

func newMatcher[T any](filters []api.Filter, f fields[T]) (matcher[T], error) {
	var zero T
	if len(filters) > maxFilters {
		return matcher[T]{}, fault.New(fault.FilterLimitExceeded, "The maximum number of filters is %d.", maxFilters)
	}
	for _, filter := range filters {
		if _, ok := f(zero, filter.Name); !ok {
			return matcher[T]{}, fault.New(fault.InvalidParameterValue, "The filter '%s' is invalid", clip(filter.Name, 128))
		}
		if len(filter.Values) == 0 {
			return matcher[T]{}, fault.New(fault.InvalidParameterValue, "The filter '%s' must have a value", clip(filter.Name, 128))
		}
		if len(filter.Values) > maxFilterValues {
			return matcher[T]{}, fault.New(fault.FilterLimitExceeded, "The maximum number of filter values specified on a single call is %d", maxFilterValues)
		}
	}
	return matcher[T]{filters, f}, nil
}

func (m matcher[T]) match(v T) bool {
	for _, filter := range m.filters {
		have, _ := m.fields(v, filter.Name)
		if !anyMatches(filter.Values, have) {
			return false
		}
	}
	return true
}

func anyMatches(patterns, values []string) bool {
	for _, p := range patterns {
		for _, v := range values {
			if wildcard(p, v) {
				return true
			}
		}
	}
	return false
}

// wildcard matches as EC2's filters do: * stands for any run of characters, ? for
// one, and a backslash takes the next character as it is. It compares case.
func wildcard(pattern, s string) bool {
	p, v := []rune(pattern), []rune(s)
	star, mark := -1, 0 // the last star seen, and how far it has swallowed
	i, j := 0, 0
	for j < len(v) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && p[i] == '?':
			i, j = i+1, j+1
		case i+1 < len(p) && p[i] == '\\' && p[i+1] == v[j]:
			i, j = i+2, j+1
		case i < len(p) && p[i] != '\\' && p[i] == v[j]:
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// tagFields answers the filters that all resources with tags share.
func tagFields(t tagMap, name string) ([]string, bool) {
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		if v, has := t[key]; has {
			return []string{v}, true
		}
		return nil, true
	}
	switch name {
	case "tag-key":
		keys := make([]string, 0, len(t))
		for k := range t {
			keys = append(keys, k)
		}
		return keys, true
	case "tag-value":
		values := make([]string, 0, len(t))
		for _, v := range t {
			values = append(values, v)
		}
		return values, true
	}
	return nil, false
}

// one is a single value, and none for "".
func one(s string) ([]string, bool) {
	if s == "" {
		return nil, true
	}
	return []string{s}, true
}

func oneBool(b bool) ([]string, bool) { return []string{strconv.FormatBool(b)}, true }

func oneInt[N int | int32 | int64](n N) ([]string, bool) {
	return []string{strconv.FormatInt(int64(n), 10)}, true
}
