package plan

import (
	"sort"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/template"
)

// fate is what becomes of one resource of the new template.
type fate struct {
	step     Step
	decision Decision
	after    cfn.Properties
	live     *Live // where the resource is not what the last operation left
	resource *template.Resource
	records  []string // attributes other than properties that change: Metadata, DeletionPolicy ...
	causes   []string // resources that change in place and that it reads attributes of
}

// maker decides resource by resource, those first that others depend on.
type maker struct {
	in       Input
	scope    *template.Scope
	on       map[string][]string
	order    []string
	fates    map[string]*fate
	problems template.Problems
}

// Make decides an operation that brings the stack to a template. Old without
// resources makes a creation. The problems are those of evaluation, and changes
// that CloudFormation refuses.
func Make(in Input) (*Plan, template.Problems) {
	m := enter(in)
	if len(m.problems) > 0 {
		return nil, m.problems
	}
	p := &Plan{}
	for _, id := range m.order {
		p.Steps = append(p.Steps, m.fates[id].step)
		if live := m.fates[id].live; live != nil {
			if p.Live == nil {
				p.Live = map[string]Live{}
			}
			p.Live[id] = *live
		}
	}
	p.Cleanup = m.cleanup()
	p.Outputs = m.outputsChange()
	if len(m.problems) > 0 {
		return nil, m.problems
	}
	return p, nil
}

func enter(in Input) *maker {
	m := &maker{in: in, fates: map[string]*fate{}}
	var scope *template.Scope
	scope, m.problems = in.New.Enter(in.Env)
	if len(m.problems) > 0 {
		return m
	}
	m.scope = scope.With(m.live)
	m.on = scope.Dependencies()
	active := scope.Active()
	ids := make([]string, len(active))
	for i, r := range active {
		ids[i] = r.LogicalID
	}
	m.order = sorted(ids, m.on)
	for _, id := range m.order {
		m.fates[id] = m.decide(in.New.Resource(id))
	}
	m.problems.Sort()
	return m
}

// live answers Ref and Fn::GetAtt as far as the plan can know: a resource that
// stays is what it was; a new one, or a replacement, is not known yet.
func (m *maker) live(id string) (template.Live, bool) {
	f, decided := m.fates[id]
	old, exists := m.in.Old.Resources[id]
	if !exists || decided && (f.step.joins() || len(f.decision.Replacing) > 0) {
		return template.Live{}, false
	}
	live := template.Live{PhysicalID: old.PhysicalID, Attributes: old.Attributes, Properties: old.Properties}
	live.Growing = old.Type == nestedStack && len(m.in.Import) == 0
	return live, true
}

func (m *maker) decide(r *template.Resource) *fate {
	id := r.LogicalID
	f := &fate{resource: r, step: Step{LogicalID: id, Type: r.Type, Action: Keep, After: m.on[id]}}
	props, problems := m.scope.Properties(id)
	m.problems = append(m.problems, problems...)
	s, err := m.in.Types.schema(r.Type)
	if err != nil {
		m.problems = append(m.problems, template.At(r.Node, "%s", err.Error()))
	}
	f.after, _ = s.Conform(props)
	old, exists := m.in.Old.Resources[id]
	if old.Type == r.Type {
		f.live = m.liveOf(s, old, f.after)
	}
	if !exists || old.PhysicalID == "" || f.live != nil && f.live.Gone {
		f.step.Action = Create
		if target, ok := m.in.Import[id]; ok {
			f.step.Action, f.step.PhysicalID, f.step.Identifier = Import, target.PhysicalID, target.Identifier
			m.identify(f, target)
		}
		return f
	}
	f.step.PhysicalID = old.PhysicalID
	if old.Type != r.Type {
		m.problems = append(m.problems, template.At(r.Node.Get("Type"),
			"Update of resource type is not permitted. The new template modifies resource type of the following resources: [%s]", id))
		return f
	}
	if f.decision, err = Decide(m.in.Types, r.Type, f.before(old), f.after); err != nil {
		m.problems = append(m.problems, template.At(r.Node, "%s", err.Error()))
	}
	m.settle(f, old)
	return f
}

// nestedStack is the type of nested stacks. What stands behind a TemplateURL is
// found out when the stack is updated.
const nestedStack = "AWS::CloudFormation::Stack"

// settle makes a step of a decision.
func (m *maker) settle(f *fate, old Resource) {
	d := &f.decision
	f.records = m.recordsChanged(f.resource, old)
	f.causes = m.readsChanging(f.resource)
	f.step.Changed = d.Changed
	f.step.DeleteFirst = d.DeleteFirst
	s, _ := m.in.Types.schema(old.Type)
	f.step.Tags = m.tagsChange(f.resource.Type) || m.stackTagsDrift(s, f)
	f.step.Automatic = f.resource.Type == nestedStack && len(d.Changed) == 0
	switch {
	case d.Action == Keep && f.step.Tags:
		f.step.Action = Update
	case f.step.Automatic:
		f.step.Action = Check
	case d.Action == Keep && len(f.causes) > 0:
		f.step.Action = Check
	case d.Action == Keep && f.live != nil && !equal(map[string]any(old.Properties), map[string]any(f.after)):
		f.step.Action, f.step.Records = Update, true
		f.step.Changed = append(f.step.Changed, f.records...)
	case d.Action == Keep && len(f.records) > 0:
		f.step.Action, f.step.Records = Update, true
		f.step.Changed = f.records
	case d.Unknown && m.restsOnUnknown(d, old.Type, f.before(old), f.after):
		f.step.Action = Check
	default:
		f.step.Action = d.Action
	}
	if f.step.Action == Replace {
		m.refuseNamed(f, old)
	}
}

// restsOnUnknown reports whether the decision may fall otherwise once all values
// are known: nothing that is known changes, or only what is unknown replaces.
func (m *maker) restsOnUnknown(d *Decision, typeName string, before, after cfn.Properties) bool {
	known := cfn.Properties{}
	for k, v := range after {
		if template.HasUnknown(v) {
			v = before[k]
		}
		if v != nil {
			known[k] = v
		}
	}
	certain, err := Decide(m.in.Types, typeName, before, known)
	return err == nil && certain.Action != d.Action
}

// refuseNamed refuses to replace a resource whose name the template gives and
// keeps: the new one could not be made beside the old.
func (m *maker) refuseNamed(f *fate, old Resource) {
	s, err := m.in.Types.schema(old.Type)
	if err != nil || s == nil || f.step.DeleteFirst || len(s.PrimaryIdentifier) != 1 {
		return
	}
	name, given := f.after[s.PrimaryIdentifier[0]]
	if given && equal(name, old.Properties[s.PrimaryIdentifier[0]]) {
		m.problems = append(m.problems, template.At(f.resource.Properties,
			"CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename %s and update the stack again.", name))
	}
}

// readsChanging lists the resources that r reads attributes of, and that change
// in place or may.
func (m *maker) readsChanging(r *template.Resource) []string {
	var causes []string
	for _, ref := range m.scope.References(r.Properties) {
		f := m.fates[ref.Name]
		if f == nil || ref.Attribute == "" || f.step.Action == Keep || f.step.Records || f.step.joins() {
			continue
		}
		causes = append(causes, ref.Name)
	}
	return causes
}

// recordsChanged lists what changes of a resource beside its properties.
func (m *maker) recordsChanged(r *template.Resource, old Resource) []string {
	var changed []string
	for _, part := range []struct {
		name string
		node *template.Node
		was  any
	}{{"Metadata", r.Metadata, old.Metadata}, {"CreationPolicy", r.CreationPolicy, old.CreationPolicy}, {"UpdatePolicy", r.UpdatePolicy, old.UpdatePolicy}} {
		now, problems := m.scope.Eval(part.node)
		m.problems = append(m.problems, problems...)
		if !equal(now, part.was) {
			changed = append(changed, part.name)
		}
	}
	if policyOf(r.DeletionPolicy) != policyOf(old.DeletionPolicy) {
		changed = append(changed, "DeletionPolicy")
	}
	if policyOf(r.UpdateReplacePolicy) != policyOf(old.UpdateReplacePolicy) {
		changed = append(changed, "UpdateReplacePolicy")
	}
	return changed
}

func policyOf(p string) string {
	if p == "" {
		return "Delete"
	}
	return p
}

func (m *maker) tagsChange(typeName string) bool {
	if len(m.in.Tags) == len(m.in.Old.Tags) {
		same := true
		for k, v := range m.in.Tags {
			w, ok := m.in.Old.Tags[k]
			same = same && ok && v == w
		}
		if same {
			return false
		}
	}
	s, err := m.in.Types.schema(typeName)
	return err == nil && s != nil && s.TagProperty != ""
}

// cleanup deletes what the new template no longer has, and what was replaced.
func (m *maker) cleanup() []Step {
	old := m.in.Old.Resources
	steps := map[string]Step{}
	for id, r := range old {
		f := m.fates[id]
		switch {
		case r.PhysicalID == "":
		case f == nil:
			steps[id] = removal(r, r.Policy())
		case f.step.Action == Replace && !f.step.DeleteFirst:
			steps[id] = removal(r, f.resource.UpdateReplacePolicy)
		}
	}
	return backwards(steps, func(id string) []string { return old[id].DependsOn })
}

// removal is the step that takes a resource out of the stack.
func removal(r Resource, policy string) Step {
	s := Step{LogicalID: r.LogicalID, Type: r.Type, Action: Delete, PhysicalID: r.PhysicalID}
	if policy == "Retain" || policy == "RetainExceptOnCreate" {
		s.Action = Retain
	}
	return s
}

// outputsChange reports whether the stack's outputs become others.
func (m *maker) outputsChange() bool {
	now, problems := m.scope.Outputs()
	m.problems = append(m.problems, problems...)
	if m.in.Old.Template == nil {
		return len(m.in.Import) > 0 && len(now) > 0
	}
	env := m.in.Env
	env.Parameters = m.in.Old.Parameters
	env.Resource = func(id string) (template.Live, bool) {
		r, ok := m.in.Old.Resources[id]
		return template.Live{PhysicalID: r.PhysicalID, Attributes: r.Attributes, Properties: r.Properties}, ok
	}
	scope, problems := m.in.Old.Template.Enter(env)
	if len(problems) > 0 {
		return true
	}
	was, _ := scope.Outputs()
	if len(was) != len(now) {
		return true
	}
	sort.Slice(was, func(i, j int) bool { return was[i].Name < was[j].Name })
	sort.Slice(now, func(i, j int) bool { return now[i].Name < now[j].Name })
	for i := range was {
		if was[i] != now[i] && (len(m.in.Import) > 0 || !template.HasUnknown(now[i].Value)) {
			return true
		}
	}
	return false
}
