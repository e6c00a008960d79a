package apply

import (
	"errors"
	"slices"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/store"
)

// Statuses of refactorings ("StackRefactorExecutionStatus").
const (
	RefactorUnavailable = "UNAVAILABLE"
	RefactorAvailable   = "AVAILABLE"
	RefactorObsolete    = "OBSOLETE"
	RefactorExecuting   = "EXECUTE_IN_PROGRESS"
	RefactorComplete    = "EXECUTE_COMPLETE"
	RefactorFailed      = "EXECUTE_FAILED"
	RefactorRolledBack  = "ROLLBACK_COMPLETE"
)

// Statuses of the resources that a refactoring takes out of a stack.
const (
	exportInProgress = "EXPORT_IN_PROGRESS"
	exportComplete   = "EXPORT_COMPLETE"
)

// RefactorStack is a stack that takes part in a refactoring.
type RefactorStack struct {
	ID      string
	Name    string
	New     bool
	Count   int // of its operations, when the refactoring was decided
	Body    string
	Given   string // the original, where transforms made Body of it
	Version Version
	// On are what its resources wait for afterwards, and WasOn before.
	On    map[string][]string
	WasOn map[string][]string
}

// Refactor is the record of a refactoring.
type Refactor struct {
	ID              string
	Scope           arn.Scope
	Description     string
	Status          string
	Reason          string
	Execution       string
	ExecutionReason string
	Created         time.Time
	Caller          Caller
	Stacks          []RefactorStack
	Moves           []plan.Move
}

// Refactors are keyed by account, region and id.
var Refactors = store.NewCollection[Refactor]("cloudformation/refactor")

// Key is the record's key.
func (r *Refactor) Key() string { return r.Scope.Key() + "/" + r.ID }

func (r *Refactor) flow() string { return refactorWorkflow + "/" + r.Key() }

const refactorWorkflow = "cloudformation/refactor"

type refactorParams struct{ Refactor string }

func (r *Refactor) stack(s RefactorStack) *Stack {
	return &Stack{ID: s.ID, Name: s.Name, Scope: r.Scope}
}

// back are the moves that undo the refactoring's.
func (r *Refactor) back() []plan.Move {
	back := slices.Clone(r.Moves)
	for i, m := range r.Moves {
		back[i].From, back[i].To = m.To, m.From
	}
	return back
}

// Current says whether the stacks are what they were when it was decided what moves.
func (r *Refactor) Current(tx store.Tx) (bool, error) {
	for _, rs := range r.Stacks {
		if rs.New {
			if n, err := found(Names.Get(tx, r.Scope.Key()+"/"+rs.Name)); err != nil || n != nil {
				return false, err
			}
			continue
		}
		s, err := found(Stacks.Get(tx, r.stack(rs).Key()))
		if err != nil || s == nil || s.Count != rs.Count || s.Busy() {
			return false, err
		}
	}
	return true, nil
}

// Refactor begins a refactoring, whose stacks are Current.
func (r *Runner) Refactor(l *Ledger, ref *Refactor) error {
	for _, rs := range ref.Stacks {
		s, status, kind := ref.stack(rs), CreateInProgress, CreateStack
		if rs.New {
			s.Created = l.Now
			if err := Names.Put(l.Tx, s.Scope.Key()+"/"+s.Name, &Name{StackID: s.ID}); err != nil {
				return err
			}
		} else {
			var err error
			if s, err = Stacks.Get(l.Tx, s.Key()); err != nil {
				return err
			}
			status, kind = UpdateInProgress, UpdateStack
			now := l.Now
			s.Updated = &now
			s.DisableRollback, s.OnFailure = false, ""
		}
		if s.Last != "" {
			if err := Operations.Delete(l.Tx, operationKey(s, s.Last)); err != nil {
				return err
			}
		}
		if err := forgetDrift(l.Tx, s); err != nil {
			return err
		}
		s.Count++
		s.begin(ref.flow(), kind)
		if err := l.Stack(s, status, UserInitiated); err != nil {
			return err
		}
	}
	ref.Execution = RefactorExecuting
	return errors.Join(
		Refactors.Put(l.Tx, ref.Key(), ref),
		r.cfg.Workflows.Begin(l.Tx, refactorWorkflow, ref.flow(), refactorParams{Refactor: ref.Key()}),
	)
}
