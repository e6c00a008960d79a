package iam

import (
	"context"
	"errors"
	"regexp"
	"strings"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// alias is the name of an account: unique among all accounts, and one for each.
type alias struct{ Account string }

var aliases = store.NewCollection("iam/alias", store.Index[alias]{Name: "account", Keys: func(_ string, a *alias) []string {
	return []string{a.Account}
}})

var (
	aliasForm  = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])+$`)
	digitsOnly = regexp.MustCompile(`^[0-9]{12}$`)
)

func aliasesOf(tx store.Tx, account string) ([]string, error) {
	out := []string{}
	for e, err := range aliases.ByIndex(tx, "account", account) {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Key)
	}
	return out, nil
}

// CreateAccountAlias names the account; the name before, if it had one, is free.
func (s *Service) CreateAccountAlias(ctx context.Context, in *api.CreateAccountAliasInput) (*api.CreateAccountAliasOutput, error) {
	name := in.AccountAlias
	if !aliasForm.MatchString(name) || len(name) < 3 || len(name) > 63 || digitsOnly.MatchString(name) {
		return nil, fault.New(fault.ValidationError, "1 validation error detected: Value '%s' at 'accountAlias' failed to satisfy constraint: "+
			"Member must satisfy regular expression pattern: ^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$", name)
	}
	account := auth.From(ctx).Scope.Account
	return &api.CreateAccountAliasOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		switch _, err := aliases.Get(tx, name); {
		case err == nil:
			return fault.New(fault.EntityAlreadyExists, "The account alias %s already exists.", name)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		have, err := aliasesOf(tx, account)
		if err != nil {
			return err
		}
		for _, old := range have {
			if err := aliases.Delete(tx, old); err != nil {
				return err
			}
		}
		return aliases.Put(tx, name, &alias{account})
	})
}

// DeleteAccountAlias takes the account's name away.
func (s *Service) DeleteAccountAlias(ctx context.Context, in *api.DeleteAccountAliasInput) (*api.DeleteAccountAliasOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.DeleteAccountAliasOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		a, err := aliases.Get(tx, strings.ToLower(in.AccountAlias))
		if errors.Is(err, store.ErrNotFound) || err == nil && a.Account != account {
			return fault.New(fault.NoSuchEntity, "The account alias %s cannot be found.", in.AccountAlias)
		}
		if err != nil {
			return err
		}
		return aliases.Delete(tx, strings.ToLower(in.AccountAlias))
	})
}

// ListAccountAliases tells the account's name.
func (s *Service) ListAccountAliases(ctx context.Context, in *api.ListAccountAliasesInput) (*api.ListAccountAliasesOutput, error) {
	var have []string
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		have, err = aliasesOf(tx, auth.From(ctx).Scope.Account)
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next := pageOf(have, in.Marker, in.MaxItems)
	return &api.ListAccountAliasesOutput{AccountAliases: page, Marker: next, IsTruncated: new(next != "")}, nil
}
