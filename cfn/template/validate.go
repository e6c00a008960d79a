package template

import (
	"fmt"
	"github.com/slipway/slipway/cfn"
	"sort"
	"strings"

	"github.com/slipway/slipway/cfn/template/pattern"
)

// validator checks a template without parameter values.
type validator struct {
	t     *Template
	types Types
	report
	unresolved map[string][]string // by section, in order
	first      map[string]*Node
}

func (t *Template) validate(types Types) Problems {
	v := &validator{t: t, types: types, unresolved: map[string][]string{}, first: map[string]*Node{}}
	if v.macros(); len(v.problems) > 0 {
		return v.done() // what a transform would make of the rest is not known
	}
	v.parameterDefaults()
	v.resourceTypes()
	v.snapshots()
	for _, e := range t.Root.Entries {
		switch e.Key {
		case "Conditions", "Resources", "Outputs", "Rules":
			v.section(e.Key, e.Value)
		case "Parameters", "Mappings":
			v.literal(e.Key, e.Value)
		}
	}
	v.conditionNames()
	v.dependsOn()
	for section, names := range v.unresolved {
		what := "Template format error: Unresolved resource dependencies [%s] in the %s block of the template"
		if section == "Conditions" || section == "Rules" {
			what = "Template format error: Unresolved dependencies [%s]. Cannot reference resources in the %s block of the template"
		}
		v.at(v.first[section], what, strings.Join(names, ", "), section)
	}
	v.circles(t, t.certainDependencies())
	return v.done()
}

// macros reports transforms that have not been run: what they make of a template
// is what can be checked.
func (v *validator) macros() {
	for _, name := range v.t.Transform {
		if strings.HasPrefix(name, "AWS::Serverless-") {
			v.at(v.t.Root.Get("Transform"), "%s", NoServerless(name))
		} else {
			v.at(v.t.Root.Get("Transform"), "Transform %s has not been run", name)
		}
	}
	v.t.Root.Walk(func(n *Node) bool {
		for _, e := range n.Entries {
			if e.Key == "Fn::Transform" {
				v.at(e.Value, "Fn::Transform may not stand in what a transform has made")
			} else if strings.HasPrefix(e.Key, "Fn::ForEach") {
				v.at(e.Value, "Template format error: %s needs the transform AWS::LanguageExtensions", e.Key)
			}
		}
		if n.Fn == "Fn::Transform" {
			v.at(n, "Fn::Transform may not stand in what a transform has made")
		}
		return true
	})
}

// NoServerless words that the SAM transform is not built.
func NoServerless(name string) string {
	return fmt.Sprintf("Transform %s is not implemented: this Slipway does not translate templates of the Serverless Application Model", name)
}

func (v *validator) parameterDefaults() {
	for i := range v.t.Parameters {
		d := &v.t.Parameters[i]
		if d.AllowedPattern == "" {
			continue
		}
		if _, err := pattern.Compile(d.AllowedPattern); err != nil {
			v.at(d.Node.Get("AllowedPattern"), "Parameter '%s' has an AllowedPattern that is no pattern: %v", d.Name, err)
		}
	}
}

func (v *validator) resourceTypes() {
	if v.types == nil {
		return
	}
	var unknown []string
	var first *Node
	for i := range v.t.Resources {
		r := &v.t.Resources[i]
		switch {
		case r.Type == "":
		case !v.types.Known(r.Type):
			if !contains(unknown, r.Type) {
				unknown = append(unknown, r.Type)
			}
			if first == nil {
				first = r.Node.Get("Type")
			}
		case r.Condition == "" && !v.types.Built(r.Type): // with a condition, the scope tells whether it is needed
			v.problems = append(v.problems, NotBuilt(r))
		}
	}
	if len(unknown) > 0 {
		v.at(first, "Template format error: Unrecognized resource types: [%s]", strings.Join(unknown, ", "))
	}
}

// NotBuilt is the problem of a resource whose type this Slipway has no provider
// for.
func NotBuilt(r *Resource) Problem {
	return At(r.Node.Get("Type"), "Resource type %s is not built yet: this Slipway has no provider for it", r.Type)
}

// snapshots refuses the policy Snapshot of types that have none.
func (v *validator) snapshots() {
	for i := range v.t.Resources {
		r := &v.t.Resources[i]
		if cfn.HasSnapshots(r.Type) {
			continue
		}
		if r.DeletionPolicy == "Snapshot" {
			v.at(r.Node.Get("DeletionPolicy"), "Template error: resource type %s does not support deletion policy Snapshot", r.Type)
		}
		if r.UpdateReplacePolicy == "Snapshot" {
			v.at(r.Node.Get("UpdateReplacePolicy"), "Template error: resource type %s does not support update replace policy Snapshot", r.Type)
		}
	}
}

// literal refuses functions where only literal values may stand.
func (v *validator) literal(section string, n *Node) {
	n.Walk(func(n *Node) bool {
		if n.Kind == Call && section == "Parameters" {
			v.at(n, "Template format error: functions such as %s may not stand in the Parameters block of the template", n.Fn)
		}
		return n.Kind != Call
	})
}

// section checks every function of a section.
func (v *validator) section(name string, root *Node) {
	root.Walk(func(n *Node) bool {
		if n.Kind != Call {
			return true
		}
		f := functions[n.Fn]
		switch {
		case f == nil || f.unbuilt != "":
			v.misuse(n, f)
			return f == nil
		case f.extension && !v.t.processed:
			v.misuse(n, nil)
			return true
		case f.fits != nil && !f.fits(n.Arg()):
			v.at(n, "%s", f.misuse)
			return true
		case name == "Conditions" && !f.inCondition, f.inRule && name != "Rules":
			if f.inRule {
				v.at(n, "Template error: %s may stand in Rules only", n.Fn)
			} else {
				v.at(n, "%s: %s may not stand here", onlyBooleans, n.Fn)
			}
			return true
		}
		v.function(name, n)
		return true
	})
}

func (v *validator) function(section string, n *Node) {
	arg := n.Arg()
	switch n.Fn {
	case "Fn::FindInMap":
		v.findInMap(n, arg)
	case "Fn::If":
		if name := arg.Items[0].Text; !v.hasCondition(name) {
			v.at(n, "Template error: unresolved condition dependency %s in Fn::If", name)
		}
	case "Fn::Select":
		v.selects(n, arg)
	case "Fn::Sub":
		text, _ := sub(arg)
		if _, bad := subParts(text.Text); bad != "" {
			v.at(n, "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons")
			return
		}
	case "Fn::ImportValue":
		arg.Walk(func(in *Node) bool {
			for _, ref := range references(in) {
				if v.t.Resource(ref.name) != nil {
					v.at(n, "Template error: the attribute in Fn::ImportValue must not depend on any resources, imported values, or Fn::GetAZs")
					return false
				}
			}
			return true
		})
	}
	for _, ref := range references(n) {
		v.reference(section, ref)
	}
}

func (v *validator) selects(n, arg *Node) {
	i := arg.Items[0]
	if !i.Scalar() {
		return
	}
	var at int
	if _, err := fmt.Sscanf(i.Text, "%d", &at); err != nil || fmt.Sprint(at) != i.Text || at < 0 {
		v.at(n, "%s", selectMisuse)
		return
	}
	if l := arg.Items[1]; l.Kind == List && at >= len(l.Items) {
		v.at(n, "%s", selectMisuse)
	}
}

func (v *validator) findInMap(n, arg *Node) {
	if hasDefault(arg) {
		if !v.t.processed {
			v.at(n, "%s", mapMisuse)
		}
		return
	}
	if !arg.Items[0].Scalar() {
		return
	}
	for _, m := range v.t.Mappings {
		if m.Name != arg.Items[0].Text {
			continue
		}
		if top, second := arg.Items[1], arg.Items[2]; top.Scalar() {
			if m.Node.Get(top.Text) == nil || second.Scalar() && m.Node.Get(top.Text).Get(second.Text) == nil {
				v.at(n, "Template error: Unable to get mapping for %s::%s::%s", m.Name, top.Text, second.Text)
			}
		}
		return
	}
	v.at(n, "Template error: Mapping named '%s' is not present in the 'Mappings' section of template.", arg.Items[0].Text)
}

func (v *validator) reference(section string, ref reference) {
	if strings.HasPrefix(ref.name, "AWS::") && !ref.isAttribute {
		if _, ok := (&evaluator{s: &Scope{}}).pseudo(ref.name); ok {
			return
		}
	}
	target := v.t.Resource(ref.name)
	isParameter := v.t.Parameter(ref.name) != nil
	inValues := section == "Resources" || section == "Outputs"
	switch {
	case ref.isAttribute && target != nil && inValues:
		v.attribute(ref, target)
	case ref.isAttribute && inValues:
		v.at(ref.node, "Template error: instance of Fn::GetAtt references undefined resource %s", ref.name)
	case isParameter && !ref.isAttribute, target != nil && inValues:
	default:
		if !contains(v.unresolved[section], ref.name) {
			v.unresolved[section] = append(v.unresolved[section], ref.name)
		}
		if v.first[section] == nil {
			v.first[section] = ref.node
		}
	}
}

func (v *validator) attribute(ref reference, target *Resource) {
	if v.types == nil || ref.attribute == "" || !v.types.Known(target.Type) || v.types.HasAttribute(target.Type, ref.attribute) {
		return
	}
	v.at(ref.node, "[Error] %s: Resource type %s does not support attribute {%s}", ref.node.callPath(), target.Type, ref.attribute)
}

func (v *validator) hasCondition(name string) bool {
	for i := range v.t.Conditions {
		if v.t.Conditions[i].Name == name {
			return true
		}
	}
	return false
}

// conditionNames checks every place that names a condition but Fn::If.
func (v *validator) conditionNames() {
	check := func(n *Node, name, section string) {
		if name != "" && !v.hasCondition(name) {
			v.at(n, "Template format error: Unresolved condition dependency %s in the %s block of the template", name, section)
		}
	}
	for i := range v.t.Resources {
		check(v.t.Resources[i].Node.Get("Condition"), v.t.Resources[i].Condition, "Resources")
	}
	for i := range v.t.Outputs {
		check(v.t.Outputs[i].Node.Get("Condition"), v.t.Outputs[i].Condition, "Outputs")
	}
	on := map[string][]string{}
	for i := range v.t.Conditions {
		c := &v.t.Conditions[i]
		if _, ok := conditionName(c.Node); !ok && c.Node.Kind != Null && (c.Node.Kind != Call || functions[c.Node.Fn] != nil && !functions[c.Node.Fn].boolean) {
			v.at(c.Node, onlyBooleans)
		}
		c.Node.Walk(func(n *Node) bool {
			if name, ok := conditionName(n); ok {
				check(n, name, "Conditions")
				on[c.Name] = append(on[c.Name], name)
			}
			return true
		})
	}
	for _, circle := range circles(on) {
		v.at(v.t.Root.Get("Conditions").Get(circle[0]), "Template format error: Circular dependency between conditions: [%s]", strings.Join(circle, ", "))
	}
}

func (v *validator) dependsOn() {
	for i := range v.t.Resources {
		r := &v.t.Resources[i]
		for _, id := range r.DependsOn {
			if v.t.Resource(id) != nil {
				continue
			}
			if !contains(v.unresolved["Resources"], id) {
				v.unresolved["Resources"] = append(v.unresolved["Resources"], id)
			}
			if v.first["Resources"] == nil {
				v.first["Resources"] = r.Node.Get("DependsOn")
			}
		}
	}
}

// certainDependencies are those that hold whatever the conditions are: not those
// within Fn::If. The rest is checked once the conditions are known.
func (t *Template) certainDependencies() map[string][]string {
	on := make(map[string][]string, len(t.Resources))
	for i := range t.Resources {
		r := &t.Resources[i]
		set := map[string]bool{}
		for _, id := range r.DependsOn {
			set[id] = true
		}
		r.Node.Walk(func(n *Node) bool {
			if n.Kind == Call {
				for _, ref := range references(n) {
					set[ref.name] = true
				}
			}
			return n.Fn != "Fn::If"
		})
		ids := []string{}
		for id := range set {
			if d := t.Resource(id); d != nil && (d.Condition == "" || d.Condition == r.Condition) && (r.Condition == "" || d.Condition == r.Condition) {
				ids = append(ids, id)
			}
		}
		sort.Strings(ids)
		on[r.LogicalID] = ids
	}
	return on
}
