package plan

import (
	"strings"
	"time"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/drift"
	"github.com/slipway/slipway/cfn/schema"
)

// A drift-aware operation compares three ways: what the last one left, what is
// really there, and what is wanted ("Using drift-aware change sets", CloudFormation
// User Guide). It changes what is there into what is wanted, whether the template
// changes or not, and makes anew what is gone.

// Found is what was found of a resource when the operation was decided.
type Found struct {
	Status string // of its drift, as change sets tell it
	Gone   bool
	Actual cfn.Properties // as its service has them; nil: nobody can tell
	Time   time.Time
}

// Live is a resource that was found to be another than the last operation left it.
type Live struct {
	Gone       bool           `json:",omitempty"`
	Properties cfn.Properties `json:",omitempty"` // in the template's words
	// Foreign are the tags that neither the template nor the stack has given it: they
	// stay.
	Foreign map[string]string `json:",omitempty"`
}

// liveOf is a resource as it really is, nil where that is what its record says, or
// cannot be told.
func (m *maker) liveOf(s *schema.Schema, old Resource, after cfn.Properties) *Live {
	found, ok := m.in.Live[old.LogicalID]
	switch {
	case !ok || old.PhysicalID == "" || !found.Gone && found.Actual == nil:
		return nil
	case found.Gone:
		return &Live{Gone: true}
	}
	actual := withoutForeignTags(s, found.Actual, old.Properties, after)
	live := drift.Live(s, old.Properties, actual)
	for k, want := range after {
		was, had := old.Properties[k]
		switch {
		case had && equal(was, want):
		case drift.Says(s, k, want, actual):
			live[k] = want
		case !had && actual[k] != nil && drift.Told(s, k):
			live[k] = actual[k]
		}
	}
	m.immutable(old, live, after)
	foreign := m.foreignTags(s, found.Actual, old.Properties, after)
	if len(foreign) == 0 && equal(map[string]any(live), map[string]any(old.Properties)) {
		return nil
	}
	return &Live{Properties: live, Foreign: foreign}
}

// foreignTags are a resource's tags of which no template and no stack knows.
func (m *maker) foreignTags(s *schema.Schema, actual, old, after cfn.Properties) map[string]string {
	if s == nil || s.TagProperty == "" {
		return nil
	}
	foreign := tagsOf(actual[s.TagProperty])
	for _, known := range []map[string]string{m.in.Tags, m.in.Old.Tags, tagsOf(old[s.TagProperty]), tagsOf(after[s.TagProperty])} {
		for key := range known {
			delete(foreign, key)
		}
	}
	for key := range foreign {
		if strings.HasPrefix(key, "aws:") {
			delete(foreign, key)
		}
	}
	return foreign
}

// immutable takes the drift of properties that cannot be changed in place to be
// none, unless the template changes them, too: AWS replaces nothing because of
// drift.
func (m *maker) immutable(old Resource, live, after cfn.Properties) {
	d, err := Decide(m.in.Types, old.Type, live, after)
	if err != nil {
		return
	}
	for _, name := range d.Replacing {
		was, had := old.Properties[name]
		switch {
		case !equal(was, after[name]):
		case had:
			live[name] = was
		default:
			delete(live, name)
		}
	}
}

// withoutForeignTags leaves out the tags that no template has given: they are left
// alone.
func withoutForeignTags(s *schema.Schema, actual cfn.Properties, templates ...cfn.Properties) cfn.Properties {
	if s == nil || s.TagProperty == "" || actual[s.TagProperty] == nil {
		return actual
	}
	own := map[string]bool{}
	for _, p := range templates {
		for key := range tagsOf(p[s.TagProperty]) {
			own[key] = true
		}
	}
	out := cfn.Properties{}
	for k, v := range actual {
		out[k] = v
	}
	switch tags := actual[s.TagProperty].(type) {
	case []any:
		left := []any{}
		for _, t := range tags {
			if m, _ := t.(map[string]any); own[text(m["Key"])] {
				left = append(left, t)
			}
		}
		out[s.TagProperty] = left
	case map[string]any:
		left := map[string]any{}
		for k, v := range tags {
			if own[k] {
				left[k] = v
			}
		}
		out[s.TagProperty] = left
	}
	return out
}

// tagsOf reads tags in either of their forms.
func tagsOf(v any) map[string]string {
	out := map[string]string{}
	switch tags := v.(type) {
	case []any:
		for _, t := range tags {
			m, _ := t.(map[string]any)
			out[text(m["Key"])] = text(m["Value"])
		}
	case map[string]any:
		for k, x := range tags {
			out[k] = text(x)
		}
	}
	return out
}

// stackTagsDrift reports whether a resource has lost tags of the stack, or has
// other values of them. As detection does, it looks at what sets tags of its own.
func (m *maker) stackTagsDrift(s *schema.Schema, f *fate) bool {
	found, ok := m.in.Live[f.step.LogicalID]
	if !ok || found.Actual == nil || s == nil || f.after[s.TagProperty] == nil {
		return false
	}
	own, there := tagsOf(f.after[s.TagProperty]), tagsOf(found.Actual[s.TagProperty])
	for k, v := range m.in.Tags {
		if _, set := own[k]; set {
			continue
		}
		if is, ok := there[k]; !ok || is != v {
			return true
		}
	}
	return false
}

// before is what a resource is changed from.
func (f *fate) before(old Resource) cfn.Properties {
	if f.live != nil {
		return f.live.Properties
	}
	return old.Properties
}

// Values of a detail's BeforeFrom and AfterFrom ("ResourceTargetDefinition").
const (
	fromActual   = "ACTUAL_STATE"
	fromPrevious = "PREVIOUS_DEPLOYMENT_STATE"
	fromTemplate = "TEMPLATE"

	syncs          = "SyncWithActual"
	noModification = "NoModification"
)

// Drift is a LiveResourceDrift: what the last operation left, and what there is.
type Drift struct {
	Previous string
	Actual   string
	Time     time.Time
}

// drifted tells of a detail what is known of the property's drift.
func (c *changer) drifted(t *Target, f *fate, old Resource, path []string, secret bool) {
	found, ok := c.in.Live[f.step.LogicalID]
	if !ok || !c.values {
		return
	}
	t.BeforeFrom, t.AfterFrom = fromPrevious, fromTemplate
	if found.Actual == nil || c.untold(f, path) {
		return
	}
	t.BeforeFrom = fromActual
	for _, d := range differences(map[string]any(old.Properties), map[string]any(f.before(old)), nil) {
		if overlaps(d.path, path) {
			t.Drift = &Drift{Previous: shown(d.before, secret), Actual: shown(d.after, secret), Time: found.Time}
			return
		}
	}
}

// untold reports whether the service cannot tell what is at a path.
func (c *changer) untold(f *fate, path []string) bool {
	for _, p := range c.schemaOf(f).WriteOnly {
		if overlaps(strings.Split(p, "/"), path) {
			return true
		}
	}
	return false
}

// synced adds the properties that the template changes to what they are already.
func (c *changer) synced(ch *Change, f *fate, old Resource, secret map[string]bool) {
	if f.live == nil {
		return
	}
	left := differences(map[string]any(f.before(old)), map[string]any(f.after), nil)
	named := map[string]bool{}
	for _, d := range differences(map[string]any(old.Properties), map[string]any(f.after), nil) {
		name := d.path[0]
		changes := false
		for _, other := range left {
			changes = changes || overlaps(other.path, d.path)
		}
		if changes || named[name] && !c.values {
			continue
		}
		named[name] = true
		t := Target{Attribute: "Properties", Name: name, RequiresRecreation: recreation(c.schemaOf(f), d.path)}
		if c.values {
			t.Path, t.AttributeChangeType = "/Properties/"+strings.Join(d.path, "/"), syncs
			t.BeforeValue, t.AfterValue = shown(d.after, secret[name]), shown(d.after, secret[name])
			c.drifted(&t, f, old, d.path, secret[name])
		}
		ch.Details = append(ch.Details, Detail{Target: t, Evaluation: "Static", ChangeSource: noModification})
	}
}

// onlySyncs reports whether a change touches nothing but the stack's records.
func onlySyncs(details []Detail) bool {
	for _, d := range details {
		if d.ChangeSource != noModification {
			return false
		}
	}
	return len(details) > 0
}

// find tells of an entry what was found of its resource.
func (c *changer) find(ch *Change, s *schema.Schema, set cfn.Properties) {
	found, ok := c.in.Live[ch.LogicalResourceID]
	if !ok {
		return
	}
	ch.DriftStatus = found.Status
	if found.Actual != nil {
		ch.Ignored = drift.WriteOnly(s, set)
	}
}

// contexts are what a resource was: what there is, and beside it what the last
// operation left where that is another.
func (c *changer) contexts(ch *Change, f *fate, old Resource) {
	secret := c.secretBefore(old.LogicalID)
	ch.BeforeContext = c.context(old.Properties, old.Metadata, secret)
	if f.live != nil {
		ch.PreviousContext = ch.BeforeContext
		ch.BeforeContext = c.context(f.live.Properties, old.Metadata, both(secret, c.secretAfter(f.resource)))
	}
}

func both(a, b map[string]bool) map[string]bool {
	out := map[string]bool{}
	for _, m := range []map[string]bool{a, b} {
		for k, v := range m {
			out[k] = out[k] || v
		}
	}
	return out
}
