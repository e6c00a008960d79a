package organizations

import (
	"context"
	"errors"
	"strings"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/store"
)

// The service answers package auth's questions.
var (
	_ auth.Organizations    = (*Service)(nil)
	_ auth.ResourcePolicies = (*Service)(nil)
	_ auth.ResourceTags     = (*Service)(nil)
)

// closed is what binds the principals of an account that was closed.
const closed = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`

// OrganizationOf tells where an account stands and which service control policies
// bind its principals, for each level from the root to the account. Those of the
// management account are bound by none ("SCP effects on permissions", AWS
// Organizations User Guide).
func (s *Service) OrganizationOf(ctx context.Context, account string) (auth.Membership, error) {
	var out auth.Membership
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		out = auth.Membership{}
		o, err := organizationOf(tx, account)
		if err != nil || o == nil {
			return err
		}
		a, err := accounts.Get(tx, o.ID+"/"+account)
		if err != nil {
			return err
		}
		path, err := pathOf(tx, o, a.Parent)
		if err != nil {
			return err
		}
		out.ID, out.Path = o.ID, pathText(o, path)
		if account == o.Management {
			return nil
		}
		if a.State != api.AccountStateActive {
			doc, err := s.docs.Parse(closed, policy.Identity)
			out.Control = append(out.Control, []*policy.Document{doc})
			return err
		}
		if !o.enabled(api.PolicyTypeServiceControlPolicy) {
			return nil
		}
		for _, target := range append(path, account) {
			level, err := s.level(tx, o, target)
			if err != nil {
				return err
			}
			out.Control = append(out.Control, level)
		}
		return nil
	})
	return out, err
}

// level are the documents of the policies that are attached to one target.
func (s *Service) level(tx store.Tx, o *organization, target string) ([]*policy.Document, error) {
	names, err := attached(tx, o, target)
	if err != nil {
		return nil, err
	}
	out := []*policy.Document{}
	for _, name := range names {
		p, err := policyOf(tx, o, name)
		if err != nil {
			return nil, err
		}
		doc, err := s.docs.Parse(p.Content, policy.Identity)
		if err != nil {
			return nil, err
		}
		out = append(out, doc)
	}
	return out, nil
}

// ResourcePolicy tells the whole ARN of what a call named by its id alone. There are
// no policies on resources here; which accounts of the organization reach what is the
// management account's, each operation decides.
func (s *Service) ResourcePolicy(ctx context.Context, resource string) (out auth.ResourcePolicy, err error) {
	err = s.named(ctx, resource, func(_ store.Tx, o *organization, kind, id string) error {
		if o != nil {
			out.ARN, out.Owner, out.Decides = o.arnOf(kind, id), o.Management, true
		}
		return nil
	})
	return out, err
}

// ResourceTags are the tags of a root, unit, account or policy.
func (s *Service) ResourceTags(ctx context.Context, resource string) (out map[string]string, err error) {
	err = s.named(ctx, resource, func(tx store.Tx, o *organization, _, id string) (err error) {
		if o == nil {
			return nil
		}
		if out, err = tagsOf(tx, o, id[strings.LastIndexByte(id, '/')+1:]); errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return err
	})
	return out, err
}

// named takes apart the ARN of a resource, with the organization's id or without.
func (s *Service) named(ctx context.Context, resource string, fn func(tx store.Tx, o *organization, kind, id string) error) error {
	a, err := arn.Parse(resource)
	if err != nil || !arn.IsAccount(a.Account) {
		return nil
	}
	return s.cfg.Store.View(ctx, func(tx store.Tx) error {
		o, err := organizationOf(tx, a.Account)
		if err != nil {
			return err
		}
		kind, id, _ := strings.Cut(a.Resource, "/")
		if o != nil {
			id = strings.TrimPrefix(strings.TrimPrefix(id, o.ID), "/")
		}
		return fn(tx, o, kind, id)
	})
}
