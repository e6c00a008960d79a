package lambda

import (
	"context"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/store"
)

var (
	_ auth.ResourcePolicies = (*Service)(nil)
	_ auth.ResourceTags     = (*Service)(nil)
	_ auth.ResourceKeys     = (*Service)(nil)
)

// functionAt reads the ARN of a function, with a qualifier or without.
func functionAt(resource string) (p place, qualifier string, ok bool) {
	a, err := arn.Parse(resource)
	rest, is := strings.CutPrefix(a.Resource, "function:")
	if err != nil || !is || a.Service != "lambda" {
		return p, "", false
	}
	name, qualifier, _ := strings.Cut(rest, ":")
	return place{arn.Scope{Account: a.Account, Region: a.Region}, name}, qualifier, true
}

// ResourcePolicy is the policy of a function, of a version or of an alias, whichever
// was named, or of a layer's version.
func (s *Service) ResourcePolicy(ctx context.Context, resource string) (out auth.ResourcePolicy, err error) {
	p, qualifier, ok := functionAt(resource)
	if !ok {
		return s.layerPolicy(ctx, resource)
	}
	out.Owner = p.Account
	var has *permission
	err = s.store.View(ctx, func(tx store.Tx) error {
		f, err := getFunction(tx, p)
		if err == nil && f != nil {
			has = f.Policies[qualifier]
		}
		return err
	})
	if err == nil && has != nil {
		out.Document, err = s.policies.Parse(has.document(), policy.Resource)
	}
	return out, err
}

// ResourceTags are the tags of a function, which its versions share, or of an event
// source mapping.
func (s *Service) ResourceTags(ctx context.Context, resource string) (tags map[string]string, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		t, err := tagged(tx, resource)
		if err == nil && t != nil {
			tags = t.tags
		}
		return err
	})
	return tags, err
}

// ResourceKeys are the condition keys that the record of an event source mapping
// tells.
func (s *Service) ResourceKeys(ctx context.Context, resource string) (keys map[string][]string, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		f, err := mappedFunction(tx, resource)
		if err == nil && f != "" {
			keys = map[string][]string{"functionarn": {f}}
		}
		return err
	})
	return keys, err
}
