package sqs

import (
	"context"
	"errors"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

var _ auth.ResourceTags = (*Service)(nil)

// ResourceTags are a queue's tags.
func (s *Service) ResourceTags(ctx context.Context, resource string) (tags map[string]string, err error) {
	a, err := arn.Parse(resource)
	if err != nil {
		return nil, nil
	}
	err = s.store.View(ctx, func(tx store.Tx) error {
		tags = nil
		q, err := queues.Get(tx, place{arn.Scope{Account: a.Account, Region: a.Region}, a.Resource}.key())
		if err == nil {
			tags = q.Tags
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return tags, err
}
