package s3

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/http"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// The states of a bucket's versioning; a third is never to have had it.
const (
	enabled   = "Enabled"
	suspended = "Suspended"
)

const nullVersion = "null"

// versions holds the noncurrent versions and all delete markers, by
// "bucket/key in hexadecimal/sequence, newest first". A key in hexadecimal sorts
// as the key does and has no slash.
var versions = store.NewCollection[object](store.BulkPrefix + "s3/version")

func versionsOf(bucketName, key string) string {
	return bucketName + "/" + hex.EncodeToString([]byte(key)) + "/"
}

func (o *object) versionKey(bucketName string) string {
	return versionsOf(bucketName, o.Key) + fmt.Sprintf("%016x", uint64(math.MaxInt64-o.Seq))
}

func newVersionID() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func validVersionID(id string) bool {
	if id == nullVersion {
		return true
	}
	raw, err := base64.RawURLEncoding.DecodeString(id)
	return err == nil && len(raw) == 24
}

func (o *object) versionID() string {
	if o.Version == "" {
		return nullVersion
	}
	return o.Version
}

// shownVersion is the version id that answers carry: none in a bucket that
// never had versions.
func shownVersion(b *bucket, o *object) string {
	if b.Versioning == "" {
		return ""
	}
	return o.versionID()
}

// found is a version, and where its record is.
type found struct {
	object  *object
	bucket  string
	current bool // in objects
}

func (f found) put(tx store.Tx) error {
	if f.current {
		return objects.Put(tx, f.bucket+"/"+f.object.Key, f.object)
	}
	return versions.Put(tx, f.object.versionKey(f.bucket), f.object)
}

func (f found) remove(tx store.Tx) error {
	if f.current {
		return objects.Delete(tx, f.bucket+"/"+f.object.Key)
	}
	return versions.Delete(tx, f.object.versionKey(f.bucket))
}

// latest gives the newest version of a key, which may be a delete marker, or
// nothing.
func latest(tx store.Tx, b *bucket, key string) (found, error) {
	o, err := objects.Get(tx, b.Name+"/"+key)
	if err == nil {
		return found{o, b.Name, true}, nil
	}
	if !errors.Is(err, store.ErrNotFound) || b.Versioning == "" {
		return found{}, ignoreNotFound(err)
	}
	for e, err := range versions.Scan(tx, versionsOf(b.Name, key)) {
		return found{e.Value, b.Name, false}, err
	}
	return found{}, nil
}

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// version finds the version with an id, or nothing.
func version(tx store.Tx, b *bucket, key, id string) (found, error) {
	o, err := objects.Get(tx, b.Name+"/"+key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return found{}, err
	}
	if err == nil && o.versionID() == id {
		return found{o, b.Name, true}, nil
	}
	for e, err := range versions.Scan(tx, versionsOf(b.Name, key)) {
		if err != nil {
			return found{}, err
		}
		if e.Value.versionID() == id {
			return found{e.Value, b.Name, false}, nil
		}
	}
	return found{}, nil
}

// find gives the version that a request means, or S3's refusal.
func find(tx store.Tx, b *bucket, t target) (found, error) {
	if err := checkKey(t.key); err != nil {
		return found{}, err
	}
	if t.version == "" {
		f, err := latest(tx, b, t.key)
		switch {
		case err != nil:
			return f, err
		case f.object == nil:
			return f, noSuchKey(t.key)
		case f.object.Marker:
			return f, f.object.asMarker(noSuchKey(t.key))
		}
		return f, nil
	}
	if !validVersionID(t.version) {
		return found{}, invalidArgument("versionId", t.version, "Invalid version id specified")
	}
	f, err := version(tx, b, t.key, t.version)
	if err != nil {
		return f, err
	}
	if f.object == nil {
		return f, noSuchVersion(t.key, t.version)
	}
	if f.object.Marker {
		return f, f.object.asMarker(isMarker(t.method)).WithHeader("Last-Modified", f.object.Modified.UTC().Format(http.TimeFormat)).WithHeader("Allow", http.MethodDelete)
	}
	return f, nil
}

// asMarker tells in a refusal's headers that it is for a delete marker ("Working
// with delete markers", S3 User Guide).
func (o *object) asMarker(refused *fault.Error) *fault.Error {
	return refused.WithHeader("x-amz-delete-marker", "true").WithHeader("x-amz-version-id", o.versionID())
}

// putVersion makes o, which may be a delete marker, the newest version of its
// key, and keeps or drops what that replaces as the bucket's versioning says.
func (c *change) putVersion(b *bucket, o *object) error {
	if b.Versioning == "" {
		return c.replace(b, o)
	}
	before, err := latest(c, b, o.Key)
	if err != nil {
		return err
	}
	o.Seq, o.Version = 1, ""
	if before.object != nil {
		o.Seq = before.object.Seq + 1
	}
	if b.Versioning == enabled {
		o.Version = newVersionID()
	} else if err := c.dropNull(b, o.Key); err != nil {
		return err
	}
	if before.object != nil && before.current && (b.Versioning == enabled || before.object.Version != "") {
		if err := before.retire(c); err != nil {
			return err
		}
	}
	return found{o, b.Name, !o.Marker}.put(c)
}

// objectHead is what a replacement needs of an object's record. To decode the
// rest, which may hold the content, would cost more than all else that a put does.
type objectHead struct {
	Seq     int64
	Content contentHead
}

type contentHead struct{ Place, ID string }

var objectHeads = store.NewCollection[objectHead](store.BulkPrefix + "s3/object")

// replace is putVersion in a bucket that never had versions.
func (c *change) replace(b *bucket, o *object) error {
	key := b.Name + "/" + o.Key
	o.Seq, o.Version = 1, ""
	switch before, err := objectHeads.Get(c, key); {
	case err == nil:
		o.Seq = before.Seq + 1
		if err := c.dropContent(content{Place: before.Content.Place, ID: before.Content.ID}); err != nil {
			return err
		}
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	return objects.Put(c, key, o)
}

// retire moves the current version among the noncurrent ones.
func (f found) retire(tx store.Tx) error {
	if err := f.remove(tx); err != nil {
		return err
	}
	f.current = false
	return f.put(tx)
}

// dropNull removes the null version, which a new one replaces.
func (c *change) dropNull(b *bucket, key string) error {
	f, err := version(c, b, key, nullVersion)
	if err != nil || f.object == nil {
		return err
	}
	return c.discard(f)
}

func (c *change) discard(f found) error {
	if err := f.remove(c); err != nil {
		return err
	}
	return c.dropContent(f.object.Content)
}

// removed is what a deletion did.
type removed struct {
	version string // of what was removed, or of the marker that was made
	marker  bool
}

// deleteObject deletes an object: without a version id by a delete marker
// where the bucket has versions.
func (c *change) deleteObject(b *bucket, key, id string, marker *object, bypass bool) (removed, error) {
	if err := checkKey(key); err != nil {
		return removed{}, err
	}
	if id != "" {
		return c.deleteVersion(b, key, id, bypass)
	}
	if b.Versioning == "" {
		newest, err := latest(c, b, key)
		if err != nil || newest.object == nil {
			return removed{}, err
		}
		return removed{}, c.discard(newest)
	}
	if err := c.putVersion(b, marker); err != nil {
		return removed{}, err
	}
	return removed{marker.versionID(), true}, nil
}

// deleteVersion removes a version for good, unless its lock keeps it. bypass is
// leave to pass by a retention of mode GOVERNANCE.
func (c *change) deleteVersion(b *bucket, key, id string, bypass bool) (removed, error) {
	if !validVersionID(id) {
		return removed{}, invalidArgument("versionId", id, "Invalid version id specified")
	}
	f, err := version(c, b, key, id)
	if err != nil || f.object == nil {
		return removed{version: id}, err
	}
	if f.object.Lock.keeps(c.service.now(), bypass) {
		return removed{}, protected()
	}
	if err := c.discard(f); err != nil {
		return removed{}, err
	}
	out := removed{id, f.object.Marker}
	return out, c.promote(b, key)
}

// promote makes the newest version the current one, unless there is a current
// one or the newest is a marker.
func (c *change) promote(b *bucket, key string) error {
	f, err := latest(c, b, key)
	if err != nil || f.object == nil || f.current || f.object.Marker {
		return err
	}
	if err := f.remove(c); err != nil {
		return err
	}
	f.current = true
	return f.put(c)
}
