package template

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// shortForms maps YAML's tags to the functions' long names.
var shortForms = func() map[string]string {
	m := map[string]string{"!Ref": "Ref", "!Condition": "Condition"}
	for fn := range functions {
		if short, ok := strings.CutPrefix(fn, "Fn::"); ok {
			m["!"+short] = fn
		}
	}
	return m
}()

// yamlReader turns yaml.v3's nodes into ours.
type yamlReader struct {
	depth, nodes int
	report
}

// errTooMuch ends a walk over a hostile document.
var errTooMuch = errors.New("too much")

// readYAML returns the tree, which is nil if the text is no YAML.
func readYAML(text []byte) (*Node, Problems) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := d.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, Problems{{Line: 1, Column: 1, Message: unsupportedStructure}}
		}
		return nil, Problems{yamlProblem(text, err)}
	}
	if len(doc.Content) == 0 {
		return nil, Problems{{Line: 1, Column: 1, Message: unsupportedStructure}}
	}
	r := &yamlReader{}
	n, err := r.node(doc.Content[0])
	if err != nil {
		return nil, r.done()
	}
	var second yaml.Node
	if err := d.Decode(&second); err == nil {
		r.problems = append(r.problems, Problem{Line: second.Line, Column: second.Column,
			Message: "Template format error: YAML not well-formed: more than one document"})
	} else if !errors.Is(err, io.EOF) {
		r.problems = append(r.problems, yamlProblem(text, err))
	}
	return n, r.done()
}

const unsupportedStructure = "Template format error: unsupported structure."

var yamlLine = regexp.MustCompile(`line (\d+)`)

// yamlProblem finds the place in the parser's message, which has the line only.
func yamlProblem(text []byte, err error) Problem {
	p := Problem{Line: 1, Column: 1}
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(what); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		what = strings.TrimPrefix(what, m[0]+": ")
	}
	lines := bytes.Split(text, []byte("\n"))
	if p.Line >= 1 && p.Line <= len(lines) {
		l := lines[p.Line-1]
		p.Column = len(l) - len(bytes.TrimLeft(l, " \t")) + 1
	}
	p.Message = fmt.Sprintf("Template format error: YAML not well-formed. (line %d, column %d): %s", p.Line, p.Column, what)
	return p
}

func (r *yamlReader) problem(y *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, Problem{Line: y.Line, Column: y.Column, Message: fmt.Sprintf(format, args...)})
}

func (r *yamlReader) node(y *yaml.Node) (*Node, error) {
	if r.nodes++; r.nodes > maxNodes {
		r.problem(y, "Template format error: the template has more than %d values", maxNodes)
		return nil, errTooMuch
	}
	if r.depth++; r.depth > maxDepth {
		r.problem(y, "Template format error: values are nested deeper than %d", maxDepth)
		return nil, errTooMuch
	}
	defer func() { r.depth-- }()
	if y.Anchor != "" || y.Kind == yaml.AliasNode {
		r.problem(y, "Template format error: YAML aliases are not allowed in CloudFormation templates")
		return nil, errTooMuch
	}
	n, err := r.bare(y)
	if err != nil {
		return nil, err
	}
	if len(y.Tag) > 1 && y.Tag[0] == '!' && y.Tag[1] != '!' {
		fn, ok := shortForms[y.Tag]
		if !ok {
			r.problem(y, "Template format error: %s is not a function that CloudFormation has", y.Tag)
			return n, nil
		}
		n = &Node{Kind: Call, Fn: fn, Line: n.Line, Column: n.Column, Items: []*Node{n}}
	}
	return n, nil
}

// bare is the node without its tag, if that names a function.
func (r *yamlReader) bare(y *yaml.Node) (*Node, error) {
	n := &Node{Line: int32(y.Line), Column: int32(y.Column)}
	switch y.Kind {
	case yaml.SequenceNode:
		n.Kind = List
		n.Items = make([]*Node, 0, len(y.Content))
		for _, c := range y.Content {
			item, err := r.node(c)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, item)
		}
	case yaml.MappingNode:
		if err := r.mapping(y, n); err != nil {
			return nil, err
		}
	default:
		r.scalar(y, n)
	}
	return n, nil
}

func (r *yamlReader) mapping(y *yaml.Node, n *Node) error {
	n.Kind = Map
	n.Entries = make([]Entry, 0, len(y.Content)/2)
	var seen keys
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := y.Content[i]
		if k.Kind != yaml.ScalarNode || k.Anchor != "" {
			r.problem(k, "Template format error: a key must be a string")
			continue
		}
		if k.Value == "<<" && k.Style == 0 {
			r.problem(k, "Template format error: YAML hash merges are not allowed in CloudFormation templates")
			continue
		}
		v, err := r.node(y.Content[i+1])
		if err != nil {
			return err
		}
		e := Entry{Key: k.Value, Line: int32(k.Line), Column: int32(k.Column), Value: v}
		if seen.has(n.Entries, e.Key) {
			r.problems = append(r.problems, duplicate(e))
			continue
		}
		n.Entries = append(n.Entries, e)
	}
	n.fold()
	return nil
}

// scalar keeps a number's text: what it is decides the property's type.
func (r *yamlReader) scalar(y *yaml.Node, n *Node) {
	n.Text = y.Value
	tag := y.ShortTag()
	if len(y.Tag) > 1 && y.Tag[0] == '!' && y.Tag[1] != '!' {
		// The tag is a function's; what the scalar is, its text says.
		plain := *y
		plain.Tag = ""
		tag = plain.ShortTag()
	}
	switch tag {
	case "!!null":
		n.Kind, n.Text = Null, ""
	case "!!bool":
		n.Kind, n.Text = Bool, strings.ToLower(y.Value)
	case "!!int":
		n.Kind = Number
		if strings.ContainsAny(y.Value, "xXob_") {
			if i, err := strconv.ParseInt(y.Value, 0, 64); err == nil {
				n.Text = strconv.FormatInt(i, 10)
			}
		}
	case "!!float":
		n.Kind = Number
	case "!!str", "!!timestamp", "!!merge":
		n.Kind = String
	default:
		r.problem(y, "Template format error: YAML's %s is not allowed in CloudFormation templates", tag)
		n.Kind = String
	}
}
