package iam

import (
	"context"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const maxTags = 50

// merge puts tags over others: a key that is there gets the new value.
func merge(ctx context.Context, have, add []api.Tag) ([]api.Tag, error) {
	out := slices.Clone(have)
	seen := map[string]bool{}
	for _, t := range add {
		key := strings.ToLower(t.Key)
		switch {
		case t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256:
			return nil, fault.New(fault.ValidationError, "A tag key has 1 to 128 characters, and a tag value at most 256.")
		case seen[key]:
			return nil, fault.New(fault.InvalidInput, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		// The engine's own aws: tags come from a durable step.
		case strings.HasPrefix(key, "aws:") && auth.From(ctx).Token == "":
			return nil, fault.New(fault.InvalidInput, "The tag key %s is reserved: keys must not begin with aws:.", t.Key)
		}
		seen[key] = true
		i := slices.IndexFunc(out, func(o api.Tag) bool { return strings.EqualFold(o.Key, t.Key) })
		if i < 0 {
			out = append(out, t)
		} else {
			out[i] = t
		}
	}
	slices.SortFunc(out, func(a, b api.Tag) int { return strings.Compare(a.Key, b.Key) })
	if len(out) > maxTags {
		return nil, fault.New(fault.LimitExceeded, "The number of tags has reached the maximum limit of %d.", maxTags)
	}
	return out, nil
}

func without(have []api.Tag, keys []string) []api.Tag {
	return slices.DeleteFunc(slices.Clone(have), func(t api.Tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, t.Key) })
	})
}

func pageTags(tags []api.Tag, marker string, max *int32) (page []api.Tag, next string) {
	keys := make([]string, len(tags))
	byKey := map[string]api.Tag{}
	for i, t := range tags {
		keys[i], byKey[t.Key] = t.Key, t
	}
	slices.Sort(keys)
	keys, next = pageOf(keys, marker, max)
	page = []api.Tag{}
	for _, k := range keys {
		page = append(page, byKey[k])
	}
	return page, next
}

// retag changes the tags that an entity keeps where tags points.
func retag[T any](ctx context.Context, s *Service, n noun[T], name string, tags func(*T) *[]api.Tag, add []api.Tag, drop []string) error {
	return edit(ctx, s, n, name, func(_ store.Tx, v *T) (err error) {
		at := tags(v)
		*at, err = merge(ctx, without(*at, drop), add)
		return err
	})
}

func roleTags(r *role) *[]api.Tag       { return &r.Tags }
func userTags(u *user) *[]api.Tag       { return &u.Tags }
func profileTags(p *profile) *[]api.Tag { return &p.Tags }

// TagRole puts tags on a role.
func (s *Service) TagRole(ctx context.Context, in *api.TagRoleInput) (*api.TagRoleOutput, error) {
	return &api.TagRoleOutput{}, retag(ctx, s, roles, in.RoleName, roleTags, in.Tags, nil)
}

// UntagRole takes tags off a role.
func (s *Service) UntagRole(ctx context.Context, in *api.UntagRoleInput) (*api.UntagRoleOutput, error) {
	return &api.UntagRoleOutput{}, retag(ctx, s, roles, in.RoleName, roleTags, nil, in.TagKeys)
}

// ListRoleTags lists a role's tags.
func (s *Service) ListRoleTags(ctx context.Context, in *api.ListRoleTagsInput) (*api.ListRoleTagsOutput, error) {
	r, err := read(ctx, s, roles, in.RoleName)
	if err != nil {
		return nil, err
	}
	page, next := pageTags(r.Tags, in.Marker, in.MaxItems)
	return &api.ListRoleTagsOutput{Tags: page, Marker: next, IsTruncated: new(next != "")}, nil
}

// TagUser puts tags on a user.
func (s *Service) TagUser(ctx context.Context, in *api.TagUserInput) (*api.TagUserOutput, error) {
	return &api.TagUserOutput{}, retag(ctx, s, users, in.UserName, userTags, in.Tags, nil)
}

// UntagUser takes tags off a user.
func (s *Service) UntagUser(ctx context.Context, in *api.UntagUserInput) (*api.UntagUserOutput, error) {
	return &api.UntagUserOutput{}, retag(ctx, s, users, in.UserName, userTags, nil, in.TagKeys)
}

// ListUserTags lists a user's tags.
func (s *Service) ListUserTags(ctx context.Context, in *api.ListUserTagsInput) (*api.ListUserTagsOutput, error) {
	u, err := read(ctx, s, users, in.UserName)
	if err != nil {
		return nil, err
	}
	page, next := pageTags(u.Tags, in.Marker, in.MaxItems)
	return &api.ListUserTagsOutput{Tags: page, Marker: next, IsTruncated: new(next != "")}, nil
}

// TagInstanceProfile puts tags on an instance profile.
func (s *Service) TagInstanceProfile(ctx context.Context, in *api.TagInstanceProfileInput) (*api.TagInstanceProfileOutput, error) {
	return &api.TagInstanceProfileOutput{}, retag(ctx, s, profiles, in.InstanceProfileName, profileTags, in.Tags, nil)
}

// UntagInstanceProfile takes tags off an instance profile.
func (s *Service) UntagInstanceProfile(ctx context.Context, in *api.UntagInstanceProfileInput) (*api.UntagInstanceProfileOutput, error) {
	return &api.UntagInstanceProfileOutput{}, retag(ctx, s, profiles, in.InstanceProfileName, profileTags, nil, in.TagKeys)
}

// ListInstanceProfileTags lists an instance profile's tags.
func (s *Service) ListInstanceProfileTags(ctx context.Context, in *api.ListInstanceProfileTagsInput) (*api.ListInstanceProfileTagsOutput, error) {
	p, err := read(ctx, s, profiles, in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	page, next := pageTags(p.Tags, in.Marker, in.MaxItems)
	return &api.ListInstanceProfileTagsOutput{Tags: page, Marker: next, IsTruncated: new(next != "")}, nil
}
