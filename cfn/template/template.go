package template

// Template is a parsed template. It is not changed after Parse.
type Template struct {
	Root          *Node
	FormatVersion string
	Description   string
	Metadata      *Node       // nil if there is none
	Parameters    []Parameter // in the order of the text, as are the others
	Mappings      []Mapping
	Conditions    []Condition
	Rules         []Rule
	Transform     []string // names of macros and of AWS's own transforms
	Resources     []Resource
	Outputs       []Output

	byID      map[string]int // index into Resources
	processed bool           // transforms have made it: their functions may stand in it
}

// Parameter is a parameter's declaration.
type Parameter struct {
	Node                  *Node
	Name                  string
	Type                  string
	Default               *string
	NoEcho                bool
	Description           string
	ConstraintDescription string
	AllowedValues         []string
	AllowedPattern        string
	MinLength, MaxLength  *int64
	MinValue, MaxValue    *float64
}

// Mapping is one member of Mappings: its Node is a map of maps.
type Mapping struct {
	Node *Node
	Name string
}

// Condition is one member of Conditions.
type Condition struct {
	Node *Node
	Name string
}

// Rule is one member of Rules.
type Rule struct {
	Node       *Node
	Name       string
	Condition  *Node // nil: always
	Assertions []Assertion
}

// Assertion is one assertion of a rule.
type Assertion struct {
	Assert      *Node
	Description string
}

// Resource is one member of Resources. The nodes are nil where the template has none.
type Resource struct {
	Node                *Node
	LogicalID           string
	Type                string
	Properties          *Node
	DependsOn           []string
	Condition           string
	DeletionPolicy      string // Delete (the default), Retain, RetainExceptOnCreate, Snapshot; set only if it is literal
	UpdateReplacePolicy string
	CreationPolicy      *Node
	UpdatePolicy        *Node
	Metadata            *Node
}

// Output is one member of Outputs.
type Output struct {
	Node        *Node
	Name        string
	Value       *Node
	Description string
	Export      *Node // the export's name, nil if it is not exported
	Condition   string
}

// Resource finds a resource by its logical id, nil if there is none.
func (t *Template) Resource(id string) *Resource {
	if i, ok := t.byID[id]; ok {
		return &t.Resources[i]
	}
	return nil
}

// Parameter finds a parameter's declaration, nil if there is none.
func (t *Template) Parameter(name string) *Parameter {
	for i := range t.Parameters {
		if t.Parameters[i].Name == name {
			return &t.Parameters[i]
		}
	}
	return nil
}

// Parse reads a template. It returns the problems of form: not JSON or YAML,
// sections and members that do not exist, values of wrong types. The template
// is nil if there is no text to make a template of; otherwise it holds what
// could be read, so that Validate can find further problems.
func Parse(body []byte) (*Template, Problems) {
	return parse(body)
}

// Types is what Validate asks about resource types; package schema implements it.
type Types interface {
	// Known reports whether AWS has the type.
	Known(typeName string) bool
	// Built reports whether this Slipway has a provider for it.
	Built(typeName string) bool
	// HasAttribute reports whether Fn::GetAtt finds the attribute.
	HasAttribute(typeName, attribute string) bool
}

// Validate checks what a template says about itself: references, conditions,
// mappings, functions, dependencies and, if types is not nil, resource types
// and their attributes. It needs no parameter values.
func (t *Template) Validate(types Types) Problems {
	return t.validate(types)
}
