package plan

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/slipway/slipway/cfn/template"
)

// Place is a resource of a stack.
type Place struct {
	Stack     string // name
	LogicalID string
}

func (p Place) String() string { return p.Stack + "." + p.LogicalID }

// Move takes a resource from one place to another.
type Move struct {
	From, To   Place
	Type       string
	PhysicalID string
	Manual     bool // the user has said so
}

// Refactored is a stack that takes part in a refactoring.
type Refactored struct {
	Name string
	Old  State // as it is; without resources for one that is to be made
	New  *template.Template
	Env  template.Env
}

// Refactoring is what a refactoring does.
type Refactoring struct {
	Moves []Move
	// On are the dependencies of each stack's resources afterwards.
	On map[string]map[string][]string
}

// MakeRefactoring decides what moves where, so that the stacks have the templates
// that they are to have ("Stack refactoring", CloudFormation User Guide). Nothing is
// made, changed or deleted by that: the text says what would be.
func MakeRefactoring(types Types, stacks []Refactored, mappings map[Place]Place) (*Refactoring, string) {
	r := &refactoring{types: types, stacks: stacks, out: Refactoring{On: map[string]map[string][]string{}}, after: map[string]map[string]Resource{}}
	for _, step := range []func(map[Place]Place) string{r.mapped, r.detected, r.complete, r.unchanged} {
		if problem := step(mappings); problem != "" {
			return nil, problem
		}
	}
	return &r.out, ""
}

type refactoring struct {
	types  Types
	stacks []Refactored
	out    Refactoring
	after  map[string]map[string]Resource // by stack and logical id
	active []map[string]string            // types by logical id, of each stack's new template
}

func (r *refactoring) stack(name string) int {
	return slices.IndexFunc(r.stacks, func(s Refactored) bool { return s.Name == name })
}

// mapped takes the moves that the user has named.
func (r *refactoring) mapped(mappings map[Place]Place) string {
	for _, s := range r.stacks {
		scope, problems := s.New.Enter(s.Env)
		if len(problems) > 0 {
			return "Stack " + s.Name + ": " + problems[0].Message
		}
		active := map[string]string{}
		for _, res := range scope.Active() {
			active[res.LogicalID] = res.Type
		}
		r.active = append(r.active, active)
	}
	from := slices.Collect(maps.Keys(mappings))
	slices.SortFunc(from, func(a, b Place) int { return strings.Compare(a.String(), b.String()) })
	for _, f := range from {
		t := mappings[f]
		source, destination := r.stack(f.Stack), r.stack(t.Stack)
		if source < 0 || destination < 0 {
			return fmt.Sprintf("The mapping of %s to %s names a stack that has no definition.", f, t)
		}
		res, there := r.stacks[source].Old.Resources[f.LogicalID]
		kind, wanted := r.active[destination][t.LogicalID]
		switch {
		case !there || res.PhysicalID == "":
			return fmt.Sprintf("The mapping's source %s does not exist.", f)
		case !wanted:
			return fmt.Sprintf("The mapping's destination %s is not in the stack's template.", t)
		case kind != res.Type:
			return fmt.Sprintf("The mapping of %s to %s changes the resource's type from %s to %s.", f, t, res.Type, kind)
		}
		if slices.ContainsFunc(r.out.Moves, func(m Move) bool { return m.To == t }) {
			return fmt.Sprintf("Two mappings have the destination %s.", t)
		}
		r.out.Moves = append(r.out.Moves, Move{From: f, To: t, Type: res.Type, PhysicalID: res.PhysicalID, Manual: true})
	}
	return ""
}

// detected finds moves that nobody has named: a resource that its template does not
// have any more, and another stack's template has by the same name and type.
func (r *refactoring) detected(map[Place]Place) string {
	for i, s := range r.stacks {
		for _, id := range slices.Sorted(maps.Keys(s.Old.Resources)) {
			res, from := s.Old.Resources[id], Place{s.Name, id}
			if _, stays := r.active[i][id]; stays || res.PhysicalID == "" || r.moves(from) {
				continue
			}
			var found []Place
			for n, other := range r.stacks {
				if kind := r.active[n][id]; n != i && kind == res.Type && other.Old.Resources[id].PhysicalID == "" {
					found = append(found, Place{other.Name, id})
				}
			}
			if len(found) == 1 && !slices.ContainsFunc(r.out.Moves, func(m Move) bool { return m.To == found[0] }) {
				r.out.Moves = append(r.out.Moves, Move{From: from, To: found[0], Type: res.Type, PhysicalID: res.PhysicalID})
			}
		}
	}
	if len(r.out.Moves) == 0 {
		return "The stack definitions move no resources."
	}
	return ""
}

func (r *refactoring) moves(from Place) bool {
	return slices.ContainsFunc(r.out.Moves, func(m Move) bool { return m.From == from })
}

// complete makes the stacks as they are afterwards, and finds what would have to be
// made or deleted.
func (r *refactoring) complete(map[Place]Place) string {
	var gone, made []string
	for i, s := range r.stacks {
		after := map[string]Resource{}
		for id, res := range s.Old.Resources {
			switch from := (Place{s.Name, id}); {
			case r.moves(from) || res.PhysicalID == "":
			case r.active[i][id] == "":
				gone = append(gone, from.String())
			default:
				after[id] = res
			}
		}
		r.after[s.Name] = after
	}
	for _, m := range r.out.Moves {
		res := r.stacks[r.stack(m.From.Stack)].Old.Resources[m.From.LogicalID]
		if _, taken := r.after[m.To.Stack][m.To.LogicalID]; taken {
			return fmt.Sprintf("The mapping's destination %s is there already.", m.To)
		}
		if p, ok := r.types.provider(m.Type); !ok || p.Read == nil || p.Bound || m.Type == nestedStack {
			return fmt.Sprintf("Resources of type %s cannot be moved: %s", m.Type, m.From)
		}
		res.LogicalID = m.To.LogicalID
		r.after[m.To.Stack][m.To.LogicalID] = res
	}
	for i, s := range r.stacks {
		for id := range r.active[i] {
			if _, ok := r.after[s.Name][id]; !ok {
				made = append(made, Place{s.Name, id}.String())
			}
		}
	}
	switch {
	case len(gone) > 0:
		return "A stack refactoring deletes no resources, and no template has these any more: " + list(gone)
	case len(made) > 0:
		return "A stack refactoring makes no resources, and there are none of these yet: " + list(made)
	}
	return ""
}

// unchanged holds each resource against what its new template says of it. Stacks may
// import what others of them export, so each is looked at as often as there are
// stacks.
func (r *refactoring) unchanged(map[Place]Place) string {
	exports := map[string]string{}
	for range r.stacks {
		before := maps.Clone(exports)
		for _, s := range r.stacks {
			r.exports(s, exports)
		}
		if reflect.DeepEqual(before, exports) {
			break
		}
	}
	for _, s := range r.stacks {
		p, problems := Make(r.input(s, exports))
		if len(problems) > 0 {
			return "Stack " + s.Name + ": " + problems[0].Message
		}
		var changed []string
		on := map[string][]string{}
		for i := range p.Steps {
			step := &p.Steps[i]
			on[step.LogicalID] = step.After
			if step.Action != Keep && !step.Automatic {
				changed = append(changed, Place{s.Name, step.LogicalID}.String()+" ["+strings.Join(step.Changed, " ")+"]")
			}
		}
		if len(changed) > 0 {
			return "A stack refactoring changes no resources, and the templates change these: " + list(changed)
		}
		r.out.On[s.Name] = on
	}
	return ""
}

func (r *refactoring) input(s Refactored, exports map[string]string) Input {
	env := s.Env
	env.Export = func(name string) (string, bool) {
		if v, ok := exports[name]; ok {
			return v, true
		}
		if s.Env.Export == nil {
			return "", false
		}
		return s.Env.Export(name)
	}
	return Input{New: s.New, Env: env, Tags: s.Old.Tags, Types: r.types,
		Old: State{Resources: r.after[s.Name], Template: s.New, Parameters: env.Parameters, Tags: s.Old.Tags}}
}

// exports adds what a stack will export, as far as it is known.
func (r *refactoring) exports(s Refactored, into map[string]string) {
	m := enter(r.input(s, into))
	if len(m.problems) > 0 {
		return
	}
	outputs, _ := m.scope.Outputs()
	for _, o := range outputs {
		if o.ExportName != "" && !template.HasUnknown(o.Value) {
			into[o.ExportName] = o.Value
		}
	}
}
