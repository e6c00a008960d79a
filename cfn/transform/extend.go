package transform

import (
	"github.com/slipway/slipway/cfn/template"
)

// extended are the sections that AWS::LanguageExtensions processes. Conditions come
// first: what is asked of the others may depend on them.
var extended = []string{"Conditions", "Resources", "Outputs"}

// extend is AWS::LanguageExtensions. Loops are written out, and functions get the
// values that they can have before the stack exists. What depends on resources
// stays for the engine, which knows the functions.
func (p *processor) extend(_ call, root *template.Node) *template.Node {
	if p.loops(root); p.failed() {
		return root
	}
	l := &looper{p: p}
	x := &extender{p: p}
	for _, section := range extended {
		for i := range root.Entries {
			e := &root.Entries[i]
			if e.Key != section || p.failed() {
				continue
			}
			e.Value = l.node(e.Value)
			if p.failed() {
				return root
			}
			e.Value = x.node(e.Value)
			if section == "Resources" {
				x.policies(e.Value)
			}
			p.root = root
			p.scope()
		}
	}
	return root
}

// extender resolves functions.
type extender struct{ p *processor }

// node is n with the functions in it resolved, from inside outward.
func (x *extender) node(n *template.Node) *template.Node {
	for i := range n.Items {
		n.Items[i] = x.node(n.Items[i])
	}
	for i := range n.Entries {
		n.Entries[i].Value = x.node(n.Entries[i].Value)
	}
	if n.Kind != template.Call || x.p.failed() {
		return n
	}
	switch n.Fn {
	case "Ref":
		n.Items[0] = x.name(n, n.Arg())
	case "Fn::GetAtt":
		x.getAtt(n)
	case "Fn::Length", "Fn::ToJsonString":
		if v, known, _ := x.p.partial.Value(n); known {
			return template.Literal(n, v)
		}
		if a := n.Arg(); a.Kind != template.Call && a.Kind != template.List && (n.Fn == "Fn::Length" || a.Kind != template.Map) {
			x.p.fail(n, extensionFailed+"%s layout is incorrect", n.Fn)
		}
	default:
		if n.Constant() {
			if v, known, _ := x.p.partial.Value(n); known {
				return template.Literal(n, v)
			}
		}
	}
	return n
}

// name is the name that a function in Ref or Fn::GetAtt makes.
func (x *extender) name(of, arg *template.Node) *template.Node {
	if arg.Kind != template.Call {
		return arg
	}
	v, known, _ := x.p.partial.Value(arg)
	s, ok := v.(string)
	if !known || !ok {
		x.p.fail(of, extensionFailed+"%s: its name must be a string, or a function of parameters and mappings that makes one", of.Fn)
		return arg
	}
	return template.Literal(arg, s)
}

func (x *extender) getAtt(n *template.Node) {
	arg := n.Arg()
	if arg.Kind == template.Call {
		n.Items[0] = x.name(n, arg)
		return
	}
	if arg.Kind != template.List || len(arg.Items) < 2 {
		return
	}
	arg.Items[0] = x.name(n, arg.Items[0])
	for i := 1; i < len(arg.Items); i++ {
		if v, known, _ := x.p.partial.Value(arg.Items[i]); known && arg.Items[i].Kind == template.Call {
			arg.Items[i] = template.Literal(arg.Items[i], v)
		}
	}
}

// policies resolves the functions in resources' DeletionPolicy and
// UpdateReplacePolicy.
func (x *extender) policies(resources *template.Node) {
	for _, r := range resources.Members() {
		for i := range r.Value.Entries {
			e := &r.Value.Entries[i]
			if e.Key != "DeletionPolicy" && e.Key != "UpdateReplacePolicy" || e.Value.Kind != template.Call {
				continue
			}
			v, known, _ := x.p.partial.Value(e.Value)
			if _, ok := v.(string); !known || !ok {
				x.p.fail(e.Value, extensionFailed+"%s of resource %s must be a string, or a function of parameters, mappings and conditions that makes one", e.Key, r.Key)
				return
			}
			e.Value = template.Literal(e.Value, v)
		}
	}
}
