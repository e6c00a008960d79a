package s3

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/store"
)

var _ auth.ResourcePolicies = (*Service)(nil)

// parsedPolicies keeps the buckets' policies as they are decided by.
var parsedPolicies policy.Cache

// ResourcePolicy is a bucket's policy, by which its own account's principals may be
// allowed without a policy of theirs. What it denies, and whom of other accounts
// it or an access control list lets in, permit decides.
func (s *Service) ResourcePolicy(ctx context.Context, resource string) (auth.ResourcePolicy, error) {
	name, ok := strings.CutPrefix(resource, "arn:aws:s3:::")
	if !ok {
		return auth.ResourcePolicy{}, nil
	}
	name, _, _ = strings.Cut(name, "/")
	out, err := s.policies.Get(name, func() (auth.ResourcePolicy, error) { return s.policyOf(ctx, name) })
	if errors.Is(err, store.ErrNotFound) {
		return auth.ResourcePolicy{}, nil
	}
	return out, err
}

// policyOf reads whose a bucket is, and its policy.
func (s *Service) policyOf(ctx context.Context, bucket string) (auth.ResourcePolicy, error) {
	out := auth.ResourcePolicy{Decides: true}
	text := ""
	err := s.store.View(ctx, func(tx store.Tx) error {
		b, err := sharedBucket(tx, bucket)
		if err == nil {
			out.Owner, text = b.Account, b.Policy
		}
		return err
	})
	if err == nil && text != "" {
		out.Document, err = parsedPolicies.Parse(text, policy.Resource)
	}
	return out, err
}
