// Package schema holds the official schemas of CloudFormation's resource types:
// it checks and coerces properties, and says which are create-only, read-only,
// write-only, and what identifies a resource. It is pure. It may import
// cfn/template and fault only; the schemas' text is handed to New.
package schema

import (
	"strconv"
	"strings"

	"github.com/slipway/slipway/cfn"
)

// Catalog knows every resource type by name and loads schemas when asked.
// It is safe for concurrent use.
type Catalog struct {
	names map[string]bool
	built func(typeName string) bool
	open  func(typeName string) ([]byte, error)
}

// New makes a catalog: the names of all of AWS's types, how to read the schema
// of one (an error: there is none here), and which have a provider.
func New(names []string, open func(typeName string) ([]byte, error), built func(typeName string) bool) *Catalog {
	c := &Catalog{names: make(map[string]bool, len(names)), open: open, built: built}
	for _, n := range names {
		c.names[n] = true
	}
	return c
}

// Schema is one resource type's schema.
type Schema struct {
	TypeName                string
	CreateOnly              []string // paths, as Tags or Nested/Name or List/*/Name
	ConditionalCreateOnly   []string
	ReadOnly                []string
	WriteOnly               []string
	PrimaryIdentifier       []string
	Required                []string
	TagProperty             string // "" : not taggable
	ReplacesByDeletingFirst bool   // replacementStrategy delete_then_create
	CloudFormationTags      bool   // aws:cloudformation:* tags are put on it
	root                    *node
}

type node struct{}

// Issue is a property that does not fit the schema.
type Issue struct {
	Path    []string // from the properties: Tags, 0, Key
	Message string
}

func (i Issue) String() string { return "/" + strings.Join(i.Path, "/") + ": " + i.Message }

var _ = strconv.Itoa

// Lookup loads a type's schema. A type without one (custom resources) is nil, nil.
func (c *Catalog) Lookup(typeName string) (*Schema, error) { return nil, nil }

// Conform checks properties and converts scalars to the types that the schema
// has ("80" to 80, true to "true"). Unknown values fit everywhere.
func (s *Schema) Conform(p cfn.Properties) (cfn.Properties, []Issue) { return p, nil }
