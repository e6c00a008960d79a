// Package generate makes templates of resources that exist ("Generating templates
// from existing resources with IaC generator", CloudFormation User Guide). It is
// pure: what the resources are is told to it. It may import cfn, cfn/schema and
// cfn/template only, and starts no goroutine.
package generate

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
)

// Resource is a resource to write down.
type Resource struct {
	LogicalID  string
	Type       string
	PhysicalID string
	Properties cfn.Properties // as Read tells them, read-only ones included
}

// Config is what the template says of all its resources.
type Config struct {
	ID                  string // of the generated template
	DeletionPolicy      string // Delete or Retain
	UpdateReplacePolicy string
}

// Kinds of warnings ("WarningDetail").
const (
	Unsupported = "UNSUPPORTED_PROPERTIES"
	Excluded    = "EXCLUDED_PROPERTIES"
)

// Warning is what a template does not say of a resource.
type Warning struct {
	Type       string
	Properties []Property
}

// Property is a property that a warning is about.
type Property struct {
	Path     string
	Required bool
}

// Template is the text, as JSON, of a template that has the resources, and what
// has to be said about each, by logical id. base is the template that they are
// added to, nil if there is none. Values that name another of the resources become
// references, unless that made a circle.
func Template(base *template.Node, resources []Resource, c Config, schemas func(typeName string) (*schema.Schema, error)) ([]byte, map[string][]Warning) {
	w := &writer{resources: resources, on: map[string]map[string]bool{}, warnings: map[string][]Warning{}, parameters: map[string]any{}}
	for _, r := range resources {
		s, _ := schemas(r.Type)
		w.schemas = append(w.schemas, s)
	}
	w.name()
	made := map[string]any{}
	for i := range resources {
		made[resources[i].LogicalID] = map[string]any{
			"Type": resources[i].Type, "DeletionPolicy": c.DeletionPolicy, "UpdateReplacePolicy": c.UpdateReplacePolicy,
			"Properties": w.resource(i),
		}
	}
	root := map[string]any{}
	if base != nil {
		root, _ = base.Value().(map[string]any)
	}
	add(root, "Metadata", map[string]any{"TemplateId": c.ID})
	add(root, "Parameters", w.parameters)
	add(root, "Resources", made)
	body, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return []byte("{}"), w.warnings // not what Read tells
	}
	return body, w.warnings
}

func add(root map[string]any, section string, members map[string]any) {
	if len(members) == 0 {
		return
	}
	all, ok := root[section].(map[string]any)
	if !ok {
		all = map[string]any{}
	}
	maps.Copy(all, members)
	root[section] = all
}

// writer writes resources down.
type writer struct {
	resources  []Resource
	schemas    []*schema.Schema           // nil where there is none
	names      map[string][]target        // by what names them
	on         map[string]map[string]bool // what refers to what, by logical id
	warnings   map[string][]Warning
	parameters map[string]any
}

// target is what a value names.
type target struct {
	resource  int
	attribute string // "" : its Ref
}

// identifier is the form of ids that name one thing, whatever property they stand in.
var identifier = regexp.MustCompile(`^(arn:.+|https?://.+|[a-z]{1,12}-[0-9a-f]{8,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)

// name collects what names the resources.
func (w *writer) name() {
	w.names = map[string][]target{}
	put := func(value string, t target) {
		if !slices.ContainsFunc(w.names[value], func(old target) bool { return old.resource == t.resource }) {
			w.names[value] = append(w.names[value], t)
		}
	}
	for i, r := range w.resources {
		put(r.PhysicalID, target{resource: i})
		if w.schemas[i] == nil {
			continue
		}
		for _, path := range slices.Sorted(slices.Values(w.schemas[i].ReadOnly)) {
			if v, ok := r.Properties[path].(string); ok && identifier.MatchString(v) {
				put(v, target{resource: i, attribute: path})
			}
		}
	}
}

// resource is a resource's properties as a template has them.
func (w *writer) resource(i int) map[string]any {
	r, s := w.resources[i], w.schemas[i]
	p := r.Properties
	if s != nil {
		p, _ = s.Conform(p)
		p = schema.Without(p, s.ReadOnly)
		for _, name := range s.Exclusive(p) { // they say the same, or come from each other
			delete(p, name)
		}
	}
	out := map[string]any{}
	var excluded []Property
	for _, name := range slices.Sorted(maps.Keys(p)) {
		v := p[name]
		if s != nil && name == s.TagProperty {
			v = ownTags(v)
		}
		switch {
		case empty(v):
		case dynamic(v):
			excluded = append(excluded, Property{Path: name, Required: s != nil && slices.Contains(s.Required, name)})
		default:
			out[name] = w.value(i, name, v)
		}
	}
	if len(excluded) > 0 {
		w.warnings[r.LogicalID] = append(w.warnings[r.LogicalID], Warning{Type: Excluded, Properties: excluded})
	}
	if s != nil {
		w.required(i, s, out)
	}
	return out
}

// required asks for the properties that a service does not tell: whoever deploys the
// template gives them as parameters.
func (w *writer) required(i int, s *schema.Schema, out map[string]any) {
	var missing []Property
	for _, name := range s.Required {
		if _, ok := out[name]; ok || slices.Contains(s.ReadOnly, name) {
			continue
		}
		if !slices.Contains(s.WriteOnly, name) {
			missing = append(missing, Property{Path: name, Required: true})
			continue
		}
		parameter := w.resources[i].LogicalID + name
		w.parameters[parameter] = map[string]any{"Type": "String", "NoEcho": true, "Description": name + " of " + w.resources[i].LogicalID + ", which its service does not tell"}
		out[name] = map[string]any{"Ref": parameter}
	}
	if len(missing) > 0 {
		id := w.resources[i].LogicalID
		w.warnings[id] = append(w.warnings[id], Warning{Type: Unsupported, Properties: missing})
	}
}

// value is a value with the names of other resources as references. key is the
// property that it stands in.
func (w *writer) value(i int, key string, v any) any {
	switch v := v.(type) {
	case string:
		return w.reference(i, key, v)
	case []any:
		out := make([]any, len(v))
		for n, x := range v {
			out[n] = w.value(i, key, x)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out[k] = w.value(i, k, v[k])
		}
		return out
	}
	return v
}

func (w *writer) reference(i int, key, v string) any {
	var fits []target
	for _, t := range w.names[v] {
		// Otherwise it is a word that two things have in common.
		named := strings.Contains(strings.ToLower(key), noun(w.resources[t.resource].Type))
		if t.resource != i && (named || identifier.MatchString(v)) {
			fits = append(fits, t)
		}
	}
	if len(fits) != 1 {
		return v
	}
	t := fits[0]
	from, to := w.resources[i].LogicalID, w.resources[t.resource]
	if w.reaches(to.LogicalID, from) {
		return v
	}
	if w.on[from] == nil {
		w.on[from] = map[string]bool{}
	}
	w.on[from][to.LogicalID] = true
	if t.attribute != "" {
		return map[string]any{"Fn::GetAtt": []any{to.LogicalID, t.attribute}}
	}
	return map[string]any{"Ref": to.LogicalID}
}

// noun is the last part of a type's name, as properties that name such resources
// have it.
func noun(typeName string) string {
	return strings.ToLower(typeName[strings.LastIndexByte(typeName, ':')+1:])
}

// reaches reports whether one resource refers to another, also by way of others.
func (w *writer) reaches(from, to string) bool {
	seen := map[string]bool{}
	var visit func(id string) bool
	visit = func(id string) bool {
		if id == to {
			return true
		}
		if seen[id] {
			return false
		}
		seen[id] = true
		for next := range w.on[id] {
			if visit(next) {
				return true
			}
		}
		return false
	}
	return visit(from)
}

// ownTags are tags without those that AWS's services put on things.
func ownTags(v any) any {
	switch v := v.(type) {
	case []any:
		out := []any{}
		for _, t := range v {
			m, _ := t.(map[string]any)
			if key, _ := m["Key"].(string); !strings.HasPrefix(strings.ToLower(key), "aws:") {
				out = append(out, t)
			}
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, t := range v {
			if !strings.HasPrefix(strings.ToLower(k), "aws:") {
				out[k] = t
			}
		}
		return out
	}
	return v
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// dynamic reports whether a value has text that a template would resolve, or
// members that it would evaluate.
func dynamic(v any) bool {
	switch v := v.(type) {
	case string:
		return template.HasDynamic(v)
	case []any:
		return slices.ContainsFunc(v, dynamic)
	case map[string]any:
		for k, x := range v {
			if k == "Ref" || k == "Fn::Transform" || strings.HasPrefix(k, "Fn::") || dynamic(x) {
				return true
			}
		}
	}
	return false
}

// notAlphanumeric is what logical ids do not have.
var notAlphanumeric = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// maxID bounds logical ids.
const maxID = 255

// LogicalID makes an id for a resource, of its type and name, that taken does not
// have.
func LogicalID(typeName, physicalID string, taken func(string) bool) string {
	parts := strings.Split(typeName, "::")
	id := strings.Join(parts[min(1, len(parts)-1):], "")
	for _, word := range notAlphanumeric.Split(physicalID[strings.LastIndexAny(physicalID, ":/|")+1:], -1) {
		if word != "" {
			id += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	id = notAlphanumeric.ReplaceAllString(id, "")
	id = id[:min(len(id), maxID-4)]
	free := id
	for n := 2; taken(free); n++ {
		free = id + strconv.Itoa(n)
	}
	return free
}
