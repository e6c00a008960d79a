package template

import (
	"sort"
	"strings"
)

// Dependencies are the resources that each active resource waits for, by Ref,
// Fn::GetAtt, Fn::Sub or DependsOn, sorted. Inactive ones are left out.
func (s *Scope) Dependencies() map[string][]string {
	on := make(map[string][]string, len(s.t.Resources))
	for _, r := range s.Active() {
		set := map[string]bool{}
		for _, id := range r.DependsOn {
			set[id] = true
		}
		s.walk(r.Node, func(call *Node) {
			for _, ref := range references(call) {
				set[ref.name] = true
			}
		})
		var ids []string
		for id := range set {
			if d := s.t.Resource(id); d != nil && s.Holds(d.Condition) {
				ids = append(ids, id)
			}
		}
		sort.Strings(ids)
		on[r.LogicalID] = ids
	}
	return on
}

// Reference is a use of a parameter or resource in a value.
type Reference struct {
	Name      string // the parameter or resource
	Attribute string // of Fn::GetAtt; "" : Ref
	Node      *Node
}

// References lists what an evaluated part of a node refers to, each once, in the
// order of the text: parameters, resources and pseudo parameters.
func (s *Scope) References(n *Node) []Reference {
	var refs []Reference
	seen := map[[2]string]bool{}
	if n == nil {
		return nil
	}
	s.walk(n, func(call *Node) {
		for _, r := range references(call) {
			if key := [2]string{r.name, r.attribute}; !seen[key] {
				seen[key] = true
				refs = append(refs, Reference{Name: r.name, Attribute: r.attribute, Node: r.node})
			}
		}
	})
	return refs
}

type reference struct {
	name, attribute string
	isAttribute     bool
	node            *Node
}

// references are those that a call makes itself, not those of calls within it.
func references(n *Node) []reference {
	arg := n.Arg()
	switch n.Fn {
	case "Ref":
		if isText(arg) {
			return []reference{{name: arg.Text, node: n}}
		}
	case "Fn::GetAtt":
		if resource, attribute := getAtt(arg); resource != "" && attribute != nil {
			return []reference{{name: resource, attribute: attribute.Text, isAttribute: true, node: n}}
		}
	case "Fn::Sub":
		if !isSub(arg) {
			return nil
		}
		text, variables := sub(arg)
		parts, _ := subParts(text.Text)
		var refs []reference
		for _, p := range parts {
			if !p.variable || variables.Get(p.text) != nil {
				continue
			}
			r := reference{name: p.text, node: n}
			if resource, attribute, ok := strings.Cut(p.text, "."); ok {
				r = reference{name: resource, attribute: attribute, isAttribute: true, node: n}
			}
			refs = append(refs, r)
		}
		return refs
	}
	return nil
}

// broken reports, with the conditions known, references of active parts to
// inactive resources, and circles.
func (s *Scope) broken() Problems {
	var r report
	s.walkActive(func(call *Node) {
		for _, ref := range references(call) {
			if d := s.t.Resource(ref.name); d != nil && !s.Holds(d.Condition) {
				r.at(ref.node, "Template format error: Unresolved resource dependencies [%s] in the %s block of the template", ref.name, block(ref.node))
			}
		}
	})
	r.circles(s.t, s.Dependencies())
	return r.problems
}

func (r *report) circles(t *Template, on map[string][]string) {
	for _, c := range circles(on) {
		r.at(t.Resource(c[0]).Node, "Circular dependency between resources: [%s]", strings.Join(c, ", "))
	}
}

// circles finds the strongly connected components of more than one node, and
// nodes that depend on themselves (Tarjan's algorithm), each sorted.
func circles(on map[string][]string) [][]string {
	t := &tarjan{on: on, index: map[string]int{}, low: map[string]int{}, open: map[string]bool{}}
	ids := make([]string, 0, len(on))
	for id := range on {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		if _, seen := t.index[id]; !seen {
			t.visit(id)
		}
	}
	return t.found
}

type tarjan struct {
	on         map[string][]string
	index, low map[string]int
	open       map[string]bool
	stack      []string
	found      [][]string
}

func (t *tarjan) visit(id string) {
	t.index[id] = len(t.index)
	t.low[id] = t.index[id]
	t.stack = append(t.stack, id)
	t.open[id] = true
	self := false
	for _, d := range t.on[id] {
		self = self || d == id
		if _, seen := t.index[d]; !seen {
			t.visit(d)
			t.low[id] = min(t.low[id], t.low[d])
		} else if t.open[d] {
			t.low[id] = min(t.low[id], t.index[d])
		}
	}
	if t.low[id] != t.index[id] {
		return
	}
	var component []string
	for {
		top := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		t.open[top] = false
		component = append(component, top)
		if top == id {
			break
		}
	}
	if len(component) > 1 || self {
		sort.Strings(component)
		t.found = append(t.found, component)
	}
}
