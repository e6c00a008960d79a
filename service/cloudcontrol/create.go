package cloudcontrol

import (
	"context"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// CreateResource begins to make a resource.
func (s *Service) CreateResource(ctx context.Context, in *api.CreateResourceInput) (*api.CreateResourceOutput, error) {
	c := auth.From(ctx)
	who, err := s.caller(ctx, in.RoleArn)
	if err != nil {
		return nil, err
	}
	k, err := s.kind(c.Scope, in.TypeName, in.TypeVersionId, actionCreate)
	if err != nil {
		return nil, err
	}
	wanted, err := properties("DesiredState", in.DesiredState)
	if err != nil {
		return nil, err
	}
	if wanted, err = k.valid(wanted); err != nil {
		return nil, err
	}
	r := &request{Token: newToken(c.Token), Scope: c.Scope, Type: in.TypeName, Operation: api.OperationCreate, Caller: who}
	r.Identifier, _ = k.identifierOf(wanted)
	if r.Desired, err = s.seal(wanted); err != nil {
		return nil, err
	}
	if r.Model, err = s.seal(k.shown(wanted)); err != nil {
		return nil, err
	}
	e, err := s.accept(ctx, r, in.ClientToken, digest(api.OperationCreate, in.TypeName, in.RoleArn, in.DesiredState))
	return &api.CreateResourceOutput{ProgressEvent: e}, err
}

// accept begins a request and tells of it.
func (s *Service) accept(ctx context.Context, r *request, token, digest string) (e *api.ProgressEvent, err error) {
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		begun, err := s.begin(tx, r, token, digest)
		if err != nil {
			return err
		}
		e, err = s.event(begun, true)
		return err
	})
	return e, err
}
