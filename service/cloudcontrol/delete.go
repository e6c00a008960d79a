package cloudcontrol

import (
	"context"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/auth"
)

// DeleteResource begins to delete a resource.
func (s *Service) DeleteResource(ctx context.Context, in *api.DeleteResourceInput) (*api.DeleteResourceOutput, error) {
	c := auth.From(ctx)
	who, err := s.caller(ctx, in.RoleArn)
	if err != nil {
		return nil, err
	}
	k, err := s.kind(c.Scope, in.TypeName, in.TypeVersionId, actionDelete)
	if err != nil {
		return nil, err
	}
	id, err := k.identify(in.Identifier)
	if err != nil {
		return nil, err
	}
	r := &request{
		Token: newToken(c.Token), Scope: c.Scope, Type: in.TypeName, Operation: api.OperationDelete, Caller: who,
		Identifier: id.Identifier, PhysicalID: id.PhysicalID,
	}
	e, err := s.accept(ctx, r, in.ClientToken, digest(api.OperationDelete, in.TypeName, in.RoleArn, in.Identifier))
	return &api.DeleteResourceOutput{ProgressEvent: e}, err
}
