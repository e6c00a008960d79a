package s3

import (
	"strings"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/store"
)

// recordKeys adds to a request's condition keys those that only the records of
// the bucket and its objects tell.
type recordKeys struct {
	policy.Keys
	tx       store.Tx
	b        *bucket
	resource string
}

// Lookup returns a key's values.
func (k recordKeys) Lookup(name string) ([]string, bool) {
	if name == "aws:resourceaccount" || name == "s3:resourceaccount" {
		return []string{k.b.Account}, true
	}
	values, known := k.Keys.Lookup(name)
	if known {
		return values, true
	}
	if tag, ok := strings.CutPrefix(name, "s3:existingobjecttag/"); ok {
		return k.objectTag(tag)
	}
	tag, ok := strings.CutPrefix(name, "aws:resourcetag/")
	if !ok {
		tag, ok = strings.CutPrefix(name, "s3:buckettag/")
	}
	if !ok {
		return nil, false
	}
	if k.resource != bucketARN(k.b.Name) {
		return nil, true // the tags of objects are no tags of resources
	}
	return auth.TagFold(tagsByKey(k.b.Tags), tag)
}

// objectTag is a tag of the object, or of its version, that the action is about.
func (k recordKeys) objectTag(name string) ([]string, bool) {
	key, ok := strings.CutPrefix(k.resource, bucketARN(k.b.Name)+"/")
	if !ok || checkKey(key) != nil {
		return nil, true
	}
	id, _ := k.Keys.Lookup("s3:versionid")
	tags, err := objectTags(k.tx, k.b, key, strings.Join(id, ""))
	if err != nil {
		return nil, false
	}
	return auth.TagFold(tags, name)
}
