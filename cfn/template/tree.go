package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Read reads a template's text as a tree, which is nil if there is none. What
// the tree means is not checked. Transforms work on it; FromTree makes a template
// of what they made.
func Read(body []byte) (*Node, Problems) {
	if len(body) > MaxBody {
		return nil, Problems{{Message: fmt.Sprintf("Template may not exceed %d bytes in size.", MaxBody)}}
	}
	root, problems := read(body)
	if root != nil {
		root.adopt()
	}
	return root, problems
}

// Interpret makes a template of a tree that Read has read, and adds to its problems.
func Interpret(root *Node, problems Problems) (*Template, Problems) {
	return fromTree(root, problems, false)
}

// FromTree makes a template of a tree that transforms have processed, and of
// which it takes possession.
func FromTree(root *Node) (*Template, Problems) {
	root.parent, root.key = nil, ""
	root.adopt()
	return fromTree(root, nil, true)
}

// ParseProcessed reads the text of a template that transforms have processed.
// Functions that transforms bring may stand in it.
func ParseProcessed(body []byte) (*Template, Problems) {
	root, problems := Read(body)
	if root == nil {
		return nil, problems
	}
	return fromTree(root, problems, true)
}

// Declared reads of a template that has transforms what holds before they ran:
// its version, description and parameters. The rest is what transforms make of
// it, so it is not looked at.
func Declared(root *Node) (*Template, Problems) {
	p := &parser{t: &Template{Root: root}, expands: true}
	if root.Kind != Map {
		p.at(root, unsupportedStructure)
		return p.t, p.done()
	}
	read := map[string]func(*Node){
		"AWSTemplateFormatVersion": p.version, "Description": p.description, "Metadata": p.metadata,
		"Parameters": p.parameters, "Transform": p.transform, "Fn::Transform": p.transform,
	}
	for _, e := range root.Entries {
		if section := read[e.Key]; section != nil {
			section(e.Value)
		}
	}
	p.t.Transform = transforms(root, p.t.Transform)
	return p.t, p.done()
}

// Transforms lists the names of a tree's transforms, the top-level ones last:
// nil if it has none.
func Transforms(root *Node) []string {
	p := &parser{t: &Template{Root: root}}
	for _, e := range root.Entries {
		if e.Key == "Transform" || e.Key == "Fn::Transform" {
			p.transform(e.Value)
		}
	}
	return transforms(root, p.t.Transform)
}

func transforms(root *Node, global []string) []string {
	var names []string
	add := func(more []string) {
		for _, n := range more {
			if !contains(names, n) {
				names = append(names, n)
			}
		}
	}
	nested := &parser{t: &Template{Root: root}}
	root.Walk(func(n *Node) bool {
		if n.Fn == "Fn::Transform" {
			nested.transform(n.Arg())
		}
		if n != root {
			if t := n.Get("Fn::Transform"); t != nil {
				nested.transform(t)
			}
		}
		return true
	})
	add(nested.t.Transform)
	add(global)
	return names
}

// MapOf makes a map, or the call that its only member names, with the place of at.
func MapOf(at *Node, entries []Entry) *Node {
	n := &Node{Kind: Map, Line: at.Line, Column: at.Column, Entries: entries}
	n.fold()
	return n
}

// Literal makes a node of plain data, with the place of at. Members of maps come
// in the order of their names.
func Literal(at *Node, v any) *Node {
	n := &Node{Line: at.Line, Column: at.Column}
	switch v := v.(type) {
	case nil:
	case bool:
		n.Kind, n.Text = Bool, strconv.FormatBool(v)
	case int64:
		n.Kind, n.Text = Number, strconv.FormatInt(v, 10)
	case float64:
		n.Kind, n.Text = Number, strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		n.Kind, n.Text = String, v
	case []any:
		n.Kind = List
		for _, x := range v {
			n.Items = append(n.Items, Literal(at, x))
		}
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		n.Kind = Map
		for _, k := range keys {
			n.Entries = append(n.Entries, Entry{Key: k, Line: at.Line, Column: at.Column, Value: Literal(at, v[k])})
		}
		n.fold()
	default:
		n.Kind, n.Text = String, fmt.Sprint(v)
	}
	return n
}

// FromJSON reads JSON that a transform has answered. What stood at the same path
// in was keeps its place; the rest is placed at the nearest that did.
func FromJSON(text []byte, was *Node) (*Node, error) {
	n, dups, err := readJSON(text)
	if err != nil {
		return nil, fmt.Errorf("line %d, column %d: %s", err.line, err.column, err.what)
	}
	if len(dups) > 0 {
		return nil, errors.New(dups[0].Message)
	}
	n.place(was)
	return n, nil
}

// Place gives a tree that stands in for another the places of that.
func (n *Node) Place(was *Node) { n.place(was) }

func (n *Node) place(was *Node) {
	n.Line, n.Column = was.Line, was.Column
	for i, it := range n.Items {
		next := was
		if n.Kind == was.Kind && n.Fn == was.Fn && i < len(was.Items) {
			next = was.Items[i]
		}
		it.place(next)
	}
	for i := range n.Entries {
		e := &n.Entries[i]
		e.Line, e.Column = was.Line, was.Column
		next := was
		for j := range was.Entries {
			if was.Entries[j].Key == e.Key {
				next, e.Line, e.Column = was.Entries[j].Value, was.Entries[j].Line, was.Entries[j].Column
				break
			}
		}
		e.Value.place(next)
	}
}

// JSON is the tree's text as JSON, its members in their order and functions in
// their long form. Numbers that JSON writes otherwise are strings.
func (n *Node) JSON() []byte {
	var b bytes.Buffer
	n.json(&b)
	return b.Bytes()
}

func (n *Node) json(b *bytes.Buffer) {
	switch n.Kind {
	case Bool:
		b.WriteString(n.Text)
	case Number:
		if json.Valid([]byte(n.Text)) {
			b.WriteString(n.Text)
		} else {
			quote(b, n.Text)
		}
	case String:
		quote(b, n.Text)
	case List:
		b.WriteByte('[')
		for i, it := range n.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			it.json(b)
		}
		b.WriteByte(']')
	case Map:
		b.WriteByte('{')
		for i, e := range n.Entries {
			if i > 0 {
				b.WriteByte(',')
			}
			quote(b, e.Key)
			b.WriteByte(':')
			e.Value.json(b)
		}
		b.WriteByte('}')
	case Call:
		b.WriteByte('{')
		quote(b, n.Fn)
		b.WriteByte(':')
		n.Arg().json(b)
		b.WriteByte('}')
	default:
		b.WriteString("null")
	}
}

func quote(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	b.Truncate(b.Len() - 1)
}

// IsLoop reports whether a map's key is that of Fn::ForEach, and the loop's name.
func IsLoop(key string) (name string, ok bool) {
	return strings.CutPrefix(key, "Fn::ForEach::")
}

// Members are a map's members, none of anything else.
func (n *Node) Members() []Entry {
	if n == nil || n.Kind != Map {
		return nil
	}
	return n.Entries
}
