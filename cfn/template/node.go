package template

import (
	"strconv"
	"strings"
)

// Kind says what a Node is.
type Kind uint8

// The kinds of nodes.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Map
	Call // an intrinsic function; Fn names it, Items[0] is its argument
)

func (k Kind) String() string {
	return [...]string{"null", "Boolean", "Number", "String", "List", "Map", "function"}[k]
}

// Node is a value of the template with its place. A node is not changed after
// the parse.
type Node struct {
	Kind         Kind
	Line, Column int32
	Text         string // a scalar's text as the template has it
	Fn           string // a call's long name: Ref, Fn::Sub, Condition
	Items        []*Node
	Entries      []Entry
	parent       *Node
	key          string
}

// Entry is a member of a map, in the order of the text.
type Entry struct {
	Key          string
	Line, Column int32
	Value        *Node
}

// Get finds a map's member, nil if it is not there or n is no map.
func (n *Node) Get(key string) *Node {
	if n == nil || n.Kind != Map {
		return nil
	}
	for i := range n.Entries {
		if n.Entries[i].Key == key {
			return n.Entries[i].Value
		}
	}
	return nil
}

// Arg is a call's argument.
func (n *Node) Arg() *Node {
	if n == nil || n.Kind != Call || len(n.Items) == 0 {
		return nil
	}
	return n.Items[0]
}

// Path names the node from the template's root: /Resources/Web/Type.
func (n *Node) Path() string {
	var parts []string
	for ; n != nil && n.parent != nil; n = n.parent {
		parts = append(parts, n.key)
	}
	if len(parts) == 0 {
		return "/"
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(parts[i])
	}
	return b.String()
}

// callPath is Path as messages about a call have it, with the function's name:
// /Outputs/Site/Value/Fn::GetAtt.
func (n *Node) callPath() string {
	if n.Kind == Call {
		return n.Path() + "/" + n.Fn
	}
	return n.Path()
}

// Locate follows a path of keys and indexes as far as the text has it: into a
// function's argument it does not go, so what a call made is placed at the call.
func (n *Node) Locate(path ...string) *Node {
	for _, p := range path {
		var next *Node
		switch n.Kind {
		case Map:
			next = n.Get(p)
		case List:
			if i, err := strconv.Atoi(p); err == nil && i >= 0 && i < len(n.Items) {
				next = n.Items[i]
			}
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// Scalar reports whether n is a string, number or boolean.
func (n *Node) Scalar() bool {
	return n != nil && (n.Kind == String || n.Kind == Number || n.Kind == Bool)
}

// Value is the node as plain data. Functions stand in their long form, as maps
// of one member.
func (n *Node) Value() any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case Bool:
		return n.Text == "true"
	case Number:
		return number(n.Text)
	case String:
		return n.Text
	case List:
		l := make([]any, len(n.Items))
		for i, it := range n.Items {
			l[i] = it.Value()
		}
		return l
	case Map:
		m := make(map[string]any, len(n.Entries))
		for _, e := range n.Entries {
			m[e.Key] = e.Value.Value()
		}
		return m
	case Call:
		return map[string]any{n.Fn: n.Arg().Value()}
	}
	return nil
}

// number keeps a number only where nothing of its text gets lost: 012345678901
// is an account id, 1.0 a version. The rest stays text, which properties of
// numeric types accept as well.
func number(text string) any {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(i, 10) == text {
		return i
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && strconv.FormatFloat(f, 'f', -1, 64) == text {
		return f
	}
	return text
}

// Walk calls visit for n and everything below it, until visit says not to go deeper.
func (n *Node) Walk(visit func(*Node) bool) {
	if n == nil || !visit(n) {
		return
	}
	for _, it := range n.Items {
		it.Walk(visit)
	}
	for i := range n.Entries {
		n.Entries[i].Value.Walk(visit)
	}
}

// adopt sets the parents of everything below n.
func (n *Node) adopt() {
	for i, it := range n.Items {
		it.parent = n
		if n.Kind == Call {
			it.key = n.Fn
		} else {
			it.key = strconv.Itoa(i)
		}
		it.adopt()
	}
	for i := range n.Entries {
		e := &n.Entries[i]
		e.Value.parent, e.Value.key = n, e.Key
		e.Value.adopt()
	}
}

// fold turns a map of one member that names a function into a call.
func (n *Node) fold() {
	if len(n.Entries) != 1 {
		return
	}
	if e := n.Entries[0]; isFunction(e.Key) {
		n.Kind, n.Fn, n.Items, n.Entries = Call, e.Key, []*Node{e.Value}, nil
	}
}

func isFunction(key string) bool {
	return key == "Ref" || strings.HasPrefix(key, "Fn::") && !strings.HasPrefix(key, "Fn::ForEach")
}
