package schema

import (
	"encoding/json"
	"strings"
)

// definition is a JSON schema as resource schemas use it.
type definition struct {
	Ref               string                 `json:"$ref"`
	Type              types                  `json:"type"`
	Properties        map[string]*definition `json:"properties"`
	PatternProperties map[string]*definition `json:"patternProperties"`
	Additional        *additional            `json:"additionalProperties"`
	Required          []string               `json:"required"`
	Items             *definition            `json:"items"`
	Enum              []any                  `json:"enum"`
	EnumAnyCase       []any                  `json:"enumCaseInsensitive"`
	Const             any                    `json:"const"`
	Pattern           string                 `json:"pattern"`
	Format            string                 `json:"format"`
	MinLength         *int                   `json:"minLength"`
	MaxLength         *int                   `json:"maxLength"`
	Minimum           *number                `json:"minimum"`
	Maximum           *number                `json:"maximum"`
	MultipleOf        *number                `json:"multipleOf"`
	MinItems          *int                   `json:"minItems"`
	MaxItems          *int                   `json:"maxItems"`
	UniqueItems       bool                   `json:"uniqueItems"`
	InsertionOrder    *bool                  `json:"insertionOrder"` // false: the order of items says nothing
	MinProperties     *int                   `json:"minProperties"`
	MaxProperties     *int                   `json:"maxProperties"`
	OneOf             []*definition          `json:"oneOf"`
	AnyOf             []*definition          `json:"anyOf"`
	AllOf             []*definition          `json:"allOf"`
	DependentRequired map[string][]string    `json:"dependentRequired"`
	DependentExcluded map[string][]string    `json:"dependentExcluded"`
	RequiredXor       []string               `json:"requiredXor"`
	RequiredOr        []string               `json:"requiredOr"`
}

// types is "string" or ["object", "string"].
type types []string

func (t *types) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = types{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

func (t types) has(name string) bool {
	for _, x := range t {
		if x == name {
			return true
		}
	}
	return false
}

// additional is false, true or a schema.
type additional struct {
	allowed bool
	schema  *definition
}

func (a *additional) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &a.allowed) == nil {
		return nil
	}
	a.allowed = true
	return json.Unmarshal(b, &a.schema)
}

// number is a JSON number; some schemas write it as a string.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	return json.Unmarshal([]byte(strings.Trim(string(b), `"`)), (*float64)(n))
}

// maxRefs bounds a chain of references in a schema.
const maxRefs = 20

// resolve follows references: to a definition, or to a property of one.
func (s *Schema) resolve(d *definition) *definition {
	for range maxRefs {
		if d == nil || d.Ref == "" {
			return d
		}
		d = s.pointer(strings.Split(strings.TrimPrefix(d.Ref, "#/"), "/"))
	}
	return nil
}

func (s *Schema) pointer(path []string) *definition {
	var d *definition
	switch {
	case len(path) >= 2 && path[0] == "definitions":
		d = s.definitions[path[1]]
	case len(path) >= 2 && path[0] == "properties":
		d = s.root.Properties[path[1]]
	default:
		return nil
	}
	for path = path[2:]; d != nil && len(path) > 0; {
		switch {
		case path[0] == "properties" && len(path) > 1:
			d, path = d.Properties[path[1]], path[2:]
		case path[0] == "items":
			d, path = d.Items, path[1:]
		default:
			return nil
		}
	}
	return d
}
