package cloudcontrol

import (
	"context"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

// GetResource tells what a resource is.
func (s *Service) GetResource(ctx context.Context, in *api.GetResourceInput) (*api.GetResourceOutput, error) {
	c := auth.From(ctx)
	who, err := s.caller(ctx, in.RoleArn)
	if err != nil {
		return nil, err
	}
	k, err := s.kind(c.Scope, in.TypeName, in.TypeVersionId, actionRead)
	if err != nil {
		return nil, err
	}
	id, err := k.identify(in.Identifier)
	if err != nil {
		return nil, err
	}
	p, err := s.read(s.acting(ctx, c.Scope, who, c.Operation, ""), k, id)
	if err != nil {
		return nil, handlerError(k.Name, c.RequestID, err)
	}
	return &api.GetResourceOutput{TypeName: k.Name, ResourceDescription: &api.ResourceDescription{
		Identifier: id.Identifier, Properties: k.shown(p),
	}}, nil
}

// read reads a resource. One that a service knows by the identifier as another name
// of it is not the one that was asked for.
func (s *Service) read(ctx context.Context, k *kind, id identity) (cfn.Properties, error) {
	p, err := k.Read(ctx, k.request(id.PhysicalID, ""))
	if err == nil && !k.types.Found(k.Name, id.Values, p) {
		err = fault.New(cfn.NotFound, "Resource of type '%s' with identifier '%s' was not found.", k.Name, id.Identifier)
	}
	return p, err
}
