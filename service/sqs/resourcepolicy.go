package sqs

import (
	"context"
	"errors"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/store"
)

var _ auth.ResourcePolicies = (*Service)(nil)

// parsedPolicies keeps the queues' policies as they are decided by.
var parsedPolicies policy.Cache

// ResourcePolicy is a queue's policy, by which its own account's principals may be
// allowed without a policy of theirs. What it denies, and whom of other accounts
// it lets in, permit decides.
func (s *Service) ResourcePolicy(ctx context.Context, resource string) (auth.ResourcePolicy, error) {
	a, err := arn.Parse(resource)
	if err != nil {
		return auth.ResourcePolicy{}, nil
	}
	out := auth.ResourcePolicy{Owner: a.Account, Decides: true}
	p := place{arn.Scope{Account: a.Account, Region: a.Region}, a.Resource}
	out.Document, err = s.policies.Get(p, func() (*policy.Document, error) { return s.policyOf(ctx, p) })
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return out, err
}

// policyOf reads the policy that a queue has, nil where it has none.
func (s *Service) policyOf(ctx context.Context, p place) (*policy.Document, error) {
	text := ""
	err := s.store.View(ctx, func(tx store.Tx) error {
		q, err := queues.Get(tx, p.key())
		if err == nil {
			text = q.Attributes.Policy
		}
		return err
	})
	if err != nil || text == "" {
		return nil, err
	}
	return parsedPolicies.Parse(text, policy.Resource)
}
