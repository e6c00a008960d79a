package template

import (
	"strings"

	"github.com/slipway/slipway/cfn"
)

// Unknown stands for a value that only exists once the stack was deployed, alone
// or within a longer string. It is the text that AWS's change sets show.
const Unknown = "{{changeSet:KNOWN_AFTER_APPLY}}"

// HasUnknown reports whether v, or anything in it, is not known yet.
func HasUnknown(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, Unknown)
	case []any:
		for _, x := range v {
			if HasUnknown(x) {
				return true
			}
		}
	case map[string]any:
		for _, x := range v {
			if HasUnknown(x) {
				return true
			}
		}
	}
	return false
}

// Pseudo are the pseudo parameters.
type Pseudo struct {
	AccountID        string
	Region           string
	StackName        string
	StackID          string
	Partition        string // "aws" if empty
	URLSuffix        string // "amazonaws.com" if empty
	NotificationARNs []string
}

// Live is what Ref and Fn::GetAtt find of a resource. A property that is no
// attribute is found in Properties.
type Live struct {
	PhysicalID string // "" : not known yet
	Attributes cfn.Properties
	Properties cfn.Properties
	Growing    bool // what it lacks may come: an output of a nested stack that is yet to be updated
}

// Env is what a template is evaluated in. Each function may be nil: then what
// it would answer is Unknown.
type Env struct {
	Parameters Values
	Pseudo     Pseudo
	// Resource finds a resource of the stack; false: it does not exist yet.
	Resource func(logicalID string) (Live, bool) `json:"-"`
	// Export finds the value of an export; false: no such export.
	Export func(name string) (string, bool) `json:"-"`
	// Zones are the names of a region's availability zones.
	Zones func(region string) []string `json:"-"`
	// Open opens an attribute that is kept sealed (cfn.Sealed); false: it does not
	// open.
	Open func(sealed string) (string, bool) `json:"-"`
}

// Scope is a template in an environment: its conditions are evaluated. It is
// not changed after Enter.
type Scope struct {
	t          *Template
	env        Env
	conditions map[string]bool
}

// Enter evaluates the conditions, checks the rules, and checks that what is
// active refers to nothing that is not, nor to itself in a circle.
func (t *Template) Enter(env Env) (*Scope, Problems) {
	s := &Scope{t: t, env: env, conditions: map[string]bool{}}
	e := &evaluator{s: s}
	c := &conditions{evaluator: e, under: map[string]bool{}}
	for i := range t.Conditions {
		c.named(t.Root, t.Conditions[i].Name)
	}
	if len(e.problems) > 0 {
		return s, e.done()
	}
	e.rules()
	e.problems = append(e.problems, s.broken()...)
	return s, e.done()
}

// Template is what the scope evaluates.
func (s *Scope) Template() *Template { return s.t }

// With is the scope with another view of the stack's resources.
func (s *Scope) With(resource func(logicalID string) (Live, bool)) *Scope {
	other := *s
	other.env.Resource = resource
	return &other
}

// Holds reports a condition's value. The empty name holds.
func (s *Scope) Holds(condition string) bool {
	return condition == "" || s.conditions[condition]
}

// Active lists the resources whose conditions hold, in the order of the text.
func (s *Scope) Active() []*Resource {
	active := make([]*Resource, 0, len(s.t.Resources))
	for i := range s.t.Resources {
		if r := &s.t.Resources[i]; s.Holds(r.Condition) {
			active = append(active, r)
		}
	}
	return active
}

// Properties evaluates a resource's properties; they are never nil. What a
// resource that does not exist yet would answer is Unknown. Dynamic references
// ({{resolve:...}}) stay as they are: see ResolveDynamic.
func (s *Scope) Properties(logicalID string) (cfn.Properties, Problems) {
	r := s.t.Resource(logicalID)
	if r == nil || r.Properties == nil {
		return cfn.Properties{}, nil
	}
	v, problems := s.Eval(r.Properties)
	m, ok := v.(map[string]any)
	if !ok && len(problems) == 0 && v != nil {
		problems = Problems{At(r.Properties, "Template format error: Properties of %s must evaluate to a map", logicalID)}
	}
	if m == nil {
		m = cfn.Properties{}
	}
	return m, problems
}

// Eval evaluates any node of the template, such as a CreationPolicy. nil is nil,
// and so is AWS::NoValue.
func (s *Scope) Eval(n *Node) (any, Problems) {
	if n == nil {
		return nil, nil
	}
	e := &evaluator{s: s}
	v := e.node(n)
	if v == (removed{}) {
		v = nil
	}
	return v, e.done()
}

// OutputValue is an evaluated output.
type OutputValue struct {
	Name, Value, Description, ExportName string
}

// Outputs evaluates the outputs whose conditions hold.
func (s *Scope) Outputs() ([]OutputValue, Problems) {
	e := &evaluator{s: s}
	var outputs []OutputValue
	for i := range s.t.Outputs {
		o := &s.t.Outputs[i]
		if !s.Holds(o.Condition) || o.Value == nil {
			continue
		}
		v := OutputValue{Name: o.Name, Description: o.Description}
		v.Value = e.text(o.Value, "Template format error: The Value field of every Outputs member must evaluate to a String.")
		if o.Export != nil {
			v.ExportName = e.text(o.Export, "Template format error: Output "+o.Name+" is malformed: Export's Name must be a string")
		}
		outputs = append(outputs, v)
	}
	return outputs, e.done()
}

// Imports lists the names of the exports that the active parts import, each once.
func (s *Scope) Imports() ([]string, Problems) {
	e := &evaluator{s: s}
	var names []string
	s.walkActive(func(n *Node) {
		if n.Fn != "Fn::ImportValue" {
			return
		}
		if name := e.text(n.Arg(), functions[n.Fn].misuse); !contains(names, name) {
			names = append(names, name)
		}
	})
	return names, e.done()
}

// Importer is a resource that imports, and the name of an export that it imports.
type Importer struct{ LogicalID, Export string }

// Importers lists what the active resources import, as far as the names are known.
func (s *Scope) Importers() []Importer {
	e := &evaluator{s: s}
	var all []Importer
	for _, r := range s.Active() {
		s.walk(r.Node, func(n *Node) {
			if n.Fn != "Fn::ImportValue" {
				return
			}
			if name := e.text(n.Arg(), functions[n.Fn].misuse); name != "" && !HasUnknown(name) {
				all = append(all, Importer{r.LogicalID, name})
			}
		})
	}
	return all
}

// walkActive visits every call in resources and outputs whose conditions hold,
// and of Fn::If only the branch that is taken.
func (s *Scope) walkActive(visit func(call *Node)) {
	for _, r := range s.Active() {
		s.walk(r.Node, visit)
	}
	for i := range s.t.Outputs {
		if o := &s.t.Outputs[i]; s.Holds(o.Condition) {
			s.walk(o.Node, visit)
		}
	}
}

func (s *Scope) walk(n *Node, visit func(call *Node)) {
	n.Walk(func(n *Node) bool {
		if n.Kind != Call {
			return true
		}
		visit(n)
		if n.Fn != "Fn::If" || !isIf(n.Arg()) {
			return true
		}
		taken := 2
		if s.conditions[n.Arg().Items[0].Text] {
			taken = 1
		}
		s.walk(n.Arg().Items[taken], visit)
		return false
	})
}
