package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/hook"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/stackpolicy"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Config is what the engine works with.
type Config struct {
	Store     store.Store
	Workflows *workflow.Engine
	Types     plan.Types
	// TypesIn are the types of an account and region, where they differ; nil: Types.
	TypesIn func(scope arn.Scope) plan.Types
	Logger  *slog.Logger
	Now     func() time.Time
	// Alarm looks at a rollback trigger, as the caller that the context carries.
	Alarm func(ctx context.Context, t Trigger) (Alarm, error)
	// WaitScale scales the time of monitoring; 0 is 1.
	WaitScale float64
	// Parallel bounds the resource actions of one stack operation that run at
	// the same time; 0 is 32.
	Parallel int
	// Zones are the names of a region's availability zones.
	Zones func(region string) []string
	// Dynamic resolves a dynamic reference, {{resolve:service:reference}}, as
	// the caller that the context carries.
	Dynamic func(ctx context.Context, service, reference string) (string, error)
	// Seal and Open keep the attributes that a type calls secret. nil: resources
	// that have some cannot be made.
	Seal func(text string) (string, error)
	Open func(sealed string) (string, bool)
	// Hooks finds the hooks that a target meets, and CallHook has one answer, as the
	// caller that the context carries. nil: there are none.
	Hooks    func(tx store.Tx, scope arn.Scope, t hook.Target) ([]Hook, error)
	CallHook func(ctx context.Context, h Hook, t HookTarget, token string) (HookAnswer, error)
}

// Runner runs stack operations.
type Runner struct{ cfg Config }

// New makes a Runner and registers its workflow. Call it before the workflow
// engine starts.
func New(cfg Config) *Runner {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = 32
	}
	if cfg.WaitScale == 0 {
		cfg.WaitScale = 1
	}
	if cfg.Alarm == nil {
		cfg.Alarm = func(context.Context, Trigger) (Alarm, error) {
			return Alarm{}, fault.New(fault.NotImplemented, "there are no alarms")
		}
	}
	r := &Runner{cfg: cfg}
	workflow.Register(cfg.Workflows, workflowName, r.run)
	workflow.Register(cfg.Workflows, detectionWorkflow, r.detect)
	workflow.Register(cfg.Workflows, refactorWorkflow, r.refactor)
	return r
}

// operation is one run of the workflow of an Operation.
type operation struct {
	*Operation
	r     *Runner
	slots chan struct{}      // bounds the actions under way
	tmpl  *template.Template // of the version that the stack becomes; nil in deletions

	policy *stackpolicy.Policy

	entered *template.Scope
	on      map[string][]string // dependencies by logical id
	mu      sync.Mutex          // guards the rest
	export  func(name string) (string, bool)
	opened  []string // secret attributes that the template was given
}

// operate does what the operation says.
func (r *Runner) operate(f *workflow.Flow, p params) error {
	o := &operation{r: r, slots: make(chan struct{}, r.cfg.Parallel)}
	s, err := o.load(f, p)
	if err != nil || o.Operation == nil {
		return err
	}
	switch o.Kind {
	case CreateStack:
		return o.create(f, s)
	case UpdateStack:
		return o.update(f, s)
	case DeleteStack:
		return o.deleteStack(f)
	case Continue:
		return o.rollBack(f)
	case RollBackCreation:
		return o.unmake(f)
	case ImportStack:
		return o.importAll(f)
	case CleanUp:
		return o.cleanUp(f, s)
	}
	return workflow.Permanent(fmt.Errorf("apply: operation of kind %q", o.Kind))
}

// load reads what the operation works from. None of it changes while the
// operation runs, so it needs no place in the journal.
func (o *operation) load(f *workflow.Flow, p params) (*Stack, error) {
	var body string
	var stack *Stack
	err := o.r.cfg.Store.View(f.Context(), func(tx store.Tx) error {
		s, err := Stacks.Get(tx, p.StackKey)
		if err != nil {
			return err
		}
		stack = s
		if s.Operation != p.Operation {
			return nil // it has ended, and the crash came before the run's end was kept
		}
		if o.Operation, err = Operations.Get(tx, operationKey(s, p.Operation)); err != nil {
			return err
		}
		for id, old := range o.Old {
			normalize(&old)
			o.Old[id] = old
		}
		o.normalizeLive()
		if o.New.TemplateKey == "" {
			return nil
		}
		t, err := Templates.Get(tx, o.New.TemplateKey)
		if err == nil {
			body = t.Body
		}
		return err
	})
	if err != nil || body == "" {
		return stack, err
	}
	tmpl, problems := template.Parse([]byte(body))
	if len(problems) > 0 {
		return stack, workflow.Permanent(problems.Err())
	}
	o.tmpl = tmpl
	if o.Policy != "" {
		if o.policy, err = stackpolicy.Parse(o.Policy); err != nil {
			return stack, workflow.Permanent(err)
		}
	}
	now := *stack
	now.Version = o.New
	if problems := o.enter(&now); len(problems) > 0 {
		return stack, workflow.Permanent(problems.Err())
	}
	return stack, nil
}

// tx runs fn as a step of the flow that commits with its journal entry. fn gets
// the stack's record as it is now.
func tx[T any](o *operation, f *workflow.Flow, name string, fn func(l *Ledger, s *Stack) (T, error)) (T, error) {
	return workflow.Tx(f, name, func(tx store.Tx) (T, error) {
		s, err := Stacks.Get(tx, o.StackKey)
		if err != nil {
			var none T
			return none, err
		}
		return fn(&Ledger{Tx: tx, Now: o.r.cfg.Now()}, s)
	})
}

// create makes a stack.
func (o *operation) create(f *workflow.Flow, s *Stack) error {
	if _, err := o.gate(f, hook.Create); err != nil {
		return err
	}
	if err := o.monitored(f, s); err != nil {
		return err
	}
	failed, err := tx(o, f, "finish", func(l *Ledger, s *Stack) (bool, error) {
		if ok, err := o.finish(l, s); err != nil || ok {
			return false, err
		}
		reason := s.failure("create")
		s.Why = reason
		switch {
		case s.Status == DeleteInProgress: // the user asked for it meanwhile
			return true, nil
		case s.OnFailure == "DO_NOTHING" || s.DisableRollback:
			s.Unmade = true
			return false, o.end(l, s, CreateFailed, reason)
		case s.OnFailure == "DELETE":
			return true, l.Stack(s, DeleteInProgress, strings.TrimSpace(reason)+deletionRequested)
		}
		return true, l.Stack(s, RollbackInProgress, strings.TrimSpace(reason)+rollbackRequested)
	})
	if err != nil || !failed {
		return err
	}
	return o.unmake(f)
}

// unmake removes all that a creation that failed has made.
func (o *operation) unmake(f *workflow.Flow) error {
	if _, err := o.remove(f, "rollback", removeAll); err != nil {
		return err
	}
	_, err := tx(o, f, "end", func(l *Ledger, s *Stack) (bool, error) {
		whole, gone := RollbackFailed, RollbackComplete
		if s.Status == DeleteInProgress {
			whole, gone = DeleteFailed, DeleteComplete
		}
		if len(s.Failed) > 0 {
			return false, o.end(l, s, whole, s.failure("delete"))
		}
		return false, o.gone(l, s, gone)
	})
	return err
}

// finish reaches the new version where nothing has failed: outputs and exports,
// and the status that follows. It reports whether it did.
func (o *operation) finish(l *Ledger, s *Stack) (bool, error) {
	if s.Stop {
		return false, nil
	}
	problem, err := o.outputs(l, s)
	if err != nil {
		return false, err
	}
	if problem != "" {
		s.Stop, s.Failure = true, problem
		return false, nil
	}
	switch o.Kind {
	case CreateStack:
		return true, o.end(l, s, CreateComplete, "")
	case ImportStack:
		s.Before = nil
		return true, o.end(l, s, ImportComplete, "")
	}
	s.Unmade = false
	if o.Holds {
		return true, o.hold(l, s, UpdateCleanup)
	}
	return true, l.Stack(s, UpdateCleanup, "")
}

// end is the operation's last status.
func (o *operation) end(l *Ledger, s *Stack, status, reason string) error {
	s.Operation = ""
	if err := l.Stack(s, status, reason); err != nil {
		return err
	}
	return o.r.tellParent(l.Tx, s)
}

// gone ends an operation that left nothing of the stack.
func (o *operation) gone(l *Ledger, s *Stack, status string) error {
	now := l.Now
	s.Deleted = &now
	if err := o.r.forgetExports(l.Tx, s); err != nil {
		return err
	}
	if status == DeleteComplete {
		s.TerminationProtection, s.ChangeSetID = false, ""
		if err := forget(l.Tx, s); err != nil {
			return err
		}
	}
	return o.end(l, s, status, "")
}

// forget removes what only a live stack needs: the claim on its name, signals,
// the operation's working state and templates of the past.
func forget(tx store.Tx, s *Stack) error {
	if err := Names.Delete(tx, s.Scope.Key()+"/"+s.Name); err != nil {
		return err
	}
	return errors.Join(
		forgetDetections(tx, s),
		deleteUnder(tx, Signals, s.Key()+"/", ""),
		deleteUnder(tx, Answers, s.Key()+"/", ""),
		deleteUnder(tx, waiters, s.Key()+"/", ""),
		deleteUnder(tx, Operations, s.Key()+"/", ""),
		deleteUnder(tx, Templates, s.Key()+"/", s.Version.TemplateKey, s.Version.OriginalKey),
	)
}

// deleteUnder deletes the documents whose keys begin with prefix, but some.
func deleteUnder[T any](tx store.Tx, c *store.Collection[T], prefix string, keep ...string) error {
	var keys []string
	for e, err := range c.Scan(tx, prefix) {
		if err != nil {
			return err
		}
		if !slices.Contains(keep, e.Key) {
			keys = append(keys, e.Key)
		}
	}
	for _, k := range keys {
		if err := c.Delete(tx, k); err != nil {
			return err
		}
	}
	return nil
}

// update changes a stack.
func (o *operation) update(f *workflow.Flow, s *Stack) error {
	if _, err := o.gate(f, hook.Update); err != nil {
		return err
	}
	if err := o.mayRemove(f); err != nil {
		return err
	}
	if err := o.monitored(f, s); err != nil {
		return err
	}
	next, err := tx(o, f, "finish", func(l *Ledger, s *Stack) (string, error) {
		ok, err := o.finish(l, s)
		switch {
		case err != nil:
			return "", err
		case ok:
			return UpdateCleanup, nil
		}
		reason := s.failure("update")
		s.Why = reason
		if s.DisableRollback && !s.Cancel {
			return "", o.end(l, s, UpdateFailed, reason)
		}
		if s.Cancel {
			reason = UserInitiated
		}
		return UpdateRollbackInProgress, errors.Join(l.Stack(s, UpdateRollbackInProgress, reason), o.r.tellParent(l.Tx, s))
	})
	switch {
	case err != nil || next == "":
		return err
	case next == UpdateRollbackInProgress:
		return o.rollBack(f)
	case o.Holds:
		return nil
	}
	return o.removeOld(f)
}

// removeOld removes what the version that was reached no longer has, and ends the
// update.
func (o *operation) removeOld(f *workflow.Flow) error {
	if _, err := o.remove(f, "cleanup", removeObsolete); err != nil {
		return err
	}
	_, err := tx(o, f, "end", func(l *Ledger, s *Stack) (bool, error) {
		reason := ""
		if len(s.Failed) > 0 {
			reason = someNotDeleted
		}
		s.Before = nil
		return false, o.end(l, s, UpdateComplete, reason)
	})
	return err
}

// deleteStack removes a stack.
func (o *operation) deleteStack(f *workflow.Flow) error {
	closed, err := o.gate(f, hook.Delete)
	if err != nil {
		return err
	}
	if closed {
		_, err := tx(o, f, "refused", func(l *Ledger, s *Stack) (bool, error) { return true, o.end(l, s, DeleteFailed, s.Failure) })
		return err
	}
	if _, err := o.remove(f, "delete", removeAll); err != nil {
		return err
	}
	_, err = tx(o, f, "end", func(l *Ledger, s *Stack) (bool, error) {
		if len(s.Failed) > 0 {
			return false, o.end(l, s, DeleteFailed, s.failure("delete"))
		}
		return false, o.gone(l, s, DeleteComplete)
	})
	return err
}

// failure words what went wrong with the stack as a whole.
func (s *Stack) failure(verb string) string {
	if s.Failure != "" {
		return s.Failure
	}
	return fmt.Sprintf("The following resource(s) failed to %s: [%s]. ", verb, joinIDs(s.Failed))
}

// typesIn are the types of an account and region.
func (r *Runner) typesIn(scope arn.Scope) plan.Types {
	if r.cfg.TypesIn == nil {
		return r.cfg.Types
	}
	return r.cfg.TypesIn(scope)
}

// types are those of the stack's account and region.
func (o *operation) types() plan.Types {
	if o.Operation == nil {
		return o.r.cfg.Types
	}
	account, rest, _ := strings.Cut(o.StackKey, "/")
	region, _, _ := strings.Cut(rest, "/")
	return o.r.typesIn(arn.Scope{Account: account, Region: region})
}

// resourceType finds a type. Validation has made sure that it is there; it is
// not if this build has fewer types than the one that made the stack.
func (o *operation) resourceType(name string) (cfn.Type, error) {
	t, ok := o.types().Provider(name)
	if !ok {
		return t, fmt.Errorf("this build of Slipway has no resource type %s", name)
	}
	return t, nil
}
