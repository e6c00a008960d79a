package ec2

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// The service answers package auth's questions about its resources.
var (
	_ auth.ResourceTags     = (*Service)(nil)
	_ auth.ResourcePolicies = (*Service)(nil)
)

// ResourceTags are the tags that a resource has, by its ARN.
func (s *Service) ResourceTags(ctx context.Context, resource string) (map[string]string, error) {
	scope, kind, id, ok := named(ctx, resource)
	if !ok {
		return nil, nil
	}
	var tags tagMap
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		tags = nil
		if kind == "key-pair" && !strings.HasPrefix(id, prefixKey) {
			k, err := keyPairs.Get(tx, keyPairKey(scope, id))
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			id = k.ID
		}
		tags, err = tagsOf(tx, scope, id)
		return err
	})
	return tags, err
}

// ResourcePolicy tells the ARN, with the id, of a resource that a call names by its
// name. No resource of EC2 has a policy.
func (s *Service) ResourcePolicy(ctx context.Context, resource string) (out auth.ResourcePolicy, err error) {
	scope, kind, id, ok := named(ctx, resource)
	name, byName := strings.CutPrefix(id, "name=")
	if !ok || !byName {
		return out, nil
	}
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		found := ""
		switch kind {
		case "launch-template":
			t, err := templateByName(tx, scope, name)
			if err != nil {
				return err
			}
			found = t.ID
		case "security-group":
			g, err := s.groupByName(tx, scope, "", name)
			if err != nil {
				return err
			}
			found = g.ID
		}
		out.ARN = scope.ARN("ec2", kind+"/"+found).String()
		return nil
	})
	if _, known := fault.As(err); known {
		return auth.ResourcePolicy{ARN: scope.ARN("ec2", kind+"/*").String()}, nil // the operation tells
	}
	return out, err
}

// named takes an ARN apart. Images and snapshots name no account: they are looked
// for in the caller's.
func named(ctx context.Context, resource string) (scope arn.Scope, kind, id string, ok bool) {
	a, err := arn.Parse(resource)
	if err != nil || a.Service != "ec2" {
		return scope, "", "", false
	}
	kind, id, ok = strings.Cut(a.Resource, "/")
	scope = arn.Scope{Account: a.Account, Region: a.Region}
	if scope.Account == "" {
		scope.Account = auth.From(ctx).Scope.Account
	}
	return scope, kind, id, ok
}
