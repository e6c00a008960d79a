package transform

import (
	"slices"
	"strings"

	"github.com/slipway/slipway/cfn/template"
)

// module is one use of a module in a template.
type module struct {
	x        *expansion
	id       string         // logical
	at       *template.Node // its resource
	fragment *template.Node
	values   map[string]*template.Node // of its parameters
}

// declare holds the module's resource against what the fragment declares, and
// finds the values of its parameters.
func (m *module) declare() {
	for _, e := range m.at.Entries {
		switch e.Key {
		case "Type", "Properties", "DependsOn", "Condition", "Metadata":
		default:
			m.x.fail(e.Value, "Resource %s: %s of a module is not implemented: the module's resources have their own", m.id, e.Key)
			return
		}
	}
	declared, problems := template.Declared(m.fragment)
	if len(problems) > 0 {
		m.x.fail(m.at, "Resource %s: the fragment of %s is wrong: %s", m.id, typeOf(m.at), problems[0].Message)
		return
	}
	properties := m.at.Get("Properties")
	m.values = map[string]*template.Node{}
	var literal []template.Parameter
	var given []template.Given
	for _, p := range declared.Parameters {
		v := properties.Get(p.Name)
		switch {
		case v == nil && p.Default == nil:
			m.x.fail(m.at, "Resource %s: Parameters: [%s] must have values", m.id, p.Name)
			return
		case v == nil:
			v = template.Literal(m.at, *p.Default)
		case v.Scalar():
			literal, given = append(literal, p), append(given, template.Given{Key: p.Name, Value: v.Text})
		}
		if v.Scalar() && (p.Type == "CommaDelimitedList" || strings.HasPrefix(p.Type, "List<")) {
			v = listOf(v)
		}
		m.values[p.Name] = v
	}
	for _, e := range properties.Members() {
		if m.values[e.Key] == nil {
			m.x.fail(e.Value, "Resource %s: extraneous key [%s] is not permitted: %s has no such parameter", m.id, e.Key, typeOf(m.at))
			return
		}
	}
	declared.Parameters = literal // what functions come to is not known yet
	if _, problems := declared.Resolve(given, nil, nil); len(problems) > 0 {
		m.x.fail(m.at, "Resource %s: %s", m.id, problems[0].Message)
	}
}

// listOf is the list that a text with commas stands for.
func listOf(n *template.Node) *template.Node {
	list := &template.Node{Kind: template.List, Line: n.Line, Column: n.Column}
	for part := range strings.SplitSeq(n.Text, ",") {
		list.Items = append(list.Items, template.Literal(n, strings.TrimSpace(part)))
	}
	return list
}

// has reports whether a section of the fragment has a member.
func (m *module) has(section, name string) bool { return m.fragment.Get(section).Get(name) != nil }

// rename is the name in the template of one of the fragment's resources, with what
// follows a point.
func (m *module) rename(name string) string {
	first, _, _ := strings.Cut(name, ".")
	if m.has("Resources", first) {
		return m.id + name
	}
	for _, e := range m.fragment.Get("Resources").Members() {
		if IsModule(typeOf(e.Value)) && strings.HasPrefix(first, e.Key) { // one of its resources
			return m.id + name
		}
	}
	return name
}

// member is a mapping, condition or output of the fragment as the template has it.
func (m *module) member(section string, e template.Entry) template.Entry {
	condition := m.at.Get("Condition")
	switch section {
	case "Conditions":
		e.Value = m.node(e.Value, true)
		if condition != nil { // where the module is not there, nothing of it is
			e.Value = template.MapOf(e.Value, []template.Entry{entry(e.Value, "Fn::And", &template.Node{
				Kind: template.List, Line: e.Line, Column: e.Column,
				Items: []*template.Node{template.MapOf(condition, []template.Entry{entry(condition, "Condition", clone(condition))}), e.Value},
			})})
		}
	case "Outputs":
		e.Value = m.conditional(m.node(e.Value, false))
	}
	e.Key = m.id + e.Key
	return e
}

func entry(at *template.Node, key string, v *template.Node) template.Entry {
	return template.Entry{Key: key, Line: at.Line, Column: at.Column, Value: v}
}

// conditional names the condition of a resource or output: its own, or the
// module's.
func (m *module) conditional(n *template.Node) *template.Node {
	if n.Kind != template.Map {
		return n
	}
	if own := n.Get("Condition"); own != nil {
		if own.Kind == template.String && m.has("Conditions", own.Text) {
			own.Text = m.id + own.Text
		}
	} else if c := m.at.Get("Condition"); c != nil {
		n.Entries = append(n.Entries, entry(c, "Condition", clone(c)))
	}
	return n
}

// resource is a resource of the fragment as the template has it.
func (m *module) resource(e template.Entry) template.Entry {
	e.Value = m.conditional(m.node(e.Value, false))
	e.Key = m.id + e.Key
	if e.Value.Kind != template.Map {
		return e
	}
	own := e.Value.Get("DependsOn")
	for _, d := range itemsOf(own) {
		if d.Kind == template.String {
			d.Text = m.rename(d.Text)
		}
	}
	more := m.at.Get("DependsOn")
	if more == nil {
		return e
	}
	all := &template.Node{Kind: template.List, Line: more.Line, Column: more.Column, Items: slices.Clone(itemsOf(own))}
	for _, d := range itemsOf(more) {
		all.Items = append(all.Items, clone(d))
	}
	e.Value.Entries = slices.DeleteFunc(e.Value.Entries, func(e template.Entry) bool { return e.Key == "DependsOn" })
	e.Value.Entries = append(e.Value.Entries, entry(more, "DependsOn", all))
	return e
}

// node is a part of the fragment with parameters' values in their places, and with
// names as the template has them. inCondition tells where {"Condition": name} is one.
func (m *module) node(n *template.Node, inCondition bool) *template.Node {
	arg := n.Arg()
	if n.Fn == "Ref" && arg.Kind == template.String {
		if v := m.values[arg.Text]; v != nil {
			return m.value(v)
		}
	}
	for i := range n.Items {
		n.Items[i] = m.node(n.Items[i], inCondition)
	}
	for i := range n.Entries {
		n.Entries[i].Value = m.node(n.Entries[i].Value, inCondition)
	}
	renameCall(n, m.rename, func(name string) bool { return m.values[name] != nil })
	m.named(n, inCondition)
	if n.Fn == "Fn::Sub" { // last: values have the template's names already
		m.substitute(n)
	}
	return n
}

// named renames the condition or mapping that a function names.
func (m *module) named(n *template.Node, inCondition bool) {
	section, name := "", (*template.Node)(nil)
	switch arg := n.Arg(); {
	case n.Fn == "Condition":
		section, name = "Conditions", arg
	case inCondition && n.Kind == template.Map && len(n.Entries) == 1 && n.Entries[0].Key == "Condition":
		section, name = "Conditions", n.Entries[0].Value
	case arg == nil || arg.Kind != template.List || len(arg.Items) == 0:
	case n.Fn == "Fn::If":
		section, name = "Conditions", arg.Items[0]
	case n.Fn == "Fn::FindInMap":
		section, name = "Mappings", arg.Items[0]
	}
	if name != nil && name.Kind == template.String && m.has(section, name.Text) {
		name.Text = m.id + name.Text
	}
}

// value is a parameter's value, to be put in.
func (m *module) value(v *template.Node) *template.Node {
	m.x.grow(m.at, len(v.JSON()))
	if m.x.failed() {
		return template.Literal(v, "")
	}
	return clone(v)
}

// substitute gives an Fn::Sub the values of parameters: literal ones in the text,
// the others as variables of its own.
func (m *module) substitute(n *template.Node) {
	text, variables := n.Arg(), (*template.Node)(nil)
	if text.Kind == template.List && len(text.Items) == 2 {
		text, variables = text.Items[0], text.Items[1]
	}
	if text.Kind != template.String || variables != nil && variables.Kind != template.Map {
		return // Validate refuses it
	}
	var more []template.Entry
	text.Text = eachVariable(text.Text, func(name string) string {
		v := m.values[name]
		switch {
		case v == nil || variables.Get(name) != nil:
			return "${" + name + "}"
		case v.Scalar():
			return strings.ReplaceAll(m.value(v).Text, "${", "${!")
		}
		if !slices.ContainsFunc(more, func(e template.Entry) bool { return e.Key == m.id+name }) {
			more = append(more, entry(v, m.id+name, m.value(v)))
		}
		return "${" + m.id + name + "}"
	})
	if len(more) == 0 {
		return
	}
	if variables == nil {
		variables = &template.Node{Kind: template.Map, Line: text.Line, Column: text.Column}
		n.Items[0] = &template.Node{Kind: template.List, Line: text.Line, Column: text.Column, Items: []*template.Node{text, variables}}
	}
	variables.Entries = append(variables.Entries, more...)
}

// clone is a copy of a node with all that is below it.
func clone(n *template.Node) *template.Node {
	c := *n
	c.Items, c.Entries = slices.Clone(n.Items), slices.Clone(n.Entries)
	for i := range c.Items {
		c.Items[i] = clone(c.Items[i])
	}
	for i := range c.Entries {
		c.Entries[i].Value = clone(c.Entries[i].Value)
	}
	return &c
}
