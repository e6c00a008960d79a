package iam

import (
	"context"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const (
	groupTypeName = "AWS::IAM::Group"
	maxGroupName  = 128
)

type groupProperties struct {
	GroupName string `json:"GroupName,omitempty"`
	Path      string `json:"Path,omitempty"`
	granted
}

type groupHandler struct{ svc api.Service }

func groupType(svc api.Service) cfn.Type {
	h := groupHandler{svc}
	return cfn.Type{Name: groupTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func groupResult(g *api.Group) cfn.Result {
	return cfn.Result{PhysicalID: g.GroupName, Attributes: cfn.Properties{"Arn": g.Arn}}
}

func (h groupHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p groupProperties
	if err := resource.Decode(groupTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateGroup(ctx, &api.CreateGroupInput{GroupName: resource.Name(r, p.GroupName, maxGroupName), Path: p.Path})
	if err != nil {
		return cfn.Result{}, err
	}
	result := groupResult(out.Group)
	return result, groupSubject(h.svc).grant(ctx, result.PhysicalID, granted{}, p.granted)
}

func (h groupHandler) get(ctx context.Context, name string) (*api.Group, error) {
	out, err := h.svc.GetGroup(ctx, &api.GetGroupInput{GroupName: name})
	if err != nil {
		return nil, resource.Found(err, groupTypeName, name, fault.NoSuchEntity)
	}
	return out.Group, nil
}

func (h groupHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	g, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := groupProperties{GroupName: g.GroupName, Path: g.Path}
	if p.granted, err = groupSubject(h.svc).read(ctx, g.GroupName); err != nil {
		return nil, err
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["Arn"] = g.Arn
	return out, nil
}

func (h groupHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior groupProperties
	if err := resource.Decode(groupTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(groupTypeName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	path := p.Path
	if path == "" {
		path = "/"
	}
	if _, err := h.svc.UpdateGroup(ctx, &api.UpdateGroupInput{GroupName: r.PhysicalID, NewPath: path}); err != nil {
		return cfn.Result{}, resource.Found(err, groupTypeName, r.PhysicalID, fault.NoSuchEntity)
	}
	if err := groupSubject(h.svc).grant(ctx, r.PhysicalID, prior.granted, p.granted); err != nil {
		return cfn.Result{}, err
	}
	g, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	return groupResult(g), nil
}

func (h groupHandler) delete(ctx context.Context, r cfn.Request) error {
	var p groupProperties
	if err := resource.Decode(groupTypeName, r.Properties, &p); err != nil {
		return err
	}
	if err := groupSubject(h.svc).grant(ctx, r.PhysicalID, p.granted, granted{}); err != nil {
		return err
	}
	_, err := h.svc.DeleteGroup(ctx, &api.DeleteGroupInput{GroupName: r.PhysicalID})
	return resource.Gone(err, fault.NoSuchEntity)
}

func (h groupHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListGroupsInput{}
	var names []string
	for {
		out, err := h.svc.ListGroups(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, g := range out.Groups {
			names = append(names, g.GroupName)
		}
		if in.Marker = out.Marker; in.Marker == "" {
			return names, nil
		}
	}
}
