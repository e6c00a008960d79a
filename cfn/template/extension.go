package template

import (
	"bytes"
	"encoding/json"
)

// length is Fn::Length.
func (e *evaluator) length(n, arg *Node) any {
	v := e.node(arg)
	if v == Unknown {
		return Unknown
	}
	l, ok := v.([]any)
	if !ok {
		e.at(n, "%s", functions[n.Fn].misuse)
		return Unknown
	}
	return int64(len(l))
}

// toJSON is Fn::ToJsonString: the text keeps the order of the template.
func (e *evaluator) toJSON(arg *Node) any {
	var b bytes.Buffer
	if _, known := e.writeJSON(&b, arg); !known {
		return Unknown
	}
	return b.String()
}

// writeJSON writes a node's value. there is false for AWS::NoValue, known is
// false where anything in it is not known yet.
func (e *evaluator) writeJSON(b *bytes.Buffer, n *Node) (there, known bool) {
	switch n.Kind {
	case List:
		return true, e.writeMembers(b, '[', ']', len(n.Items), func(i int) (*Node, string) { return n.Items[i], "" })
	case Map:
		return true, e.writeMembers(b, '{', '}', len(n.Entries), func(i int) (*Node, string) { return n.Entries[i].Value, n.Entries[i].Key })
	case Call:
		v := e.call(n)
		if v == (removed{}) {
			return false, true
		}
		if HasUnknown(v) {
			return true, false
		}
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			e.at(n, "Template error: Fn::ToJsonString: %v", err)
			return true, false
		}
		b.Truncate(b.Len() - 1)
		return true, true
	}
	n.json(b)
	return true, true
}

func (e *evaluator) writeMembers(b *bytes.Buffer, open, end byte, count int, member func(i int) (*Node, string)) bool {
	b.WriteByte(open)
	allKnown, written := true, false
	for i := range count {
		n, key := member(i)
		start := b.Len()
		if written {
			b.WriteByte(',')
		}
		if open == '{' {
			quote(b, key)
			b.WriteByte(':')
		}
		there, known := e.writeJSON(b, n)
		allKnown = allKnown && known
		if !there {
			b.Truncate(start)
			continue
		}
		written = true
	}
	b.WriteByte(end)
	return allKnown
}

// Partial evaluates what is known before a stack exists: parameters, mappings,
// conditions and pseudo parameters. Transforms decide by it.
type Partial struct{ e *evaluator }

// Partial is the template in env as far as it is known. Values of NoEcho
// parameters are not: what a transform makes of a template is told to whoever may
// read it.
func (t *Template) Partial(env Env) *Partial {
	known := Values{}
	for name, v := range env.Parameters {
		if v.NoEcho {
			v = Value{Text: Unknown}
		}
		known[name] = v
	}
	env.Parameters, env.Resource, env.Export = known, nil, nil
	if env.Pseudo.StackID == "" {
		env.Pseudo.StackID = Unknown
	}
	return &Partial{e: &evaluator{s: &Scope{t: t, env: env, conditions: map[string]bool{}}}}
}

// Value is a node's value; known is false where not all of it is known. Problems
// are those of the node alone.
func (p *Partial) Value(n *Node) (v any, known bool, problems Problems) {
	p.e.problems = nil
	p.need(n)
	v = p.e.node(n)
	if v == (removed{}) {
		v = nil
	}
	problems, p.e.problems = p.e.done(), nil
	return v, len(problems) == 0 && !HasUnknown(v), problems
}

// need evaluates the conditions that a node asks for.
func (p *Partial) need(n *Node) {
	c := &conditions{evaluator: p.e, under: map[string]bool{}}
	n.Walk(func(n *Node) bool {
		if n.Kind == Call && n.Fn == "Fn::If" && isIf(n.Arg()) {
			c.named(n, n.Arg().Items[0].Text)
		}
		return true
	})
}

// constants are the functions that need nothing but their arguments and the
// template's mappings.
var constants = map[string]bool{
	"Fn::Base64": true, "Fn::FindInMap": true, "Fn::Join": true, "Fn::Length": true,
	"Fn::Select": true, "Fn::Split": true, "Fn::Sub": true, "Fn::ToJsonString": true,
}

// Constant reports whether a call's value is the same wherever the template is
// deployed: nothing in it refers to a parameter or resource.
func (n *Node) Constant() bool {
	constant := n != nil
	n.Walk(func(n *Node) bool {
		if n.Kind == Call && (!constants[n.Fn] || len(references(n)) > 0) {
			constant = false
		}
		return constant
	})
	return constant
}
