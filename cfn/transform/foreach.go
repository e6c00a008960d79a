package transform

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/slipway/slipway/cfn/template"
)

const extensionFailed = "Transform AWS::LanguageExtensions failed with: "

// Bounds of what loops may make before the result is held against the quotas:
// nodes, and bytes of text.
const (
	maxNodes = 200_000
	maxText  = 8 * template.MaxBody
)

var (
	loopName     = regexp.MustCompile(`^[a-zA-Z0-9]+$`)
	alphanumeric = regexp.MustCompile(`[^a-zA-Z0-9]+`)
)

// looper expands Fn::ForEach.
type looper struct {
	p     *processor
	nodes int
	text  int
}

// loops checks the names of all loops: each once, and none a resource's.
func (p *processor) loops(root *template.Node) {
	seen := map[string]bool{}
	for _, e := range root.Get("Resources").Members() {
		seen[e.Key] = true
	}
	root.Walk(func(n *template.Node) bool {
		for _, e := range n.Entries {
			name, ok := template.IsLoop(e.Key)
			if !ok {
				continue
			}
			switch {
			case !loopName.MatchString(name):
				p.fail(e.Value, extensionFailed+"%s: the name of a loop must be alphanumeric", e.Key)
			case seen[name]:
				p.fail(e.Value, extensionFailed+"%s: the name of a loop must be unique within the template", e.Key)
			}
			seen[name] = true
		}
		return true
	})
}

// node expands the loops within a node.
func (l *looper) node(n *template.Node) *template.Node {
	for i := range n.Items {
		n.Items[i] = l.node(n.Items[i])
	}
	looped := false
	for i := range n.Entries {
		if _, ok := template.IsLoop(n.Entries[i].Key); ok {
			looped = true
		} else {
			n.Entries[i].Value = l.node(n.Entries[i].Value)
		}
	}
	if !looped || l.p.failed() {
		return n
	}
	var entries []template.Entry
	at := map[string]bool{}
	for _, e := range n.Entries {
		made := []template.Entry{e}
		if _, ok := template.IsLoop(e.Key); ok {
			made = l.loop(e)
		}
		for _, m := range made {
			if at[m.Key] {
				l.p.fail(e.Value, extensionFailed+"%s makes the key %s, which is there already", e.Key, m.Key)
				return n
			}
			at[m.Key] = true
		}
		entries = append(entries, made...)
	}
	return template.MapOf(n, entries)
}

// loop is the members that a loop makes.
func (l *looper) loop(e template.Entry) []template.Entry {
	n := e.Value
	if n.Kind != template.List || len(n.Items) != 3 || n.Items[0].Kind != template.String || n.Items[0].Text == "" || n.Items[2].Kind != template.Map {
		l.p.fail(n, extensionFailed+"%s layout is incorrect", e.Key)
		return nil
	}
	id, body := n.Items[0].Text, n.Items[2]
	values, ok := l.collection(n.Items[1])
	if !ok {
		l.p.fail(n.Items[1], extensionFailed+"%s: the collection must be a list of values, or a function of parameters and mappings that makes one", e.Key)
		return nil
	}
	var made []template.Entry
	for _, v := range values {
		for _, b := range body.Entries {
			if _, inner := template.IsLoop(b.Key); !inner && !strings.Contains(b.Key, "${"+id+"}") && !strings.Contains(b.Key, "&{"+id+"}") {
				l.p.fail(b.Value, extensionFailed+"%s: the key %s must contain ${%s} or &{%s}", e.Key, b.Key, id, id)
				return nil
			}
			s := substitution{l: l, id: id, value: v}
			made = append(made, s.member(b))
			if l.p.failed() {
				return nil
			}
		}
	}
	// What was made may have loops of its own.
	return l.node(&template.Node{Kind: template.Map, Line: n.Line, Column: n.Column, Entries: made}).Entries
}

// collection is what a loop goes through.
func (l *looper) collection(n *template.Node) ([]string, bool) {
	switch n.Kind {
	case template.List:
		values := []string{}
		for _, it := range n.Items {
			if it.Kind != template.Call {
				if !it.Scalar() {
					return nil, false
				}
				values = append(values, it.Text)
				continue
			}
			v, known, _ := l.p.partial.Value(it)
			if !known {
				return nil, false
			}
			more, ok := texts(v, true)
			if !ok {
				return nil, false
			}
			values = append(values, more...)
		}
		return values, true
	case template.Call:
		v, known, _ := l.p.partial.Value(n)
		if !known {
			return nil, false
		}
		return texts(v, false)
	}
	return nil, false
}

// texts are the values of a list, or one alone.
func texts(v any, one bool) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		if !one {
			return nil, false
		}
		list = []any{v}
	}
	var out []string
	for _, x := range list {
		switch x.(type) {
		case string, bool, int64, float64:
			out = append(out, fmt.Sprint(x))
		default:
			return nil, false
		}
	}
	return out, true
}

// substitution puts a value of the collection in place of the identifier.
type substitution struct {
	l         *looper
	id, value string
}

func (s *substitution) replace(text string) string {
	if !strings.Contains(text, "{"+s.id+"}") {
		s.l.text += len(text)
		return text
	}
	text = strings.ReplaceAll(text, "${"+s.id+"}", s.value)
	text = strings.ReplaceAll(text, "&{"+s.id+"}", alphanumeric.ReplaceAllString(s.value, ""))
	s.l.text += len(text)
	return text
}

func (s *substitution) member(e template.Entry) template.Entry {
	e.Key = s.replace(e.Key)
	e.Value = s.node(e.Value)
	return e
}

// node is a copy of n.
func (s *substitution) node(n *template.Node) *template.Node {
	if s.l.nodes++; s.l.nodes > maxNodes || s.l.text > maxText {
		if !s.l.p.failed() {
			s.l.p.fail(n, extensionFailed+"the loops make more than %d values or %d bytes", maxNodes, maxText)
		}
		return n
	}
	c := &template.Node{Kind: n.Kind, Line: n.Line, Column: n.Column, Fn: n.Fn, Text: n.Text}
	if n.Kind == template.String {
		c.Text = s.replace(n.Text)
	}
	if n.Fn == "Ref" && n.Arg().Scalar() && n.Arg().Text == s.id {
		return &template.Node{Kind: template.String, Line: n.Line, Column: n.Column, Text: s.value}
	}
	for _, it := range n.Items {
		c.Items = append(c.Items, s.node(it))
	}
	for _, e := range n.Entries {
		c.Entries = append(c.Entries, s.member(e))
	}
	return c
}
