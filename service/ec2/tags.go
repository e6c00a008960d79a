package ec2

import (
	"context"
	"errors"
	"sort"
	"strings"
	"unicode/utf8"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Limits of tags ("Tag your Amazon EC2 resources", EC2 User Guide).
const (
	maxTags        = 50
	maxTagKey      = 128
	maxTagValue    = 256
	reservedPrefix = "aws:"
	maxTagged      = 1000 // resources of one CreateTags or DeleteTags call
)

type tagMap map[string]string

// tagRecord is the tags of one resource. They stand beside the resource, not in
// it, so that all kinds are tagged, listed and cleared in one way.
type tagRecord struct {
	Type string `json:"type"`
	Tags tagMap `json:"tags"`
}

var tagRecords = store.NewCollection[tagRecord]("ec2/tags")

func tagKey(scope arn.Scope, id string) string { return scope.Key() + "/" + id }

// tagsOf reads the tags of one resource.
func tagsOf(tx store.Tx, scope arn.Scope, id string) (tagMap, error) {
	r, err := tagRecords.Get(tx, tagKey(scope, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r.Tags, nil
}

// allTags reads the tags of every resource of a scope whose id has the prefix.
func allTags(tx store.Tx, scope arn.Scope, prefix string) (map[string]tagMap, error) {
	all := map[string]tagMap{}
	for e, err := range tagRecords.Scan(tx, tagKey(scope, prefix)) {
		if err != nil {
			return nil, err
		}
		all[e.Key[len(scope.Key())+1:]] = e.Value.Tags
	}
	return all, nil
}

// putTags adds tags to a resource, or replaces those of the same keys.
func putTags(tx store.Tx, scope arn.Scope, resourceType, id string, tags tagMap) error {
	if len(tags) == 0 {
		return nil
	}
	have, err := tagsOf(tx, scope, id)
	if err != nil {
		return err
	}
	merged := tagMap{}
	for k, v := range have {
		merged[k] = v
	}
	for k, v := range tags {
		merged[k] = v
	}
	users := 0
	for k := range merged {
		if !strings.HasPrefix(k, reservedPrefix) {
			users++
		}
	}
	if users > maxTags {
		return fault.New(fault.TagLimitExceeded, "The maximum number of tags for a resource has been reached: %d tags on '%s'.", maxTags, id)
	}
	return tagRecords.Put(tx, tagKey(scope, id), &tagRecord{Type: resourceType, Tags: merged})
}

func dropTags(tx store.Tx, scope arn.Scope, id string) error {
	return tagRecords.Delete(tx, tagKey(scope, id))
}

// checkTags reads the tags of a request. Keys that begin with "aws:" are for
// AWS's own services: only a durable step of Slipway, which carries a token,
// may set them.
func checkTags(call auth.Call, tags []api.Tag) (tagMap, error) {
	out := tagMap{}
	for _, t := range tags {
		switch {
		case t.Key == "":
			return nil, fault.New(fault.InvalidParameterValue, "Tag key cannot be empty. The tag key must be 1 to %d characters long.", maxTagKey)
		case utf8.RuneCountInString(t.Key) > maxTagKey:
			return nil, fault.New(fault.InvalidParameterValue, "Tag key exceeds the maximum length of %d characters", maxTagKey)
		case utf8.RuneCountInString(t.Value) > maxTagValue:
			return nil, fault.New(fault.InvalidParameterValue, "Tag value exceeds the maximum length of %d characters", maxTagValue)
		case strings.HasPrefix(strings.ToLower(t.Key), reservedPrefix) && call.Token == "":
			return nil, fault.New(fault.InvalidParameterValue, "Tag keys starting with 'aws:' are reserved for internal use")
		}
		if _, twice := out[t.Key]; twice {
			return nil, fault.New(fault.InvalidParameterValue, "Duplicate tag key '%s' specified.", t.Key)
		}
		out[t.Key] = t.Value
	}
	return out, nil
}

// specTags reads TagSpecifications of an operation that makes resources of the
// given types.
func specTags(call auth.Call, specs []api.TagSpecification, types ...string) (map[string]tagMap, error) {
	out := map[string]tagMap{}
	for _, s := range specs {
		if s.ResourceType == "" {
			return nil, fault.New(fault.MissingParameter, "Tag specification resource type must have a value")
		}
		if !contains(types, s.ResourceType) {
			return nil, fault.New(fault.InvalidParameterValue, "'%s' is not a valid taggable resource type for this operation.", clip(s.ResourceType, 64))
		}
		if _, twice := out[s.ResourceType]; twice {
			return nil, fault.New(fault.InvalidParameterValue, "Duplicate resource type '%s' in tag specifications.", s.ResourceType)
		}
		if len(s.Tags) == 0 {
			return nil, fault.New(fault.InvalidParameterValue, "Tag specification must have at least one tag")
		}
		tags, err := checkTags(call, s.Tags)
		if err != nil {
			return nil, err
		}
		if len(tags) > maxTags && call.Token == "" {
			return nil, fault.New(fault.TagLimitExceeded, "The maximum number of tags for a resource is %d.", maxTags)
		}
		out[s.ResourceType] = tags
	}
	return out, nil
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// list is the tags in the order of their keys.
func (t tagMap) list() []api.Tag {
	out := make([]api.Tag, 0, len(t))
	for k, v := range t {
		out = append(out, api.Tag{Key: k, Value: v})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out
}

// CreateTags adds or replaces tags of resources of any kind.
func (s *Service) CreateTags(ctx context.Context, in *api.CreateTagsInput) (*api.CreateTagsOutput, error) {
	call := auth.From(ctx)
	if len(in.Tags) == 0 {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter tagSet")
	}
	tags, err := checkTags(call, in.Tags)
	if err != nil {
		return nil, err
	}
	if err := checkTagged(in.Resources); err != nil {
		return nil, err
	}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		for _, id := range in.Resources {
			if err := s.exists(tx, call.Scope, id); err != nil {
				return err
			}
			k, _ := kindOf(id)
			if err := putTags(tx, call.Scope, k.tagType, id, tags); err != nil {
				return err
			}
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateTagsOutput{}, nil
}

// DeleteTags removes tags by key, or by key and value, or all that a user set.
// A tag that is not there is no error.
func (s *Service) DeleteTags(ctx context.Context, in *api.DeleteTagsInput) (*api.DeleteTagsOutput, error) {
	call := auth.From(ctx)
	if err := checkTagged(in.Resources); err != nil {
		return nil, err
	}
	for _, t := range in.Tags {
		if strings.HasPrefix(strings.ToLower(t.Key), reservedPrefix) && call.Token == "" {
			return nil, fault.New(fault.InvalidParameterValue, "Tag keys starting with 'aws:' are reserved for internal use")
		}
	}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		for _, id := range in.Resources {
			if err := s.exists(tx, call.Scope, id); err != nil {
				return err
			}
			if err := removeTags(tx, call.Scope, id, in.Tags); err != nil {
				return err
			}
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteTagsOutput{}, nil
}

func removeTags(tx store.Tx, scope arn.Scope, id string, remove []api.Tag) error {
	r, err := tagRecords.Get(tx, tagKey(scope, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	left := tagMap{}
	for k, v := range r.Tags {
		gone := len(remove) == 0 && !strings.HasPrefix(k, reservedPrefix)
		for _, t := range remove {
			if t.Key == k && (t.Value == "" || t.Value == v) {
				gone = true
			}
		}
		if !gone {
			left[k] = v
		}
	}
	if len(left) == 0 {
		return dropTags(tx, scope, id)
	}
	r.Tags = left
	return tagRecords.Put(tx, tagKey(scope, id), r)
}

func checkTagged(ids []string) error {
	if len(ids) == 0 {
		return fault.New(fault.MissingParameter, "The request must contain the parameter resourceIdSet")
	}
	if len(ids) > maxTagged {
		return fault.New(fault.InvalidParameterValue, "A call can name at most %d resources.", maxTagged)
	}
	for _, id := range ids {
		if k, ok := kindOf(id); !ok || k.tagType == "" {
			return fault.New(fault.InvalidID, "The ID '%s' is not valid", clip(id, 128))
		}
	}
	return nil
}

// tagView is one line of DescribeTags.
type tagView struct{ id, kind, key, value string }

func tagViewFields(v tagView, name string) ([]string, bool) {
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		if v.key == key {
			return []string{v.value}, true
		}
		return nil, true
	}
	switch name {
	case "key", "tag-key":
		return one(v.key)
	case "value", "tag-value":
		return []string{v.value}, true
	case "resource-id":
		return one(v.id)
	case "resource-type":
		return one(v.kind)
	}
	return nil, false
}

// DescribeTags lists the tags of the caller's resources, one by one.
func (s *Service) DescribeTags(ctx context.Context, in *api.DescribeTagsInput) (*api.DescribeTagsOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, tagViewFields)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	var found []tagView
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		for e, err := range tagRecords.Scan(tx, scope.Key()+"/") {
			if err != nil {
				return err
			}
			id := e.Key[len(scope.Key())+1:]
			for k, v := range e.Value.Tags {
				if t := (tagView{id, e.Value.Type, k, v}); m.match(t) {
					found = append(found, t)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(found, func(t tagView) string { return t.id + "\x00" + t.key }, in.NextToken, in.MaxResults, pagesOf1000)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeTagsOutput{NextToken: next}
	for _, t := range page {
		out.Tags = append(out.Tags, api.TagDescription{ResourceId: t.id, ResourceType: t.kind, Key: t.key, Value: t.value})
	}
	return out, nil
}

// dryRun ends a call that asked only whether it would succeed, once all else is
// checked. Inside an update it also undoes what was written.
func dryRun(asked *bool) error {
	if asked != nil && *asked {
		return fault.New(fault.DryRunOperation, "Request would have succeeded, but DryRun flag is set.")
	}
	return nil
}
