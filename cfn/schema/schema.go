// Package schema holds the official schemas of CloudFormation's resource types:
// it checks and coerces properties, and says which are create-only, read-only
// or write-only, and what identifies a resource. It is pure and starts no
// goroutine. It may import cfn, cfn/template and fault only: the schemas' text
// is handed to New.
package schema

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/slipway/slipway/cfn"
)

// Catalog knows every resource type by name and loads a schema when it is first
// asked for. It is safe for concurrent use.
type Catalog struct {
	names  map[string]bool
	built  func(typeName string) bool
	open   func(typeName string) ([]byte, bool)
	mu     sync.Mutex
	loaded map[string]*Schema
}

// New makes a catalog: the names of all of AWS's types, how to read the schema
// of one (false: there is none here), and which have a provider.
func New(names []string, open func(typeName string) ([]byte, bool), built func(typeName string) bool) *Catalog {
	c := &Catalog{names: make(map[string]bool, len(names)), open: open, built: built, loaded: map[string]*Schema{}}
	for _, n := range names {
		c.names[n] = true
	}
	return c
}

// Schema is one resource type's schema. Paths are written as Tags, Nested/Name
// or List/*/Name, from the properties.
type Schema struct {
	TypeName              string
	CreateOnly            []string
	ConditionalCreateOnly []string
	ReadOnly              []string
	WriteOnly             []string
	PrimaryIdentifier     []string
	AdditionalIdentifiers [][]string
	Required              []string
	TagProperty           string // "" : not taggable
	DeleteFirst           bool   // a replacement deletes the old resource before it makes the new
	SystemTags            bool   // aws:cloudformation:* tags are put on the resource

	root        *definition
	definitions map[string]*definition
}

// document is the file's form.
type document struct {
	definition
	TypeName              string                 `json:"typeName"`
	Definitions           map[string]*definition `json:"definitions"`
	CreateOnly            []string               `json:"createOnlyProperties"`
	ConditionalCreateOnly []string               `json:"conditionalCreateOnlyProperties"`
	ReadOnly              []string               `json:"readOnlyProperties"`
	WriteOnly             []string               `json:"writeOnlyProperties"`
	PrimaryIdentifier     []string               `json:"primaryIdentifier"`
	AdditionalIdentifiers [][]string             `json:"additionalIdentifiers"`
	ReplacementStrategy   string                 `json:"replacementStrategy"`
	Taggable              *bool                  `json:"taggable"`
	Tagging               struct {
		Taggable    bool   `json:"taggable"`
		TagProperty string `json:"tagProperty"`
		SystemTags  *bool  `json:"cloudFormationSystemTags"`
	} `json:"tagging"`
}

// Parse reads a schema.
func Parse(text []byte) (*Schema, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	s := &Schema{
		TypeName: d.TypeName, CreateOnly: paths(d.CreateOnly), ConditionalCreateOnly: paths(d.ConditionalCreateOnly),
		ReadOnly: paths(d.ReadOnly), WriteOnly: paths(d.WriteOnly), PrimaryIdentifier: paths(d.PrimaryIdentifier),
		Required: d.Required, DeleteFirst: d.ReplacementStrategy == "delete_then_create",
		SystemTags: d.Tagging.SystemTags == nil || *d.Tagging.SystemTags,
		root:       &d.definition, definitions: d.Definitions,
	}
	for _, id := range d.AdditionalIdentifiers {
		s.AdditionalIdentifiers = append(s.AdditionalIdentifiers, paths(id))
	}
	s.root.Type = types{"object"}
	taggable := d.Tagging.Taggable || d.Taggable != nil && *d.Taggable
	if name := strings.TrimPrefix(d.Tagging.TagProperty, "/properties/"); taggable && name != "" {
		s.TagProperty = name
	} else if taggable && d.Properties["Tags"] != nil {
		s.TagProperty = "Tags"
	}
	return s, nil
}

func paths(pointers []string) []string {
	out := make([]string, len(pointers))
	for i, p := range pointers {
		out[i] = strings.TrimPrefix(p, "/properties/")
	}
	return out
}

// Lookup loads a type's schema: nil, nil for a type of which there is none here,
// such as a custom resource.
func (c *Catalog) Lookup(typeName string) (*Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.loaded[typeName]; ok {
		return s, nil
	}
	var s *Schema
	if text, ok := c.open(typeName); ok {
		var err error
		if s, err = Parse(text); err != nil {
			return nil, fmt.Errorf("%s: %w", typeName, err)
		}
		c.loaded[typeName] = s
	}
	return s, nil
}

// customName is what the name of a custom resource's type may be.
var customName = regexp.MustCompile(`^Custom::[-a-zA-Z0-9_@]{1,60}$`)

// custom reports whether a type is made by a user's own function.
func custom(typeName string) bool {
	return typeName == cfn.CustomResource || customName.MatchString(typeName)
}

// Known reports whether AWS has the type. It is part of template.Types.
func (c *Catalog) Known(typeName string) bool { return c.names[typeName] || custom(typeName) }

// Built reports whether this Slipway has a provider for the type.
func (c *Catalog) Built(typeName string) bool {
	if custom(typeName) {
		typeName = cfn.CustomResource
	}
	return c.built(typeName)
}

// HasAttribute reports whether Fn::GetAtt finds the attribute: any property of
// the schema, and anything of a type without a schema here.
func (c *Catalog) HasAttribute(typeName, attribute string) bool {
	s, err := c.Lookup(typeName)
	if err != nil || s == nil || custom(typeName) {
		return true
	}
	if typeName == "AWS::CloudFormation::Stack" && strings.HasPrefix(attribute, "Outputs.") {
		return true // the schema does not know the nested template
	}
	return s.HasAttribute(attribute)
}

// HasAttribute reports whether Fn::GetAtt finds the attribute.
func (s *Schema) HasAttribute(attribute string) bool {
	path := strings.ReplaceAll(attribute, ".", "/")
	for _, r := range s.ReadOnly {
		if r == path || strings.HasPrefix(r, path+"/") || strings.HasPrefix(path, r+"/") {
			return true
		}
	}
	if s.root.Properties[attribute] != nil {
		return true
	}
	return s.at(strings.Split(path, "/")) != nil
}

// at finds the definition of a nested property, nil if there is none.
func (s *Schema) at(path []string) *definition {
	d := s.root
	for _, p := range path {
		if d = s.resolve(d); d == nil {
			return nil
		}
		d = d.Properties[p]
	}
	return s.resolve(d)
}

// Has reports whether a path of CreateOnly and its like covers a property at
// the top level.
func Has(paths []string, property string) bool {
	for _, p := range paths {
		if p == property || strings.HasPrefix(p, property+"/") {
			return true
		}
	}
	return false
}

// Text is a type's schema as it was published; false: there is none here.
func (c *Catalog) Text(typeName string) ([]byte, bool) { return c.open(typeName) }
