package cloudwatch

import (
	"context"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// TagResource puts tags on an alarm.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	err := s.retag(ctx, in.ResourceARN, func(have []api.Tag) ([]api.Tag, error) { return merge(ctx, have, in.Tags) })
	if err != nil {
		return nil, err
	}
	return &api.TagResourceOutput{}, nil
}

// UntagResource takes tags off an alarm.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	err := s.retag(ctx, in.ResourceARN, func(have []api.Tag) ([]api.Tag, error) {
		return slices.DeleteFunc(have, func(t api.Tag) bool { return slices.Contains(in.TagKeys, t.Key) }), nil
	})
	if err != nil {
		return nil, err
	}
	return &api.UntagResourceOutput{}, nil
}

func (s *Service) retag(ctx context.Context, resource string, fn func([]api.Tag) ([]api.Tag, error)) error {
	p, err := named(ctx, resource)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		a, err := find(tx, p)
		if err != nil {
			return err
		}
		if a == nil {
			return fault.New(fault.ResourceNotFoundException, "Unknown")
		}
		if a.Tags, err = fn(a.Tags); err != nil {
			return err
		}
		return alarms.Put(tx, p.key(), a)
	})
}

// ListTagsForResource lists an alarm's tags; one that is not there has none.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	p, err := named(ctx, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := &api.ListTagsForResourceOutput{}
	err = s.store.View(ctx, func(tx store.Tx) error {
		a, err := find(tx, p)
		if out.Tags = []api.Tag{}; a != nil {
			out.Tags = append(out.Tags, a.Tags...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var _ auth.ResourceTags = (*Service)(nil)

// ResourceTags are an alarm's tags.
func (s *Service) ResourceTags(ctx context.Context, resource string) (tags map[string]string, err error) {
	a, err := arn.Parse(resource)
	name, ok := strings.CutPrefix(a.Resource, "alarm:")
	if err != nil || !ok {
		return nil, nil
	}
	err = s.store.View(ctx, func(tx store.Tx) error {
		tags = nil
		found, err := find(tx, place{arn.Scope{Account: a.Account, Region: a.Region}, name})
		if err != nil || found == nil {
			return err
		}
		tags = map[string]string{}
		for _, t := range found.Tags {
			tags[t.Key] = t.Value
		}
		return nil
	})
	return tags, err
}
