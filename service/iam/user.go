package iam

import (
	"context"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// user is a stored user.
type user struct {
	Name     string
	Path     string
	ID       string
	Created  time.Time
	Boundary string    `json:",omitempty"`
	Groups   []string  `json:",omitempty"` // names in order
	Tags     []api.Tag `json:",omitempty"`
	Token    string    `json:",omitempty"`
	grants
}

var users = noun[user]{
	store.NewCollection("iam/user",
		store.Index[user]{Name: "policy", Keys: func(key string, u *user) []string { return u.policyKeys(key, u.Boundary) }},
		store.Index[user]{Name: "group", Keys: func(key string, u *user) []string { return groupKeys(key, u.Groups) }}),
	"User", "The user with name %s cannot be found.", "userName", 64,
	func(u *user) string { return u.Name }, "UsersPerAccount", 5000,
}

func (u *user) arn(account string) string { return globalARN(account, "user"+u.Path+u.Name) }

func (u *user) api(account string) *api.User {
	return &api.User{
		Path: u.Path, UserName: u.Name, UserId: u.ID, Arn: u.arn(account), CreateDate: &u.Created,
		PermissionsBoundary: boundaryOf(u.Boundary), Tags: u.Tags,
	}
}

// userName is the user that an operation is about: the one it names, or the
// caller.
func userName(ctx context.Context, operation, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	p := auth.From(ctx).Principal
	if p.Kind == auth.User {
		return p.Name, nil
	}
	if p.Kind == auth.Root {
		return "", fault.New(fault.NotImplemented, "%s without UserName is not built for the root user.", operation)
	}
	return "", fault.New(fault.ValidationError, "Must specify userName when calling with non-User credentials")
}

// CreateUser makes a user.
func (s *Service) CreateUser(ctx context.Context, in *api.CreateUserInput) (*api.CreateUserOutput, error) {
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	tags, err := merge(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	if err := s.checkBoundary(ctx, in.PermissionsBoundary); err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	u := &user{
		Name: in.UserName, Path: path, ID: auth.UniqueID("AIDA", 17), Created: s.now().UTC().Truncate(time.Second),
		Boundary: in.PermissionsBoundary, Tags: tags, Token: call.Token,
	}
	u, err = create(ctx, s, users, in.UserName, u, func(u *user) string { return u.Token })
	if err != nil {
		return nil, err
	}
	return &api.CreateUserOutput{User: u.api(call.Scope.Account)}, nil
}

// GetUser describes a user, by default the caller.
func (s *Service) GetUser(ctx context.Context, in *api.GetUserInput) (*api.GetUserOutput, error) {
	name, err := userName(ctx, "GetUser", in.UserName)
	if err != nil {
		return nil, err
	}
	u, err := read(ctx, s, users, name)
	if err != nil {
		return nil, err
	}
	return &api.GetUserOutput{User: u.api(auth.From(ctx).Scope.Account)}, nil
}

// ListUsers lists the account's users.
func (s *Service) ListUsers(ctx context.Context, in *api.ListUsersInput) (*api.ListUsersOutput, error) {
	items, next, err := list(ctx, s, users, in.Marker, in.MaxItems, func(u *user) bool { return underPath(in.PathPrefix, u.Path) })
	if err != nil {
		return nil, err
	}
	out := &api.ListUsersOutput{Users: []api.User{}, Marker: next, IsTruncated: new(next != "")}
	for _, u := range items {
		o := u.api(auth.From(ctx).Scope.Account)
		o.Tags, o.PermissionsBoundary = nil, nil
		out.Users = append(out.Users, *o)
	}
	return out, nil
}

// PutUserPermissionsBoundary sets the boundary.
func (s *Service) PutUserPermissionsBoundary(ctx context.Context, in *api.PutUserPermissionsBoundaryInput) (*api.PutUserPermissionsBoundaryOutput, error) {
	if err := s.checkBoundary(ctx, in.PermissionsBoundary); err != nil {
		return nil, err
	}
	return &api.PutUserPermissionsBoundaryOutput{}, edit(ctx, s, users, in.UserName, func(_ store.Tx, u *user) error {
		u.Boundary = in.PermissionsBoundary
		return nil
	})
}

// DeleteUserPermissionsBoundary takes the boundary away.
func (s *Service) DeleteUserPermissionsBoundary(ctx context.Context, in *api.DeleteUserPermissionsBoundaryInput) (*api.DeleteUserPermissionsBoundaryOutput, error) {
	return &api.DeleteUserPermissionsBoundaryOutput{}, edit(ctx, s, users, in.UserName, func(_ store.Tx, u *user) error {
		if u.Boundary == "" {
			return fault.New(fault.NoSuchEntity, "User %s does not have a permissions boundary.", u.Name)
		}
		u.Boundary = ""
		return nil
	})
}

// DeleteUser removes a user that nothing is left of.
func (s *Service) DeleteUser(ctx context.Context, in *api.DeleteUserInput) (*api.DeleteUserOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.DeleteUserOutput{}, remove(ctx, s, users, in.UserName, func(tx store.Tx, u *user) error {
		for _, err := range accessKeys.ByIndex(tx, "user", nounKey(account, u.Name)) {
			if err != nil {
				return err
			}
			return fault.New(fault.DeleteConflict, "Cannot delete entity, must delete access keys first.")
		}
		if len(u.Groups) > 0 {
			return fault.New(fault.DeleteConflict, "Cannot delete entity, must remove users from group first.")
		}
		switch _, err := loginOf(tx, account, u); {
		case err == nil:
			return fault.New(fault.DeleteConflict, "Cannot delete entity, must delete login profile first.")
		case !fault.Is(err, fault.NoSuchEntity):
			return err
		}
		for _, mayGo := range []func(store.Tx, string, *user) error{signingCerts.mayGo, sshKeys.mayGo, serviceCredentials.mayGo, keepsDevices} {
			if err := mayGo(tx, account, u); err != nil {
				return err
			}
		}
		return u.mayGo()
	})
}
