package plan

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
)

// Change is a ResourceChange of a change set; names and words are AWS's.
type Change struct {
	Action             string // Add, Modify, Remove, Import, SyncWithActual
	LogicalResourceID  string
	PhysicalResourceID string
	ResourceType       string
	Replacement        string // True, False, Conditional; "" for Add, Remove and Import
	PolicyAction       string // Delete, Retain, Snapshot, ReplaceAndDelete, ReplaceAndRetain, ReplaceAndSnapshot or ""
	Scope              []string
	Details            []Detail
	BeforeContext      string // JSON, with values only
	AfterContext       string
	DriftStatus        string         `json:",omitempty"` // of a drift-aware change set
	Ignored            []string       `json:",omitempty"` // places whose drift nobody can tell
	PreviousContext    string         `json:",omitempty"` // as the last operation left it, where BeforeContext is what there is
	ChangeSetID        string         `json:",omitempty"` // of a nested stack, where it has one of its own
	After              cfn.Properties `json:"-"`          // of a nested stack
}

// automatic is the source of changes that the template does not tell of: a nested
// stack's template may be another by now.
const automatic = "Automatic"

// Detail is a ResourceChangeDetail.
type Detail struct {
	Target        Target
	Evaluation    string // Static, Dynamic
	ChangeSource  string // DirectModification, ParameterReference, ResourceReference, ResourceAttribute
	CausingEntity string
}

// Target is a ResourceTargetDefinition. The values, the path and the change's
// type are set with values only.
type Target struct {
	Attribute           string // Properties, Metadata, Tags, CreationPolicy, UpdatePolicy, DeletionPolicy, UpdateReplacePolicy
	Name                string // of a property
	RequiresRecreation  string // Never, Always, Conditionally
	Path                string
	BeforeValue         string
	AfterValue          string
	AttributeChangeType string // Add, Remove, Modify, SyncWithActual
	BeforeFrom          string `json:",omitempty"` // of drift-aware change sets, as are the next
	AfterFrom           string `json:",omitempty"`
	Drift               *Drift `json:",omitempty"`
}

// Changes are the entries of a change set, by logical id. With values
// (DescribeChangeSet's IncludePropertyValues) they say what each property was
// and becomes, and leave out what only may change; without, they list that, too.
func Changes(in Input, values bool) ([]Change, template.Problems) {
	m := enter(in)
	if len(m.problems) > 0 {
		return nil, m.problems
	}
	c := &changer{maker: m, values: values}
	var changes []Change
	for _, id := range union(m.fates, nil) {
		if ch, ok := c.change(m.fates[id]); ok {
			changes = append(changes, ch)
		}
	}
	for _, r := range in.Old.Resources {
		if m.fates[r.LogicalID] != nil || r.PhysicalID == "" {
			continue
		}
		ch := Change{Action: "Remove", LogicalResourceID: r.LogicalID, PhysicalResourceID: r.PhysicalID, ResourceType: r.Type, PolicyAction: policyAction(r.Policy())}
		if values {
			ch.BeforeContext = c.context(r.Properties, r.Metadata, c.secretBefore(r.LogicalID))
		}
		c.find(&ch, nil, nil)
		changes = append(changes, ch)
	}
	sort.Slice(changes, func(i, j int) bool { return changes[i].LogicalResourceID < changes[j].LogicalResourceID })
	return changes, nil
}

func policyAction(policy string) string {
	if policy == "RetainExceptOnCreate" {
		return "Retain"
	}
	return policyOf(policy)
}

type changer struct {
	*maker
	values bool
	before *template.Scope // of the old template; nil until it is asked for
}

func (c *changer) change(f *fate) (Change, bool) {
	ch := Change{LogicalResourceID: f.step.LogicalID, ResourceType: f.step.Type, PhysicalResourceID: f.step.PhysicalID}
	if f.step.Type == nestedStack {
		ch.After = f.after
	}
	metadata, _ := c.scope.Eval(f.resource.Metadata)
	after := func() string { return c.context(f.after, metadata, c.secretAfter(f.resource)) }
	if f.step.joins() {
		ch.Action = "Add"
		if f.step.Action == Import {
			ch.Action = "Import"
		}
		if c.values {
			ch.AfterContext = after()
		}
		if c.find(&ch, nil, nil); c.values && f.live != nil {
			old := c.in.Old.Resources[f.step.LogicalID]
			ch.PreviousContext = c.context(old.Properties, old.Metadata, c.secretBefore(old.LogicalID))
		}
		return ch, true
	}
	old := c.in.Old.Resources[f.step.LogicalID]
	ch.Action = "Modify"
	c.properties(&ch, f, old)
	if f.step.Tags {
		ch.Details = append(ch.Details, direct(Target{Attribute: "Tags", RequiresRecreation: recreation(c.schemaOf(f), []string{c.schemaOf(f).TagProperty})}))
	}
	for _, part := range f.records {
		ch.Details = append(ch.Details, c.record(part, f, old, metadata))
	}
	if len(ch.Details) == 0 && f.step.Automatic {
		ch.Details = []Detail{{Target: Target{Attribute: "Properties", RequiresRecreation: "Never"}, Evaluation: "Dynamic", ChangeSource: automatic}}
	}
	if len(ch.Details) == 0 {
		return ch, false
	}
	for _, d := range ch.Details {
		if !contains(ch.Scope, d.Target.Attribute) {
			ch.Scope = append(ch.Scope, d.Target.Attribute)
		}
	}
	ch.Replacement = replacement(ch.Details)
	if ch.Replacement == "True" {
		ch.PolicyAction = "ReplaceAnd" + policyOf(f.resource.UpdateReplacePolicy)
	}
	if onlySyncs(ch.Details) {
		ch.Action, ch.Replacement, ch.PolicyAction = syncs, "", ""
	}
	c.find(&ch, c.schemaOf(f), f.after)
	if c.values {
		c.contexts(&ch, f, old)
		ch.AfterContext = after()
	}
	return ch, true
}

func (c *changer) schemaOf(f *fate) *schema.Schema {
	s, err := c.in.Types.schema(f.step.Type)
	if err != nil || s == nil {
		return &schema.Schema{}
	}
	return s
}

func direct(t Target) Detail {
	return Detail{Target: t, Evaluation: "Static", ChangeSource: "DirectModification"}
}

func (c *changer) record(part string, f *fate, old Resource, metadata any) Detail {
	t := Target{Attribute: part, RequiresRecreation: "Never"}
	if !c.values {
		return direct(t)
	}
	t.Path, t.AttributeChangeType = "/"+part, "Modify"
	switch part {
	case "Metadata":
		t.BeforeValue, t.AfterValue = text(old.Metadata), text(metadata)
	case "DeletionPolicy":
		t.BeforeValue, t.AfterValue = policyOf(old.DeletionPolicy), policyOf(f.resource.DeletionPolicy)
	case "UpdateReplacePolicy":
		t.BeforeValue, t.AfterValue = policyOf(old.UpdateReplacePolicy), policyOf(f.resource.UpdateReplacePolicy)
	case "CreationPolicy":
		now, _ := c.scope.Eval(f.resource.CreationPolicy)
		t.BeforeValue, t.AfterValue = text(old.CreationPolicy), text(now)
	case "UpdatePolicy":
		now, _ := c.scope.Eval(f.resource.UpdatePolicy)
		t.BeforeValue, t.AfterValue = text(old.UpdatePolicy), text(now)
	}
	return direct(t)
}

// properties adds the details of changed properties, and without values of
// those that may change since they read an attribute of what changes.
func (c *changer) properties(ch *Change, f *fate, old Resource) {
	s := c.schemaOf(f)
	named := map[string]bool{}
	secretBefore, secretAfter := c.secretBefore(old.LogicalID), c.secretAfter(f.resource)
	if f.live != nil { // what there is may be either
		secretBefore = both(secretBefore, secretAfter)
	}
	c.synced(ch, f, old, secretBefore)
	for _, d := range differences(map[string]any(f.before(old)), map[string]any(f.after), nil) {
		name := d.path[0]
		if named[name] && !c.values {
			continue
		}
		named[name] = true
		t := Target{Attribute: "Properties", Name: name, RequiresRecreation: recreation(s, d.path)}
		if c.values {
			t.Path = "/Properties/" + strings.Join(d.path, "/")
			t.AttributeChangeType = "Modify"
			if d.before == nil {
				t.AttributeChangeType = "Add"
			} else if d.after == nil {
				t.AttributeChangeType = "Remove"
			}
			t.BeforeValue, t.AfterValue = shown(d.before, secretBefore[name]), shown(d.after, secretAfter[name])
			c.drifted(&t, f, old, d.path, secretBefore[name])
		}
		ch.Details = append(ch.Details, c.sources(t, f.resource.Properties.Get(name), old.LogicalID)...)
	}
	if c.values {
		return
	}
	for _, name := range union(f.after, nil) {
		if named[name] {
			continue
		}
		for _, ref := range c.scope.References(f.resource.Properties.Get(name)) {
			if ref.Attribute != "" && contains(f.causes, ref.Name) {
				ch.Details = append(ch.Details, Detail{Evaluation: "Dynamic", ChangeSource: "ResourceAttribute", CausingEntity: ref.Name + "." + ref.Attribute,
					Target: Target{Attribute: "Properties", Name: name, RequiresRecreation: recreation(s, []string{name})}})
			}
		}
	}
}

// sources says why a property changes: a parameter, a replaced resource, or the
// template itself. AWS lists what a reference causes once more, as a dynamic
// direct modification: always for parameters, for resources only with values. What a
// condition turns is a direct one beside attributes that may change.
func (c *changer) sources(t Target, n *template.Node, id string) []Detail {
	var details []Detail
	byParameter, static := false, false
	for _, ref := range c.scope.References(n) {
		d := Detail{Target: t, Evaluation: "Static", CausingEntity: ref.Name}
		f := c.fates[ref.Name]
		switch {
		case ref.Attribute == "" && c.in.New.Parameter(ref.Name) != nil:
			// What a parameter store has by now is no change of the parameter.
			if was, ok := c.in.Old.Parameters[ref.Name]; ok && was.Text == c.in.Env.Parameters[ref.Name].Text {
				continue
			}
			d.ChangeSource, byParameter = "ParameterReference", true
		case f == nil || f.step.Action == Keep || f.step.joins() || f.step.Records:
			continue
		case len(f.decision.Replacing) > 0 && ref.Attribute == "":
			d.ChangeSource = "ResourceReference"
		case ref.Attribute != "":
			d.ChangeSource, d.CausingEntity = "ResourceAttribute", ref.Name+"."+ref.Attribute
			if len(f.decision.Replacing) == 0 {
				d.Evaluation = "Dynamic"
			}
		default:
			continue
		}
		details, static = append(details, d), static || d.Evaluation == "Static"
	}
	if len(details) == 0 {
		return []Detail{direct(t)}
	}
	switch {
	case byParameter || c.values || c.rewritten(n, id, t.Name):
		details = append(details, Detail{Target: t, Evaluation: "Dynamic", ChangeSource: "DirectModification"})
	case !static:
		details = append(details, direct(t))
	}
	return details
}

// rewritten reports whether the template's own text of a property changes.
func (c *changer) rewritten(n *template.Node, id, name string) bool {
	if c.in.Old.Template == nil {
		return false
	}
	r := c.in.Old.Template.Resource(id)
	return r == nil || !equal(r.Properties.Get(name).Value(), n.Value())
}

// recreation says whether a change at a path needs a new resource.
func recreation(s *schema.Schema, path []string) string {
	for _, p := range s.CreateOnly {
		if overlaps(strings.Split(p, "/"), path) {
			return "Always"
		}
	}
	for _, p := range s.ConditionalCreateOnly {
		if overlaps(strings.Split(p, "/"), path) {
			return "Conditionally"
		}
	}
	return "Never"
}

// overlaps reports whether one of the paths leads to or through the other.
func overlaps(pattern, path []string) bool {
	for i := 0; i < len(pattern) && i < len(path); i++ {
		if pattern[i] != path[i] && pattern[i] != "*" {
			return false
		}
	}
	return true
}

func replacement(details []Detail) string {
	r := "False"
	for _, d := range details {
		switch {
		case d.Target.RequiresRecreation == "Always" && d.Evaluation == "Static":
			return "True"
		case d.Target.RequiresRecreation != "Never":
			r = "Conditional"
		}
	}
	return r
}

const masked = "****"

// secretAfter names the properties that show a NoEcho parameter's value, or an
// attribute that is kept sealed.
func (c *changer) secretAfter(r *template.Resource) map[string]bool {
	return c.secrets(c.scope, r, c.in.Env.Parameters)
}

func (c *changer) secretBefore(id string) map[string]bool {
	if c.in.Old.Template == nil {
		return nil
	}
	if c.before == nil {
		env := c.in.Env
		env.Parameters, env.Resource = c.in.Old.Parameters, nil
		scope, problems := c.in.Old.Template.Enter(env)
		if len(problems) > 0 {
			scope = c.scope
		}
		c.before = scope
	}
	return c.secrets(c.before, c.in.Old.Template.Resource(id), c.in.Old.Parameters)
}

func (c *changer) secrets(scope *template.Scope, r *template.Resource, values template.Values) map[string]bool {
	out := map[string]bool{}
	if r == nil || r.Properties == nil {
		return out
	}
	for _, e := range r.Properties.Entries {
		for _, ref := range scope.References(e.Value) {
			attribute, _, _ := strings.Cut(ref.Attribute, ".")
			if values[ref.Name].NoEcho || hasSealed(c.in.Old.Resources[ref.Name].Attributes[attribute]) {
				out[e.Key] = true
			}
		}
	}
	return out
}

func hasSealed(v any) bool {
	if _, ok := cfn.SealedText(v); ok {
		return true
	}
	in, _ := v.(map[string]any)
	for _, x := range in {
		if hasSealed(x) {
			return true
		}
	}
	return false
}

// context is a resource's definition as change sets show it.
func (c *changer) context(p map[string]any, metadata any, secret map[string]bool) string {
	shownProps := make(map[string]any, len(p))
	for k, v := range p {
		if secret[k] {
			v = masked
		}
		shownProps[k] = asText(v)
	}
	out := map[string]any{"Properties": shownProps}
	if metadata != nil {
		out["Metadata"] = asText(metadata)
	}
	return text(out)
}

// asText turns every scalar into a string, as AWS's contexts have them.
func asText(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = asText(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = asText(x)
		}
		return out
	case string:
		if template.HasUnknown(v) {
			return template.Unknown // AWS tells no part of such a text
		}
		return v
	case nil:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

func shown(v any, secret bool) string {
	switch {
	case v == nil:
		return ""
	case secret:
		return masked
	}
	return text(v)
}

// text is a value's text, nothing for none.
func text(v any) string {
	if v == nil {
		return ""
	}
	return cfn.Text(v)
}

func contains(l []string, s string) bool {
	for _, x := range l {
		if x == s {
			return true
		}
	}
	return false
}
