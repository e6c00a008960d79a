package lambda

import (
	"context"
	"maps"
	"strings"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

const maxTags = 50

// checkTags refuses too many tags, and names that are AWS's own.
func checkTags(ctx context.Context, tags map[string]string) error {
	if len(tags) > maxTags {
		return invalid("Number of tags exceeds resource tag limit.")
	}
	for k := range tags {
		// The engine's own aws: tags come from a durable step.
		if strings.HasPrefix(strings.ToLower(k), "aws:") && auth.From(ctx).Token == "" {
			return invalid("The tag key %s is invalid: aws: prefixed tag keys are reserved.", k)
		}
	}
	return nil
}

// taggable is a record with tags.
type taggable struct {
	tags map[string]string
	put  func(tags map[string]string) error
}

// tagged finds the record of an ARN that has tags; nil where there is none.
func tagged(tx store.Tx, resource string) (*taggable, error) {
	if p, _, ok := functionAt(resource); ok {
		f, err := getFunction(tx, p)
		if err != nil || f == nil {
			return nil, err
		}
		return &taggable{f.Tags, func(tags map[string]string) error {
			f.Tags = tags
			return functions.Put(tx, p.key(), f)
		}}, nil
	}
	return taggedMapping(tx, resource)
}

// mustTagged refuses what cannot have tags, or is not there.
func mustTagged(ctx context.Context, tx store.Tx, resource string) (*taggable, error) {
	scope := scopeOf(ctx)
	a, err := arn.Parse(resource)
	if err != nil {
		return nil, invalid("The ARN %s is invalid.", resource)
	}
	if a.Account != scope.Account || a.Region != scope.Region {
		return nil, notFound("Function not found: %s", resource)
	}
	_, qualifier, isFunction := functionAt(resource)
	kind, _, _ := strings.Cut(a.Resource, ":")
	switch {
	case isFunction && qualifier != "":
		return nil, invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
	case kind == "layer", kind == "code-signing-config", kind == "capacity-provider":
		return nil, notBuilt("TagResource", "a tag on a "+kind)
	}
	t, err := tagged(tx, resource)
	if err == nil && t == nil {
		if isFunction {
			return nil, notFound("Function not found: %s", resource)
		}
		return nil, notFound("Event source mapping not found: %s", resource)
	}
	return t, err
}

// TagResource puts tags on a function or an event source mapping.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	if len(in.Tags) == 0 {
		return nil, invalid("An error occurred and the request cannot be processed.")
	}
	return &api.TagResourceOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		t, err := mustTagged(ctx, tx, in.Resource)
		if err != nil {
			return err
		}
		tags := maps.Clone(t.tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, in.Tags)
		if err := checkTags(ctx, tags); err != nil {
			return err
		}
		return t.put(tags)
	})
}

// UntagResource takes tags off.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	return &api.UntagResourceOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		t, err := mustTagged(ctx, tx, in.Resource)
		if err != nil {
			return err
		}
		tags := maps.Clone(t.tags)
		for _, k := range in.TagKeys {
			delete(tags, k)
		}
		return t.put(tags)
	})
}

// ListTags lists the tags.
func (s *Service) ListTags(ctx context.Context, in *api.ListTagsInput) (*api.ListTagsOutput, error) {
	out := &api.ListTagsOutput{Tags: map[string]string{}}
	err := s.store.View(ctx, func(tx store.Tx) error {
		t, err := mustTagged(ctx, tx, in.Resource)
		if err == nil && t.tags != nil {
			out.Tags = t.tags
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
