package transform

import (
	"fmt"
	"strings"

	"github.com/slipway/slipway/cfn/template"
)

// MaxModuleDepth is how deep modules may stand in one another ("Create reusable
// resource configurations that can be included across templates with
// CloudFormation modules", AWS CloudFormation User Guide).
const MaxModuleDepth = 3

// Origin is the module that a resource comes from, and those around that, the
// innermost first (ModuleInfo).
type Origin struct {
	Types string // of the modules, with "/" between
	IDs   string // logical ids of the modules, likewise
}

// IsModule reports whether a resource's type is a module's.
func IsModule(typeName string) bool { return strings.HasSuffix(typeName, "::MODULE") }

// HasModules reports whether a template has resources that are modules.
func HasModules(root *template.Node) bool {
	for _, e := range root.Get("Resources").Members() {
		if IsModule(typeOf(e.Value)) {
			return true
		}
	}
	return false
}

func typeOf(resource *template.Node) string {
	if t := resource.Get("Type"); t != nil && t.Kind == template.String {
		return t.Text
	}
	return ""
}

// Expand puts what modules consist of in their places, which changes root, and
// tells where each resource comes from. fragment reads a module's template
// fragment, nil where there is no such module: that stays, for Validate to
// refuse. Problems are at the module's place; err is of the world.
func Expand(root *template.Node, fragment func(typeName string) ([]byte, error)) (map[string]Origin, template.Problems, error) {
	x := &expansion{root: root, fragment: fragment, origins: map[string]Origin{}, members: map[string][]string{}, local: map[string]string{}}
	for depth := 1; x.level(depth) && !x.failed(); depth++ {
	}
	if x.failed() {
		return nil, x.problems, x.err
	}
	x.references()
	for id := range x.members {
		delete(x.origins, id) // modules are no resources
	}
	x.unique()
	if n := len(root.JSON()); n > template.MaxBody {
		x.fail(root, "Template may not exceed %d bytes in size.", template.MaxBody)
	}
	return x.origins, x.problems, nil
}

// expansion is the work on one template. It ends at the first problem.
type expansion struct {
	root     *template.Node
	fragment func(typeName string) ([]byte, error)
	origins  map[string]Origin
	members  map[string][]string // logical ids by the module's, in order
	local    map[string]string   // a nested module's logical id within its parent
	size     int                 // bytes of fragments and values put in so far
	problems template.Problems
	err      error
}

func (x *expansion) failed() bool { return len(x.problems) > 0 || x.err != nil }

func (x *expansion) fail(at *template.Node, format string, args ...any) {
	if len(x.problems) == 0 {
		x.problems = template.Problems{template.At(at, format, args...)}
	}
}

// grow bounds the work: what is put in may not be more than a template.
func (x *expansion) grow(at *template.Node, n int) {
	if x.size += n; x.size > template.MaxBody {
		x.fail(at, "Template may not exceed %d bytes in size.", template.MaxBody)
	}
}

// level expands the modules that stand in the template now, and reports whether
// there were any.
func (x *expansion) level(depth int) bool {
	resources := x.root.Get("Resources")
	found := false
	var kept []template.Entry
	for _, e := range resources.Members() {
		if !IsModule(typeOf(e.Value)) || x.failed() {
			kept = append(kept, e)
			continue
		}
		text, err := x.fragment(typeOf(e.Value))
		switch {
		case err != nil:
			x.err = err
		case text == nil:
			kept = append(kept, e)
		case depth > MaxModuleDepth:
			x.fail(e.Value, "Template format error: Resource %s: modules can be nested up to %d levels deep.", e.Key, MaxModuleDepth)
		default:
			found = true
			x.grow(e.Value, len(text))
			kept = append(kept, x.instantiate(e, text)...)
		}
		if len(kept) > template.MaxResources {
			x.fail(e.Value, "Template format error: Number of resources, %d, is greater than maximum allowed, %d", len(kept), template.MaxResources)
		}
	}
	if found {
		resources.Entries = kept
	}
	return found
}

// instantiate is what stands in a module's place. Its other sections go into the
// template's own.
func (x *expansion) instantiate(e template.Entry, text []byte) []template.Entry {
	root, problems := template.Read(text)
	if len(problems) > 0 {
		x.fail(e.Value, "Resource %s: the fragment of %s cannot be read: %s", e.Key, typeOf(e.Value), problems[0].Message)
		return nil
	}
	root.Place(e.Value)
	m := &module{x: x, id: e.Key, at: e.Value, fragment: root}
	if m.declare(); x.failed() {
		return nil
	}
	origin := Origin{Types: typeOf(e.Value), IDs: e.Key}
	if parent, nested := x.origins[e.Key]; nested {
		origin = Origin{Types: origin.Types + "/" + parent.Types, IDs: x.local[e.Key] + "/" + parent.IDs}
	}
	for _, section := range []string{"Mappings", "Conditions", "Outputs"} {
		var more []template.Entry
		for _, it := range root.Get(section).Members() {
			more = append(more, m.member(section, it))
		}
		x.put(section, more)
	}
	var resources []template.Entry
	x.members[e.Key] = []string{}
	for _, it := range root.Get("Resources").Members() {
		r := m.resource(it)
		x.members[e.Key] = append(x.members[e.Key], r.Key)
		x.origins[r.Key], x.local[r.Key] = origin, it.Key
		resources = append(resources, r)
	}
	return resources
}

// put adds members to a section of the template.
func (x *expansion) put(section string, more []template.Entry) {
	if len(more) == 0 {
		return
	}
	if n := x.root.Get(section); n != nil {
		n.Entries = append(n.Entries, more...)
		return
	}
	at := more[0]
	x.root.Entries = append(x.root.Entries, template.Entry{Key: section, Line: at.Line, Column: at.Column,
		Value: &template.Node{Kind: template.Map, Line: at.Line, Column: at.Column, Entries: more}})
}

// unique refuses names that modules have made and the template has, too.
func (x *expansion) unique() {
	for _, section := range []string{"Resources", "Mappings", "Conditions", "Outputs"} {
		seen := map[string]bool{}
		for _, e := range x.root.Get(section).Members() {
			if seen[e.Key] {
				x.fail(e.Value, "Template format error: %s has %s twice, of a module and beside it", section, e.Key)
			}
			seen[e.Key] = true
		}
	}
}

// references puts the logical ids that resources have now in the places of
// Module.Resource, and of modules in DependsOn.
func (x *expansion) references() {
	ids := map[string]bool{}
	for _, e := range x.root.Get("Resources").Members() {
		ids[e.Key] = true
	}
	// dotted is what a name of Module.Resource stands for, and what follows it.
	dotted := func(name string) (id, rest string, ok bool) {
		parts := strings.Split(name, ".")
		for id = parts[0]; len(parts) > 1 && x.members[id] != nil; {
			parts = parts[1:]
			if id += parts[0]; ids[id] {
				return id, strings.Join(parts[1:], "."), true
			}
		}
		return "", "", false
	}
	rename := func(name string) string {
		id, rest, ok := dotted(name)
		switch {
		case !ok:
			return name
		case rest == "":
			return id
		}
		return id + "." + rest
	}
	x.root.Walk(func(n *template.Node) bool {
		renameCall(n, rename, nil)
		return true
	})
	for _, e := range x.root.Get("Resources").Members() {
		if d := e.Value.Get("DependsOn"); d != nil {
			*d = *x.dependencies(d, rename)
		}
	}
}

// dependencies is a DependsOn with a module's resources in the module's place.
func (x *expansion) dependencies(d *template.Node, rename func(string) string) *template.Node {
	list := &template.Node{Kind: template.List, Line: d.Line, Column: d.Column}
	var add func(at *template.Node, id string)
	add = func(at *template.Node, id string) {
		if of, is := x.members[id]; is {
			for _, id := range of {
				add(at, id)
			}
			return
		}
		list.Items = append(list.Items, template.Literal(at, rename(id)))
	}
	for _, it := range itemsOf(d) {
		if it.Kind != template.String {
			return d // Validate refuses it
		}
		add(it, it.Text)
	}
	if d.Kind == template.String && len(list.Items) == 1 {
		return list.Items[0]
	}
	return list
}

// itemsOf are a list's items, or the one that stands for a list of it.
func itemsOf(n *template.Node) []*template.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind == template.List:
		return n.Items
	}
	return []*template.Node{n}
}

// renameCall renames the resource that a call of Ref, Fn::GetAtt or Fn::Sub is of.
// own are variables of an Fn::Sub that are none of the template's.
func renameCall(n *template.Node, rename func(string) string, own func(name string) bool) {
	arg := n.Arg()
	switch {
	case arg == nil:
	case n.Fn == "Ref" && arg.Kind == template.String:
		arg.Text = rename(arg.Text)
	case n.Fn == "Fn::GetAtt":
		renameAttribute(arg, rename)
	case n.Fn == "Fn::Sub":
		text, variables := arg, (*template.Node)(nil)
		if arg.Kind == template.List && len(arg.Items) == 2 {
			text, variables = arg.Items[0], arg.Items[1]
		}
		if text.Kind == template.String {
			text.Text = eachVariable(text.Text, func(name string) string {
				if variables.Get(name) != nil || own != nil && own(name) {
					return "${" + name + "}"
				}
				return "${" + rename(name) + "}"
			})
		}
	}
}

// renameAttribute renames the resource of an Fn::GetAtt, "Resource.Attribute" or a
// list of both, of which either may have the point of Module.Resource.
func renameAttribute(arg *template.Node, rename func(string) string) {
	if arg.Kind == template.String {
		arg.Text = rename(arg.Text)
		return
	}
	if arg.Kind != template.List || len(arg.Items) < 2 || arg.Items[0].Kind != template.String || arg.Items[1].Kind != template.String {
		return
	}
	first, second := arg.Items[0], arg.Items[1]
	was := first.Text + "." + second.Text
	if now := rename(was); now != was {
		first.Text, second.Text, _ = strings.Cut(now, ".")
	}
}

// eachVariable is an Fn::Sub's text with each ${variable} replaced; ${!x} stays.
func eachVariable(text string, replace func(name string) string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			break
		}
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			break
		}
		name := text[i+2 : i+end]
		b.WriteString(text[:i])
		if strings.HasPrefix(name, "!") {
			b.WriteString(text[i : i+end+1])
		} else {
			b.WriteString(replace(strings.TrimSpace(name)))
		}
		text = text[i+end+1:]
	}
	return b.String() + text
}

// CheckFragment checks what can be said of a module's fragment by itself.
func CheckFragment(text []byte) error {
	root, problems := template.Read(text)
	if err := problems.Err(); err != nil {
		return err
	}
	if root.Kind != template.Map || len(root.Get("Resources").Members()) == 0 {
		return fmt.Errorf("the fragment has no Resources")
	}
	for _, e := range root.Entries {
		switch e.Key {
		case "AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Mappings", "Conditions", "Resources", "Outputs":
		default:
			return fmt.Errorf("the section %s is not implemented in fragments", e.Key)
		}
	}
	if len(template.Transforms(root)) > 0 {
		return fmt.Errorf("Fn::Transform is not implemented in fragments")
	}
	declared, problems := template.Declared(root)
	for _, p := range declared.Parameters {
		if strings.HasPrefix(p.Type, "AWS::SSM::") {
			return fmt.Errorf("parameter %s: the type %s is not implemented in fragments", p.Name, p.Type)
		}
	}
	return problems.Err()
}
