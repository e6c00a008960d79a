package iam

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// newPath checks the path that an entity gets; "" leaves it.
func newPath(path, old string) (string, error) {
	if path == "" {
		return old, nil
	}
	return checkPath(path)
}

// UpdateUser gives a user another name or path. Everything else stays: the id,
// the access keys, the policies, the groups.
func (s *Service) UpdateUser(ctx context.Context, in *api.UpdateUserInput) (*api.UpdateUserOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.UpdateUserOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		u, err := users.find(tx, account, in.UserName)
		if err != nil {
			return err
		}
		path, err := newPath(in.NewPath, u.Path)
		if err != nil {
			return err
		}
		keys, err := keysOf(tx, account, u.Name)
		if err != nil {
			return err
		}
		err = users.rename(tx, account, u, in.NewUserName, func() {
			u.Path = path
			if in.NewUserName != "" {
				u.Name = in.NewUserName
			}
		})
		if err != nil {
			return err
		}
		for _, k := range keys {
			k.User = u.Name
			if err := accessKeys.Put(tx, k.ID, k); err != nil {
				return err
			}
		}
		return nil
	})
}

// UpdateGroup gives a group another name or path. Its members and policies stay.
func (s *Service) UpdateGroup(ctx context.Context, in *api.UpdateGroupInput) (*api.UpdateGroupOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.UpdateGroupOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		g, err := groups.find(tx, account, in.GroupName)
		if err != nil {
			return err
		}
		path, err := newPath(in.NewPath, g.Path)
		if err != nil {
			return err
		}
		us, err := members(tx, account, g.Name)
		if err != nil {
			return err
		}
		old := g.Name
		err = groups.rename(tx, account, g, in.NewGroupName, func() {
			g.Path = path
			if in.NewGroupName != "" {
				g.Name = in.NewGroupName
			}
		})
		if err != nil || g.Name == old {
			return err
		}
		for _, u := range us {
			u.Groups = slices.DeleteFunc(u.Groups, func(n string) bool { return n == old })
			i, _ := slices.BinarySearch(u.Groups, g.Name)
			u.Groups = slices.Insert(u.Groups, i, g.Name)
			if err := users.Put(tx, nounKey(account, u.Name), u); err != nil {
				return err
			}
		}
		return nil
	})
}
