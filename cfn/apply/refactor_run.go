package apply

import (
	"errors"
	"fmt"
	"slices"

	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// refactor is the workflow: all resources move at once, in one transaction; then they
// get the tags of their new stacks. Where one cannot, all of them move back.
func (r *Runner) refactor(f *workflow.Flow, p refactorParams) error {
	err := r.refactorStacks(f, p)
	if err == nil || errors.Is(err, workflow.ErrInterrupted) || f.Context().Err() != nil {
		return err
	}
	_, txErr := workflow.Tx(f, "broken off", func(tx store.Tx) (bool, error) {
		ref, err := Refactors.Get(tx, p.Refactor)
		if err != nil {
			return false, err
		}
		l := &Ledger{Tx: tx, Now: r.cfg.Now()}
		for _, rs := range ref.Stacks {
			s, err := found(Stacks.Get(tx, ref.stack(rs).Key()))
			if err != nil {
				return false, err
			}
			if s == nil || s.Operation != ref.flow() {
				continue
			}
			if err := r.breakOff(l, s); err != nil {
				return false, err
			}
		}
		ref.Execution, ref.ExecutionReason = RefactorFailed, "The operation was broken off by an internal error; Slipway's log has its text"
		return true, Refactors.Put(tx, p.Refactor, ref)
	})
	return errors.Join(err, txErr)
}

func (r *Runner) refactorStacks(f *workflow.Flow, p refactorParams) error {
	var ref *Refactor
	err := r.cfg.Store.View(f.Context(), func(tx store.Tx) (err error) {
		ref, err = Refactors.Get(tx, p.Refactor)
		return err
	})
	if err != nil || ref.Execution != RefactorExecuting {
		return err
	}
	_, err = workflow.Tx(f, "move", func(tx store.Tx) (bool, error) {
		return true, r.moveAll(&Ledger{Tx: tx, Now: r.cfg.Now()}, ref)
	})
	if e, ok := fault.As(err); ok { // nothing was moved
		_, err = workflow.Tx(f, "give up", func(tx store.Tx) (bool, error) {
			return true, r.endRefactor(&Ledger{Tx: tx, Now: r.cfg.Now()}, ref, e.Message)
		})
		return err
	}
	if err != nil {
		return err
	}
	problem, err := r.retag(f, "tag", ref, ref.Moves)
	if err != nil {
		return err
	}
	done, err := workflow.Tx(f, "finish", func(tx store.Tx) (string, error) {
		return r.finishRefactor(&Ledger{Tx: tx, Now: r.cfg.Now()}, ref, problem)
	})
	if err != nil || done == "" {
		return err
	}
	if _, err := r.retag(f, "tag back", ref, ref.back()); err != nil {
		return err // what cannot be tagged back keeps the tags that it has
	}
	_, err = workflow.Tx(f, "end", func(tx store.Tx) (bool, error) {
		return true, r.endRefactor(&Ledger{Tx: tx, Now: r.cfg.Now()}, ref, done)
	})
	return err
}

// load reads the stacks of a refactoring; stopped says that the user wants one of them
// to do something else.
func (r *Runner) loadRefactor(tx store.Tx, ref *Refactor) (stacks map[string]*Stack, stopped bool, err error) {
	stacks = map[string]*Stack{}
	for _, rs := range ref.Stacks {
		s, err := Stacks.Get(tx, ref.stack(rs).Key())
		if err != nil {
			return nil, false, err
		}
		stacks[rs.Name] = s
		stopped = stopped || s.Stop
	}
	return stacks, stopped, nil
}

// moveAll gives the stacks their new versions and resources.
func (r *Runner) moveAll(l *Ledger, ref *Refactor) error {
	stacks, stopped, err := r.loadRefactor(l.Tx, ref)
	if err != nil {
		return err
	}
	if stopped {
		return fault.New(fault.ValidationError, "The stack refactoring was cancelled")
	}
	if err := r.move(l, ref, stacks, ref.Moves, false); err != nil {
		return err
	}
	for _, rs := range ref.Stacks {
		s := stacks[rs.Name]
		before := s.Version
		s.Before, s.Version = &before, rs.Version
		if s.Version.TemplateKey, err = PutTemplate(l.Tx, s, rs.Body); err != nil {
			return err
		}
		if rs.Given != "" {
			if s.Version.OriginalKey, err = PutTemplate(l.Tx, s, rs.Given); err != nil {
				return err
			}
		}
	}
	return r.refactorOutputs(l, ref, stacks)
}

// refactorOutputs evaluates the stacks' outputs, those first whose exports others
// import.
func (r *Runner) refactorOutputs(l *Ledger, ref *Refactor, stacks map[string]*Stack) error {
	left := slices.Clone(ref.Stacks)
	for len(left) > 0 {
		var later []RefactorStack
		problem := ""
		for _, rs := range left {
			tmpl, problems := template.Parse([]byte(rs.Body))
			s := stacks[rs.Name]
			o := &operation{r: r, Operation: &Operation{ID: ref.flow(), StackKey: ref.Scope.Key() + "/", Caller: ref.Caller}, tmpl: tmpl}
			if len(problems) == 0 {
				o.export = func(name string) (string, bool) {
					e, err := Exports.Get(l.Tx, s.Scope.Key()+"/"+name)
					if err != nil {
						return "", false
					}
					return e.Value, true
				}
				problems = o.enter(s)
			}
			what := ""
			if err := problems.Err(); err != nil {
				what = problems[0].Message
			} else {
				var err error
				if what, err = o.outputs(l, s); err != nil {
					return err
				}
			}
			if what == "" {
				var err error
				if what, err = importsOf(l.Tx, s); err != nil {
					return err
				}
			}
			if what != "" {
				later, problem = append(later, rs), what
				continue
			}
			if err := Stacks.Put(l.Tx, s.Key(), s); err != nil {
				return err
			}
		}
		if len(later) == len(left) {
			return fault.New(fault.ValidationError, "%s", problem)
		}
		left = later
	}
	return nil
}

// importsOf keeps the exports that a stack imports from going away. The text says which
// is not there.
func importsOf(tx store.Tx, s *Stack) (string, error) {
	for _, name := range s.Version.Imports {
		e, err := found(Exports.Get(tx, s.Scope.Key()+"/"+name))
		if err != nil {
			return "", err
		}
		if e == nil {
			return "No export named " + name + " found", nil
		}
		if err := addImport(tx, s, name); err != nil {
			return "", err
		}
	}
	return "", nil
}

// move takes resources out of their stacks and puts them into others, and tells of it.
func (r *Runner) move(l *Ledger, ref *Refactor, stacks map[string]*Stack, moves []plan.Move, back bool) error {
	moved := make([]*Resource, len(moves))
	for i, m := range moves {
		from := stacks[m.From.Stack]
		res, err := getResource(l.Tx, from, m.From.LogicalID)
		if err != nil {
			return err
		}
		if res == nil || res.PhysicalID != m.PhysicalID {
			return fault.New(fault.ValidationError, "Resource %s is not what it was when the refactoring was made", m.From)
		}
		if err := Resources.Delete(l.Tx, resourceKey(from, m.From.LogicalID)); err != nil {
			return err
		}
		for _, status := range []string{exportInProgress, exportComplete} {
			e := Event{LogicalID: m.From.LogicalID, PhysicalID: res.PhysicalID, Type: res.Type, Status: status, Properties: res.Shown}
			if err := l.event(from, e); err != nil {
				return err
			}
		}
		moved[i] = res
	}
	for i, m := range moves {
		res, to := moved[i], stacks[m.To.Stack]
		res.LogicalID = m.To.LogicalID
		for _, status := range []string{ImportInProgress, ImportComplete} {
			if err := l.resource(to, res, status, ""); err != nil {
				return err
			}
		}
	}
	for _, rs := range ref.Stacks {
		all, err := ResourcesOf(l.Tx, stacks[rs.Name])
		if err != nil {
			return err
		}
		for id, res := range all {
			on, ok := rs.On[id]
			if back {
				on, ok = rs.WasOn[id]
			}
			if ok && !slices.Equal(on, res.DependsOn) {
				res.DependsOn = on
				if err := Resources.Put(l.Tx, resourceKey(stacks[rs.Name], id), res); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// retag gives moved resources the tags of the stacks that they are in. It tells of the
// first that cannot have them.
func (r *Runner) retag(f *workflow.Flow, phase string, ref *Refactor, moves []plan.Move) (string, error) {
	o := &operation{r: r, Operation: &Operation{ID: ref.flow(), StackKey: ref.Scope.Key() + "/", Caller: ref.Caller, Kind: UpdateStack}, slots: make(chan struct{}, r.cfg.Parallel)}
	failures := make([]string, len(moves))
	var branches []workflow.Branch
	for i, m := range moves {
		t, err := o.resourceType(m.Type)
		if err != nil {
			return "", workflow.Permanent(err)
		}
		sch, err := o.types().Schema(m.Type)
		if err != nil {
			return "", workflow.Permanent(err)
		}
		if t.Update == nil || sch == nil || sch.TagProperty == "" {
			continue
		}
		at := slices.IndexFunc(ref.Stacks, func(s RefactorStack) bool { return s.Name == m.To.Stack })
		var s *Stack
		var res *Resource
		branches = append(branches, workflow.Branch{Name: phase + "/" + m.To.String(), Run: func(f *workflow.Flow) error {
			err := r.cfg.Store.View(f.Context(), func(tx store.Tx) (err error) {
				if s, err = Stacks.Get(tx, ref.stack(ref.Stacks[at]).Key()); err != nil {
					return err
				}
				res, err = getResource(tx, s, m.To.LogicalID)
				return err
			})
			if err != nil || res == nil {
				return err
			}
			out, err := o.act(f, "tag", s, res.Resource, nil, tags(t, sch))
			failures[i] = out.Failure
			return err
		}})
	}
	if err := f.Parallel(len(branches), branches...); err != nil {
		return "", err
	}
	for i, m := range moves {
		if failures[i] != "" {
			return fmt.Sprintf("%s: %s", m.To, failures[i]), nil
		}
	}
	return "", nil
}

// finishRefactor ends a refactoring that went well, or moves everything back and tells
// why.
func (r *Runner) finishRefactor(l *Ledger, ref *Refactor, problem string) (string, error) {
	stacks, stopped, err := r.loadRefactor(l.Tx, ref)
	if err != nil {
		return "", err
	}
	if problem == "" && stopped {
		problem = "The stack refactoring was cancelled"
	}
	if problem == "" {
		for _, rs := range ref.Stacks {
			s, status := stacks[rs.Name], UpdateComplete
			if rs.New {
				status = CreateComplete
			}
			s.Before = nil
			if err := (&operation{r: r}).end(l, s, status, ""); err != nil {
				return "", err
			}
		}
		ref.Execution = RefactorComplete
		return "", Refactors.Put(l.Tx, ref.Key(), ref)
	}
	if err := r.move(l, ref, stacks, ref.back(), true); err != nil {
		return "", err
	}
	return problem, r.versionsBack(l, ref, stacks)
}

// versionsBack gives the stacks the versions, exports and imports that they had.
func (r *Runner) versionsBack(l *Ledger, ref *Refactor, stacks map[string]*Stack) error {
	for _, s := range stacks {
		for _, o := range s.Version.Outputs {
			if o.Export != "" {
				if err := Exports.Delete(l.Tx, s.Scope.Key()+"/"+o.Export); err != nil {
					return err
				}
			}
		}
		for _, name := range s.Version.Imports {
			if err := Imports.Delete(l.Tx, importKey(s, name)); err != nil {
				return err
			}
		}
		if s.Before != nil {
			s.Version, s.Before = *s.Before, nil
		}
	}
	for _, rs := range ref.Stacks {
		s := stacks[rs.Name]
		for _, o := range s.Version.Outputs {
			if o.Export != "" {
				if err := Exports.Put(l.Tx, s.Scope.Key()+"/"+o.Export, &Export{Name: o.Export, Value: o.Value, StackID: s.ID}); err != nil {
					return err
				}
			}
		}
		for _, name := range s.Version.Imports {
			if err := addImport(l.Tx, s, name); err != nil {
				return err
			}
		}
		if err := Stacks.Put(l.Tx, s.Key(), s); err != nil {
			return err
		}
	}
	return nil
}

// endRefactor ends a refactoring that moved nothing, or everything back.
func (r *Runner) endRefactor(l *Ledger, ref *Refactor, reason string) error {
	stacks, _, err := r.loadRefactor(l.Tx, ref)
	if err != nil {
		return err
	}
	o := &operation{r: r}
	for _, rs := range ref.Stacks {
		s := stacks[rs.Name]
		s.Stop = true
		switch {
		case s.Status == DeleteInProgress:
			err = o.gone(l, s, DeleteComplete)
		case rs.New:
			if err = l.Stack(s, RollbackInProgress, reason); err == nil {
				err = o.gone(l, s, RollbackComplete)
			}
		default:
			if err = l.Stack(s, UpdateRollbackInProgress, reason); err == nil {
				err = o.end(l, s, UpdateRollbackComplete, "")
			}
		}
		if err != nil {
			return err
		}
	}
	ref.Execution, ref.ExecutionReason = RefactorRolledBack, reason
	return Refactors.Put(l.Tx, ref.Key(), ref)
}
