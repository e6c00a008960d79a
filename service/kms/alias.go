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
	Token   string `json:",omitempty"` // of the durable step that made it
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
	call, now := auth.From(ctx), s.cfg.Now().UTC()
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		k, err := s.target(ctx, tx, in.TargetKeyId, "CreateAlias")
		if err != nil {
			return err
		}
		path := call.Scope.Key() + "/" + in.AliasName
		if old, err := s.aliases.Get(tx, path); err == nil && old.KeyID == k.ID && call.Token != "" && old.Token == call.Token {
			return nil
		}
		err = s.aliases.Insert(tx, path, &alias{Name: in.AliasName, KeyID: k.ID, Created: now, Updated: now, Token: call.Token})
		if errors.Is(err, store.ErrExists) {
			return fault.New(fault.AlreadyExistsException, "An alias with the name %s already exists", call.Scope.ARN("kms", in.AliasName))
		}
		return err
	})
	return either(&kms.CreateAliasOutput{}, err)
}

// target finds the key that an alias is to name: by its id or ARN alone, and of
// the caller's account.
func (s *Service) target(ctx context.Context, tx store.Tx, name, operation string) (*key, error) {
	if strings.Contains(name, aliasPrefix) {
		return nil, fault.New(fault.ValidationException, "Aliases must refer to keys. Not aliases")
	}
	k, err := s.find(ctx, tx, name, request{operation: operation})
	if err != nil {
		return nil, err
	}
	if k.Service != "" {
		return nil, k.refuse(ctx, operation, "is an AWS managed key, which has its own alias alone")
	}
	return k, k.alive()
}

// UpdateAlias lets an alias name another key of the same spec and usage.
func (s *Service) UpdateAlias(ctx context.Context, in *kms.UpdateAliasInput) (*kms.UpdateAliasOutput, error) {
	if err := checkAlias(in.AliasName); err != nil {
		return nil, err
	}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		k, err := s.target(ctx, tx, in.TargetKeyId, "UpdateAlias")
		if err != nil {
			return err
		}
		a, old, err := s.named(ctx, tx, in.AliasName, "UpdateAlias")
		if err != nil {
			return err
		}
		if old.Usage != k.Usage || old.symmetric() != k.symmetric() {
			return fault.New(fault.ValidationException, "Alias %s cannot be changed from a key of usage %s to one of usage %s: both keys must be of the same type.",
				in.AliasName, old.Usage, k.Usage)
		}
		a.KeyID, a.Updated = k.ID, s.cfg.Now().UTC()
		return s.aliases.Put(tx, auth.From(ctx).Scope.Key()+"/"+a.Name, a)
	})
	return either(&kms.UpdateAliasOutput{}, err)
}

// DeleteAlias removes a name; the key stays.
func (s *Service) DeleteAlias(ctx context.Context, in *kms.DeleteAliasInput) (*kms.DeleteAliasOutput, error) {
	if err := checkAlias(in.AliasName); err != nil {
		return nil, err
	}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		a, _, err := s.named(ctx, tx, in.AliasName, "DeleteAlias")
		if err != nil {
			return err
		}
		return s.aliases.Delete(tx, auth.From(ctx).Scope.Key()+"/"+a.Name)
	})
	return either(&kms.DeleteAliasOutput{}, err)
}

// named finds an alias and its key, whose policy decides about the alias too.
func (s *Service) named(ctx context.Context, tx store.Tx, name, operation string) (*alias, *key, error) {
	a, err := s.alias(ctx, tx, name)
	if err != nil {
		return nil, nil, err
	}
	k, err := s.load(tx, auth.From(ctx).Scope.Key()+"/"+a.KeyID)
	if err != nil {
		return nil, nil, err
	}
	return a, k, s.permit(ctx, tx, k, name, request{operation: operation})
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
	var out *kms.ListAliasesOutput
	limit, marker := page(in.Limit, in.Marker)
	scope := auth.From(ctx).Scope
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		out = &kms.ListAliasesOutput{Aliases: []kms.AliasListEntry{}}
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
		out.NextMarker, out.Truncated = next, new(next != "")
		return pageError(err)
	})
	return either(out, err)
}
