// Package transform runs the transforms of CloudFormation templates: AWS's own
// (AWS::Include, AWS::LanguageExtensions) and macros. It makes a processed template
// of the one that was given; what runs a macro or reads an included file is told to
// it (Hosts). It reads no clock, file or store itself and starts no goroutine. It
// may import fault, cfn and cfn/template only.
package transform

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
)

// AWS's own transforms.
const (
	Include            = "AWS::Include"
	LanguageExtensions = "AWS::LanguageExtensions"
)

// MaxTransforms bounds the transforms of one template.
const MaxTransforms = 100

// Request is what a macro's function is told ("Macro function interface").
type Request struct {
	Region                  string          `json:"region"`
	AccountID               string          `json:"accountId"`
	Fragment                json.RawMessage `json:"fragment"`
	TransformID             string          `json:"transformId"`
	Params                  map[string]any  `json:"params"`
	RequestID               string          `json:"requestId"`
	TemplateParameterValues map[string]any  `json:"templateParameterValues"`
}

// Response is what a macro's function answers.
type Response struct {
	RequestID    string          `json:"requestId"`
	Status       string          `json:"status"`
	Fragment     json.RawMessage `json:"fragment"`
	ErrorMessage string          `json:"errorMessage"`
}

// ErrNoMacro is Hosts.Macro's answer for a name that nothing has.
var ErrNoMacro = errors.New("transform: there is no macro of that name")

// Hosts are what transforms need of the world.
type Hosts struct {
	// Include reads the object that a location (s3://bucket/key) names. A
	// *fault.Error is the template's failure.
	Include func(location string) ([]byte, error)
	// Macro runs a macro and returns its answer, of whatever form. A
	// *fault.Error is the template's failure; ErrNoMacro says that there is none.
	Macro func(name string, r Request) ([]byte, error)
}

// Input is a template and what its transforms may know. Root is changed.
type Input struct {
	Root      *template.Node
	Env       template.Env // parameters, as the template that was given declares them, and pseudo parameters
	RequestID string
	Hosts     Hosts
}

// Hosted reports whether AWS's own transforms are all that a template asks for: they
// need no function to run.
func Hosted(names []string) bool {
	for _, n := range names {
		if !strings.HasPrefix(n, "AWS::") {
			return false
		}
	}
	return true
}

// Process runs a template's transforms: those within it from the most deeply
// nested outward, then those of its Transform section in their order. The
// processed template is not validated yet. Problems have the places of the
// original; err is of the world, and worth another try.
func Process(in Input) (*template.Template, template.Problems, error) {
	p := &processor{in: in, root: in.Root}
	if p.root.Kind != template.Map {
		return nil, template.Problems{template.At(p.root, "Template format error: unsupported structure.")}, nil
	}
	p.scope()
	globals := p.globals()
	for i := range p.root.Entries {
		e := &p.root.Entries[i]
		e.Value = p.nested(e.Value)
		if p.failed() {
			return nil, p.problems, p.err
		}
	}
	for _, c := range globals {
		p.scope()
		p.root = p.run(c, p.root, true)
		if p.failed() {
			return nil, p.problems, p.err
		}
	}
	tmpl, problems := template.FromTree(p.root)
	if n := len(p.root.JSON()); n > template.MaxBody && len(problems) == 0 {
		problems = template.Problems{{Message: fmt.Sprintf("Template may not exceed %d bytes in size.", template.MaxBody)}}
	}
	return tmpl, problems, nil
}

// processor runs the transforms of one template, and ends at the first that fails.
type processor struct {
	in       Input
	root     *template.Node
	partial  *template.Partial
	runs     int
	problems template.Problems
	err      error
}

func (p *processor) failed() bool { return len(p.problems) > 0 || p.err != nil }

func (p *processor) fail(at *template.Node, format string, args ...any) {
	p.problems = append(p.problems, template.At(at, format, args...))
}

// scope looks at the template as it is by now.
func (p *processor) scope() {
	tmpl, _ := template.FromTree(p.root)
	p.partial = tmpl.Partial(p.in.Env)
}

// call is one use of a transform.
type call struct {
	name   string
	params *template.Node // nil: none
	at     *template.Node
}

// globals takes the transforms of the whole template out of it.
func (p *processor) globals() []call {
	var calls []call
	rest := make([]template.Entry, 0, len(p.root.Entries))
	for _, e := range p.root.Entries {
		if e.Key == "Fn::Transform" {
			calls = append(p.calls(e.Value), calls...)
		} else if e.Key == "Transform" {
			calls = append(calls, p.calls(e.Value)...)
		} else {
			rest = append(rest, e)
		}
	}
	p.root.Entries = rest
	return calls
}

// calls reads a declaration: a name, an object with Name and Parameters, or a
// list of these.
func (p *processor) calls(n *template.Node) []call {
	switch n.Kind {
	case template.String:
		return []call{{name: n.Text, at: n}}
	case template.List:
		var calls []call
		for _, it := range n.Items {
			calls = append(calls, p.calls(it)...)
		}
		return calls
	case template.Map:
		name, params := n.Get("Name"), n.Get("Parameters")
		switch {
		case name == nil || name.Kind != template.String:
			p.fail(n, "Key Name of transform definition must be a string.")
		case params != nil && params.Kind != template.Map:
			p.fail(params, "Key Parameters of transform definition must be a map.")
		default:
			return []call{{name: name.Text, params: params, at: n}}
		}
		return nil
	}
	p.fail(n, "Template format error: Transform must be a string, a list of strings, or an object with the members Name and Parameters.")
	return nil
}

// nested runs the transforms within a node, from inside outward.
func (p *processor) nested(n *template.Node) *template.Node {
	if p.failed() {
		return n
	}
	if n.Fn == "Fn::Transform" {
		return p.within(n.Arg(), template.MapOf(n, nil))
	}
	for i := range n.Items {
		n.Items[i] = p.nested(n.Items[i])
	}
	var declared *template.Node
	rest := make([]template.Entry, 0, len(n.Entries))
	for _, e := range n.Entries {
		if e.Key == "Fn::Transform" {
			declared = e.Value
			continue
		}
		e.Value = p.nested(e.Value)
		rest = append(rest, e)
	}
	if declared == nil {
		n.Entries = rest
		return n
	}
	return p.within(declared, template.MapOf(n, rest))
}

// within runs the transforms that stand among a fragment's members.
func (p *processor) within(declared, fragment *template.Node) *template.Node {
	for _, c := range p.calls(declared) {
		if p.failed() {
			break
		}
		fragment = p.run(c, fragment, false)
	}
	return fragment
}

// run is one transform of a fragment, or of the whole template.
func (p *processor) run(c call, fragment *template.Node, global bool) *template.Node {
	if p.runs++; p.runs > MaxTransforms {
		p.fail(c.at, "Template format error: Number of transforms is greater than maximum allowed, %d", MaxTransforms)
		return fragment
	}
	switch {
	case c.name == Include:
		return p.include(c, fragment)
	case c.name == LanguageExtensions && !global:
		p.fail(c.at, "Transform %s failed with: it can be declared at the top level of a template only", c.name)
	case c.name == LanguageExtensions && c.params != nil && len(c.params.Entries) > 0:
		p.fail(c.params, "Transform %s failed with: it takes no parameters", c.name)
	case c.name == LanguageExtensions:
		return p.extend(c, fragment)
	case strings.HasPrefix(c.name, "AWS::Serverless-"):
		p.fail(c.at, "%s", template.NoServerless(c.name))
	case unbuilt[c.name]:
		p.fail(c.at, "Transform %s is not implemented", c.name)
	case strings.HasPrefix(c.name, "AWS::"):
		p.fail(c.at, "No transform named %s found.", c.name)
	default:
		return p.macro(c, fragment, global)
	}
	return fragment
}

// unbuilt are transforms that AWS has beside those here.
var unbuilt = map[string]bool{
	"AWS::CodeDeployBlueGreen": true, "AWS::SecretsManager-2020-07-23": true,
	"AWS::SecretsManager-2024-09-16": true, "AWS::ServiceCatalog": true,
}

// values are a transform's parameters: functions of what is known are evaluated,
// others stay as they are.
func (p *processor) values(n *template.Node) any {
	switch n.Kind {
	case template.List:
		l := make([]any, len(n.Items))
		for i, it := range n.Items {
			l[i] = p.values(it)
		}
		return l
	case template.Map:
		m := make(map[string]any, len(n.Entries))
		for _, e := range n.Entries {
			m[e.Key] = p.values(e.Value)
		}
		return m
	case template.Call:
		if v, known, _ := p.partial.Value(n); known {
			return v
		}
	}
	return n.Value()
}

// text is a failure's text where it is the template's, "" otherwise.
func text(err error) string {
	if e, ok := fault.As(err); ok {
		return e.Message
	}
	return ""
}
