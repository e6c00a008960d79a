package lambda

import (
	"context"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/store"
)

// Concurrent executions of an account, and those that no reservation may take.
const (
	accountConcurrency = 1000
	leastUnreserved    = 100
)

// reservedOf adds up the reservations of an account's functions but one.
func reservedOf(tx store.Tx, p place) (sum int32, err error) {
	for e, err := range functions.Scan(tx, p.Scope.Key()+"/") {
		if err != nil {
			return 0, err
		}
		if e.Key != p.key() {
			sum += or(e.Value.Reserved, 0)
		}
	}
	return sum, nil
}

// PutFunctionConcurrency reserves concurrent executions for a function, which are
// the most that it gets, too.
func (s *Service) PutFunctionConcurrency(ctx context.Context, in *api.PutFunctionConcurrencyInput) (*api.PutFunctionConcurrencyOutput, error) {
	asked := *in.ReservedConcurrentExecutions
	return &api.PutFunctionConcurrencyOutput{ReservedConcurrentExecutions: &asked}, s.store.Update(ctx, func(tx store.Tx) error {
		p, f, err := s.concurrencyOf(ctx, tx, in.FunctionName, in)
		if err != nil {
			return err
		}
		sum, err := reservedOf(tx, p)
		if err != nil {
			return err
		}
		if asked > accountConcurrency-leastUnreserved-sum {
			return invalid("Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", leastUnreserved)
		}
		f.Reserved = &asked
		return functions.Put(tx, p.key(), f)
	})
}

func (s *Service) concurrencyOf(ctx context.Context, tx store.Tx, name string, in any) (place, *record, error) {
	p, qualifier, err := named(ctx, name, "")
	if err != nil {
		return p, nil, err
	}
	if qualifier != "" {
		return p, nil, invalid("This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.")
	}
	if err := s.permit(ctx, tx, p, "", in); err != nil {
		return p, nil, err
	}
	f, err := mustFunction(tx, p, "")
	return p, f, err
}

// GetFunctionConcurrency tells a function's reservation, if there is one.
func (s *Service) GetFunctionConcurrency(ctx context.Context, in *api.GetFunctionConcurrencyInput) (*api.GetFunctionConcurrencyOutput, error) {
	out := &api.GetFunctionConcurrencyOutput{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		_, f, err := s.concurrencyOf(ctx, tx, in.FunctionName, in)
		if err == nil {
			out.ReservedConcurrentExecutions = f.Reserved
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteFunctionConcurrency takes the reservation back.
func (s *Service) DeleteFunctionConcurrency(ctx context.Context, in *api.DeleteFunctionConcurrencyInput) (*api.DeleteFunctionConcurrencyOutput, error) {
	return &api.DeleteFunctionConcurrencyOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		p, f, err := s.concurrencyOf(ctx, tx, in.FunctionName, in)
		if err != nil {
			return err
		}
		f.Reserved = nil
		return functions.Put(tx, p.key(), f)
	})
}

// GetAccountSettings tells the account's quotas and what it uses.
func (s *Service) GetAccountSettings(ctx context.Context, _ *api.GetAccountSettingsInput) (*api.GetAccountSettingsOutput, error) {
	scope := scopeOf(ctx)
	var count, size int64
	var reserved int32
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		count = 0
		for _, err := range functions.Scan(tx, scope.Key()+"/") {
			if err != nil {
				return err
			}
			count++
		}
		if reserved, err = reservedOf(tx, place{Scope: scope}); err != nil {
			return err
		}
		size, err = storedSize(tx, scope)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.GetAccountSettingsOutput{
		AccountLimit: &api.AccountLimit{
			TotalCodeSize: new(int64(maxStored)), CodeSizeUnzipped: new(int64(maxUnzipped)), CodeSizeZipped: new(int64(maxZipped)),
			ConcurrentExecutions: new(int32(accountConcurrency)), UnreservedConcurrentExecutions: new(accountConcurrency - reserved),
		},
		AccountUsage: &api.AccountUsage{FunctionCount: &count, TotalCodeSize: &size},
	}, nil
}
