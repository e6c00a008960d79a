package cloudformation

import (
	"context"
	"errors"
	"fmt"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// A change set whose template has macros, or one nested in it, is decided by a
// workflow: once they have run, and again where the stack has become another
// meanwhile.

// errMacros says that a nested stack's template has macros: a workflow has to run
// them.
var errMacros = errors.New("a nested stack's template has macros")

// awaitMacros keeps a change set that is decided once its macros have run.
func (s *Service) awaitMacros(l *apply.Ledger, d *draft, in *cloudformation.CreateChangeSetInput, r request) error {
	d.cs.Status, d.cs.Execution, d.cs.Reason = statusInProgress, executionUnavailable, ""
	if err := d.keep(l, apply.UserInitiated); err != nil {
		return err
	}
	p := &processing{
		For: forChangeSet, Scope: d.stack.Scope, Stack: d.stack.Key(), ChangeSet: d.cs.key(d.stack), Caller: d.caller,
		Imports: in.ResourcesToImport, Existing: d.existing, Mode: in.DeploymentMode, Nested: d.cs.Nested,
	}
	return s.beginProcessing(l, processingWorkflow+"/"+d.cs.key(d.stack), p, r, d.w)
}

// decideLater decides a change set, with those nested in it.
func (s *Service) decideLater(f *workflow.Flow, id string, p *processing) error {
	problem := "The stack is being changed faster than a change set of it can be made"
	for try := 1; try <= decisions; try++ {
		m, err := s.processStep(f, id, p, try)
		if err != nil {
			return err
		}
		if m.Problem != "" {
			problem = m.Problem
			break
		}
		done, err := s.keepLater(f, id, p, m, try)
		if done && err == nil || interrupted(f, err) {
			return err
		}
		if err != nil {
			problem = s.said("transform", id, err)
			break
		}
	}
	return s.giveUpStep(f, id, p, problem)
}

// keepLater decides about what the macros have made, and keeps it if it is still
// of the stacks as they are.
func (s *Service) keepLater(f *workflow.Flow, id string, p *processing, m made, try int) (bool, error) {
	d, err := s.draftLater(f.Context(), id, p, m)
	if errors.Is(err, errStale) {
		d, err = nil, nil
	}
	if err != nil {
		return false, err
	}
	return workflow.Tx(f, fmt.Sprintf("decide %d", try), func(tx store.Tx) (bool, error) {
		st, cs, err := s.waiting(tx, id, p)
		if err != nil || st == nil || cs == nil {
			return true, errors.Join(err, processings.Delete(tx, id))
		}
		if d == nil {
			return false, nil
		}
		if err := unchanged(tx, p.Scope, d); err != nil {
			if errors.Is(err, errStale) {
				err = nil
			}
			return false, err
		}
		return true, errors.Join(processings.Delete(tx, id), s.keepAsked(&apply.Ledger{Tx: tx, Now: s.cfg.Now()}, d, p.Caller, ""))
	})
}

// draftLater decides a change set over a snapshot; nil: it is gone.
func (s *Service) draftLater(ctx context.Context, id string, p *processing, m made) (d *draft, err error) {
	err = s.view(ctx, func(tx store.Tx) error {
		st, cs, err := s.waiting(tx, id, p)
		if err != nil || st == nil || cs == nil {
			return err
		}
		if d, err = s.draftOf(tx, m, st); err != nil {
			return err
		}
		d.cs = cs
		cs.Reason = m.Missing
		return s.decideTree(tx, d)
	})
	return d, err
}

// made is a draft as a workflow keeps it.
func (d *draft) made() made {
	if d.failure != "" {
		return made{LogicalID: d.logicalID, Failure: d.failure}
	}
	m := made{
		Body: d.w.body, Original: d.w.original, Version: d.w.version, Imports: d.w.imports, Live: d.w.live,
		LogicalID: d.logicalID, Name: d.stack.Name, Count: d.stack.Count,
	}
	if !d.new {
		m.StackID = d.stack.ID
	}
	for _, n := range d.nested {
		m.Nested = append(m.Nested, n.made())
	}
	return m
}

// wanted is what the macros have made, to be decided about.
func (m *made) wanted() (*wanted, error) {
	read := template.Parse
	if m.Original != "" {
		read = template.ParseProcessed
	}
	tmpl, problems := read([]byte(m.Body))
	return &wanted{body: m.Body, original: m.Original, tmpl: tmpl, version: m.Version, imports: m.Imports, live: m.Live}, problems.Err()
}

// draftOf is what a workflow has kept of the draft of a stack, errStale where the
// stack has become another.
func (s *Service) draftOf(tx store.Tx, m made, st *apply.Stack) (*draft, error) {
	d := &draft{logicalID: m.LogicalID, failure: m.Failure, stack: st}
	if d.failure != "" {
		return d, nil
	}
	if st.Count != m.Count {
		return nil, errStale
	}
	var err error
	if d.w, err = m.wanted(); err != nil {
		return nil, err
	}
	for _, in := range m.Nested {
		child := newStack(auth.Call{Scope: st.Scope}, in.Name, s.cfg.Now())
		if in.StackID != "" {
			if child, err = must(tx, st.Scope, in.StackID, noStack); err != nil {
				return nil, err
			}
		}
		n, err := s.draftOf(tx, in, child)
		if err != nil {
			return nil, err
		}
		if n.new = in.StackID == ""; n.new {
			child.Parent, child.ParentResource = st.ID, in.LogicalID
		}
		d.nested = append(d.nested, n)
	}
	return d, nil
}
