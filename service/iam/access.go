package iam

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// The service answers package auth's questions.
var (
	_ auth.Keys     = (*Service)(nil)
	_ auth.Policies = (*Service)(nil)
)

// Key finds an active access key of a user.
func (s *Service) Key(ctx context.Context, accessKeyID string) (auth.Key, error) {
	var k *accessKey
	var u *user
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		if k, err = accessKeys.Get(tx, accessKeyID); err != nil {
			return err
		}
		u, err = users.find(tx, k.Account, k.User)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || fault.Is(err, fault.NoSuchEntity) || err == nil && k.Status != "Active" {
		return auth.Key{}, auth.ErrNoKey
	}
	if err != nil {
		return auth.Key{}, err
	}
	secret, err := s.ring.Open(keyPurpose(k.ID), k.Secret)
	if err != nil {
		return auth.Key{}, err
	}
	return auth.Key{Secret: string(secret), Principal: auth.Principal{
		Kind: auth.User, Account: k.Account, ARN: u.arn(k.Account), UserID: u.ID, Name: u.Name,
	}}, nil
}

// PoliciesOf gathers the documents of a user (and its groups) or a role.
func (s *Service) PoliciesOf(ctx context.Context, p auth.Principal) (identity []*policy.Document, boundary *policy.Document, err error) {
	var texts []string
	var limit string
	err = s.store.View(ctx, func(tx store.Tx) error {
		texts, limit = nil, ""
		held, bound, err := s.grantsOf(tx, p)
		if err != nil {
			return err
		}
		if len(held) == 0 {
			return auth.ErrGone
		}
		for _, g := range held {
			for _, text := range g.Inline {
				texts = append(texts, text)
			}
			for _, a := range g.Attached {
				text, err := s.inForce(tx, p.Account, a)
				if err != nil {
					return err
				}
				texts = append(texts, text)
			}
		}
		if p.Kind == auth.User {
			password, err := passwordPolicyOf(tx, p.Account)
			if err != nil {
				return err
			}
			if password != nil && password.UsersMayChange {
				texts = append(texts, ownPassword)
			}
		}
		if bound != "" {
			if limit, err = s.inForce(tx, p.Account, bound); err == nil && limit == "" {
				limit = nothing // a boundary that is not known lets nothing through
			}
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for _, text := range texts {
		if text == "" {
			continue // of an AWS-managed policy that is not known: it grants nothing
		}
		d, err := s.docs.Parse(text, policy.Identity)
		if err != nil {
			return nil, nil, err
		}
		identity = append(identity, d)
	}
	if limit != "" {
		boundary, err = s.docs.Parse(limit, policy.Identity)
	}
	return identity, boundary, err
}

// ownPassword is what the account's password policy grants by "Allow users to
// change their own password".
const ownPassword = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:GetAccountPasswordPolicy","Resource":"*"},` +
	`{"Effect":"Allow","Action":"iam:ChangePassword","Resource":"arn:aws:iam::*:user/${aws:username}"}]}`

// nothing is a policy that allows nothing.
const nothing = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`

// grantsOf finds what a principal holds. One that is gone, or that was made anew
// under the same name since, holds nothing.
func (s *Service) grantsOf(tx store.Tx, p auth.Principal) ([]*grants, string, error) {
	gone := func(err error) error {
		if fault.Is(err, fault.NoSuchEntity) {
			return nil
		}
		return err
	}
	id, _, _ := strings.Cut(p.UserID, ":")
	switch p.Kind {
	case auth.AssumedRole:
		r, err := roles.find(tx, p.Account, p.Name)
		if err != nil || r.ID != id {
			return nil, "", gone(err)
		}
		return []*grants{&r.grants}, r.Boundary, nil
	case auth.User:
		u, err := users.find(tx, p.Account, p.Name)
		if err != nil || u.ID != id {
			return nil, "", gone(err)
		}
		out := []*grants{&u.grants}
		for _, n := range u.Groups {
			g, err := groups.find(tx, p.Account, n)
			if err != nil {
				return nil, "", err
			}
			out = append(out, &g.grants)
		}
		return out, u.Boundary, nil
	}
	return nil, "", nil
}

// inForce is the text of a managed policy's default version.
func (s *Service) inForce(tx store.Tx, account, policyARN string) (string, error) {
	p, err := s.anyPolicy(tx, account, policyARN)
	if err != nil {
		return "", err
	}
	if v := p.version(p.Default); v != nil {
		return v.Document, nil
	}
	return "", nil
}

// FullARN puts the path of a role, user, group or profile into its ARN.
func (s *Service) FullARN(ctx context.Context, name string) (string, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" {
		return name, nil
	}
	kind, entity, ok := strings.Cut(a.Resource, "/")
	if !ok || strings.Contains(entity, "/") {
		return name, nil
	}
	path := "/"
	err = s.store.View(ctx, func(tx store.Tx) error {
		switch kind {
		case "role":
			return pathOf(tx, roles, a.Account, entity, func(r *role) string { return r.Path }, &path)
		case "user":
			return pathOf(tx, users, a.Account, entity, func(u *user) string { return u.Path }, &path)
		case "group":
			return pathOf(tx, groups, a.Account, entity, func(g *group) string { return g.Path }, &path)
		case "mfa":
			return pathOf(tx, mfaDevices, a.Account, entity, func(d *mfaDevice) string { return d.Path }, &path)
		case "instance-profile":
			return pathOf(tx, profiles, a.Account, entity, func(p *profile) string { return p.Path }, &path)
		}
		return nil
	})
	a.Resource = kind + path + entity
	return a.String(), err
}

func pathOf[T any](tx store.Tx, n noun[T], account, name string, path func(*T) string, out *string) error {
	v, err := n.find(tx, account, name)
	if fault.Is(err, fault.NoSuchEntity) {
		return nil
	}
	if err == nil {
		*out = path(v)
	}
	return err
}
