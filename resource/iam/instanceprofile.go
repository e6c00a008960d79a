package iam

import (
	"context"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const (
	instanceProfileName    = "AWS::IAM::InstanceProfile"
	maxInstanceProfileName = 128
)

type instanceProfileProperties struct {
	InstanceProfileName string   `json:"InstanceProfileName,omitempty"`
	Path                string   `json:"Path,omitempty"`
	Roles               []string `json:"Roles"`
}

type instanceProfileHandler struct{ svc api.Service }

func instanceProfileType(svc api.Service) cfn.Type {
	h := instanceProfileHandler{svc}
	return cfn.Type{Name: instanceProfileName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h instanceProfileHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p instanceProfileProperties
	if err := resource.Decode(instanceProfileName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateInstanceProfile(ctx, &api.CreateInstanceProfileInput{
		InstanceProfileName: resource.Name(r, p.InstanceProfileName, maxInstanceProfileName), Path: p.Path,
	})
	if err != nil {
		return cfn.Result{}, err
	}
	result := profileResult(out.InstanceProfile)
	return result, h.setRoles(ctx, result.PhysicalID, p.Roles)
}

func profileResult(p *api.InstanceProfile) cfn.Result {
	return cfn.Result{PhysicalID: p.InstanceProfileName, Attributes: cfn.Properties{"Arn": p.Arn}}
}

func (h instanceProfileHandler) get(ctx context.Context, name string) (*api.InstanceProfile, error) {
	out, err := h.svc.GetInstanceProfile(ctx, &api.GetInstanceProfileInput{InstanceProfileName: name})
	if err != nil {
		return nil, resource.Found(err, instanceProfileName, name, fault.NoSuchEntity)
	}
	return out.InstanceProfile, nil
}

// setRoles makes the profile hold the roles that are wanted, and no other.
func (h instanceProfileHandler) setRoles(ctx context.Context, name string, want []string) error {
	profile, err := h.get(ctx, name)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, role := range want {
		wanted[role] = true
	}
	for _, role := range profile.Roles {
		if wanted[role.RoleName] {
			delete(wanted, role.RoleName)
			continue
		}
		if err := h.removeRole(ctx, name, role.RoleName); err != nil {
			return err
		}
	}
	for _, role := range want {
		if !wanted[role] {
			continue
		}
		_, err := h.svc.AddRoleToInstanceProfile(ctx, &api.AddRoleToInstanceProfileInput{InstanceProfileName: name, RoleName: role})
		if err != nil {
			return err
		}
	}
	return nil
}

func (h instanceProfileHandler) removeRole(ctx context.Context, name, role string) error {
	_, err := h.svc.RemoveRoleFromInstanceProfile(ctx, &api.RemoveRoleFromInstanceProfileInput{InstanceProfileName: name, RoleName: role})
	return resource.Gone(err, fault.NoSuchEntity)
}

func (h instanceProfileHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	profile, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := instanceProfileProperties{InstanceProfileName: profile.InstanceProfileName, Path: profile.Path, Roles: []string{}}
	for _, role := range profile.Roles {
		p.Roles = append(p.Roles, role.RoleName)
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["Arn"] = profile.Arn
	return out, nil
}

func (h instanceProfileHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p instanceProfileProperties
	if err := resource.Decode(instanceProfileName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := h.setRoles(ctx, r.PhysicalID, p.Roles); err != nil {
		return cfn.Result{}, err
	}
	profile, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	return profileResult(profile), nil
}

func (h instanceProfileHandler) delete(ctx context.Context, r cfn.Request) error {
	profile, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	for _, role := range profile.Roles {
		if err := h.removeRole(ctx, r.PhysicalID, role.RoleName); err != nil {
			return err
		}
	}
	_, err = h.svc.DeleteInstanceProfile(ctx, &api.DeleteInstanceProfileInput{InstanceProfileName: r.PhysicalID})
	return resource.Gone(err, fault.NoSuchEntity)
}

func (h instanceProfileHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListInstanceProfilesInput{}
	var names []string
	for {
		out, err := h.svc.ListInstanceProfiles(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, p := range out.InstanceProfiles {
			names = append(names, p.InstanceProfileName)
		}
		if in.Marker = out.Marker; in.Marker == "" {
			return names, nil
		}
	}
}
