package wire

import (
	"net/url"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/fault"
)

// form is the parameters of a Query request as a tree: "Tags.member.1.Key" is
// four steps deep.
type form struct {
	value string
	given bool
	kids  map[string]*form
}

// formParser reads application/x-www-form-urlencoded text into a tree.
type formParser struct {
	root  *form
	steps int // so far
}

func (p *formParser) parse(text string) error {
	for text != "" {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return wrong("the query string is not URL-encoded: %v", err)
		}
		if err := p.add(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (p *formParser) add(name, value string) error {
	f := p.root
	for depth := 0; ; depth++ {
		step, rest, more := strings.Cut(name, ".")
		if depth > maxDepth {
			return wrong("a parameter's name nests too deeply")
		}
		kid := f.kids[step]
		if kid == nil {
			if p.steps++; p.steps > maxElements {
				return wrong("the input has more than %d elements", maxElements)
			}
			if f.kids == nil {
				f.kids = map[string]*form{}
			}
			kid = &form{}
			f.kids[step] = kid
		}
		if f, name = kid, rest; !more {
			break
		}
	}
	if !f.given { // of repeated parameters the first counts
		f.value, f.given = value, true
	}
	return nil
}

// get is the value of a parameter at the top.
func (f *form) get(name string) string {
	if kid := f.kids[name]; kid != nil {
		return kid.value
	}
	return ""
}

// numbered lists the children that are positions of a list, in order.
func (f *form) numbered() []*form {
	type place struct {
		n   int
		kid *form
	}
	var places []place
	for step, kid := range f.kids {
		if n, err := strconv.Atoi(step); err == nil && n >= 0 {
			places = append(places, place{n, kid})
		}
	}
	sort.Slice(places, func(i, j int) bool { return places[i].n < places[j].n })
	kids := make([]*form, len(places))
	for i, p := range places {
		kids[i] = p.kid
	}
	return kids
}

// formReader reads inputs from a form, as awsQuery or as ec2Query names things.
type formReader struct {
	*decoding
	ec2 bool
}

// name is a member's name in the form.
func (r formReader) name(f *field) string {
	switch {
	case f.Query != "":
		return f.Query
	case r.ec2 && f.Wire != "":
		return strings.ToUpper(f.Wire[:1]) + f.Wire[1:]
	case f.Wire != "":
		return f.Wire
	case !r.ec2 && f.flat && f.plan.shape.Kind == api.List && f.plan.elem.Wire != "":
		return f.plan.elem.Wire
	}
	return f.Name
}

func (r formReader) structure(p *plan, v reflect.Value, n *form, depth int) error {
	if depth > maxDepth {
		return wrong("the input nests too deeply")
	}
	for i := range p.fields {
		f := &p.fields[i]
		kid := n.kids[r.name(f)]
		if kid == nil {
			continue
		}
		if err := r.value(f, f.open(v), kid, depth+1); err != nil {
			return at(f.path, err)
		}
	}
	return nil
}

func (r formReader) value(f *field, v reflect.Value, n *form, depth int) error {
	switch f.plan.shape.Kind {
	case api.Structure:
		return r.structure(f.plan, v, n, depth)
	case api.List:
		return r.list(f, v, n, depth)
	case api.Map:
		return r.mapping(f, v, n, depth)
	}
	if !n.given {
		return wrong("a structure is given where a value is expected")
	}
	return r.text(f.plan, v, n.value, f.time(api.ISO8601))
}

func (r formReader) list(f *field, v reflect.Value, n *form, depth int) error {
	present(f.plan, v)
	if !r.ec2 && !f.flat {
		if inner := n.kids[f.plan.elem.name]; inner != nil {
			n = inner
		} else if inner := n.kids["member"]; inner != nil {
			n = inner
		}
	}
	for i, kid := range n.numbered() {
		if err := r.value(f.plan.elem, grow(v), kid, depth+1); err != nil {
			return at(strconv.Itoa(i+1)+".member", err)
		}
	}
	return nil
}

func (r formReader) mapping(f *field, v reflect.Value, n *form, depth int) error {
	present(f.plan, v)
	if inner := n.kids["entry"]; inner != nil && !f.flat {
		n = inner
	}
	keyName, valueName := r.inMap(f.plan.key), r.inMap(f.plan.elem)
	entries := n.numbered()
	if n.kids[keyName] != nil { // one entry, without its number
		entries = append(entries, n)
	}
	for _, e := range entries {
		k := e.kids[keyName]
		if k == nil {
			return wrong("an entry has no %s", keyName)
		}
		val := reflect.New(f.plan.elem.plan.typ).Elem()
		if e := e.kids[valueName]; e != nil {
			if err := r.value(f.plan.elem, val, e, depth+1); err != nil {
				return at(k.value, err)
			}
		}
		v.SetMapIndex(reflect.ValueOf(k.value), val)
	}
	return nil
}

func (r formReader) inMap(f *field) string {
	if f.Query != "" {
		return f.Query
	}
	return f.name
}

// unknown finds a parameter at the top that the operation does not have: EC2
// refuses those.
func (r formReader) unknown(p *plan, n *form) error {
	var names []string
next:
	for name := range n.kids {
		switch name {
		case "Action", "Version", "AWSAccessKeyId", "Timestamp", "Expires", "SecurityToken",
			"Signature", "SignatureMethod", "SignatureVersion", "DryRun":
			continue
		}
		if strings.HasPrefix(name, "X-Amz-") {
			continue
		}
		for i := range p.fields {
			if r.name(&p.fields[i]) == name {
				continue next
			}
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil
	}
	sort.Strings(names)
	return fault.New(fault.UnknownParameter, "The parameter %s is not recognized", clip(names[0]))
}
