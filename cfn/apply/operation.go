package apply

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/store"
)

// Kind says what an operation does.
type Kind string

// The kinds of operations.
const (
	CreateStack Kind = "CREATE_STACK"
	UpdateStack Kind = "UPDATE_STACK"
	DeleteStack Kind = "DELETE_STACK"
	Continue    Kind = "CONTINUE_ROLLBACK"
	ImportStack Kind = "IMPORT_STACK" // what is in the account becomes the stack's
	// RollBackCreation removes what a creation made that failed and was left as it was.
	RollBackCreation Kind = "ROLLBACK_CREATION"
	CleanUp          Kind = "CLEAN_UP" // of a nested stack, once its parent is in its own
)

// Operation is what a workflow works from. It does not change once the workflow
// has begun: the plan and the state that it was made from stand in it, so a
// workflow that runs again after a crash decides the same.
type Operation struct {
	ID       string
	StackKey string
	Kind     Kind
	Caller   Caller
	Plan     *plan.Plan // of a creation, update or import
	Old      map[string]plan.Resource
	Live     map[string]plan.Live `json:",omitempty"` // as in Plan, of the operation that this one goes on from
	New      Version              // of a creation, update or import
	Policy   string               // the stack policy that an update is bound by; "" is none
	Retain   []string             // DeleteStack's RetainResources
	Force    bool                 // DeleteStack's FORCE_DELETE_STACK: what cannot be deleted is left
	Skip     []string             // ContinueUpdateRollback's ResourcesToSkip
	Since    []string             // the updates that the operation rolls back, or that it goes on from
	Holds    bool                 // begun by the parent of a nested stack: the clean-up waits for it
	Hooks    []Hook               `json:",omitempty"` // asked about the stack before anything is done
	Started  time.Time
}

// Undone are the updates that the way back from the operation undoes: those before
// it that failed and were left as they were, and itself.
func (op *Operation) Undone() []string {
	if op.Kind == UpdateStack {
		return append(slices.Clip(op.Since), op.ID)
	}
	return op.Since
}

// Operations are keyed by the stack's key and the operation's UUID. The latest
// of each stack is kept: ContinueUpdateRollback goes on from it.
var Operations = store.NewCollection[Operation]("cloudformation/operation")

func operationKey(s *Stack, id string) string { return s.Key() + "/" + UUID(id) }

// LastOperation is the stack's latest operation, nil if it had none.
func LastOperation(tx store.Tx, s *Stack) (*Operation, error) {
	if s.Last == "" {
		return nil, nil
	}
	return found(Operations.Get(tx, operationKey(s, s.Last)))
}

// stackActions are what hooks are asked about for operations.
var stackActions = map[Kind]string{CreateStack: hook.Create, UpdateStack: hook.Update, DeleteStack: hook.Delete}

// name of the workflow that runs operations.
const workflowName = "cloudformation/operation"

// params are what the workflow engine keeps.
type params struct {
	StackKey  string
	Operation string
}

// Begin starts an operation in the transaction that changes the stack's record
// to the operation's first status.
func (r *Runner) Begin(l *Ledger, s *Stack, op Operation, status, reason string) error {
	s.Status, s.Reason = status, reason
	if err := r.beginQuietly(l, s, op); err != nil {
		return err
	}
	return l.Stack(s, status, reason)
}

// beginQuietly starts an operation that the stack's status tells of already.
func (r *Runner) beginQuietly(l *Ledger, s *Stack, op Operation) error {
	if s.Last != "" {
		if err := Operations.Delete(l.Tx, operationKey(s, s.Last)); err != nil {
			return err
		}
	}
	if err := forgetDrift(l.Tx, s); err != nil {
		return err
	}
	s.Count++
	op.ID = "cloudformation/" + s.Key() + "/" + arn.UUIDFrom(fmt.Sprintf("%s/%d", s.ID, s.Count))
	op.StackKey, op.Started = s.Key(), l.Now
	s.begin(op.ID, op.Kind)
	s.NotifyAs(op.Caller)
	if action, ok := stackActions[op.Kind]; ok {
		hooks, err := r.hooksOf(l.Tx, &HookTarget{Operation: hook.Stack, Action: action, Stack: *s})
		if err != nil {
			return err
		}
		op.Hooks = hooks
	}
	if err := Operations.Put(l.Tx, operationKey(s, op.ID), &op); err != nil {
		return err
	}
	if err := Stacks.Put(l.Tx, s.Key(), s); err != nil {
		return err
	}
	if op.triggered() {
		if err := watches.Put(l.Tx, s.Key(), &watch{op.ID}); err != nil {
			return err
		}
	}
	return r.cfg.Workflows.Begin(l.Tx, workflowName, op.ID, params{StackKey: op.StackKey, Operation: op.ID})
}

// Forget ends a stack that has never had resources.
func (r *Runner) Forget(l *Ledger, s *Stack) error {
	o := &operation{r: r}
	if err := l.Stack(s, DeleteInProgress, UserInitiated); err != nil {
		return err
	}
	return o.gone(l, s, DeleteComplete)
}

// GiveUp turns a creation under way into a deletion.
func (r *Runner) GiveUp(l *Ledger, s *Stack) error {
	s.Stop = true
	if err := l.Stack(s, DeleteInProgress, UserInitiated); err != nil {
		return err
	}
	return r.wakeAll(l.Tx, s)
}

// Cancel has an update stop and roll back.
func (r *Runner) Cancel(l *Ledger, s *Stack) error {
	s.Stop, s.Cancel = true, true
	if err := Stacks.Put(l.Tx, s.Key(), s); err != nil {
		return err
	}
	return r.wakeAll(l.Tx, s)
}
