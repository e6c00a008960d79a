package kms

import (
	"context"

	api "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const aliasName = "AWS::KMS::Alias"

type aliasProperties struct {
	AliasName   string `json:"AliasName"`
	TargetKeyID string `json:"TargetKeyId"`
}

type aliasHandler struct{ svc api.Service }

func aliasType(svc api.Service) cfn.Type {
	h := aliasHandler{svc}
	return cfn.Type{Name: aliasName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h aliasHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p aliasProperties
	if err := resource.Decode(aliasName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if _, err := h.svc.CreateAlias(ctx, &api.CreateAliasInput{AliasName: p.AliasName, TargetKeyId: p.TargetKeyID}); err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: p.AliasName}, nil
}

func (h aliasHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	var found *api.AliasListEntry
	err := h.each(ctx, func(a api.AliasListEntry) {
		if a.AliasName == r.PhysicalID {
			found = &a
		}
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, resource.Missing(aliasName, r.PhysicalID)
	}
	return resource.Encode(aliasProperties{found.AliasName, found.TargetKeyId})
}

func (h aliasHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p aliasProperties
	if err := resource.Decode(aliasName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	_, err := h.svc.UpdateAlias(ctx, &api.UpdateAliasInput{AliasName: r.PhysicalID, TargetKeyId: p.TargetKeyID})
	return cfn.Result{PhysicalID: r.PhysicalID}, resource.Found(err, aliasName, r.PhysicalID, fault.NotFoundException)
}

func (h aliasHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteAlias(ctx, &api.DeleteAliasInput{AliasName: r.PhysicalID})
	return resource.Gone(err, fault.NotFoundException)
}

func (h aliasHandler) list(ctx context.Context) ([]string, error) {
	var names []string
	err := h.each(ctx, func(a api.AliasListEntry) { names = append(names, a.AliasName) })
	return names, err
}

func (h aliasHandler) each(ctx context.Context, fn func(api.AliasListEntry)) error {
	in := &api.ListAliasesInput{}
	for {
		out, err := h.svc.ListAliases(ctx, in)
		if err != nil {
			return err
		}
		for _, a := range out.Aliases {
			fn(a)
		}
		if in.Marker = out.NextMarker; in.Marker == "" {
			return nil
		}
	}
}
