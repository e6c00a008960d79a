package iam

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const membershipTypeName = "AWS::IAM::UserToGroupAddition"

type membershipProperties struct {
	GroupName string   `json:"GroupName"`
	Users     []string `json:"Users"`
}

type membershipHandler struct{ svc api.Service }

func membershipType(svc api.Service) cfn.Type {
	h := membershipHandler{svc}
	return cfn.Type{Name: membershipTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete}
}

func (h membershipHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p membershipProperties
	if err := resource.Decode(membershipTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	return h.join(ctx, r.Name, p)
}

func (h membershipHandler) join(ctx context.Context, id string, p membershipProperties) (cfn.Result, error) {
	result := cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"Id": id}}
	for _, u := range p.Users {
		if _, err := h.svc.AddUserToGroup(ctx, &api.AddUserToGroupInput{GroupName: p.GroupName, UserName: u}); err != nil {
			return result, err
		}
	}
	return result, nil
}

// leave ends the memberships of one set of properties that another has not.
func (h membershipHandler) leave(ctx context.Context, from, keep membershipProperties) error {
	for _, u := range from.Users {
		if from.GroupName == keep.GroupName && slices.Contains(keep.Users, u) {
			continue
		}
		_, err := h.svc.RemoveUserFromGroup(ctx, &api.RemoveUserFromGroupInput{GroupName: from.GroupName, UserName: u})
		if err := resource.Gone(err, fault.NoSuchEntity); err != nil {
			return err
		}
	}
	return nil
}

// read finds those of the template's users that are members still.
func (h membershipHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	var p membershipProperties
	if err := resource.Decode(membershipTypeName, r.Properties, &p); err != nil {
		return nil, err
	}
	members := map[string]bool{}
	in := &api.GetGroupInput{GroupName: p.GroupName}
	for {
		out, err := h.svc.GetGroup(ctx, in)
		if err != nil {
			return nil, resource.Found(err, membershipTypeName, r.PhysicalID, fault.NoSuchEntity)
		}
		for _, u := range out.Users {
			members[u.UserName] = true
		}
		if in.Marker = out.Marker; in.Marker == "" {
			break
		}
	}
	p.Users = slices.DeleteFunc(p.Users, func(u string) bool { return !members[u] })
	if len(p.Users) == 0 {
		return nil, resource.Missing(membershipTypeName, r.PhysicalID)
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["Id"] = r.PhysicalID
	return out, nil
}

func (h membershipHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior membershipProperties
	if err := resource.Decode(membershipTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(membershipTypeName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	result, err := h.join(ctx, r.PhysicalID, p)
	if err != nil {
		return result, err
	}
	return result, h.leave(ctx, prior, p)
}

func (h membershipHandler) delete(ctx context.Context, r cfn.Request) error {
	var p membershipProperties
	if err := resource.Decode(membershipTypeName, r.Properties, &p); err != nil {
		return err
	}
	return h.leave(ctx, p, membershipProperties{})
}
