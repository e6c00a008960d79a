package iam

import (
	"context"
	"errors"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// credentials is a kind of what a user may have several of: SSH keys, signing
// certificates, service passwords. They are keyed "account/user id/id", so that
// they stay the user's under another name.
type credentials[T any] struct {
	*store.Collection[T]
	missing string // message with the id
	quota   string // "SSHPublicKeysPerUser"
	limit   int
	busy    string // of the message that refuses to delete the user
}

func (c credentials[T]) of(tx store.Tx, account string, u *user) ([]*T, error) {
	out := []*T{}
	for e, err := range c.Scan(tx, userKey(account, u)+"/") {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value)
	}
	return out, nil
}

func (c credentials[T]) find(tx store.Tx, account string, u *user, id string) (*T, error) {
	v, err := c.Get(tx, userKey(account, u)+"/"+id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NoSuchEntity, c.missing, id)
	}
	return v, err
}

func (c credentials[T]) mayGo(tx store.Tx, account string, u *user) error {
	have, err := c.of(tx, account, u)
	if err == nil && len(have) > 0 {
		err = fault.New(fault.DeleteConflict, "Cannot delete entity, must delete %s first.", c.busy)
	}
	return err
}

// inUser runs fn on a user in a transaction that writes.
func inUser(ctx context.Context, s *Service, name string, fn func(tx store.Tx, account string, u *user) error) error {
	account := auth.From(ctx).Scope.Account
	return s.store.Update(ctx, func(tx store.Tx) error {
		u, err := users.find(tx, account, name)
		if err != nil {
			return err
		}
		return fn(tx, account, u)
	})
}

// addCredential keeps one more, unless same says that one of those that are
// there is it.
func addCredential[T any](ctx context.Context, s *Service, c credentials[T], name, id string, v *T, same func(have *T) error) error {
	return inUser(ctx, s, name, func(tx store.Tx, account string, u *user) error {
		have, err := c.of(tx, account, u)
		if err != nil {
			return err
		}
		for _, h := range have {
			if err := same(h); err != nil {
				return err
			}
		}
		if len(have) >= c.limit {
			return overQuota(c.quota, c.limit)
		}
		return c.Put(tx, userKey(account, u)+"/"+id, v)
	})
}

// editCredential changes one.
func editCredential[T any](ctx context.Context, s *Service, c credentials[T], name, id string, fn func(v *T) error) error {
	return inUser(ctx, s, name, func(tx store.Tx, account string, u *user) error {
		v, err := c.find(tx, account, u, id)
		if err != nil {
			return err
		}
		if err := fn(v); err != nil {
			return err
		}
		return c.Put(tx, userKey(account, u)+"/"+id, v)
	})
}

func removeCredential[T any](ctx context.Context, s *Service, c credentials[T], name, id string) error {
	return inUser(ctx, s, name, func(tx store.Tx, account string, u *user) error {
		if _, err := c.find(tx, account, u, id); err != nil {
			return err
		}
		return c.Delete(tx, userKey(account, u)+"/"+id)
	})
}

// listCredentials pages through a user's, by the ids that id tells.
func listCredentials[T any](ctx context.Context, s *Service, c credentials[T], name, marker string, max *int32, id func(*T) string) (page []*T, next string, err error) {
	byID := map[string]*T{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		clear(byID)
		account := auth.From(ctx).Scope.Account
		u, err := users.find(tx, account, name)
		if err != nil {
			return err
		}
		have, err := c.of(tx, account, u)
		for _, v := range have {
			byID[id(v)] = v
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	ids, next := pageOf(sortedNames(byID), marker, max)
	for _, i := range ids {
		page = append(page, byID[i])
	}
	return page, next, nil
}

// checkStatus refuses what a status cannot be.
func checkStatus(status string) error {
	if status != "Active" && status != "Inactive" {
		return fault.New(fault.ValidationError, "The status of a credential is Active or Inactive, not %s.", status)
	}
	return nil
}
