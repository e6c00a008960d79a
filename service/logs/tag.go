package logs

import (
	"context"
	"errors"
	"maps"
	"strings"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const maxTags = 50

// merge puts tags over others.
func merge(ctx context.Context, have, add map[string]string) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range add {
		switch {
		case k == "" || len(k) > 128*4 || len(v) > 256*4:
			return nil, invalid("A tag key has 1 to 128 characters, and a tag value at most 256.")
		// The engine's own aws: tags come from a durable step.
		case strings.HasPrefix(strings.ToLower(k), "aws:") && auth.From(ctx).Token == "":
			return nil, invalid("User-defined tag keys can't start with aws:.")
		}
		out[k] = v
	}
	own := 0
	for k := range out {
		if !strings.HasPrefix(strings.ToLower(k), "aws:") {
			own++
		}
	}
	if own > maxTags {
		return nil, fault.New(fault.TooManyTags, "The resource can have at most %d tags.", maxTags)
	}
	return out, nil
}

func (s *Service) tag(ctx context.Context, p place, tags map[string]string) error {
	return s.change(ctx, p, func(_ store.Tx, g *group) (err error) {
		g.Tags, err = merge(ctx, g.Tags, tags)
		return err
	})
}

func (s *Service) untag(ctx context.Context, p place, keys []string) error {
	return s.change(ctx, p, func(_ store.Tx, g *group) error {
		for _, k := range keys {
			delete(g.Tags, k)
		}
		return nil
	})
}

func (s *Service) tagsOf(ctx context.Context, p place) (tags map[string]string, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		g, err := find(tx, p)
		if err == nil {
			tags = g.Tags
		}
		return err
	})
	if tags == nil {
		tags = map[string]string{}
	}
	return tags, err
}

// TagResource puts tags on a group.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	p, err := fromARN(ctx, in.ResourceArn)
	if err == nil {
		err = s.tag(ctx, p, in.Tags)
	}
	if err != nil {
		return nil, err
	}
	return &api.TagResourceOutput{}, nil
}

// UntagResource takes tags off a group.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	p, err := fromARN(ctx, in.ResourceArn)
	if err == nil {
		err = s.untag(ctx, p, in.TagKeys)
	}
	if err != nil {
		return nil, err
	}
	return &api.UntagResourceOutput{}, nil
}

// ListTagsForResource lists the tags of a group.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	p, err := fromARN(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags, err := s.tagsOf(ctx, p)
	if err != nil {
		return nil, err
	}
	return &api.ListTagsForResourceOutput{Tags: tags}, nil
}

// TagLogGroup is the older TagResource.
func (s *Service) TagLogGroup(ctx context.Context, in *api.TagLogGroupInput) (*api.TagLogGroupOutput, error) {
	if err := s.tag(ctx, here(ctx, in.LogGroupName), in.Tags); err != nil {
		return nil, err
	}
	return &api.TagLogGroupOutput{}, nil
}

// UntagLogGroup is the older UntagResource.
func (s *Service) UntagLogGroup(ctx context.Context, in *api.UntagLogGroupInput) (*api.UntagLogGroupOutput, error) {
	if err := s.untag(ctx, here(ctx, in.LogGroupName), in.Tags); err != nil {
		return nil, err
	}
	return &api.UntagLogGroupOutput{}, nil
}

// ListTagsLogGroup is the older ListTagsForResource.
func (s *Service) ListTagsLogGroup(ctx context.Context, in *api.ListTagsLogGroupInput) (*api.ListTagsLogGroupOutput, error) {
	tags, err := s.tagsOf(ctx, here(ctx, in.LogGroupName))
	if err != nil {
		return nil, err
	}
	return &api.ListTagsLogGroupOutput{Tags: tags}, nil
}

var _ auth.ResourceTags = (*Service)(nil)

// ResourceTags are the tags of a group, also for its streams.
func (s *Service) ResourceTags(ctx context.Context, resource string) (tags map[string]string, err error) {
	a, err := arn.Parse(resource)
	if err != nil {
		return nil, nil
	}
	name, ok := strings.CutPrefix(a.Resource, "log-group:")
	if !ok {
		return nil, nil
	}
	name, _, _ = strings.Cut(name, ":")
	err = s.store.View(ctx, func(tx store.Tx) error {
		g, err := groups.Get(tx, place{arn.Scope{Account: a.Account, Region: a.Region}, name}.key())
		if tags = nil; err == nil {
			tags = g.Tags
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return tags, err
}
