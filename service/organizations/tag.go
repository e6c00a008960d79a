package organizations

import (
	"context"
	"maps"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const maxTags = 50

// mergeTags puts tags over those that are there.
func mergeTags(ctx context.Context, have map[string]string, add []api.Tag) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	seen := map[string]bool{}
	for _, t := range add {
		switch {
		case seen[t.Key]:
			return nil, invalid("DUPLICATE_TAG_KEY", "Tag keys must be unique: %s is given twice.", t.Key)
		// The engine's own aws: tags come from a durable step.
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:") && auth.From(ctx).Token == "":
			return nil, invalid("INVALID_SYSTEM_TAGS_PARAMETER", "You specified a tag key that is a system tag: %s.", t.Key)
		}
		seen[t.Key] = true
		out[t.Key] = t.Value
	}
	if len(out) > maxTags {
		return nil, breaks("MAX_TAG_LIMIT_EXCEEDED", "You can't have more than %d tags on a resource.", maxTags)
	}
	return out, nil
}

// changeTags changes the tags of a root, unit, account or policy. change is given
// those that are there.
func changeTags(tx store.Tx, o *organization, id string, change func(map[string]string) (map[string]string, error)) (err error) {
	key := o.ID + "/" + id
	switch {
	case id == o.Root:
		if o.RootTags, err = change(o.RootTags); err != nil {
			return err
		}
		return organizationsByID.Put(tx, o.ID, o)
	case strings.HasPrefix(id, "ou-"):
		return changeIn(tx, units, key, func(u *unit) *map[string]string { return &u.Tags }, change)
	case strings.HasPrefix(id, "p-"):
		return changeIn(tx, policies, key, func(p *scp) *map[string]string { return &p.Tags }, change)
	}
	return changeIn(tx, accounts, key, func(a *account) *map[string]string { return &a.Tags }, change)
}

func changeIn[T any](tx store.Tx, c *store.Collection[T], key string, tags func(*T) *map[string]string, change func(map[string]string) (map[string]string, error)) error {
	v, err := c.Get(tx, key)
	if err != nil {
		return missing(err, fault.TargetNotFound, "You specified a target that doesn't exist.")
	}
	at := tags(v)
	if *at, err = change(*at); err != nil {
		return err
	}
	return c.Put(tx, key, v)
}

// tagsOf are the tags of a root, unit, account or policy.
func tagsOf(tx store.Tx, o *organization, id string) (map[string]string, error) {
	key := o.ID + "/" + id
	switch {
	case id == o.Root:
		return o.RootTags, nil
	case strings.HasPrefix(id, "ou-"):
		u, err := units.Get(tx, key)
		if err != nil {
			return nil, err
		}
		return u.Tags, nil
	case strings.HasPrefix(id, "p-"):
		p, err := policies.Get(tx, key)
		if err != nil {
			return nil, err
		}
		return p.Tags, nil
	}
	a, err := accounts.Get(tx, key)
	if err != nil {
		return nil, err
	}
	return a.Tags, nil
}

// TagResource puts tags on a root, unit, account or policy.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		return changeTags(tx, o, in.ResourceId, func(have map[string]string) (map[string]string, error) { return mergeTags(ctx, have, in.Tags) })
	})
	if err != nil {
		return nil, err
	}
	return &api.TagResourceOutput{}, nil
}

// UntagResource takes tags off.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		return changeTags(tx, o, in.ResourceId, func(have map[string]string) (map[string]string, error) {
			out := maps.Clone(have)
			maps.DeleteFunc(out, func(k, _ string) bool { return slices.Contains(in.TagKeys, k) })
			return out, nil
		})
	})
	if err != nil {
		return nil, err
	}
	return &api.UntagResourceOutput{}, nil
}

// ListTagsForResource lists tags, all of them at once: there are at most 50.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	if in.NextToken != "" {
		return nil, invalid("INVALID_NEXT_TOKEN", "You specified an invalid value for NextToken.")
	}
	out := &api.ListTagsForResourceOutput{Tags: []api.Tag{}}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		tags, err := tagsOf(tx, o, in.ResourceId)
		if err != nil {
			return missing(err, fault.TargetNotFound, "You specified a target that doesn't exist.")
		}
		for _, k := range slices.Sorted(maps.Keys(tags)) {
			out.Tags = append(out.Tags, api.Tag{Key: k, Value: tags[k]})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
