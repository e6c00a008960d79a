package kms

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const aliasPrefix = "alias/"

// alias is a name for a key.
type alias struct {
	Name    string // "alias/..."
	KeyID   string
	Created time.Time
	Updated time.Time
}

func checkAlias(name string) error {
	switch {
	case !strings.HasPrefix(name, aliasPrefix):
		return fault.New(fault.ValidationException, `Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`)
	case strings.HasPrefix(name, aliasPrefix+"aws/"):
		return fault.New(fault.NotAuthorized, "The alias %s is reserved: names under alias/aws/ are the services' own", name)
	}
	return nil
}

// CreateAlias names a key.
func (s *Service) CreateAlias(ctx context.Context, in *kms.CreateAliasInput) (*kms.CreateAliasOutput, error) {
	if err := checkAlias(in.AliasName); err != nil {
		return nil, err
	}
	scope, now := auth.From(ctx).Scope, s.cfg.Now().UTC()
	return &kms.CreateAliasOutput{}, s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		k, err := s.target(ctx, tx, in.TargetKeyId)
		if err != nil {
			return err
		}
		path := scope.Key() + "/" + in.AliasName
		if old, err := s.aliases.Get(tx, path); err == nil && old.KeyID == k.ID && auth.From(ctx).Token != "" {
			return nil
		}
		err = s.aliases.Insert(tx, path, &alias{Name: in.AliasName, KeyID: k.ID, Created: now, Updated: now})
		if errors.Is(err, store.ErrExists) {
			return fault.New(fault.AlreadyExistsException, "An alias with the name %s already exists", scope.ARN("kms", in.AliasName))
		}
		return err
	})
}

// target finds the key that an alias is to name: by its id or ARN alone.
func (s *Service) target(ctx context.Context, tx store.Tx, name string) (*key, error) {
	if strings.Contains(name, aliasPrefix) {
		return nil, fault.New(fault.ValidationException, "Aliases must refer to keys. Not aliases")
	}
	k, err := s.resolve(ctx, tx, name)
	if err == nil && k.Deletion != nil {
		err = k.usable(s.cfg.Now())
	}
	return k, err
}

// UpdateAlias lets an alias name another key.
func (s *Service) UpdateAlias(ctx context.Context, in *kms.UpdateAliasInput) (*kms.UpdateAliasOutput, error) {
	if err := checkAlias(in.AliasName); err != nil {
		return nil, err
	}
	return &kms.UpdateAliasOutput{}, s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		k, err := s.target(ctx, tx, in.TargetKeyId)
		if err != nil {
			return err
		}
		a, err := s.alias(ctx, tx, in.AliasName)
		if err != nil {
			return err
		}
		a.KeyID, a.Updated = k.ID, s.cfg.Now().UTC()
		return s.aliases.Put(tx, auth.From(ctx).Scope.Key()+"/"+a.Name, a)
	})
}

// DeleteAlias removes a name; the key stays.
func (s *Service) DeleteAlias(ctx context.Context, in *kms.DeleteAliasInput) (*kms.DeleteAliasOutput, error) {
	if err := checkAlias(in.AliasName); err != nil {
		return nil, err
	}
	return &kms.DeleteAliasOutput{}, s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.alias(ctx, tx, in.AliasName)
		if err != nil {
			return err
		}
		return s.aliases.Delete(tx, auth.From(ctx).Scope.Key()+"/"+a.Name)
	})
}

func (s *Service) alias(ctx context.Context, tx store.Tx, name string) (*alias, error) {
	scope := auth.From(ctx).Scope
	a, err := s.aliases.Get(tx, scope.Key()+"/"+name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NotFoundException, "Alias %s is not found.", scope.ARN("kms", name))
	}
	return a, err
}

// ListAliases lists the names of the account and region, or of one key.
func (s *Service) ListAliases(ctx context.Context, in *kms.ListAliasesInput) (*kms.ListAliasesOutput, error) {
	out := &kms.ListAliasesOutput{Aliases: []kms.AliasListEntry{}}
	limit, marker := page(in.Limit, in.Marker)
	scope := auth.From(ctx).Scope
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		var keep func(*alias) bool
		if in.KeyId != "" {
			k, err := s.resolve(ctx, tx, in.KeyId)
			if err != nil {
				return err
			}
			keep = func(a *alias) bool { return a.KeyID == k.ID }
		}
		items, next, err := s.aliases.Page(tx, scope.Key()+"/", marker, limit, keep)
		for _, e := range items {
			a := e.Value
			out.Aliases = append(out.Aliases, kms.AliasListEntry{
				AliasName: a.Name, AliasArn: scope.ARN("kms", a.Name).String(), TargetKeyId: a.KeyID,
				CreationDate: &a.Created, LastUpdatedDate: &a.Updated,
			})
		}
		truncated := next != ""
		out.NextMarker, out.Truncated = next, &truncated
		return pageError(err)
	})
	return out, err
}
