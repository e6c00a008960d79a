package iam

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

var (
	_ auth.ResourceTags = (*Service)(nil)
	_ auth.Boundaries   = (*Service)(nil)
)

// ResourceTags are the tags of a user, role, instance profile, policy, provider,
// device or certificate, by its ARN. Groups have none.
func (s *Service) ResourceTags(ctx context.Context, resource string) (map[string]string, error) {
	account, kind, name, ok := entityOf(resource)
	if !ok {
		return nil, nil
	}
	var tags []api.Tag
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		switch kind {
		case "user":
			tags, err = taggedBy(tx, users, account, name, userTags)
		case "role":
			tags, err = taggedBy(tx, roles, account, name, roleTags)
		case "instance-profile":
			tags, err = taggedBy(tx, profiles, account, name, profileTags)
		case "server-certificate":
			tags, err = taggedBy(tx, serverCerts, account, name, certTags)
		case "mfa":
			tags, err = taggedBy(tx, mfaDevices, account, name, mfaTags)
		case "policy":
			var p known
			if p, err = s.anyPolicy(tx, account, resource); err == nil && p.managed != nil {
				tags = p.Tags
			}
		case "oidc-provider":
			var p *oidcProvider
			if p, err = findOIDC(tx, account, resource); err == nil {
				tags = p.Tags
			}
		}
		return err
	})
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[t.Key] = t.Value
	}
	return out, unlessMissing(err)
}

func taggedBy[T any](tx store.Tx, n noun[T], account, name string, of func(*T) *[]api.Tag) ([]api.Tag, error) {
	v, err := n.find(tx, account, name)
	if err != nil {
		return nil, err
	}
	return *of(v), nil
}

// BoundaryOf is the permissions boundary of a user or role, by its ARN.
func (s *Service) BoundaryOf(ctx context.Context, resource string) (limit string, err error) {
	account, kind, name, _ := entityOf(resource)
	err = s.store.View(ctx, func(tx store.Tx) error {
		limit = ""
		switch kind {
		case "user":
			u, err := users.find(tx, account, name)
			if err == nil {
				limit = u.Boundary
			}
			return err
		case "role":
			r, err := roles.find(tx, account, name)
			if err == nil {
				limit = r.Boundary
			}
			return err
		}
		return nil
	})
	return limit, unlessMissing(err)
}

// entityOf takes an ARN apart; the name is without its path.
func entityOf(resource string) (account, kind, name string, ok bool) {
	a, err := arn.Parse(resource)
	if err != nil || a.Service != "iam" {
		return "", "", "", false
	}
	kind, path, ok := strings.Cut(a.Resource, "/")
	return a.Account, kind, path[strings.LastIndexByte(path, '/')+1:], ok
}

func unlessMissing(err error) error {
	if fault.Is(err, fault.NoSuchEntity) {
		return nil
	}
	return err
}
