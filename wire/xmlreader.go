package wire

import (
	"bytes"
	"encoding/xml"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/slipway/slipway/api"
)

// xmlNode is an element of a request's body.
type xmlNode struct {
	name  string
	attrs []xml.Attr
	text  strings.Builder
	kids  []*xmlNode
}

// parseXML reads one document. encoding/xml expands no entities but the five
// of XML itself, so the tree is no larger than the text.
func parseXML(body []byte) (*xmlNode, error) {
	dec := xml.NewDecoder(bytes.NewReader(body))
	var root *xmlNode
	var stack []*xmlNode
	elements := 0
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, wrong("the body is not well-formed XML: %v", err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			n := &xmlNode{name: t.Name.Local, attrs: t.Copy().Attr}
			elements++
			switch {
			case elements > maxElements:
				return nil, wrong("the body has more than %d elements", maxElements)
			case len(stack) > maxDepth:
				return nil, wrong("the body nests too deeply")
			case len(stack) > 0:
				top := stack[len(stack)-1]
				top.kids = append(top.kids, n)
			case root != nil:
				return nil, wrong("the body has more than one root element")
			default:
				root = n
			}
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text.Write(t)
			}
		case xml.Directive:
			return nil, wrong("the body has a document type")
		}
	}
	if root == nil || len(stack) > 0 {
		return nil, wrong("the body is not a complete XML document")
	}
	return root, nil
}

func (d *decoding) xmlStructure(p *plan, v reflect.Value, n *xmlNode) error {
	for i := range p.fields {
		f := &p.fields[i]
		if f.Location != api.InBody || !f.Flags.Has(api.XMLAttribute) {
			continue
		}
		_, local, _ := strings.Cut(f.name, ":")
		for _, a := range n.attrs {
			if a.Name.Local == f.name || local != "" && a.Name.Local == local {
				if err := d.text(f.plan, f.open(v), a.Value, f.time(api.ISO8601)); err != nil {
					return at(f.path, err)
				}
			}
		}
	}
	for _, kid := range n.kids {
		f := p.xmlField(kid.name)
		if f == nil {
			continue
		}
		if err := d.xmlMember(f, f.open(v), kid); err != nil {
			return at(f.path, err)
		}
	}
	return nil
}

// xmlField finds a member by its element: its own name, or the name of the
// elements of a list that has none around them.
func (p *plan) xmlField(name string) *field {
	if i, ok := p.byName[name]; ok {
		return &p.fields[i]
	}
	for i := range p.fields {
		f := &p.fields[i]
		if f.flat && f.plan.shape.Kind == api.List && f.plan.elem.Wire == name && f.Location == api.InBody {
			return f
		}
	}
	return nil
}

func (d *decoding) xmlMember(f *field, v reflect.Value, n *xmlNode) error {
	switch f.plan.shape.Kind {
	case api.Structure:
		return d.xmlStructure(f.plan, v, n)
	case api.List:
		return d.xmlList(f, v, n)
	case api.Map:
		return d.xmlMap(f, v, n)
	}
	if len(n.kids) > 0 {
		return wrong("an element is found where text is expected")
	}
	return d.text(f.plan, v, n.text.String(), f.time(api.ISO8601))
}

func (d *decoding) xmlList(f *field, v reflect.Value, n *xmlNode) error {
	present(f.plan, v)
	elem := f.plan.elem
	if f.flat {
		return at(strconv.Itoa(v.Len()+1)+".member", d.xmlMember(elem, grow(v), n))
	}
	for _, kid := range n.kids {
		if kid.name != elem.name {
			continue
		}
		if err := d.xmlMember(elem, grow(v), kid); err != nil {
			return at(strconv.Itoa(v.Len())+".member", err)
		}
	}
	return nil
}

func (d *decoding) xmlMap(f *field, v reflect.Value, n *xmlNode) error {
	present(f.plan, v)
	entries := n.kids
	if f.flat {
		entries = []*xmlNode{n}
	}
	for _, e := range entries {
		key, val := "", reflect.New(f.plan.elem.plan.typ).Elem()
		for _, kid := range e.kids {
			switch kid.name {
			case f.plan.key.name:
				key = kid.text.String()
			case f.plan.elem.name:
				if err := d.xmlMember(f.plan.elem, val, kid); err != nil {
					return err
				}
			}
		}
		v.SetMapIndex(reflect.ValueOf(key), val)
	}
	return nil
}
