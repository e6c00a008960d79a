package iam

import (
	"context"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const serviceLinkedRoleTypeName = "AWS::IAM::ServiceLinkedRole"

type serviceLinkedRoleProperties struct {
	AWSServiceName string `json:"AWSServiceName,omitempty"`
	CustomSuffix   string `json:"CustomSuffix,omitempty"`
	Description    string `json:"Description,omitempty"`
}

type serviceLinkedRoleHandler struct{ svc api.Service }

func serviceLinkedRoleType(svc api.Service) cfn.Type {
	h := serviceLinkedRoleHandler{svc}
	return cfn.Type{Name: serviceLinkedRoleTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func serviceLinkedRoleResult(name string) cfn.Result {
	return cfn.Result{PhysicalID: name, Attributes: cfn.Properties{"RoleName": name}}
}

func (h serviceLinkedRoleHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p serviceLinkedRoleProperties
	if err := resource.Decode(serviceLinkedRoleTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateServiceLinkedRole(ctx, &api.CreateServiceLinkedRoleInput{
		AWSServiceName: p.AWSServiceName, CustomSuffix: p.CustomSuffix, Description: p.Description,
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return serviceLinkedRoleResult(out.Role.RoleName), nil
}

func (h serviceLinkedRoleHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.GetRole(ctx, &api.GetRoleInput{RoleName: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, serviceLinkedRoleTypeName, r.PhysicalID, fault.NoSuchEntity)
	}
	p, err := resource.Encode(serviceLinkedRoleProperties{Description: out.Role.Description})
	if err != nil {
		return nil, err
	}
	p["RoleName"] = out.Role.RoleName
	return p, nil
}

func (h serviceLinkedRoleHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p serviceLinkedRoleProperties
	if err := resource.Decode(serviceLinkedRoleTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	_, err := h.svc.UpdateRoleDescription(ctx, &api.UpdateRoleDescriptionInput{RoleName: r.PhysicalID, Description: p.Description})
	return serviceLinkedRoleResult(r.PhysicalID), resource.Found(err, serviceLinkedRoleTypeName, r.PhysicalID, fault.NoSuchEntity)
}

func (h serviceLinkedRoleHandler) delete(ctx context.Context, r cfn.Request) error {
	out, err := h.svc.DeleteServiceLinkedRole(ctx, &api.DeleteServiceLinkedRoleInput{RoleName: r.PhysicalID})
	if err != nil {
		return resource.Gone(err, fault.NoSuchEntity)
	}
	status, err := h.svc.GetServiceLinkedRoleDeletionStatus(ctx, &api.GetServiceLinkedRoleDeletionStatusInput{DeletionTaskId: out.DeletionTaskId})
	if err != nil {
		return err
	}
	if status.Status != api.DeletionTaskStatusTypeSucceeded {
		return fault.New(fault.DeleteConflict, "The deletion of the role %s is %s.", r.PhysicalID, status.Status)
	}
	return nil
}

func (h serviceLinkedRoleHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListRolesInput{PathPrefix: "/aws-service-role/"}
	var names []string
	for {
		out, err := h.svc.ListRoles(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, r := range out.Roles {
			names = append(names, r.RoleName)
		}
		if in.Marker = out.Marker; in.Marker == "" {
			return names, nil
		}
	}
}
