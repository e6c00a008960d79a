package iam

import (
	"context"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// role is a stored role.
type role struct {
	Name        string
	Path        string
	ID          string
	Created     time.Time
	Trust       string
	Description string `json:",omitempty"`
	MaxSession  int32
	Boundary    string    `json:",omitempty"`
	Linked      string    `json:",omitempty"` // the service of a service-linked role
	Tags        []api.Tag `json:",omitempty"`
	Token       string    `json:",omitempty"`
	grants
}

var roles = noun[role]{
	store.NewCollection("iam/role", store.Index[role]{Name: "policy", Keys: func(key string, r *role) []string { return r.policyKeys(key, r.Boundary) }}),
	"Role", "The role with name %s cannot be found.", "roleName", 64,
	func(r *role) string { return r.Name }, "RolesPerAccount", 1000,
}

const (
	defaultSession = 3600
	maxTrustSize   = 2048
)

func (r *role) arn(account string) string { return globalARN(account, "role"+r.Path+r.Name) }

func (r *role) api(account string) api.Role {
	return api.Role{
		Path: r.Path, RoleName: r.Name, RoleId: r.ID, Arn: r.arn(account), CreateDate: &r.Created,
		AssumeRolePolicyDocument: escaped(r.Trust), Description: r.Description,
		MaxSessionDuration: &r.MaxSession, PermissionsBoundary: boundaryOf(r.Boundary), Tags: r.Tags,
	}
}

func boundaryOf(policyARN string) *api.AttachedPermissionsBoundary {
	if policyARN == "" {
		return nil
	}
	return &api.AttachedPermissionsBoundary{PermissionsBoundaryArn: policyARN, PermissionsBoundaryType: "Policy"}
}

func checkTrust(text string) error {
	if err := checkDocument(text, policy.Trust); err != nil {
		return err
	}
	if policySize(text) > maxTrustSize {
		return fault.New(fault.LimitExceeded, "Cannot exceed quota for ACLSizePerRole: %d", maxTrustSize)
	}
	return nil
}

// CreateRole makes a role.
func (s *Service) CreateRole(ctx context.Context, in *api.CreateRoleInput) (*api.CreateRoleOutput, error) {
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	if err := checkTrust(in.AssumeRolePolicyDocument); err != nil {
		return nil, err
	}
	tags, err := merge(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(path, linkedPath) {
		return nil, fault.New(fault.InvalidInput, "Roles under %s are made by CreateServiceLinkedRole alone.", linkedPath)
	}
	call := auth.From(ctx)
	r := &role{
		Name: in.RoleName, Path: path, ID: auth.UniqueID("AROA", 17), Created: s.now().UTC().Truncate(time.Second),
		Trust: in.AssumeRolePolicyDocument, Description: in.Description, MaxSession: defaultSession,
		Boundary: in.PermissionsBoundary, Tags: tags, Token: call.Token,
	}
	if in.MaxSessionDuration != nil {
		r.MaxSession = *in.MaxSessionDuration
	}
	if err := checkSession(r.MaxSession); err != nil {
		return nil, err
	}
	if err := s.checkBoundary(ctx, r.Boundary); err != nil {
		return nil, err
	}
	r, err = create(ctx, s, roles, in.RoleName, r, func(r *role) string { return r.Token })
	if err != nil {
		return nil, err
	}
	out := r.api(call.Scope.Account)
	if in.MaxSessionDuration == nil {
		out.MaxSessionDuration = nil // only GetRole and ListRoles tell the default
	}
	return &api.CreateRoleOutput{Role: &out}, nil
}

func checkSession(seconds int32) error {
	if seconds < 3600 || seconds > 43200 {
		return fault.New(fault.ValidationError, "1 validation error detected: Value '%d' at 'maxSessionDuration' failed to satisfy constraint: "+
			"Member must have value between 3600 and 43200", seconds)
	}
	return nil
}

// GetRole describes a role.
func (s *Service) GetRole(ctx context.Context, in *api.GetRoleInput) (*api.GetRoleOutput, error) {
	account := auth.From(ctx).Scope.Account
	var out api.Role
	err := s.store.View(ctx, func(tx store.Tx) error {
		r, err := roles.find(tx, account, in.RoleName)
		if err != nil {
			return err
		}
		out = r.api(account)
		out.RoleLastUsed, err = s.roleLastUsed(tx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.GetRoleOutput{Role: &out}, nil
}

// ListRoles lists the account's roles.
func (s *Service) ListRoles(ctx context.Context, in *api.ListRolesInput) (*api.ListRolesOutput, error) {
	items, next, err := list(ctx, s, roles, in.Marker, in.MaxItems, func(r *role) bool { return underPath(in.PathPrefix, r.Path) })
	if err != nil {
		return nil, err
	}
	out := &api.ListRolesOutput{Marker: next, IsTruncated: new(next != ""), Roles: []api.Role{}}
	for _, r := range items {
		o := r.api(auth.From(ctx).Scope.Account)
		o.Tags, o.PermissionsBoundary = nil, nil
		out.Roles = append(out.Roles, o)
	}
	return out, nil
}

// UpdateRole sets the description and the longest session, or the one of them
// that is given.
func (s *Service) UpdateRole(ctx context.Context, in *api.UpdateRoleInput) (*api.UpdateRoleOutput, error) {
	return &api.UpdateRoleOutput{}, editRole(ctx, s, in.RoleName, func(_ store.Tx, r *role) error {
		if in.Description != "" {
			r.Description = in.Description
		}
		if in.MaxSessionDuration != nil {
			r.MaxSession = *in.MaxSessionDuration
		}
		return checkSession(r.MaxSession)
	})
}

// UpdateRoleDescription sets the description.
func (s *Service) UpdateRoleDescription(ctx context.Context, in *api.UpdateRoleDescriptionInput) (*api.UpdateRoleDescriptionOutput, error) {
	var out api.Role
	err := edit(ctx, s, roles, in.RoleName, func(_ store.Tx, r *role) error {
		r.Description = in.Description
		out = r.api(auth.From(ctx).Scope.Account)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.UpdateRoleDescriptionOutput{Role: &out}, nil
}

// UpdateAssumeRolePolicy sets who may assume the role.
func (s *Service) UpdateAssumeRolePolicy(ctx context.Context, in *api.UpdateAssumeRolePolicyInput) (*api.UpdateAssumeRolePolicyOutput, error) {
	if err := checkTrust(in.PolicyDocument); err != nil {
		return nil, err
	}
	return &api.UpdateAssumeRolePolicyOutput{}, editRole(ctx, s, in.RoleName, func(_ store.Tx, r *role) error {
		r.Trust = in.PolicyDocument
		return nil
	})
}

// PutRolePermissionsBoundary sets the boundary.
func (s *Service) PutRolePermissionsBoundary(ctx context.Context, in *api.PutRolePermissionsBoundaryInput) (*api.PutRolePermissionsBoundaryOutput, error) {
	if err := s.checkBoundary(ctx, in.PermissionsBoundary); err != nil {
		return nil, err
	}
	return &api.PutRolePermissionsBoundaryOutput{}, editRole(ctx, s, in.RoleName, func(_ store.Tx, r *role) error {
		r.Boundary = in.PermissionsBoundary
		return nil
	})
}

// DeleteRolePermissionsBoundary takes the boundary away.
func (s *Service) DeleteRolePermissionsBoundary(ctx context.Context, in *api.DeleteRolePermissionsBoundaryInput) (*api.DeleteRolePermissionsBoundaryOutput, error) {
	return &api.DeleteRolePermissionsBoundaryOutput{}, editRole(ctx, s, in.RoleName, func(_ store.Tx, r *role) error {
		if r.Boundary == "" {
			return fault.New(fault.NoSuchEntity, "Role %s does not have a permissions boundary.", r.Name)
		}
		r.Boundary = ""
		return nil
	})
}

// DeleteRole removes a role that nothing is left of.
func (s *Service) DeleteRole(ctx context.Context, in *api.DeleteRoleInput) (*api.DeleteRoleOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.DeleteRoleOutput{}, remove(ctx, s, roles, in.RoleName, func(tx store.Tx, r *role) error {
		if err := r.changeable(); err != nil {
			return err
		}
		for _, err := range profiles.ByIndex(tx, "role", nounKey(account, r.Name)) {
			if err != nil {
				return err
			}
			return fault.New(fault.DeleteConflict, "Cannot delete entity, must remove roles from instance profile first.")
		}
		if err := r.mayGo(); err != nil {
			return err
		}
		return s.forgetUse(tx, "role/"+r.ID)
	})
}
