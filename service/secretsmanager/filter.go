package secretsmanager

import (
	"slices"
	"strings"
	"unicode"

	api "github.com/slipway/slipway/api/secretsmanager"
)

// filter is one of a list of filters ("Filter", AWS Secrets Manager API Reference).
// A secret passes it that has one of the values and none of the unwanted ones.
type filter struct {
	key            string
	wanted, beside []string // beside: those behind an exclamation mark
}

type filters []filter

func parseFilters(in []api.Filter) (filters, error) {
	var out filters
	for _, f := range in {
		if f.Key == "" || len(f.Values) == 0 {
			return nil, invalid("A filter must have a Key and Values.")
		}
		parsed := filter{key: f.Key}
		for _, v := range f.Values {
			if rest, not := strings.CutPrefix(v, "!"); not {
				parsed.beside = append(parsed.beside, rest)
			} else {
				parsed.wanted = append(parsed.wanted, v)
			}
		}
		out = append(out, parsed)
	}
	return out, nil
}

func (all filters) match(sec *secret) bool {
	for _, f := range all {
		has := func(value string) bool { return sec.has(f.key, value) }
		if len(f.wanted) > 0 && !slices.ContainsFunc(f.wanted, has) || slices.ContainsFunc(f.beside, has) {
			return false
		}
	}
	return true
}

// has reports whether one of the attributes that a filter's key stands for begins
// with a value.
func (sec *secret) has(key, value string) bool {
	begins := func(text string) bool { return strings.HasPrefix(text, value) }
	switch key {
	case api.FilterNameStringTypeDescription:
		return strings.HasPrefix(strings.ToLower(sec.Description), strings.ToLower(value))
	case api.FilterNameStringTypeName:
		return begins(sec.Name)
	case api.FilterNameStringTypeTagKey:
		return slices.ContainsFunc(sec.Tags, func(t api.Tag) bool { return begins(t.Key) })
	case api.FilterNameStringTypeTagValue:
		return slices.ContainsFunc(sec.Tags, func(t api.Tag) bool { return begins(t.Value) })
	case api.FilterNameStringTypeAll:
		return sec.hasWord(value)
	}
	return false // of replicas and of other services, of which there are none
}

// hasWord reports whether a word of any attribute begins with one of the text's,
// whatever their case.
func (sec *secret) hasWord(text string) bool {
	attributes := []string{sec.Name, sec.Description}
	for _, t := range sec.Tags {
		attributes = append(attributes, t.Key, t.Value)
	}
	for _, wanted := range words(text) {
		for _, a := range attributes {
			if slices.ContainsFunc(words(a), func(w string) bool { return strings.HasPrefix(w, wanted) }) {
				return true
			}
		}
	}
	return false
}

func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
