package cloudformation

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// What a template whose macros run is for.
const (
	forCreate    = "CREATE"
	forUpdate    = "UPDATE"
	forChangeSet = "CHANGE_SET"
)

// transformed is the reason that AWS gives for the second event of such stacks.
const transformed = "Transformation succeeded"

// processing is a request whose template's macros have to run before it is known
// what it asks for. Macros take the time of their functions, so a workflow runs
// them.
type processing struct {
	For           string
	Scope         arn.Scope
	Stack         string // key
	ChangeSet     string // key
	Caller        apply.Caller
	Original      string
	StackName     string
	Parameters    []cloudformation.Parameter
	Capabilities  []string
	ResourceTypes []string
	RoleARN       string
	Tags          []cloudformation.Tag
	Notify        []string
	Rollback      *cloudformation.RollbackConfiguration
	Policy        string // that an update is bound by
	Imports       []cloudformation.ResourceToImport
	Existing      bool   // ImportExistingResources
	Mode          string `json:",omitempty"` // DeploymentMode
	Nested        bool   `json:",omitempty"` // IncludeNestedStacks
}

// processings are keyed by the id of their workflow. They go when it ends.
var processings = store.NewCollection[processing]("cloudformation/processing")

// processingWorkflow is the workflow that runs macros.
const processingWorkflow = "cloudformation/transform"

type processingParams struct{ ID string }

// beginProcessing begins the workflow of that id for a request.
func (s *Service) beginProcessing(l *apply.Ledger, id string, p *processing, r request, w *wanted) error {
	p.Original, p.StackName, p.Parameters, p.Capabilities = cmp.Or(w.original, w.body), r.stackName, r.Parameters, r.Capabilities
	p.ResourceTypes, p.RoleARN, p.Tags, p.Notify, p.Rollback = r.ResourceTypes, r.RoleARN, r.Tags, r.Notify, r.Rollback
	return errors.Join(
		processings.Put(l.Tx, id, p),
		s.cfg.Workflows.Begin(l.Tx, processingWorkflow, id, processingParams{ID: id}),
	)
}

// prepare gives a stack the status of an operation and has its macros run.
func (s *Service) prepare(l *apply.Ledger, st *apply.Stack, p *processing, r request, w *wanted, status string) error {
	st.NotifyAs(p.Caller)
	id, err := s.runner.Prepare(l, st, status, apply.UserInitiated)
	if err != nil {
		return err
	}
	p.Scope, p.Stack = st.Scope, st.Key()
	return s.beginProcessing(l, id, p, r, w)
}

// made is what the macros have made of a request.
type made struct {
	Body     string
	Original string `json:",omitempty"` // "" : there were none
	Version  apply.Version
	Imports  map[string]plan.Existing
	Missing  string // what an import did not find
	Problem  string

	// Of a change set, the stack as it was then, what was found of its resources, and
	// what is nested in it.
	LogicalID string                `json:",omitempty"`
	StackID   string                `json:",omitempty"` // "" : it comes with the change set
	Name      string                `json:",omitempty"` // of the stack
	Count     int                   `json:",omitempty"`
	Live      map[string]plan.Found `json:",omitempty"`
	Failure   string                `json:",omitempty"` // why there is no template
	Nested    []made                `json:",omitempty"`
}

// runMacros is the workflow.
func (s *Service) runMacros(f *workflow.Flow, in processingParams) error {
	var p *processing
	err := s.view(f.Context(), func(tx store.Tx) (err error) {
		p, err = processings.Get(tx, in.ID)
		if errors.Is(err, store.ErrNotFound) {
			err = nil // it has ended, and the crash came before the run's end was kept
		}
		return err
	})
	if err != nil || p == nil {
		return err
	}
	if p.For == forChangeSet {
		return s.decideLater(f, in.ID, p)
	}
	m, err := s.processStep(f, in.ID, p, 1)
	if err != nil {
		return err
	}
	if m.Problem == "" {
		_, err := workflow.Tx(f, "begin", func(tx store.Tx) (bool, error) {
			return true, s.goOn(&apply.Ledger{Tx: tx, Now: s.cfg.Now()}, in.ID, p, m)
		})
		if err == nil || interrupted(f, err) {
			return err
		}
		m.Problem = s.said("transform", in.ID, err)
	}
	return s.giveUpStep(f, in.ID, p, m.Problem)
}

// processStep runs the macros, once more each time that what they have made is of a
// stack that has become another.
func (s *Service) processStep(f *workflow.Flow, id string, p *processing, try int) (made, error) {
	name, request := "process", id
	if try > 1 {
		name, request = fmt.Sprintf("process %d", try), fmt.Sprintf("%s/%d", id, try)
	}
	m, err := workflow.Step(f, name, func(ctx context.Context, token string) (made, error) {
		return s.processLater(contextOf(ctx, s, p.Caller, p.Scope, p.For, token), p, arn.UUIDFrom(request))
	})
	if interrupted(f, err) {
		return m, err
	}
	if err != nil {
		m.Problem = "Transforms failed: " + s.said("transform", id, err)
	}
	return m, nil
}

func (s *Service) giveUpStep(f *workflow.Flow, id string, p *processing, problem string) error {
	_, err := workflow.Tx(f, "give up", func(tx store.Tx) (bool, error) {
		return true, s.giveUp(&apply.Ledger{Tx: tx, Now: s.cfg.Now()}, id, p, problem)
	})
	return err
}

func interrupted(f *workflow.Flow, err error) bool {
	return errors.Is(err, workflow.ErrInterrupted) || err != nil && f.Context().Err() != nil
}

// processLater runs a request's transforms and checks what they made.
func (s *Service) processLater(ctx context.Context, p *processing, requestID string) (m made, err error) {
	var st *apply.Stack
	err = s.view(ctx, func(tx store.Tx) (err error) {
		st, err = apply.Stacks.Get(tx, p.Stack)
		return err
	})
	if err != nil {
		return m, err
	}
	previous := st
	if st.Version.TemplateKey == "" {
		previous = nil
	}
	w, err := s.want(ctx, previous, request{
		source: source{text: p.Original}, Parameters: p.Parameters, Capabilities: p.Capabilities, ResourceTypes: p.ResourceTypes,
		RoleARN: p.RoleARN, Tags: p.Tags, Notify: p.Notify, Rollback: p.Rollback, stackName: p.StackName, requestID: requestID,
	})
	missing := ""
	if err == nil && len(p.Imports) > 0 {
		w.imports, err = s.targets(p.Imports, w.tmpl)
	}
	if err == nil && (len(p.Imports) > 0 || p.Existing) {
		missing, err = s.look(ctx, previous, p.StackName, w)
	}
	if _, ok := fault.As(err); ok {
		return made{Problem: firstLine(err)}, nil
	}
	if err != nil {
		return m, err
	}
	if p.For != forChangeSet {
		return made{Body: w.body, Original: w.original, Version: w.version, Imports: w.imports}, nil
	}
	d := &draft{stack: st, w: w, caller: p.Caller, existing: p.Existing, requestID: requestID}
	if err = s.lookAt(ctx, d, p.Mode); err == nil && p.Nested {
		d.nested, err = s.nestedDrafts(ctx, d, 1)
	}
	if _, ok := fault.As(err); ok {
		return made{Problem: firstLine(err)}, nil
	}
	if err != nil {
		return m, err
	}
	m = d.made()
	m.Missing = missing
	return m, nil
}

// goOn begins what the request asked for.
func (s *Service) goOn(l *apply.Ledger, id string, p *processing, m made) error {
	if err := processings.Delete(l.Tx, id); err != nil {
		return err
	}
	st, _, err := s.waiting(l.Tx, id, p)
	if err != nil || st == nil {
		return err
	}
	w, err := m.wanted()
	if err != nil {
		return err
	}
	switch {
	case st.Stop || st.Status == apply.DeleteInProgress:
		return s.runner.Abandon(l, st, apply.UserInitiated)
	case p.For == forCreate:
		return s.begin(l, st, w, p.Caller)
	}
	err = s.beginUpdate(l, st, w, p.Caller, p.Policy)
	if errors.Is(err, errNoUpdates) {
		return s.runner.Unchanged(l, st, firstLine(err))
	}
	return err
}

// giveUp ends what the request asked for, since its template cannot be made.
func (s *Service) giveUp(l *apply.Ledger, id string, p *processing, reason string) error {
	if err := processings.Delete(l.Tx, id); err != nil {
		return err
	}
	st, cs, err := s.waiting(l.Tx, id, p)
	if err != nil || st == nil {
		return err
	}
	if cs == nil {
		return s.runner.Abandon(l, st, reason)
	}
	cs.Status, cs.Execution, cs.Reason = statusFailed, executionUnavailable, reason
	return changeSets.Put(l.Tx, p.ChangeSet, cs)
}

// waiting is what waits for the workflow: a stack, or one of its change sets. nil:
// it is gone.
func (s *Service) waiting(tx store.Tx, id string, p *processing) (*apply.Stack, *changeSet, error) {
	st, err := apply.Stacks.Get(tx, p.Stack)
	if errors.Is(err, store.ErrNotFound) || err == nil && p.For != forChangeSet && st.Operation != id {
		return nil, nil, nil
	}
	if err != nil || p.For != forChangeSet {
		return st, nil, err
	}
	cs, err := changeSets.Get(tx, p.ChangeSet)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, nil
	}
	return st, cs, err
}
