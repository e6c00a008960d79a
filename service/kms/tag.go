package kms

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const maxTags = 50

// mergeTags puts tags over others.
func mergeTags(ctx context.Context, have map[string]string, add []kms.Tag) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	seen := map[string]bool{}
	for _, t := range add {
		switch {
		case seen[t.TagKey]:
			return nil, fault.New(fault.TagException, "Duplicate tag keys")
		// The engine's own aws: tags come from a durable step.
		case strings.HasPrefix(strings.ToLower(t.TagKey), "aws:") && auth.From(ctx).Token == "":
			return nil, fault.New(fault.TagException, "Tags beginning with aws: are reserved")
		}
		seen[t.TagKey] = true
		out[t.TagKey] = t.TagValue
	}
	if len(out) > maxTags {
		return nil, fault.New(fault.TagException, "Too many tags")
	}
	return out, nil
}

// TagResource puts tags on a key.
func (s *Service) TagResource(ctx context.Context, in *kms.TagResourceInput) (*kms.TagResourceOutput, error) {
	_, err := s.change(ctx, in.KeyId, request{operation: "TagResource", in: in}, func(_ store.Tx, k *key) (err error) {
		if err := k.alive(); err != nil {
			return err
		}
		k.Tags, err = mergeTags(ctx, k.Tags, in.Tags)
		return err
	})
	return either(&kms.TagResourceOutput{}, err)
}

// UntagResource takes tags off a key.
func (s *Service) UntagResource(ctx context.Context, in *kms.UntagResourceInput) (*kms.UntagResourceOutput, error) {
	_, err := s.change(ctx, in.KeyId, request{operation: "UntagResource", in: in}, func(_ store.Tx, k *key) error {
		if err := k.alive(); err != nil {
			return err
		}
		for _, name := range in.TagKeys {
			delete(k.Tags, name)
		}
		return nil
	})
	return either(&kms.UntagResourceOutput{}, err)
}

// ListResourceTags lists a key's tags. The marker is the last name given.
func (s *Service) ListResourceTags(ctx context.Context, in *kms.ListResourceTagsInput) (*kms.ListResourceTagsOutput, error) {
	k, err := s.read(ctx, in.KeyId, request{operation: "ListResourceTags", in: in})
	if err != nil {
		return nil, err
	}
	limit, marker := page(in.Limit, in.Marker)
	out := &kms.ListResourceTagsOutput{Tags: []kms.Tag{}, Truncated: new(false)}
	for _, name := range slices.Sorted(maps.Keys(k.Tags)) {
		if name <= marker {
			continue
		}
		if len(out.Tags) == limit {
			out.NextMarker, out.Truncated = out.Tags[limit-1].TagKey, new(true)
			break
		}
		out.Tags = append(out.Tags, kms.Tag{TagKey: name, TagValue: k.Tags[name]})
	}
	return out, nil
}

// tagList is tags in order; nil for none.
func tagList(tags map[string]string) (out []kms.Tag) {
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, kms.Tag{TagKey: name, TagValue: tags[name]})
	}
	return out
}
