package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/template"
)

// Existing is a resource of the account that is to become one of the stack.
type Existing struct {
	PhysicalID string
	// Identifier are the values of the schema's primary identifier by which the
	// user named it.
	Identifier map[string]string
}

// MakeImport decides an import: what Input's Import names joins the stack, and
// nothing else of it changes ("Import AWS resources into a CloudFormation stack",
// CloudFormation User Guide). The problems are those of evaluation, and what
// breaks a rule of imports.
func MakeImport(in Input) (*Plan, template.Problems) {
	p, problems := Make(in)
	if len(problems) > 0 {
		return nil, problems
	}
	for i := range p.Steps {
		if p.Steps[i].Automatic {
			p.Steps[i].Action, p.Steps[i].Automatic = Keep, false
		}
	}
	for _, rule := range []func(Input, *Plan) string{unknownTargets, unprotected, notImported, modified, outputsModified} {
		if broken := rule(in, p); broken != "" {
			return nil, template.Problems{{Message: broken}}
		}
	}
	return p, nil
}

// list writes logical ids as the messages do.
func list(ids []string) string {
	slices.Sort(ids)
	return "[" + strings.Join(ids, ", ") + "]"
}

// chosen are the ids of the steps that a test holds for.
func chosen(p *Plan, test func(s *Step) bool) []string {
	var ids []string
	for i := range p.Steps {
		if test(&p.Steps[i]) {
			ids = append(ids, p.Steps[i].LogicalID)
		}
	}
	return ids
}

// unknownTargets finds what is to be imported and cannot be: it is in the stack,
// or it is not in the template.
func unknownTargets(in Input, p *Plan) string {
	var there, missing []string
	for id := range in.Import {
		switch step := p.Step(id); {
		case in.Old.Resources[id].PhysicalID != "":
			there = append(there, id)
		case step == nil:
			missing = append(missing, id)
		}
	}
	switch {
	case len(there) > 0:
		return fmt.Sprintf("Resources %s passed in ResourceToImport are already in a stack and cannot be imported.", list(there))
	case len(missing) > 0:
		return fmt.Sprintf("Resources %s passed in ResourceToImport are not in the template, or their conditions are false.", list(missing))
	}
	return ""
}

// unprotected finds what is imported without saying what becomes of it later.
func unprotected(in Input, p *Plan) string {
	ids := chosen(p, func(s *Step) bool {
		return s.Action == Import && in.New.Resource(s.LogicalID).DeletionPolicy == ""
	})
	if len(ids) == 0 {
		return ""
	}
	return fmt.Sprintf("The following resources to import %s must have DeletionPolicy attribute specified in the template.", list(ids))
}

// notImported finds what a new stack would have to make.
func notImported(in Input, p *Plan) string {
	ids := chosen(p, func(s *Step) bool { return s.Action == Create })
	if in.Old.Template != nil || len(ids) == 0 {
		return ""
	}
	return fmt.Sprintf("Resources %s is missing from ResourceToImport list", list(ids))
}

// modified finds what an import would have to make, change or delete beside.
func modified(_ Input, p *Plan) string {
	ids := chosen(p, func(s *Step) bool { return s.Action != Import && s.Action != Keep })
	for i := range p.Cleanup {
		if id := p.Cleanup[i].LogicalID; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return fmt.Sprintf("You have modified resources %s in your template that are not being imported. Update, create or delete operations cannot be executed during import operations.", list(ids))
}

// outputsModified finds outputs that an import would add or change.
func outputsModified(_ Input, p *Plan) string {
	if !p.Outputs {
		return ""
	}
	return "As part of the import operation, you cannot modify or add [Outputs]"
}

// identify checks that the template gives a resource no other identifier than
// the one that it is imported by.
func (m *maker) identify(f *fate, target Existing) {
	s, err := m.in.Types.schema(f.step.Type)
	if err != nil || s == nil {
		return
	}
	for _, name := range s.PrimaryIdentifier {
		v, given := f.after[name]
		if text := text(v); given && known(v) && target.Identifier[name] != text {
			m.problems = append(m.problems, template.At(f.resource.Properties.Get(name),
				"The template gives %s the %s %q; ResourcesToImport names the one with %q.", f.step.LogicalID, name, text, target.Identifier[name]))
		}
	}
}

// PhysicalID is the physical id of a type's resource with the values of its
// primary identifier; false: they are not the ones that the schema asks for.
func (t Types) PhysicalID(typeName string, identifier map[string]string) (string, bool) {
	s, err := t.schema(typeName)
	if err != nil || s == nil || len(s.PrimaryIdentifier) == 0 || len(identifier) != len(s.PrimaryIdentifier) {
		return "", false
	}
	values := make([]string, len(s.PrimaryIdentifier))
	for i, name := range s.PrimaryIdentifier {
		if values[i] = identifier[name]; values[i] == "" {
			return "", false
		}
	}
	if p, ok := t.provider(typeName); ok && p.Identify != nil {
		return p.Identify(identifier), true
	}
	return strings.Join(values, "|"), true
}

// Found reports whether what Read tells of a resource has the identifier that it
// was looked for by: a service may find a thing by more names than one.
func (t Types) Found(typeName string, identifier map[string]string, actual cfn.Properties) bool {
	for name, value := range t.Identifier(typeName, actual) {
		if value != identifier[name] {
			return false
		}
	}
	return true
}

// Candidate is a resource that may be in the account already.
type Candidate struct {
	Resource
	Identifier map[string]string
}

// Existing is the candidate as a target, once it was found.
func (c *Candidate) Existing() Existing {
	return Existing{PhysicalID: c.PhysicalID, Identifier: c.Identifier}
}

// Candidates are the resources that an import is to take, as far as their
// properties are known; of other operations those that they would make under names
// of the template's.
func Candidates(in Input) ([]Candidate, template.Problems) {
	m := enter(in)
	if len(m.problems) > 0 {
		return nil, m.problems
	}
	var all []Candidate
	for _, id := range m.order {
		f := m.fates[id]
		c := Candidate{Resource: Resource{LogicalID: id, Type: f.step.Type, PhysicalID: f.step.PhysicalID, Properties: f.after}}
		switch {
		case f.step.Action == Import && !template.HasUnknown(f.after):
			c.Identifier = in.Import[id].Identifier
		case f.step.Action == Create && in.Import == nil:
			c.Identifier = in.Types.Identifier(f.step.Type, f.after)
			c.PhysicalID, _ = in.Types.PhysicalID(f.step.Type, c.Identifier)
		}
		if c.PhysicalID != "" && c.Identifier != nil {
			all = append(all, c)
		}
	}
	return all, nil
}

// known reports whether a value says what it is: neither something that is not
// known yet nor a dynamic reference.
func known(v any) bool {
	return !template.HasUnknown(v) && !template.HasDynamic(text(v))
}

// Identifier are the values of a type's primary identifier in properties, as far
// as they are known.
func (t Types) Identifier(typeName string, p cfn.Properties) map[string]string {
	values := map[string]string{}
	s, err := t.schema(typeName)
	if err != nil || s == nil {
		return values
	}
	for _, name := range s.PrimaryIdentifier {
		if v := p[name]; v != nil && known(v) {
			values[name] = text(v)
		}
	}
	return values
}
