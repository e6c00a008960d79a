package ssm

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// DeleteParameter removes a parameter and all its versions.
func (s *Service) DeleteParameter(ctx context.Context, in *api.DeleteParameterInput) (*api.DeleteParameterOutput, error) {
	scope := auth.From(ctx).Scope
	return &api.DeleteParameterOutput{}, s.store.Update(ctx, func(tx store.Tx) error { return s.drop(tx, scope, in.Name) })
}

// DeleteParameters removes several parameters and tells which names lead to none.
func (s *Service) DeleteParameters(ctx context.Context, in *api.DeleteParametersInput) (*api.DeleteParametersOutput, error) {
	if len(in.Names) == 0 || len(in.Names) > 10 {
		return nil, fault.New(fault.ValidationException, "1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length between 1 and 10.")
	}
	scope := auth.From(ctx).Scope
	names := slices.Clone(in.Names)
	slices.Sort(names)
	out := &api.DeleteParametersOutput{}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		out.DeletedParameters, out.InvalidParameters = []string{}, []string{}
		for _, name := range slices.Compact(names) {
			err := s.drop(tx, scope, name)
			switch {
			case err == nil:
				out.DeletedParameters = append(out.DeletedParameters, name)
			case fault.Is(err, fault.ParameterNotFound):
				out.InvalidParameters = append(out.InvalidParameters, name)
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) drop(tx store.Tx, scope arn.Scope, name string) error {
	p, err := s.find(tx, scope, name)
	if err != nil {
		return err
	}
	return p.remove(tx, scope)
}

// remove takes a parameter and all its versions away.
func (p *parameter) remove(tx store.Tx, scope arn.Scope) error {
	for n := p.Oldest; n < p.Latest.Number; n++ {
		if err := versions.Delete(tx, versionKey(scope, p.Name, n)); err != nil {
			return err
		}
	}
	if err := parameters.Delete(tx, parameterKey(scope, p.Name)); err != nil {
		return err
	}
	return recount(tx, scope, p.Latest.Tier, "")
}
