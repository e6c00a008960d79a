package ssm

import (
	"context"
	"maps"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const maxTags = 50

// mergeTags puts tags over others.
func mergeTags(ctx context.Context, have map[string]string, add []api.Tag) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	for _, t := range add {
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 {
			return nil, fault.New(fault.ValidationException, "A tag key has 1 to 128 characters, and a tag value at most 256.")
		}
		// The engine's own aws: tags come from a durable step.
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") && auth.From(ctx).Token == "" {
			return nil, fault.New(fault.ValidationException, "The tag key %s is reserved: keys must not begin with aws:.", t.Key)
		}
		out[t.Key] = t.Value
	}
	if len(out) > maxTags {
		return nil, fault.New(fault.TooManyTagsError, "The number of tags on a resource is limited to %d.", maxTags)
	}
	return out, nil
}

// retag changes the tags of a parameter, the one kind of resource that has any
// here so far.
func (s *Service) retag(ctx context.Context, operation, kind, id string, change func(map[string]string) (map[string]string, error)) error {
	if err := taggable(operation, kind); err != nil {
		return err
	}
	scope := auth.From(ctx).Scope
	return s.store.Update(ctx, func(tx store.Tx) error {
		p, err := s.find(tx, scope, id)
		if err != nil {
			return invalidResource(err, id)
		}
		if p.Tags, err = change(p.Tags); err != nil {
			return err
		}
		return parameters.Put(tx, parameterKey(scope, p.Name), p)
	})
}

func taggable(operation, kind string) error {
	if kind != api.ResourceTypeForTaggingParameter {
		return fault.New(fault.NotImplemented, "%s: ResourceType %s is not built.", operation, kind)
	}
	return nil
}

func invalidResource(err error, id string) error {
	if fault.Is(err, fault.ParameterNotFound) {
		return fault.New(fault.InvalidResourceID, "The resource ID %q is not valid. Verify the ID and try again.", id)
	}
	return err
}

// AddTagsToResource puts tags on a parameter.
func (s *Service) AddTagsToResource(ctx context.Context, in *api.AddTagsToResourceInput) (*api.AddTagsToResourceOutput, error) {
	return &api.AddTagsToResourceOutput{}, s.retag(ctx, "AddTagsToResource", in.ResourceType, in.ResourceId, func(have map[string]string) (map[string]string, error) {
		return mergeTags(ctx, have, in.Tags)
	})
}

// RemoveTagsFromResource takes tags off a parameter.
func (s *Service) RemoveTagsFromResource(ctx context.Context, in *api.RemoveTagsFromResourceInput) (*api.RemoveTagsFromResourceOutput, error) {
	return &api.RemoveTagsFromResourceOutput{}, s.retag(ctx, "RemoveTagsFromResource", in.ResourceType, in.ResourceId, func(have map[string]string) (map[string]string, error) {
		for _, k := range in.TagKeys {
			delete(have, k)
		}
		return have, nil
	})
}

// ListTagsForResource lists a parameter's tags.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	if err := taggable("ListTagsForResource", in.ResourceType); err != nil {
		return nil, err
	}
	scope := auth.From(ctx).Scope
	out := &api.ListTagsForResourceOutput{TagList: []api.Tag{}}
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, err := s.find(tx, scope, in.ResourceId)
		if err != nil {
			return invalidResource(err, in.ResourceId)
		}
		out.TagList = []api.Tag{}
		for _, k := range slices.Sorted(maps.Keys(p.Tags)) {
			out.TagList = append(out.TagList, api.Tag{Key: k, Value: p.Tags[k]})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
