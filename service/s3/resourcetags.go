package s3

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

var (
	_ auth.ResourceTags = (*Service)(nil)
	_ auth.ObjectTags   = (*Service)(nil)
)

func tagsByKey(tags []tag) map[string]string {
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[t.Key] = t.Value
	}
	return out
}

// ResourceTags are a bucket's tags. Those of objects are not tags of resources.
func (s *Service) ResourceTags(ctx context.Context, resource string) (tags map[string]string, err error) {
	name := strings.TrimPrefix(resource, "arn:aws:s3:::")
	if strings.Contains(name, "/") {
		return nil, nil
	}
	err = s.store.View(ctx, func(tx store.Tx) error {
		b, err := getBucket(tx, name)
		if err == nil {
			tags = tagsByKey(b.Tags)
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return tags, err
}

// ObjectTags are the tags of an object: of the current version, or of the named one.
func (s *Service) ObjectTags(ctx context.Context, resource, id string) (tags map[string]string, err error) {
	name, key, ok := strings.Cut(strings.TrimPrefix(resource, "arn:aws:s3:::"), "/")
	if !ok || checkKey(key) != nil {
		return nil, nil
	}
	err = s.store.View(ctx, func(tx store.Tx) error {
		b, err := getBucket(tx, name)
		if err != nil {
			return err
		}
		tags, err = objectTags(tx, b, key, id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return tags, err
}

func objectTags(tx store.Tx, b *bucket, key, id string) (map[string]string, error) {
	find := func() (found, error) { return latest(tx, b, key) }
	if id != "" {
		find = func() (found, error) { return version(tx, b, key, id) }
	}
	f, err := find()
	if err != nil || f.object == nil {
		return nil, err
	}
	return tagsByKey(f.object.Tags), nil
}
