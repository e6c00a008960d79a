package s3

import (
	"context"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

type tag struct{ Key, Value string }

// tagRules differ by what is tagged.
type tagRules struct {
	most   int
	many   string // what is said of too many
	system string // what is said of a key with the prefix "aws:"
}

var (
	tagsAtCreation = tagRules{50, "Bucket tag count cannot be greater than 50",
		`User-defined tag keys can't start with "aws:". This prefix is reserved for system tags. Remove "aws:" from your tag keys and try again.`}
	tagsOfBucket = tagRules{50, "Bucket tag count cannot be greater than 50", "System tags cannot be added/updated by requester"}
	tagsOfObject = tagRules{10, "Object tags cannot be greater than 10", "Your TagKey cannot be prefixed with aws:"}
)

func invalidTag(key, format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidTag, format, args...).With("TagKey", key)
}

func checkTags(in []api.Tag, rules tagRules) ([]tag, error) {
	if len(in) > rules.most {
		return nil, fault.New(fault.BadRequest, "%s", rules.many)
	}
	seen := map[string]bool{}
	var out []tag
	for _, t := range in {
		switch {
		case seen[t.Key]:
			return nil, invalidTag(t.Key, "Cannot provide multiple Tags with the same key")
		case strings.HasPrefix(t.Key, "aws:"):
			return nil, invalidTag(t.Key, "%s", rules.system)
		case t.Key == "" || !tagText(t.Key, 128):
			return nil, invalidTag(t.Key, "The TagKey you have provided is invalid")
		case !tagText(t.Value, 256):
			return nil, invalidTag(t.Key, "The TagValue you have provided is invalid").With("TagValue", t.Value)
		}
		seen[t.Key] = true
		out = append(out, tag{t.Key, t.Value})
	}
	return out, nil
}

// tagText says whether tags may be made of the text: letters, digits, spaces
// and _ . : / = + - @.
func tagText(s string, most int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most {
		return false
	}
	for _, c := range s {
		if !unicode.IsLetter(c) && !unicode.IsNumber(c) && !unicode.IsSpace(c) && !strings.ContainsRune("_.:/=+-@", c) {
			return false
		}
	}
	return true
}

// parseTagging reads the x-amz-tagging header.
func parseTagging(header string) ([]tag, error) {
	if header == "" {
		return nil, nil
	}
	bad := invalidArgument("x-amz-tagging", header,
		"The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	var list []api.Tag
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(header, "&") {
		k, v, _ := strings.Cut(pair, "=")
		if strings.Contains(v, "=") {
			return nil, bad
		}
		key, errKey := url.QueryUnescape(k)
		val, errVal := url.QueryUnescape(v)
		if errKey != nil || errVal != nil || key == "" || seen[key] || !utf8.ValidString(key+val) {
			return nil, bad
		}
		seen[key] = true
		list = append(list, api.Tag{Key: key, Value: val})
	}
	return checkTags(list, tagsOfObject)
}

func tagSet(tags []tag) []api.Tag {
	out := []api.Tag{}
	for _, t := range tags {
		out = append(out, api.Tag{Key: t.Key, Value: t.Value})
	}
	return out
}

func taggingOf(t *api.Tagging) ([]api.Tag, error) {
	if t == nil {
		return nil, malformedXML()
	}
	return t.TagSet, nil
}

// GetBucketTagging gives the bucket's tags.
func (s *Service) GetBucketTagging(ctx context.Context, in *api.GetBucketTaggingInput) (*api.GetBucketTaggingOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if len(b.Tags) == 0 {
		return nil, fault.New(fault.NoSuchTagSet, "The TagSet does not exist").With("BucketName", b.Name)
	}
	return &api.GetBucketTaggingOutput{TagSet: tagSet(b.Tags)}, nil
}

// PutBucketTagging replaces the bucket's tags. Only CloudFormation, which calls
// as a durable step, sets and replaces the tags that begin with "aws:"; they
// stay when others replace the rest.
func (s *Service) PutBucketTagging(ctx context.Context, in *api.PutBucketTaggingInput) (*api.PutBucketTaggingOutput, error) {
	set, err := taggingOf(in.Tagging)
	if err != nil {
		return nil, err
	}
	system, user := splitSystem(set)
	if len(system) > 0 && auth.From(ctx).Token == "" {
		return nil, invalidTag(system[0].Key, "%s", tagsOfBucket.system)
	}
	tags, err := checkTags(user, tagsOfBucket)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		keep := system
		if auth.From(ctx).Token == "" {
			keep, _ = splitSystem(tagSet(b.Tags))
		}
		b.Tags = tags
		for _, t := range keep {
			b.Tags = append(b.Tags, tag{t.Key, t.Value})
		}
		return nil
	})
	return &api.PutBucketTaggingOutput{}, err
}

func splitSystem(set []api.Tag) (system, user []api.Tag) {
	for _, t := range set {
		if strings.HasPrefix(t.Key, "aws:") {
			system = append(system, t)
		} else {
			user = append(user, t)
		}
	}
	return system, user
}

// DeleteBucketTagging removes the bucket's tags.
func (s *Service) DeleteBucketTagging(ctx context.Context, in *api.DeleteBucketTaggingInput) (*api.DeleteBucketTaggingOutput, error) {
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		system, _ := splitSystem(tagSet(b.Tags))
		b.Tags = nil
		for _, t := range system {
			b.Tags = append(b.Tags, tag{t.Key, t.Value})
		}
		return nil
	})
	return &api.DeleteBucketTaggingOutput{}, err
}

// change changes a bucket's record.
func (s *Service) change(ctx context.Context, name, expected string, fn func(b *bucket) error) error {
	return s.update(ctx, nil, func(c *change) error {
		b, err := lookup(ctx, c, name, expected, "")
		if err != nil {
			return err
		}
		if err := fn(b); err != nil {
			return err
		}
		return buckets.Put(c, b.Name, b)
	})
}

// GetObjectTagging gives an object's tags.
func (s *Service) GetObjectTagging(ctx context.Context, in *api.GetObjectTaggingInput) (*api.GetObjectTaggingOutput, error) {
	b, o, err := s.object(ctx, target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "GET"})
	if err != nil {
		return nil, err
	}
	return &api.GetObjectTaggingOutput{TagSet: tagSet(o.Tags), VersionId: shownVersion(b, o)}, nil
}

// PutObjectTagging replaces an object's tags.
func (s *Service) PutObjectTagging(ctx context.Context, in *api.PutObjectTaggingInput) (*api.PutObjectTaggingOutput, error) {
	set, err := taggingOf(in.Tagging)
	if err != nil {
		return nil, err
	}
	tags, err := checkTags(set, tagsOfObject)
	if err != nil {
		return nil, err
	}
	version, err := s.retag(ctx, target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "PUT"}, tags)
	if err != nil {
		return nil, err
	}
	return &api.PutObjectTaggingOutput{VersionId: version}, nil
}

// DeleteObjectTagging removes an object's tags.
func (s *Service) DeleteObjectTagging(ctx context.Context, in *api.DeleteObjectTaggingInput) (*api.DeleteObjectTaggingOutput, error) {
	version, err := s.retag(ctx, target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "DELETE"}, nil)
	if err != nil {
		return nil, err
	}
	return &api.DeleteObjectTaggingOutput{VersionId: version}, nil
}

func (s *Service) retag(ctx context.Context, t target, tags []tag) (version string, err error) {
	var b *bucket
	err = s.update(ctx, nil, func(c *change) (err error) {
		if b, err = lookupVersion(ctx, c, t); err != nil {
			return err
		}
		f, err := find(c, b, t)
		if err != nil {
			return err
		}
		f.object.Tags = tags
		version = shownVersion(b, f.object)
		if err := f.put(c); err != nil {
			return err
		}
		if t.method == "DELETE" {
			return c.emit(ctx, b, eventTagsDelete, f.object)
		}
		return c.emit(ctx, b, eventTagsPut, f.object)
	})
	return version, s.conceal(ctx, b, err)
}
