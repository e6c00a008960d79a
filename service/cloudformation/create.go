package cloudformation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// CreateStack begins the creation of a stack.
func (s *Service) CreateStack(ctx context.Context, in *cloudformation.CreateStackInput) (*cloudformation.CreateStackOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkCreate(in); err != nil {
		return nil, err
	}
	if st, err := s.repeated(ctx, c, in.StackName, "CreateStack", in.ClientRequestToken); st != nil || err != nil {
		return createOutput(st), err
	}
	r := request{
		source: source{Body: in.TemplateBody, URL: in.TemplateURL}, Parameters: in.Parameters,
		Capabilities: in.Capabilities, ResourceTypes: in.ResourceTypes, RoleARN: in.RoleARN, Tags: in.Tags,
		Notify: in.NotificationARNs, Rollback: in.RollbackConfiguration, stackName: in.StackName, direct: true,
	}
	w, err := s.want(ctx, nil, r)
	if err != nil {
		return nil, err
	}
	policy, err := s.stackPolicy(ctx, "StackPolicy", in.StackPolicyBody, in.StackPolicyURL)
	if err != nil {
		return nil, err
	}
	caller, err := s.principal(ctx, w.version.RoleARN)
	if err != nil {
		return nil, err
	}
	var st *apply.Stack
	err = s.update(ctx, func(l *apply.Ledger) error {
		st, err = claim(l, c, in.StackName)
		if err != nil || st.Busy() {
			return err // busy: made by this very step before
		}
		st.DisableRollback = isTrue(in.DisableRollback)
		st.OnFailure = in.OnFailure
		st.RetainExceptOnCreate = isTrue(in.RetainExceptOnCreate)
		st.TerminationProtection, st.Policy = isTrue(in.EnableTerminationProtection), policy
		st.Request, st.RequestOp = in.ClientRequestToken, "CreateStack"
		if in.TimeoutInMinutes != nil {
			until := l.Now.Add(time.Duration(*in.TimeoutInMinutes) * time.Minute)
			st.TimeoutMinutes, st.Until = *in.TimeoutInMinutes, &until
		}
		if err := obsolete(l.Tx, st, ""); err != nil {
			return err
		}
		if w.pending {
			if err := w.keep(l.Tx, st); err != nil {
				return err
			}
			st.Version = w.version
			return s.prepare(l, st, &processing{For: forCreate, Caller: caller}, r, w, apply.CreateInProgress)
		}
		return s.begin(l, st, w, caller)
	})
	return createOutput(st), err
}

func createOutput(st *apply.Stack) *cloudformation.CreateStackOutput {
	if st == nil {
		return nil
	}
	return &cloudformation.CreateStackOutput{StackId: st.ID, OperationId: operationID(st.Last)}
}

// operationID is an operation's id as the API shows it.
func operationID(id string) string {
	if id == "" {
		return ""
	}
	return apply.UUID(id)
}

func checkCreate(in *cloudformation.CreateStackInput) error {
	if err := checkName("stackName", in.StackName); err != nil {
		return err
	}
	if err := checkToken("clientRequestToken", in.ClientRequestToken); err != nil {
		return err
	}
	if in.OnFailure != "" && in.DisableRollback != nil {
		return fault.New(fault.ValidationError, "You can specify either DisableRollback or OnFailure, but not both.")
	}
	if in.OnFailure != "" && in.OnFailure != "ROLLBACK" && in.OnFailure != "DELETE" && in.OnFailure != "DO_NOTHING" {
		return constraint("onFailure", in.OnFailure, "Member must satisfy enum value set: [DO_NOTHING, ROLLBACK, DELETE]")
	}
	if in.TimeoutInMinutes != nil && *in.TimeoutInMinutes < 1 {
		return constraint("timeoutInMinutes", fmt.Sprint(*in.TimeoutInMinutes), "Member must have value greater than or equal to 1")
	}
	return nil
}

// repeated finds the stack that this very request has changed before: a retried
// ClientRequestToken. nil: it has not.
func (s *Service) repeated(ctx context.Context, c auth.Call, nameOrID, operation, token string) (*apply.Stack, error) {
	if token == "" {
		return nil, nil
	}
	var st *apply.Stack
	err := s.view(ctx, func(tx store.Tx) (err error) {
		st, err = find(tx, c.Scope, nameOrID)
		return err
	})
	if err != nil || st == nil {
		return nil, err
	}
	again, err := sameRequest(st, operation, token)
	if err != nil || !again {
		return nil, err
	}
	return st, nil
}

// sameRequest reports whether an operation with this token is what last changed the
// stack. The token of another operation is refused.
func sameRequest(st *apply.Stack, operation, token string) (bool, error) {
	if token == "" || st.Request != token {
		return false, nil
	}
	if st.RequestOp != operation {
		return false, fault.New(fault.CFNTokenAlreadyExists, "Token [%s] has been used by another operation on stack [%s]", token, st.Name)
	}
	return true, nil
}

// claim takes a name for a new stack, or takes over the stack that change sets
// are reviewed for.
func claim(l *apply.Ledger, c auth.Call, name string) (*apply.Stack, error) {
	st, err := find(l.Tx, c.Scope, name)
	if err != nil {
		return nil, err
	}
	if st != nil {
		switch {
		case st.Status == apply.ReviewInProgress:
			return st, nil
		case c.Token != "" && st.Token == c.Token:
			return st, nil
		}
		return nil, fault.New(fault.CFNAlreadyExists, "Stack [%s] already exists", name)
	}
	st = newStack(c, name, l.Now)
	return st, apply.Names.Put(l.Tx, c.Scope.Key()+"/"+name, &apply.Name{StackID: st.ID})
}

// newStack is the record of a stack that is to be.
func newStack(c auth.Call, name string, now time.Time) *apply.Stack {
	id := arn.NewUUID()
	if c.Token != "" {
		id = arn.UUIDFrom(c.Token)
	}
	return &apply.Stack{
		ID:   c.Scope.ARN("cloudformation", "stack/"+name+"/"+id).String(),
		Name: name, Scope: c.Scope, Created: now, Token: c.Token,
	}
}

// begin makes the plan of a creation and begins it.
func (s *Service) begin(l *apply.Ledger, st *apply.Stack, w *wanted, caller apply.Caller) error {
	st.Version = apply.Version{}
	in, err := s.input(l.Tx, st, w)
	if err != nil {
		return err
	}
	p, err := s.plan(in, plan.Make)
	if err != nil {
		return err
	}
	if err := w.keep(l.Tx, st); err != nil {
		return err
	}
	st.Version = w.version
	op := apply.Operation{Kind: apply.CreateStack, Caller: caller, Plan: p, New: w.version, Old: map[string]plan.Resource{}}
	return s.runner.Begin(l, st, op, apply.CreateInProgress, begun(st))
}

// begun is the reason of an operation's first event, or of the one after its
// macros.
func begun(st *apply.Stack) string {
	if st.Busy() {
		return transformed
	}
	return apply.UserInitiated
}

// plan decides an operation; problems of evaluation are the request's.
func (s *Service) plan(in plan.Input, decide func(plan.Input) (*plan.Plan, template.Problems)) (*plan.Plan, error) {
	scope, problems := in.New.Enter(in.Env)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if err := s.unregistered(in); err != nil {
		return nil, err
	}
	if err := s.cfg.Schemas.CheckBy(scope, in.Types.Schema).Err(); err != nil {
		return nil, err
	}
	p, problems := decide(in)
	return p, problems.Err()
}

// UpdateStack begins an update.
func (s *Service) UpdateStack(ctx context.Context, in *cloudformation.UpdateStackInput) (*cloudformation.UpdateStackOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkToken("clientRequestToken", in.ClientRequestToken); err != nil {
		return nil, err
	}
	if st, err := s.repeated(ctx, c, in.StackName, "UpdateStack", in.ClientRequestToken); st != nil || err != nil {
		return updateOutput(st), err
	}
	st, err := s.updatable(ctx, c.Scope, in.StackName)
	if err != nil {
		return nil, err
	}
	r := request{
		source:     source{Body: in.TemplateBody, URL: in.TemplateURL, UsePrevious: isTrue(in.UsePreviousTemplate)},
		Parameters: in.Parameters, Capabilities: in.Capabilities, ResourceTypes: in.ResourceTypes,
		RoleARN: in.RoleARN, Tags: in.Tags, Notify: in.NotificationARNs, Rollback: in.RollbackConfiguration,
		stackName: st.Name, direct: true,
	}
	w, err := s.want(ctx, st, r)
	if err != nil {
		return nil, err
	}
	policies, err := s.updatePolicies(ctx, in)
	if err != nil {
		return nil, err
	}
	caller, err := s.principal(ctx, w.version.RoleARN)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, func(l *apply.Ledger) error {
		if st, err = must(l.Tx, c.Scope, in.StackName, noStack); err != nil {
			return err
		}
		if err := canUpdate(st); err != nil {
			return err
		}
		st.DisableRollback = isTrue(in.DisableRollback)
		st.RetainExceptOnCreate = isTrue(in.RetainExceptOnCreate)
		st.Request, st.RequestOp = in.ClientRequestToken, "UpdateStack"
		if err := obsolete(l.Tx, st, ""); err != nil {
			return err
		}
		bound := cmp.Or(policies.during, st.Policy)
		st.Policy = cmp.Or(policies.after, st.Policy)
		if w.pending {
			now := l.Now
			st.Updated = &now
			return s.prepare(l, st, &processing{For: forUpdate, Caller: caller, Policy: bound}, r, w, apply.UpdateInProgress)
		}
		return s.beginUpdate(l, st, w, caller, bound)
	})
	if err != nil {
		return nil, err
	}
	return updateOutput(st), nil
}

func updateOutput(st *apply.Stack) *cloudformation.UpdateStackOutput {
	if st == nil {
		return nil
	}
	return &cloudformation.UpdateStackOutput{StackId: st.ID, OperationId: operationID(st.Last)}
}

// updatable is the stack that is to be updated, for what is checked before the
// transaction that checks again.
func (s *Service) updatable(ctx context.Context, scope arn.Scope, nameOrID string) (*apply.Stack, error) {
	var st *apply.Stack
	err := s.view(ctx, func(tx store.Tx) (err error) {
		if st, err = must(tx, scope, nameOrID, noStack); err == nil {
			err = canUpdate(st)
		}
		return err
	})
	return st, err
}

// canUpdate says whether a stack's state lets it be updated.
func canUpdate(st *apply.Stack) error {
	switch st.Status {
	case apply.CreateComplete, apply.UpdateComplete, apply.UpdateRollbackComplete, apply.UpdateFailed, apply.ImportComplete, apply.ImportRollbackComplete:
		return nil
	case apply.CreateFailed:
		if st.DisableRollback {
			return nil
		}
	case apply.DeleteComplete:
		return noStack(st.Name)
	}
	return fault.New(fault.ValidationError, "Stack:%s is in %s state and can not be updated.", st.ID, st.Status)
}

// beginUpdate makes the plan of an update and begins it, if it changes anything.
// policy is the stack policy that it is bound by.
func (s *Service) beginUpdate(l *apply.Ledger, st *apply.Stack, w *wanted, caller apply.Caller, policy string) error {
	in, err := s.input(l.Tx, st, w)
	if err != nil {
		return err
	}
	p, err := s.plan(in, plan.Make)
	if err != nil {
		return err
	}
	changed, err := changesAnything(l.Tx, st, in, p)
	if err != nil {
		return err
	}
	if !changed && slices.Equal(st.Version.Notify, w.version.Notify) {
		return errNoUpdates
	}
	if err := w.keep(l.Tx, st); err != nil {
		return err
	}
	op := apply.Operation{Kind: apply.UpdateStack, Caller: caller, Plan: p, New: w.version, Old: in.Old.Resources, Policy: policy, Holds: w.step != ""}
	if err := goesBackTo(l.Tx, st, &op); err != nil {
		return err
	}
	now := l.Now
	st.Updated, st.Version, st.Step = &now, w.version, w.step
	return s.runner.Begin(l, st, op, apply.UpdateInProgress, begun(st))
}

// goesBackTo settles what the rollback of an update leads to: the stack as it is or,
// where earlier updates have failed and were left as they were, as it was before
// the first of them. So it is with a nested stack whose own update was well, when
// the parent's was left.
func goesBackTo(tx store.Tx, st *apply.Stack, op *apply.Operation) error {
	left := st.Status == apply.UpdateFailed || st.PreparedFrom == apply.UpdateFailed || st.Held && st.Status == apply.UpdateCleanup
	if st.Before == nil || !left {
		before := st.Version
		st.Before = &before
		return nil
	}
	last, err := apply.LastOperation(tx, st)
	if err == nil && last != nil {
		op.Old, op.Live, op.Since = last.Old, last.LiveBefore(), last.Undone()
	}
	return err
}

var errNoUpdates = fault.New(fault.ValidationError, "No updates are to be performed.")

// changesAnything says whether a plan, or what is outside of its steps, differs
// from the stack as it is. Resources whose last change failed are changed again.
func changesAnything(tx store.Tx, st *apply.Stack, in plan.Input, p *plan.Plan) (bool, error) {
	all, err := apply.ResourcesOf(tx, st)
	if err != nil {
		return false, err
	}
	for i := range p.Steps {
		step := &p.Steps[i]
		if r := all[step.LogicalID]; r != nil && r.Dirty && step.Action == plan.Keep {
			step.Action = plan.Update
		}
	}
	was := cmp.Or(st.PreparedFrom, st.Status)
	again := was == apply.UpdateFailed || was == apply.CreateFailed
	return again || !p.Empty() || !sameTags(st.Version.Tags, in.Tags), nil
}

func sameTags(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}
