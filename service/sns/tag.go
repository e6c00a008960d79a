package sns

import (
	"context"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const maxTags = 50

// mergeTags puts tags over others, whose order stays.
func mergeTags(ctx context.Context, have, add []api.Tag) ([]api.Tag, error) {
	out := slices.Clone(have)
	seen := map[string]bool{}
	for _, t := range add {
		switch {
		case t.Key == "":
			return nil, invalid("Tag keys must have at least one character")
		case seen[t.Key]:
			return nil, invalid("Duplicated keys are not allowed.")
		// The engine's own aws: tags come from a durable step.
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:") && auth.From(ctx).Token == "":
			return nil, invalid("Tag keys must not begin with aws:, which is reserved")
		}
		seen[t.Key] = true
		if i := slices.IndexFunc(out, func(o api.Tag) bool { return o.Key == t.Key }); i >= 0 {
			out[i].Value = t.Value
		} else {
			out = append(out, t)
		}
	}
	if len(out) > maxTags {
		return nil, fault.New(fault.TagLimitExceeded, "Could not complete request: tag quota of per resource exceeded")
	}
	return out, nil
}

// taggable is the topic of a tag operation: those tell of a missing one in their own way.
func taggable(err error) error {
	if fault.Is(err, fault.SNSNotFound) {
		return fault.New(fault.SNSResourceNotFound, "Resource does not exist")
	}
	return err
}

// TagResource puts tags on a topic.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	return &api.TagResourceOutput{}, taggable(s.update(ctx, "ResourceArn", in.ResourceArn, func(_ store.Tx, _ place, t *topic) (err error) {
		t.Tags, err = mergeTags(ctx, t.Tags, in.Tags)
		return err
	}))
}

// UntagResource takes tags off a topic.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	return &api.UntagResourceOutput{}, taggable(s.update(ctx, "ResourceArn", in.ResourceArn, func(_ store.Tx, _ place, t *topic) error {
		t.Tags = slices.DeleteFunc(t.Tags, func(tag api.Tag) bool { return slices.Contains(in.TagKeys, tag.Key) })
		return nil
	}))
}

// ListTagsForResource lists a topic's tags, in the order in which they came.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	out := &api.ListTagsForResourceOutput{}
	err := s.view(ctx, in.ResourceArn, func(_ store.Tx, _ place, t *topic) error {
		out.Tags = append([]api.Tag{}, t.Tags...)
		return nil
	})
	if err != nil {
		return nil, taggable(err)
	}
	return out, nil
}
