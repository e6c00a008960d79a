package main

import (
	"fmt"
	"sort"
	"strings"
	"unicode"
)

// selection is what is generated of a service: its operations, the shapes that
// they reach, and their Go names.
type selection struct {
	name  string // "resource-groups"
	pkg   string // "resourcegroups"
	model *Model
	ops   []Operation      // by name
	index map[string]int32 // shape name to its place in the table
	order []string         // shape names by place; [0] is the empty structure
	types []goType         // Go structs, in order
	taken map[string]bool  // Go identifiers
	gos   map[string]string
	query map[string]string // special names in Query protocols, by shape and member
	skip  map[string]bool   // input and output shapes that have no type of their own name
}

// goType is a Go struct and the shape that it is made of ("" is empty).
type goType struct{ name, shape, role string }

func selectShapes(name string, m *Model, only []string) (*selection, error) {
	s := &selection{
		name: name, pkg: strings.ReplaceAll(name, "-", ""), model: m,
		index: map[string]int32{"": 0}, order: []string{""},
		taken: map[string]bool{"Service": true, "Unimplemented": true, "Describe": true, "Intercept": true},
		gos:   map[string]string{}, skip: map[string]bool{},
	}
	if err := s.selectOperations(only); err != nil {
		return nil, err
	}
	for i := range s.ops {
		op := &s.ops[i]
		for _, r := range []*Ref{op.Input, op.Output} {
			if r != nil {
				s.reach(r.Shape)
			}
		}
		for _, e := range op.Errors {
			s.reach(e.Shape)
		}
	}
	s.nameTypes()
	return s, nil
}

func (s *selection) selectOperations(only []string) error {
	if only == nil {
		for _, e := range s.model.Operations {
			only = append(only, e.Name)
		}
	}
	sort.Strings(only)
	for _, name := range only {
		op, ok := s.model.Operations.get(name)
		if !ok {
			return fmt.Errorf("the model has no operation %s", name)
		}
		if s.streamsEvents(op.Input) || s.streamsEvents(op.Output) {
			continue // known by name, answered 501
		}
		o := *op
		o.Name = name
		s.ops = append(s.ops, o)
	}
	return nil
}

func (s *selection) streamsEvents(r *Ref) bool {
	if r == nil {
		return false
	}
	shape, _ := s.model.Shapes.get(r.Shape)
	for _, m := range shape.Members {
		if member, ok := s.model.Shapes.get(m.Value.Shape); ok && member.EventStream {
			return true
		}
	}
	return false
}

// reach gives a shape and all that it refers to a place in the table.
func (s *selection) reach(name string) {
	if _, ok := s.index[name]; ok {
		return
	}
	s.index[name] = int32(len(s.order))
	s.order = append(s.order, name)
	shape := s.shape(name)
	for _, m := range shape.Members {
		s.reach(m.Value.Shape)
	}
	for _, r := range []*Ref{shape.Member, shape.Key, shape.Value} {
		if r != nil {
			s.reach(r.Shape)
		}
	}
}

func (s *selection) shape(name string) *Shape {
	if name == "" {
		return &Shape{Type: "structure"}
	}
	shape, ok := s.model.Shapes.get(name)
	if !ok {
		panic("apigen: " + s.name + " has no shape " + name)
	}
	return shape
}

// nameTypes decides the Go names: inputs and outputs are named by their
// operation, every other structure by its shape.
func (s *selection) nameTypes() {
	for i := range s.ops {
		op := &s.ops[i]
		in, out := "", ""
		if op.Input != nil {
			in = op.Input.Shape
		}
		if op.Output != nil {
			out = op.Output.Shape
		}
		s.skip[in], s.skip[out] = true, true
		s.addType(export(op.Name)+"Input", in, "is the input of "+op.Name+".")
		s.addType(export(op.Name)+"Output", out, "is the output of "+op.Name+".")
	}
	inside := s.referred()
	for _, name := range s.order[1:] {
		shape := s.shape(name)
		if shape.Type != "structure" || shape.Exception || s.skip[name] && !inside[name] {
			continue
		}
		gn := export(name)
		for s.taken[gn] {
			gn += "Shape"
		}
		s.gos[name] = gn
		role := "is the model's structure " + name + "."
		if shape.Union {
			role = "is the model's union " + name + ": one member is set."
		}
		s.addType(gn, name, role)
	}
}

// referred tells which structures a member, list or map refers to.
func (s *selection) referred() map[string]bool {
	in := map[string]bool{}
	for _, name := range s.order {
		shape := s.shape(name)
		for _, m := range shape.Members {
			in[m.Value.Shape] = true
		}
		for _, r := range []*Ref{shape.Member, shape.Key, shape.Value} {
			if r != nil {
				in[r.Shape] = true
			}
		}
	}
	return in
}

func (s *selection) addType(goName, shape, role string) {
	if s.taken[goName] {
		panic("apigen: " + s.name + " has two types " + goName)
	}
	s.taken[goName] = true
	s.types = append(s.types, goType{goName, shape, role})
}

// export makes an exported Go identifier of a model name.
func export(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i == 0 {
			r = unicode.ToUpper(r)
		}
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			b.WriteRune(r)
		}
	}
	return b.String()
}
