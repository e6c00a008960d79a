package iam

import (
	"context"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// profile is a stored instance profile.
type profile struct {
	Name    string
	Path    string
	ID      string
	Created time.Time
	Role    string    `json:",omitempty"` // name; a profile holds at most one
	Tags    []api.Tag `json:",omitempty"`
	Token   string    `json:",omitempty"`
}

var profiles = noun[profile]{
	store.NewCollection("iam/instanceprofile", store.Index[profile]{Name: "role", Keys: func(key string, p *profile) []string {
		if p.Role == "" {
			return nil
		}
		account, _, _ := strings.Cut(key, "/")
		return []string{nounKey(account, p.Role)}
	}}),
	"Instance Profile", "Instance Profile %s cannot be found.", "instanceProfileName", 128,
	func(p *profile) string { return p.Name }, "InstanceProfilesPerAccount", 1000,
}

func (p *profile) api(tx store.Tx, account string) (api.InstanceProfile, error) {
	out := api.InstanceProfile{
		Path: p.Path, InstanceProfileName: p.Name, InstanceProfileId: p.ID, CreateDate: &p.Created,
		Arn: globalARN(account, "instance-profile"+p.Path+p.Name), Roles: []api.Role{}, Tags: p.Tags,
	}
	if p.Role == "" {
		return out, nil
	}
	r, err := roles.find(tx, account, p.Role)
	if err != nil {
		return out, err
	}
	o := r.api(account)
	o.MaxSessionDuration, o.Description, o.Tags, o.PermissionsBoundary = nil, "", nil, nil
	out.Roles = append(out.Roles, o)
	return out, nil
}

// CreateInstanceProfile makes an instance profile.
func (s *Service) CreateInstanceProfile(ctx context.Context, in *api.CreateInstanceProfileInput) (*api.CreateInstanceProfileOutput, error) {
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	tags, err := merge(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	p := &profile{
		Name: in.InstanceProfileName, Path: path, ID: auth.UniqueID("AIPA", 17),
		Created: s.now().UTC().Truncate(time.Second), Tags: tags, Token: call.Token,
	}
	p, err = create(ctx, s, profiles, in.InstanceProfileName, p, func(p *profile) string { return p.Token })
	if fault.Is(err, fault.EntityAlreadyExists) {
		return nil, fault.New(fault.EntityAlreadyExists, "Instance Profile %s already exists.", in.InstanceProfileName)
	}
	if err != nil {
		return nil, err
	}
	out, err := s.describeProfile(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	return &api.CreateInstanceProfileOutput{InstanceProfile: out}, nil
}

func (s *Service) describeProfile(ctx context.Context, name string) (*api.InstanceProfile, error) {
	account := auth.From(ctx).Scope.Account
	var out api.InstanceProfile
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, err := profiles.find(tx, account, name)
		if err != nil {
			return err
		}
		out, err = p.api(tx, account)
		return err
	})
	return &out, err
}

// GetInstanceProfile describes an instance profile and its role.
func (s *Service) GetInstanceProfile(ctx context.Context, in *api.GetInstanceProfileInput) (*api.GetInstanceProfileOutput, error) {
	out, err := s.describeProfile(ctx, in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	return &api.GetInstanceProfileOutput{InstanceProfile: out}, nil
}

// ListInstanceProfiles lists the account's instance profiles.
func (s *Service) ListInstanceProfiles(ctx context.Context, in *api.ListInstanceProfilesInput) (*api.ListInstanceProfilesOutput, error) {
	items, next, err := list(ctx, s, profiles, in.Marker, in.MaxItems, func(p *profile) bool { return underPath(in.PathPrefix, p.Path) })
	if err != nil {
		return nil, err
	}
	out := &api.ListInstanceProfilesOutput{Marker: next, IsTruncated: new(next != "")}
	out.InstanceProfiles, err = s.describeProfiles(ctx, items)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) describeProfiles(ctx context.Context, items []*profile) ([]api.InstanceProfile, error) {
	out := []api.InstanceProfile{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		out = out[:0]
		for _, p := range items {
			o, err := p.api(tx, auth.From(ctx).Scope.Account)
			if err != nil {
				return err
			}
			o.Tags = nil
			out = append(out, o)
		}
		return nil
	})
	return out, err
}

// ListInstanceProfilesForRole lists the profiles that hold a role.
func (s *Service) ListInstanceProfilesForRole(ctx context.Context, in *api.ListInstanceProfilesForRoleInput) (*api.ListInstanceProfilesForRoleOutput, error) {
	account := auth.From(ctx).Scope.Account
	byName := map[string]*profile{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		clear(byName)
		if _, err := roles.find(tx, account, in.RoleName); err != nil {
			return err
		}
		for e, err := range profiles.ByIndex(tx, "role", nounKey(account, in.RoleName)) {
			if err != nil {
				return err
			}
			byName[e.Value.Name] = e.Value
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	page, next := pageOf(sortedNames(byName), in.Marker, in.MaxItems)
	items := make([]*profile, len(page))
	for i, n := range page {
		items[i] = byName[n]
	}
	out := &api.ListInstanceProfilesForRoleOutput{Marker: next, IsTruncated: new(next != "")}
	if out.InstanceProfiles, err = s.describeProfiles(ctx, items); err != nil {
		return nil, err
	}
	return out, nil
}

// AddRoleToInstanceProfile puts the one role into a profile.
func (s *Service) AddRoleToInstanceProfile(ctx context.Context, in *api.AddRoleToInstanceProfileInput) (*api.AddRoleToInstanceProfileOutput, error) {
	call := auth.From(ctx)
	return &api.AddRoleToInstanceProfileOutput{}, edit(ctx, s, profiles, in.InstanceProfileName, func(tx store.Tx, p *profile) error {
		r, err := roles.find(tx, call.Scope.Account, in.RoleName)
		if err != nil {
			return err
		}
		if p.Role == r.Name && call.Token != "" {
			return nil
		}
		if p.Role != "" {
			return fault.New(fault.LimitExceeded, "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
		}
		p.Role = r.Name
		return nil
	})
}

// RemoveRoleFromInstanceProfile takes the role out of a profile.
func (s *Service) RemoveRoleFromInstanceProfile(ctx context.Context, in *api.RemoveRoleFromInstanceProfileInput) (*api.RemoveRoleFromInstanceProfileOutput, error) {
	return &api.RemoveRoleFromInstanceProfileOutput{}, edit(ctx, s, profiles, in.InstanceProfileName, func(_ store.Tx, p *profile) error {
		if p.Role != in.RoleName {
			return fault.New(fault.NoSuchEntity, roles.missing, in.RoleName)
		}
		p.Role = ""
		return nil
	})
}

// DeleteInstanceProfile removes a profile that holds no role.
func (s *Service) DeleteInstanceProfile(ctx context.Context, in *api.DeleteInstanceProfileInput) (*api.DeleteInstanceProfileOutput, error) {
	return &api.DeleteInstanceProfileOutput{}, remove(ctx, s, profiles, in.InstanceProfileName, func(_ store.Tx, p *profile) error {
		if p.Role != "" {
			return fault.New(fault.DeleteConflict, "Cannot delete entity, must remove roles from instance profile first.")
		}
		return nil
	})
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
