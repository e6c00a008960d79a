package cloudformation

import (
	"context"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// DeleteStack begins a deletion. A stack that is not there is no error.
func (s *Service) DeleteStack(ctx context.Context, in *cloudformation.DeleteStackInput) (*cloudformation.DeleteStackOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkToken("clientRequestToken", in.ClientRequestToken); err != nil {
		return nil, err
	}
	out := &cloudformation.DeleteStackOutput{}
	var st *apply.Stack
	err = s.view(ctx, func(tx store.Tx) (err error) {
		st, err = find(tx, c.Scope, in.StackName)
		return err
	})
	if err != nil || st == nil {
		return out, err
	}
	role := in.RoleARN
	if role == "" {
		role = st.Version.RoleARN
	}
	caller, err := s.principal(ctx, role)
	if err != nil {
		return nil, err
	}
	return out, s.update(ctx, func(l *apply.Ledger) error {
		st, err := find(l.Tx, c.Scope, in.StackName)
		if err != nil || st == nil {
			return err
		}
		if err := unprotected(l.Tx, st); err != nil {
			return err
		}
		return s.beginDelete(l, st, in, caller)
	})
}

func (s *Service) beginDelete(l *apply.Ledger, st *apply.Stack, in *cloudformation.DeleteStackInput, caller apply.Caller) error {
	if again, err := sameRequest(st, "DeleteStack", in.ClientRequestToken); again || err != nil {
		return err
	}
	force := in.DeletionMode == "FORCE_DELETE_STACK"
	switch {
	case st.Status == apply.DeleteFailed:
	case len(in.RetainResources) > 0:
		return fault.New(fault.ValidationError, "Invalid operation on stack [%s]. When you delete a stack, specify which resources to retain only when the stack is in the DELETE_FAILED state.", st.ID)
	case force:
		return fault.New(fault.ValidationError, "Invalid operation on stack [%s]. When you delete a stack, specify the deletion mode FORCE_DELETE_STACK only when the stack is in the DELETE_FAILED state.", st.ID)
	}
	switch st.Status {
	case apply.DeleteComplete, apply.DeleteInProgress:
		return nil
	case apply.ReviewInProgress:
		if err := s.purgeChangeSets(l, st); err != nil {
			return err
		}
		return s.runner.Forget(l, st)
	case apply.CreateInProgress:
		st.Request, st.RequestOp = in.ClientRequestToken, "DeleteStack"
		return s.runner.GiveUp(l, st)
	}
	if st.Busy() {
		return fault.New(fault.ValidationError, "Stack [%s] cannot be deleted while in status %s", st.ID, st.Status)
	}
	if reason, err := exportsInUse(l.Tx, st); reason != "" || err != nil {
		if err != nil {
			return err
		}
		return l.Say(st, "Delete canceled. "+reason)
	}
	all, err := apply.ResourcesOf(l.Tx, st)
	if err != nil {
		return err
	}
	for _, id := range in.RetainResources {
		if all[id] == nil {
			return fault.New(fault.ValidationError, "The specified resources to retain do not exist: [%s]", id)
		}
	}
	if err := s.purgeChangeSets(l, st); err != nil {
		return err
	}
	st.Request, st.RequestOp = in.ClientRequestToken, "DeleteStack"
	st.DeletionMode = in.DeletionMode
	op := apply.Operation{Kind: apply.DeleteStack, Caller: caller, Old: apply.Snapshot(all), Retain: in.RetainResources, Force: force}
	return s.runner.Begin(l, st, op, apply.DeleteInProgress, apply.UserInitiated)
}

// exportsInUse says which of a stack's exports keeps it from being deleted.
func exportsInUse(tx store.Tx, st *apply.Stack) (string, error) {
	for _, o := range st.Version.Outputs {
		if o.Export == "" {
			continue
		}
		users, err := apply.ImportersOf(tx, st, o.Export)
		if err != nil {
			return "", err
		}
		for _, u := range users {
			if u != st.Name {
				return "Cannot delete export " + o.Export + " as it is in use by " + u + ".", nil
			}
		}
	}
	return "", nil
}

// UpdateTerminationProtection sets whether a stack can be deleted.
func (s *Service) UpdateTerminationProtection(ctx context.Context, in *cloudformation.UpdateTerminationProtectionInput) (*cloudformation.UpdateTerminationProtectionOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	var out *cloudformation.UpdateTerminationProtectionOutput
	err = s.update(ctx, func(l *apply.Ledger) error {
		st, err := must(l.Tx, c.Scope, in.StackName, noStack)
		if err != nil {
			return err
		}
		if st.Status == apply.DeleteComplete || st.Status == apply.DeleteInProgress {
			return fault.New(fault.ValidationError, "Stack [%s] is in %s state and its termination protection cannot be changed", st.Name, st.Status)
		}
		if err := notNested(st, "UpdateTerminationProtection"); err != nil {
			return err
		}
		st.TerminationProtection = isTrue(in.EnableTerminationProtection)
		out = &cloudformation.UpdateTerminationProtectionOutput{StackId: st.ID}
		return apply.Stacks.Put(l.Tx, st.Key(), st)
	})
	return out, err
}

// CancelUpdateStack stops an update and has it rolled back.
func (s *Service) CancelUpdateStack(ctx context.Context, in *cloudformation.CancelUpdateStackInput) (*cloudformation.CancelUpdateStackOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkToken("clientRequestToken", in.ClientRequestToken); err != nil {
		return nil, err
	}
	return &cloudformation.CancelUpdateStackOutput{}, s.update(ctx, func(l *apply.Ledger) error {
		st, err := must(l.Tx, c.Scope, in.StackName, noStack)
		if err != nil {
			return err
		}
		if err := notNested(st, "CancelUpdateStack"); err != nil {
			return err
		}
		if again, err := sameRequest(st, "CancelUpdateStack", in.ClientRequestToken); again || err != nil {
			return err
		}
		if st.Status != apply.UpdateInProgress {
			return fault.New(fault.ValidationError, "CancelUpdateStack cannot be called from current stack status")
		}
		if in.ClientRequestToken != "" {
			st.Request, st.RequestOp = in.ClientRequestToken, "CancelUpdateStack"
		}
		return s.runner.Cancel(l, st)
	})
}

// ContinueUpdateRollback goes on with a rollback that failed.
func (s *Service) ContinueUpdateRollback(ctx context.Context, in *cloudformation.ContinueUpdateRollbackInput) (*cloudformation.ContinueUpdateRollbackOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkToken("clientRequestToken", in.ClientRequestToken); err != nil {
		return nil, err
	}
	out := &cloudformation.ContinueUpdateRollbackOutput{}
	st, err := s.repeated(ctx, c, in.StackName, "ContinueUpdateRollback", in.ClientRequestToken)
	if st != nil || err != nil {
		return out, err
	}
	caller, err := s.principal(ctx, in.RoleARN)
	if err != nil {
		return nil, err
	}
	return out, s.update(ctx, func(l *apply.Ledger) error {
		st, err := must(l.Tx, c.Scope, in.StackName, noStack)
		if err != nil {
			return err
		}
		if err := notNested(st, "ContinueUpdateRollback"); err != nil {
			return err
		}
		if st.Status != apply.UpdateRollbackFailed {
			return fault.New(fault.ValidationError, "Stack:%s is in %s state and can not continue its update rollback.", st.ID, st.Status)
		}
		op, err := apply.WayBack(l.Tx, st)
		if err != nil {
			return err
		}
		if op == nil {
			return fault.New(fault.ValidationError, "Stack:%s has no update to roll back", st.ID)
		}
		for _, id := range in.ResourcesToSkip {
			if err := skippable(l.Tx, st, op, id); err != nil {
				return err
			}
		}
		st.Request, st.RequestOp = in.ClientRequestToken, "ContinueUpdateRollback"
		op.Caller, op.Skip = caller, in.ResourcesToSkip
		return s.runner.Begin(l, st, *op, apply.UpdateRollbackInProgress, apply.UserInitiated)
	})
}
