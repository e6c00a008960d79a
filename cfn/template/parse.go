package template

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

func parse(body []byte) (*Template, Problems) {
	if len(body) > MaxBody {
		return nil, Problems{{Message: fmt.Sprintf("Template may not exceed %d bytes in size.", MaxBody)}}
	}
	root, problems := read(body)
	if root == nil {
		return nil, problems
	}
	root.adopt()
	return fromTree(root, problems, false)
}

func fromTree(root *Node, problems Problems, processed bool) (*Template, Problems) {
	p := &parser{t: &Template{Root: root, processed: processed}, expands: root.Get("Transform") != nil}
	p.problems = problems
	p.document()
	p.t.byID = make(map[string]int, len(p.t.Resources))
	for i := range p.t.Resources {
		p.t.byID[p.t.Resources[i].LogicalID] = i
	}
	ps := p.done()
	if len(ps) > maxProblems {
		ps = ps[:maxProblems]
	}
	return p.t, ps
}

func read(body []byte) (*Node, Problems) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		n, dups, err := readJSON(body)
		if err != nil {
			// AWS names the column behind what it cannot read.
			behind := err.column
			if !err.atEnd {
				behind++
			}
			return nil, Problems{{Line: int(err.line), Column: int(err.column), Detail: err.what,
				Message: fmt.Sprintf("Template format error: JSON not well-formed. (line %d, column %d)", err.line, behind)}}
		}
		return n, dups
	}
	return readYAML(body)
}

// parser fills a Template from its tree.
type parser struct {
	t       *Template
	expands bool // there are transforms, which may know members that CloudFormation does not
	report
}

var alphanumeric = regexp.MustCompile(`^[a-zA-Z0-9]+$`)

func (p *parser) document() {
	root := p.t.Root
	if root.Kind != Map {
		p.at(root, unsupportedStructure)
		return
	}
	p.nulls(root)
	sections := map[string]func(*Node){
		"AWSTemplateFormatVersion": p.version,
		"Description":              p.description,
		"Metadata":                 p.metadata,
		"Parameters":               p.parameters,
		"Mappings":                 p.mappings,
		"Conditions":               p.conditions,
		"Rules":                    p.rules,
		"Transform":                p.transform,
		"Resources":                p.resources,
		"Outputs":                  p.outputs,
	}
	var unknown []string
	for _, e := range root.Entries {
		if strings.HasPrefix(e.Key, "Fn::Transform") {
			p.transform(e.Value)
		} else if read := sections[e.Key]; read == nil && !p.expands {
			unknown = append(unknown, e.Key)
		} else if read != nil {
			read(e.Value)
		}
	}
	for _, e := range root.Entries {
		if len(unknown) > 0 && e.Key == unknown[0] {
			p.problems = append(p.problems, Problem{Line: int(e.Line), Column: int(e.Column), Path: "/" + e.Key,
				Message: fmt.Sprintf("Invalid template property or properties [%s]", strings.Join(unknown, ", "))})
			break
		}
	}
	if r := root.Get("Resources"); r == nil || r.Kind == Map && len(r.Entries) == 0 && !p.expands {
		p.at(root, "Template format error: At least one Resources member must be defined.")
	}
}

// nulls refuses null values; functions may have them (Fn::GetAZs: of this region).
func (p *parser) nulls(root *Node) {
	root.Walk(func(n *Node) bool {
		if n.Kind == Null && (n.parent == nil || n.parent.Kind != Call) {
			p.at(n, "[%s] 'null' values are not allowed in templates", n.Path())
		}
		return true
	})
}

func (p *parser) version(n *Node) {
	p.t.FormatVersion = n.Text
	if n.Text != "2010-09-09" {
		p.at(n, "Template format error: %s is not a supported value for AWSTemplateFormatVersion.", n.Text)
	}
}

func (p *parser) description(n *Node) {
	if !n.Scalar() {
		p.at(n, "Template format error: Every Description member must be a string.")
		return
	}
	p.t.Description = n.Text
	if len(n.Text) > MaxDescription {
		p.at(n, "Template format error: 'Description' length is greater than %d.", MaxDescription)
	}
}

func (p *parser) metadata(n *Node) {
	p.t.Metadata = n
	p.isMap(n, "Metadata")
}

func (p *parser) transform(n *Node) {
	switch {
	case n.Kind == String:
		p.t.Transform = append(p.t.Transform, n.Text)
	case n.Kind == List:
		for _, it := range n.Items {
			p.transform(it)
		}
	case n.Kind == Map && n.Get("Name") != nil && n.Get("Name").Kind == String:
		p.t.Transform = append(p.t.Transform, n.Get("Name").Text)
	case n.Kind == Map && n.Get("Name") != nil:
		p.at(n, "Key Name of transform definition must be a string.")
	case n.Kind != Null:
		p.at(n, "Template format error: Transform must be a string, a list of strings, or an object with the members Name and Parameters.")
	}
}

// isMap reports a section or member that should be a map and is not.
func (p *parser) isMap(n *Node, name string) bool {
	if n.Kind == Map {
		return true
	}
	if n.Kind != Null { // reported already
		p.at(n, "Template format error: [%s] %s must be a map, not a %s", n.Path(), name, strings.ToLower(n.Kind.String()))
	}
	return false
}

// section visits the members of a section, checked for number and names.
func (p *parser) section(n *Node, section, noun string, most int, visit func(name string, n *Node)) {
	if !p.isMap(n, section) {
		return
	}
	if len(n.Entries) > most {
		p.at(n, "Template format error: Number of %s, %d, is greater than maximum allowed, %d", strings.ToLower(section), len(n.Entries), most)
	}
	for _, e := range n.Entries {
		if strings.HasPrefix(e.Key, "Fn::ForEach") || strings.HasPrefix(e.Key, "Fn::Transform") {
			continue // Validate reports these
		}
		if !alphanumeric.MatchString(e.Key) {
			p.problems = append(p.problems, Problem{Line: int(e.Line), Column: int(e.Column), Path: e.Value.Path(),
				Message: fmt.Sprintf("Template format error: %s name %s is non alphanumeric.", noun, e.Key)})
		} else if len(e.Key) > MaxName {
			p.at(e.Value, "Template format error: %s name is longer than %d characters.", noun, MaxName)
		}
		visit(e.Key, e.Value)
	}
}

// text reads a member that must be literal text.
func (p *parser) text(n *Node, member string) string {
	if n == nil || n.Kind == Null {
		return ""
	}
	if !n.Scalar() {
		p.at(n, "Template format error: Every %s member must be a string.", member)
		return ""
	}
	return n.Text
}
