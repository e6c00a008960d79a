package template

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/slipway/slipway/cfn"
)

// removed is what AWS::NoValue evaluates to: whatever holds it leaves it out.
type removed struct{}

// evaluator evaluates nodes in a scope. Problems do not end it: what is wrong
// becomes Unknown, so that one problem is not reported as many.
type evaluator struct {
	s *Scope
	report
}

func (e *evaluator) node(n *Node) any {
	switch n.Kind {
	case List:
		l := make([]any, 0, len(n.Items))
		for _, it := range n.Items {
			if v := e.node(it); v != (removed{}) {
				l = append(l, v)
			}
		}
		return l
	case Map:
		m := make(map[string]any, len(n.Entries))
		for _, en := range n.Entries {
			if v := e.node(en.Value); v != (removed{}) {
				m[en.Key] = v
			}
		}
		return m
	case Call:
		return e.call(n)
	}
	return n.Value()
}

func (e *evaluator) call(n *Node) any {
	f := functions[n.Fn]
	arg := n.Arg()
	if f == nil || f.unbuilt != "" || f.fits != nil && !f.fits(arg) {
		e.misuse(n, f)
		return Unknown
	}
	switch n.Fn {
	case "Ref":
		return e.ref(n, arg.Text)
	case "Fn::GetAtt":
		resource, attribute := getAtt(arg)
		return e.getAtt(n, resource, e.text(attribute, getAttMisuse))
	case "Fn::Sub":
		return e.sub(n, arg)
	case "Fn::Join":
		return e.join(arg)
	case "Fn::Split":
		return e.split(arg)
	case "Fn::Select":
		return e.pick(n, arg)
	case "Fn::If":
		return e.branch(n, arg)
	case "Fn::FindInMap":
		return e.findInMap(n, arg)
	case "Fn::Base64":
		s := e.text(arg, f.misuse)
		if HasUnknown(s) {
			return Unknown
		}
		return base64.StdEncoding.EncodeToString([]byte(s))
	case "Fn::ImportValue":
		return e.importValue(n, e.text(arg, f.misuse))
	case "Fn::GetAZs":
		return e.zones(arg, f.misuse)
	case "Fn::Cidr":
		return e.cidr(n, arg)
	case "Fn::Length":
		return e.length(n, arg)
	case "Fn::ToJsonString":
		return e.toJSON(arg)
	}
	if f.boolean {
		return strconv.FormatBool(e.condition(n))
	}
	e.misuse(n, nil)
	return Unknown
}

func (r *report) misuse(n *Node, f *function) {
	switch {
	case f == nil:
		r.at(n, "Template format error: Encountered unsupported function: %q. Supported functions are: [%s]", n.Fn, supported())
	case f.unbuilt != "":
		r.at(n, "%s, which this Slipway has not built yet", f.unbuilt)
	default:
		r.at(n, "%s", f.misuse)
	}
}

// text evaluates to a string, as CloudFormation joins and substitutes it.
func (e *evaluator) text(n *Node, misuse string) string {
	if n.Scalar() {
		return n.Text
	}
	if n.Kind == Null {
		return ""
	}
	return e.asText(n, e.node(n), misuse)
}

func (e *evaluator) asText(n *Node, v any, misuse string) string {
	switch v := v.(type) {
	case string:
		return v
	case bool, int64:
		return fmt.Sprint(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case removed:
		return ""
	}
	e.at(n, "%s", misuse)
	return Unknown
}

func (e *evaluator) ref(n *Node, name string) any {
	if v, ok := e.pseudo(name); ok {
		return v
	}
	if v, ok := e.s.env.Parameters[name]; ok {
		if !v.List {
			return v.text()
		}
		if HasUnknown(v.text()) {
			return Unknown
		}
		l := []any{}
		for _, part := range split(v.text()) {
			l = append(l, part)
		}
		return l
	}
	if e.s.t.Parameter(name) != nil {
		return Unknown // declared, and given no value yet
	}
	if r := e.s.t.Resource(name); r == nil || !e.s.Holds(r.Condition) {
		e.at(n, "Template format error: Unresolved resource dependencies [%s] in the %s block of the template", name, block(n))
		return Unknown
	}
	if live, ok := e.live(name); ok && live.PhysicalID != "" {
		return live.PhysicalID
	}
	return Unknown
}

func (e *evaluator) live(id string) (Live, bool) {
	if e.s.env.Resource == nil {
		return Live{}, false
	}
	return e.s.env.Resource(id)
}

func (e *evaluator) pseudo(name string) (any, bool) {
	p := &e.s.env.Pseudo
	switch name {
	case "AWS::AccountId":
		return p.AccountID, true
	case "AWS::Region":
		return p.Region, true
	case "AWS::StackName":
		return p.StackName, true
	case "AWS::StackId":
		return p.StackID, true
	case "AWS::Partition":
		return orElse(p.Partition, "aws"), true
	case "AWS::URLSuffix":
		return orElse(p.URLSuffix, "amazonaws.com"), true
	case "AWS::NotificationARNs":
		l := make([]any, len(p.NotificationARNs))
		for i, a := range p.NotificationARNs {
			l[i] = a
		}
		return l, true
	case "AWS::NoValue":
		return removed{}, true
	}
	return nil, false
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (e *evaluator) getAtt(n *Node, resource, attribute string) any {
	r := e.s.t.Resource(resource)
	if r == nil || !e.s.Holds(r.Condition) {
		e.at(n, "Template error: instance of Fn::GetAtt references undefined resource %s", resource)
		return Unknown
	}
	live, ok := e.live(resource)
	if !ok || live.PhysicalID == "" || HasUnknown(attribute) {
		return Unknown
	}
	if v, ok := find(live.Attributes, attribute); ok {
		return e.opened(n, v)
	}
	if cfn.Custom(r.Type) {
		e.at(n, "CustomResource attribute error: Vendor response doesn't contain %s attribute in object %s", attribute, live.PhysicalID)
		return Unknown
	}
	if v, ok := find(live.Properties, attribute); ok {
		return v
	}
	if output, ok := strings.CutPrefix(attribute, "Outputs."); ok && r.Type == "AWS::CloudFormation::Stack" {
		if live.Growing {
			return Unknown
		}
		e.at(n, "Output '%s' not found in stack '%s'", output, live.PhysicalID)
		return Unknown
	}
	e.at(n, "[Error] %s: Resource type %s does not support attribute {%s}", n.callPath(), r.Type, attribute)
	return Unknown
}

// opened is an attribute's value, also of one that is kept sealed.
func (e *evaluator) opened(n *Node, v any) any {
	sealed, ok := cfn.SealedText(v)
	if !ok {
		return v
	}
	if e.s.env.Open != nil {
		if text, ok := e.s.env.Open(sealed); ok {
			return text
		}
	}
	e.at(n, "[Error] %s: the attribute is kept sealed and does not open with this installation's key", n.callPath())
	return Unknown
}

// find looks an attribute up by its whole name, then along its dots.
func find(m map[string]any, name string) (any, bool) {
	if v, ok := m[name]; ok {
		return v, v != nil
	}
	first, rest, dotted := strings.Cut(name, ".")
	if !dotted {
		return nil, false
	}
	in, ok := m[first].(map[string]any)
	if !ok {
		return nil, false
	}
	return find(in, rest)
}

func (e *evaluator) sub(n, arg *Node) any {
	text, variables := sub(arg)
	parts, bad := subParts(text.Text)
	if bad != "" {
		e.at(n, "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons")
		return Unknown
	}
	var b strings.Builder
	for _, p := range parts {
		if !p.variable {
			b.WriteString(p.text)
			continue
		}
		misuse := "Template error: variable " + p.text + " in Fn::Sub expression does not resolve to a string"
		if own := variables.Get(p.text); own != nil {
			b.WriteString(e.text(own, misuse))
			continue
		}
		var v any
		if _, isParameter := e.s.env.Parameters[p.text]; !isParameter && strings.Contains(p.text, ".") {
			resource, attribute, _ := strings.Cut(p.text, ".")
			v = e.getAtt(n, resource, attribute)
		} else {
			v = e.ref(n, p.text)
		}
		b.WriteString(e.asText(n, v, misuse))
	}
	return b.String()
}

func (e *evaluator) join(arg *Node) any {
	delimiter, items := arg.Items[0].Text, arg.Items[1]
	if items.Kind == Call {
		switch v := e.node(items).(type) {
		case []any:
			parts := make([]string, len(v))
			for i := range v {
				parts[i] = e.asText(items, v[i], joinMisuse)
			}
			return strings.Join(parts, delimiter)
		case string:
			if v == Unknown {
				return Unknown
			}
		case removed:
			return ""
		}
		e.at(items, "%s", joinMisuse)
		return Unknown
	}
	parts := make([]string, 0, len(items.Items))
	for _, it := range items.Items {
		if it.Scalar() {
			parts = append(parts, it.Text)
			continue
		}
		v := e.node(it)
		if v == (removed{}) {
			continue
		}
		if l, ok := v.([]any); ok && it.Kind == Call { // a list within the list joins along
			for _, x := range l {
				parts = append(parts, e.asText(it, x, joinMisuse))
			}
			continue
		}
		parts = append(parts, e.asText(it, v, joinMisuse))
	}
	return strings.Join(parts, delimiter)
}

func (e *evaluator) split(arg *Node) any {
	s := e.text(arg.Items[1], splitMisuse)
	if HasUnknown(s) {
		return Unknown
	}
	parts := strings.Split(s, arg.Items[0].Text)
	l := make([]any, len(parts))
	for i, p := range parts {
		l[i] = p
	}
	return l
}

// pick is Fn::Select.
func (e *evaluator) pick(n, arg *Node) any {
	index := e.text(arg.Items[0], selectMisuse)
	v := e.node(arg.Items[1])
	if HasUnknown(index) || v == Unknown {
		return Unknown
	}
	l, ok := v.([]any)
	i, err := strconv.Atoi(index)
	if !ok || err != nil {
		e.at(n, "%s", selectMisuse)
		return Unknown
	}
	if i < 0 || i >= len(l) {
		if arg.Items[1].Kind == List {
			e.at(n, "%s", selectMisuse)
		} else {
			e.at(n, "Template error: Fn::Select cannot select nonexistent value at index %d", i)
		}
		return Unknown
	}
	return l[i]
}

func (e *evaluator) branch(n, arg *Node) any {
	held, ok := e.s.conditions[arg.Items[0].Text]
	if !ok {
		e.at(n, "Template error: unresolved condition dependency %s in Fn::If", arg.Items[0].Text)
		return Unknown
	}
	if held {
		return e.node(arg.Items[1])
	}
	return e.node(arg.Items[2])
}

func (e *evaluator) findInMap(n, arg *Node) any {
	var keys [3]string
	for i := range keys {
		keys[i] = e.text(arg.Items[i], mapMisuse)
		if HasUnknown(keys[i]) {
			return Unknown
		}
	}
	for _, m := range e.s.t.Mappings {
		if m.Name != keys[0] {
			continue
		}
		v := m.Node.Get(keys[1]).Get(keys[2])
		if v == nil && hasDefault(arg) {
			return e.node(arg.Items[3].Get("DefaultValue"))
		}
		if v == nil {
			e.at(n, "Template error: Unable to get mapping for %s::%s::%s", keys[0], keys[1], keys[2])
			return Unknown
		}
		return v.Value()
	}
	if hasDefault(arg) {
		return e.node(arg.Items[3].Get("DefaultValue"))
	}
	e.at(n, "Template error: Mapping named '%s' is not present in the 'Mappings' section of template.", keys[0])
	return Unknown
}

func (e *evaluator) importValue(n *Node, name string) any {
	if HasUnknown(name) || e.s.env.Export == nil {
		return Unknown
	}
	v, ok := e.s.env.Export(name)
	if !ok {
		e.at(n, "No export named %s found", name)
		return Unknown
	}
	return v
}

func (e *evaluator) zones(arg *Node, misuse string) any {
	region := orElse(e.text(arg, misuse), e.s.env.Pseudo.Region)
	if HasUnknown(region) || e.s.env.Zones == nil {
		return Unknown
	}
	l := []any{}
	for _, z := range e.s.env.Zones(region) {
		l = append(l, z)
	}
	return l
}

// block names the section that a node stands in.
func block(n *Node) string {
	for ; n.parent != nil && n.parent.parent != nil; n = n.parent {
	}
	return n.key
}
