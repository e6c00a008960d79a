package apply

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/store"
)

// Values are the parameters as templates take them.
func (v *Version) Values() template.Values {
	out := template.Values{}
	for _, p := range v.Parameters {
		out[p.Key] = template.Value{Text: p.Value, Resolved: p.Resolved, List: p.List, NoEcho: p.NoEcho}
	}
	return out
}

// PseudoOf are a stack's pseudo parameters.
func PseudoOf(s *Stack) template.Pseudo {
	return template.Pseudo{AccountID: s.Scope.Account, Region: s.Scope.Region, StackName: s.Name, StackID: s.ID, NotificationARNs: s.Version.Notify}
}

// enter evaluates what does not change while an operation runs: conditions and
// dependencies.
func (o *operation) enter(s *Stack) template.Problems {
	var problems template.Problems
	o.entered, problems = o.tmpl.Enter(template.Env{
		Parameters: s.Version.Values(),
		Pseudo:     PseudoOf(s),
		Zones:      o.r.cfg.Zones,
		Export:     func(name string) (string, bool) { return o.export(name) },
		Open:       o.open,
	})
	if len(problems) == 0 {
		o.on = o.entered.Dependencies()
	}
	return problems
}

// evaluating runs fn with the template in the stack as it is in the
// transaction. Every export that is read is kept from going away by an import.
func (o *operation) evaluating(l *Ledger, s *Stack, fn func(scope *template.Scope) template.Problems) template.Problems {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.export = func(name string) (string, bool) {
		e, err := Exports.Get(l.Tx, s.Scope.Key()+"/"+name)
		if err != nil {
			return "", false
		}
		if err := addImport(l.Tx, s, name); err != nil {
			return "", false
		}
		return e.Value, true
	}
	return fn(o.entered.With(func(id string) (template.Live, bool) {
		r, err := getResource(l.Tx, s, id)
		if err != nil || r == nil || !r.Exists() {
			return template.Live{}, false
		}
		return template.Live{PhysicalID: r.PhysicalID, Attributes: r.Attributes, Properties: r.Properties}, true
	}))
}

func importKey(s *Stack, export string) string {
	return s.Scope.Key() + "/" + export + "/" + UUID(s.ID)
}

func addImport(tx store.Tx, s *Stack, export string) error {
	return Imports.Put(tx, importKey(s, export), &Import{Export: export, StackID: s.ID, Stack: s.Name})
}

// ImportersOf are the names of the stacks that import an export.
func ImportersOf(tx store.Tx, s *Stack, export string) ([]string, error) {
	var names []string
	for e, err := range Imports.Scan(tx, s.Scope.Key()+"/"+export+"/") {
		if err != nil {
			return nil, err
		}
		if e.Value.Export == export {
			names = append(names, e.Value.Stack)
		}
	}
	return names, nil
}

// outputs evaluates the new version's outputs and brings exports and imports in
// line with it. The text says what is wrong, if anything is.
func (o *operation) outputs(l *Ledger, s *Stack) (string, error) {
	var values []template.OutputValue
	var imports []string
	problems := o.evaluating(l, s, func(scope *template.Scope) (problems template.Problems) {
		if values, problems = scope.Outputs(); len(problems) == 0 {
			imports, problems = scope.Imports()
		}
		return problems
	})
	if len(problems) > 0 {
		return fmt.Sprintf("[Error] %s: %s.", problems[0].Path, strings.TrimSuffix(problems[0].Message, ".")), nil
	}
	before := s.Version.Outputs
	if s.Before != nil {
		before = s.Before.Outputs
	}
	s.Version.Outputs = nil
	for _, v := range values {
		s.Version.Outputs = append(s.Version.Outputs, Output{Key: v.Name, Value: v.Value, Description: v.Description, Export: v.ExportName})
	}
	if problem, err := o.r.export(l.Tx, s, before, s.Version.Outputs); problem != "" || err != nil {
		return problem, err
	}
	var dropped []string
	if s.Before != nil {
		dropped = s.Before.Imports
	}
	s.Version.Imports = imports
	for _, name := range dropped {
		if !slices.Contains(s.Version.Imports, name) {
			if err := Imports.Delete(l.Tx, importKey(s, name)); err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// export replaces a stack's exports. It changes nothing where it finds a
// problem.
func (r *Runner) export(tx store.Tx, s *Stack, before, after []Output) (string, error) {
	names := map[string]string{}
	for _, o := range after {
		if o.Export == "" {
			continue
		}
		e, err := found(Exports.Get(tx, s.Scope.Key()+"/"+o.Export))
		if err != nil {
			return "", err
		}
		if e != nil && e.StackID != s.ID {
			return fmt.Sprintf("Export with name %s is already exported by stack %s.", o.Export, nameOf(e.StackID)), nil
		}
		names[o.Export] = o.Value
	}
	var gone []string
	for _, o := range before {
		if o.Export == "" {
			continue
		}
		value, stays := names[o.Export]
		if stays && value == o.Value {
			continue
		}
		users, err := ImportersOf(tx, s, o.Export)
		if err != nil {
			return "", err
		}
		verb := "update"
		if !stays {
			verb, gone = "delete", append(gone, o.Export)
		}
		if len(users) > 0 {
			return fmt.Sprintf("Cannot %s export %s as it is in use by %s.", verb, o.Export, joinIDs(users)), nil
		}
	}
	for _, name := range gone {
		if err := Exports.Delete(tx, s.Scope.Key()+"/"+name); err != nil {
			return "", err
		}
	}
	for name, value := range names {
		if err := Exports.Put(tx, s.Scope.Key()+"/"+name, &Export{Name: name, Value: value, StackID: s.ID}); err != nil {
			return "", err
		}
	}
	return "", nil
}

// forgetExports removes what a stack that is gone exported and imported.
func (r *Runner) forgetExports(tx store.Tx, s *Stack) error {
	for _, o := range s.Version.Outputs {
		if o.Export != "" {
			if err := Exports.Delete(tx, s.Scope.Key()+"/"+o.Export); err != nil {
				return err
			}
		}
	}
	var keys []string
	for e, err := range Imports.Scan(tx, s.Scope.Key()+"/") {
		if err != nil {
			return err
		}
		if e.Value.StackID == s.ID {
			keys = append(keys, e.Key)
		}
	}
	for _, k := range keys {
		if err := Imports.Delete(tx, k); err != nil {
			return err
		}
	}
	return nil
}

// nameOf is the name in a stack's id.
func nameOf(stackID string) string {
	parts := splitID(stackID)
	return parts[1]
}
