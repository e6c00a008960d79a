package cloudformation

import (
	"context"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// RollbackStack undoes what failed and was left as it was: an update, back to the
// last version that was whole, or a creation.
func (s *Service) RollbackStack(ctx context.Context, in *cloudformation.RollbackStackInput) (*cloudformation.RollbackStackOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkToken("clientRequestToken", in.ClientRequestToken); err != nil {
		return nil, err
	}
	if st, err := s.repeated(ctx, c, in.StackName, "RollbackStack", in.ClientRequestToken); st != nil || err != nil {
		return rollbackOutput(st), err
	}
	var st *apply.Stack
	err = s.view(ctx, func(tx store.Tx) (err error) {
		if st, err = must(tx, c.Scope, in.StackName, noStack); err == nil {
			err = canRollBack(st)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	role := in.RoleARN
	if role == "" {
		role = st.Version.RoleARN
	}
	caller, err := s.principal(ctx, role)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, func(l *apply.Ledger) error {
		if st, err = must(l.Tx, c.Scope, in.StackName, noStack); err != nil {
			return err
		}
		if err := canRollBack(st); err != nil {
			return err
		}
		st.RetainExceptOnCreate = isTrue(in.RetainExceptOnCreate)
		st.Request, st.RequestOp = in.ClientRequestToken, "RollbackStack"
		if err := obsolete(l.Tx, st, ""); err != nil {
			return err
		}
		return s.beginRollback(l, st, caller)
	})
	if err != nil {
		return nil, err
	}
	return rollbackOutput(st), nil
}

func rollbackOutput(st *apply.Stack) *cloudformation.RollbackStackOutput {
	if st == nil {
		return nil
	}
	return &cloudformation.RollbackStackOutput{StackId: st.ID, OperationId: operationID(st.Last)}
}

// canRollBack says whether a stack's state lets it be rolled back.
func canRollBack(st *apply.Stack) error {
	if err := notNested(st, "RollbackStack"); err != nil {
		return err
	}
	if st.Status != apply.CreateFailed && st.Status != apply.UpdateFailed {
		return fault.New(fault.ValidationError, "Stack:%s is in %s state and can not be rolled back.", st.ID, st.Status)
	}
	return nil
}

// beginRollback begins the way back to the last version that was whole. A stack that
// never was loses all that was made for it.
func (s *Service) beginRollback(l *apply.Ledger, st *apply.Stack, caller apply.Caller) error {
	if st.Unmade {
		all, err := apply.ResourcesOf(l.Tx, st)
		if err != nil {
			return err
		}
		op := apply.Operation{Kind: apply.RollBackCreation, Caller: caller, Old: apply.Snapshot(all), Since: []string{st.Last}}
		return s.runner.Begin(l, st, op, apply.RollbackInProgress, apply.UserInitiated)
	}
	op, err := apply.WayBack(l.Tx, st)
	if err != nil {
		return err
	}
	if op == nil {
		return fault.New(fault.ValidationError, "Stack:%s has no update to roll back", st.ID)
	}
	op.Caller = caller
	return s.runner.Begin(l, st, *op, apply.UpdateRollbackInProgress, apply.UserInitiated)
}
