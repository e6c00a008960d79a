package s3

import (
	"context"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/checksum"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// object is the record of one version of an object. The current version, unless
// it is a delete marker, is in objects by "bucket/key", in the order in which
// buckets are listed; all others are in versions (version.go).
type object struct {
	Key      string
	Seq      int64  // grows with every version of the key
	Version  string `json:",omitempty"` // "" is the null version
	Marker   bool   `json:",omitempty"`
	Modified time.Time
	Size     int64
	ETag     string // without quotes
	Content  content
	Upload   string      `json:",omitempty"` // that made it
	Parts    int32       `json:",omitempty"` // of a multipart upload
	Sum      *sum        `json:",omitempty"`
	Enc      *encryption `json:",omitempty"`
	Meta     meta
	Tags     []tag   `json:",omitempty"`
	Access   *access `json:",omitempty"` // nil: the bucket owner's alone
	Lock     *lock   `json:",omitempty"`
}

// meta is what a client says about an object besides its bytes.
type meta struct {
	CacheControl       string            `json:",omitempty"`
	ContentDisposition string            `json:",omitempty"`
	ContentEncoding    string            `json:",omitempty"`
	ContentLanguage    string            `json:",omitempty"`
	ContentType        string            `json:",omitempty"`
	Expires            string            `json:",omitempty"`
	Redirect           string            `json:",omitempty"`
	StorageClass       string            `json:",omitempty"`
	User               map[string]string `json:",omitempty"`
}

var objects = store.NewCollection[object](store.BulkPrefix + "s3/object")

// Sizes, in bytes ("Amazon S3 multipart upload limits", S3 User Guide).
const (
	maxPut      = 5 << 30
	minPart     = 5 << 20
	maxUserMeta = 2 << 10
)

const standard = "STANDARD"

func (o *object) storageClass() string {
	if o.Meta.StorageClass == "" {
		return standard
	}
	return o.Meta.StorageClass
}

// shownClass is the storage class as object headers tell it: not at all where
// it is the standard one.
func (o *object) shownClass() string { return o.Meta.StorageClass }

func quote(etag string) string { return `"` + etag + `"` }

// check puts metadata into the form in which it is kept.
func (m *meta) check() error {
	size := 0
	user := map[string]string{}
	for k, v := range m.User {
		size += len(k) + len(v)
		user[strings.ToLower(k)] = v
	}
	if size > maxUserMeta {
		return fault.New(fault.MetadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size").
			With("Size", strconv.Itoa(size)).With("MaxSizeAllowed", strconv.Itoa(maxUserMeta))
	}
	m.User = user
	// The transfer's own coding is not the object's.
	var codings []string
	for c := range strings.SplitSeq(m.ContentEncoding, ",") {
		if c = strings.TrimSpace(c); c != "" && c != "aws-chunked" {
			codings = append(codings, c)
		}
	}
	m.ContentEncoding = strings.Join(codings, ",")
	if m.ContentType == "" {
		m.ContentType = "binary/octet-stream"
	}
	if m.Redirect != "" && !strings.HasPrefix(m.Redirect, "/") && !strings.HasPrefix(m.Redirect, "http://") && !strings.HasPrefix(m.Redirect, "https://") {
		return invalidArgument("x-amz-website-redirect-location", m.Redirect, "The website redirect location must be non-empty or start with '/', 'http://' or 'https://'.")
	}
	return m.checkClass()
}

func (m *meta) checkClass() error {
	switch m.StorageClass {
	case standard:
		m.StorageClass = ""
	case "", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR":
	case "GLACIER", "DEEP_ARCHIVE":
		return notBuilt("storage class " + m.StorageClass + " (it needs RestoreObject)")
	default:
		return fault.New(fault.InvalidStorageClass, "The storage class you specified is not valid").
			With("StorageClassRequested", m.StorageClass)
	}
	return nil
}

// PutObject takes an object in. It is durable when the call returns.
func (s *Service) PutObject(ctx context.Context, in *api.PutObjectInput) (*api.PutObjectOutput, error) {
	if in.WriteOffsetBytes != nil {
		return nil, notBuilt("appending to an object")
	}
	e := extras{aclRequest{in.ACL, in.GrantFullControl, in.GrantRead, in.GrantReadACP, "", in.GrantWriteACP},
		lockRequest{in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus}}
	if err := e.check(s.now()); err != nil {
		return nil, err
	}
	p := protection{in.ServerSideEncryption, in.SSEKMSKeyId, in.SSEKMSEncryptionContext, in.BucketKeyEnabled,
		customerKey{in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5}}
	if err := p.check(); err != nil {
		return nil, err
	}
	given, err := readClaims(in.ContentMD5, sums{in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumCRC64NVME, in.ChecksumSHA1, in.ChecksumSHA256,
		in.ChecksumSHA512, in.ChecksumMD5, in.ChecksumXXHASH64, in.ChecksumXXHASH3, in.ChecksumXXHASH128})
	if err != nil {
		return nil, err
	}
	o, err := newObject(in.Key, meta{
		CacheControl: in.CacheControl, ContentDisposition: in.ContentDisposition, ContentEncoding: in.ContentEncoding,
		ContentLanguage: in.ContentLanguage, ContentType: in.ContentType, Expires: in.Expires,
		Redirect: in.WebsiteRedirectLocation, StorageClass: in.StorageClass, User: in.Metadata,
	}, in.Tagging)
	if err != nil {
		return nil, err
	}
	w := writing{bucket: in.Bucket, expected: in.ExpectedBucketOwner, object: o, cond: writeCondition{in.IfMatch, in.IfNoneMatch}, extras: e}
	b, err := s.admit(ctx, w, value(in.ContentLength))
	if err != nil {
		return nil, err
	}
	how := intake{length: value(in.ContentLength)}
	if how.encryption, how.secret, err = s.protect(ctx, b, in.Key, p); err != nil {
		return nil, err
	}
	r, err := s.receiveObject(in.Body, how, given, o)
	if err != nil {
		return nil, err
	}
	b, err = s.write(ctx, w, r)
	if err != nil {
		return nil, err
	}
	out := &api.PutObjectOutput{ETag: quote(o.ETag), ChecksumType: o.Sum.Type, VersionId: shownVersion(b, o)}
	o.Enc.show(shown{&out.ServerSideEncryption, &out.SSEKMSKeyId, &out.SSEKMSEncryptionContext, &out.SSECustomerAlgorithm, &out.SSECustomerKeyMD5, &out.BucketKeyEnabled})
	fields{&out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1, &out.ChecksumSHA256,
		&out.ChecksumSHA512, &out.ChecksumMD5, &out.ChecksumXXHASH64, &out.ChecksumXXHASH3, &out.ChecksumXXHASH128}.
		set(o.Sum.Algorithm, o.Sum.Value)
	out.Expiration, err = s.expiration(ctx, b, o)
	return out, err
}

func newObject(key string, m meta, tagging string) (*object, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	tags, err := parseTagging(tagging)
	if err != nil {
		return nil, err
	}
	return &object{Key: key, Meta: m, Tags: tags}, nil
}

// admit refuses what can be refused before the body is read: it may be large.
func (s *Service) admit(ctx context.Context, w writing, length int64) (b *bucket, err error) {
	if length > maxPut {
		return nil, entityTooLarge(length, maxPut)
	}
	err = s.store.View(ctx, func(tx store.Tx) error {
		b, err = lookup(ctx, tx, w.bucket, w.expected, w.object.Key)
		if err != nil {
			return err
		}
		if err := w.extras.allowed(b); err != nil {
			return err
		}
		return w.cond.check(tx, b, w.object.Key)
	})
	return b, err
}

// receiveObject takes in an object's body, verifies it and describes it in o.
func (s *Service) receiveObject(body io.Reader, how intake, given claims, o *object) (*received, error) {
	r, err := s.receive(body, how, given.wanted()...)
	if err != nil {
		return nil, err
	}
	err = given.verify(r)
	algorithm := given.wanted()[0]
	if err == nil {
		var trailing checksum.Algorithm
		if trailing, err = trailer(body, r); trailing != "" {
			algorithm = trailing
		}
	}
	if err != nil {
		s.blobs.Remove(r.files()...)
		return nil, err
	}
	o.describe(r, algorithm)
	o.Enc = how.encryption
	return r, nil
}

func (o *object) describe(r *received, algorithm checksum.Algorithm) {
	o.Size, o.ETag, o.Content = r.size, r.etag(), r.content
	o.Sum = &sum{algorithm, checksum.Encode(r.sums[algorithm]), checksum.FullObject}
}

// writing is an object about to become the current version of its key.
type writing struct {
	bucket   string
	expected string
	object   *object
	cond     writeCondition
	extras   extras
}

// write commits an object and the content that it brings, if any.
func (s *Service) write(ctx context.Context, w writing, r *received) (*bucket, error) {
	var made []*received
	if r != nil {
		made = []*received{r}
	}
	var b *bucket
	err := s.update(ctx, made, func(c *change) (err error) {
		if b, err = lookup(ctx, c, w.bucket, w.expected, w.object.Key); err != nil {
			return err
		}
		if err := w.cond.check(c, b, w.object.Key); err != nil {
			return err
		}
		w.object.Modified = s.second()
		if err := w.extras.apply(auth.From(ctx), b, w.object, s.now()); err != nil {
			return err
		}
		if err := c.putVersion(b, w.object); err != nil {
			return err
		}
		return c.emitCreated(ctx, b, w.object)
	})
	return b, err
}

// target names a version of an object, and says how it is asked for.
type target struct {
	bucket, key, version string
	expected             string
	method               string
}

// object finds a version of an object in a view of its own.
func (s *Service) object(ctx context.Context, t target) (b *bucket, o *object, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		if b, err = lookupVersion(ctx, tx, t); err != nil {
			return err
		}
		f, err := find(tx, b, t)
		if err != nil {
			return err
		}
		o = f.object
		return belongs(ctx, b, o)
	})
	return b, o, s.conceal(ctx, b, err)
}

// parseCopySource reads "bucket/key?versionId=..." with the key URL-encoded.
func parseCopySource(s string) (target, error) {
	bad := invalidArgument("x-amz-copy-source", s, "Invalid copy source object key")
	path, query, _ := strings.Cut(s, "?")
	path, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
	if err != nil {
		return target{}, bad
	}
	name, key, ok := strings.Cut(path, "/")
	if !ok || name == "" || key == "" {
		return target{}, bad
	}
	t := target{bucket: name, key: key, method: "GET"}
	if query != "" {
		version, ok := strings.CutPrefix(query, "versionId=")
		if !ok || version == "" {
			return target{}, invalidArgument("x-amz-copy-source", s, "Unsupported copy source parameter.")
		}
		t.version = version
	}
	return t, nil
}
