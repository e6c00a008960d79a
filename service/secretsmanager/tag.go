package secretsmanager

import (
	"context"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/auth"
)

const maxTags = 50

// mergeTags puts tags over others, whose order stays. The result is nil where there
// are none at all.
func mergeTags(ctx context.Context, have, add []api.Tag) ([]api.Tag, error) {
	out := slices.Clone(have)
	seen := map[string]bool{}
	for _, t := range add {
		switch {
		case t.Key == "":
			return nil, invalid("A tag must have a key.")
		case seen[t.Key]:
			return nil, invalid("You have specified more than one tag with the key %s.", t.Key)
		// The engine's own aws: tags come from a durable step.
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:") && auth.From(ctx).Token == "":
			return nil, invalid("aws: prefixed tag key names are not allowed for external use.")
		}
		seen[t.Key] = true
		if i := slices.IndexFunc(out, func(o api.Tag) bool { return o.Key == t.Key }); i >= 0 {
			out[i].Value = t.Value
		} else {
			out = append(out, t)
		}
	}
	if len(out) > maxTags {
		return nil, invalid("You can't attach more than %d tags to a secret.", maxTags)
	}
	return out, nil
}

// TagResource puts tags on a secret.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	_, _, err := s.change(ctx, in.SecretId, in, func(_ place, sec *secret) (err error) {
		sec.Tags, err = mergeTags(ctx, sec.Tags, in.Tags)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.TagResourceOutput{}, nil
}

// UntagResource takes tags off a secret.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	_, _, err := s.change(ctx, in.SecretId, in, func(_ place, sec *secret) error {
		sec.Tags = slices.DeleteFunc(sec.Tags, func(t api.Tag) bool { return slices.Contains(in.TagKeys, t.Key) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.UntagResourceOutput{}, nil
}
