package s3

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/store"
)

// pageLimit is the most that one page of a listing holds.
const pageLimit = 1000

// listing asks for a page of a bucket's current objects.
type listing struct {
	bucket    string
	prefix    string
	delimiter string
	after     string // a key or common prefix; what comes after it is listed
	limit     int
}

// page is what a listing found, in order.
type page struct {
	objects   []*object
	prefixes  []string
	truncated bool
	last      string // the last key or common prefix on the page
}

func (p *page) size() int { return len(p.objects) + len(p.prefixes) }

// commonPrefix is the group that a delimiter puts a key in, or "".
func commonPrefix(key, prefix, delimiter string) string {
	if delimiter == "" {
		return ""
	}
	i := strings.Index(key[len(prefix):], delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(prefix)+i+len(delimiter)]
}

// start is where in the keys with the prefix the listing begins.
func (l listing) start() string {
	switch {
	case l.after < l.prefix || l.after == "":
		return l.prefix
	case strings.HasPrefix(l.after, l.prefix) && commonPrefix(l.after, l.prefix, l.delimiter) == l.after:
		return store.PrefixEnd(l.after) // the whole group was listed
	}
	return l.after + "\x00"
}

// list reads a page. A group is left as soon as it is known: what it costs does
// not depend on how many keys are in it.
func (l listing) list(tx store.Tx) (*page, error) {
	p := &page{}
	if l.limit == 0 {
		return p, nil
	}
	base := objects.Prefix() + l.bucket + "/"
	from, end := base+l.start(), store.PrefixEnd(base+l.prefix)
	for {
		next, err := l.scan(tx, base, from, end, p)
		if err != nil || next == "" {
			return p, err
		}
		from = next
	}
}

// scan reads keys until the page is full, the keys end, or a new group begins:
// then it says where the group ends.
func (l listing) scan(tx store.Tx, base, from, end string, p *page) (next string, err error) {
	if from >= end {
		return "", nil
	}
	for doc, err := range tx.Scan(from, end) {
		if err != nil {
			return "", err
		}
		if p.size() == l.limit {
			p.truncated = true
			return "", nil
		}
		key := doc.Key[len(base):]
		if group := commonPrefix(key, l.prefix, l.delimiter); group != "" {
			p.prefixes = append(p.prefixes, group)
			p.last = group
			return store.PrefixEnd(base + group), nil
		}
		o := new(object)
		if err := store.Decode(doc, o); err != nil {
			return "", err
		}
		p.objects = append(p.objects, o)
		p.last = key
	}
	return "", nil
}

// pageSize reads max-keys and its like.
func pageSize(name string, n *int32) (int, error) {
	if n == nil {
		return pageLimit, nil
	}
	if *n < 0 {
		return 0, invalidArgument(name, fmt.Sprint(*n), "Argument %s must be an integer between 0 and 2147483647", name)
	}
	return min(int(*n), pageLimit), nil
}

// encoder writes names as the encoding type asks.
type encoder bool

func readEncoding(t string) (encoder, error) {
	if t != "" && t != "url" {
		return false, invalidArgument("encoding-type", t, "Invalid Encoding Method specified in Request")
	}
	return t == "url", nil
}

func (e encoder) encode(s string) string {
	if !e {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._*/", c) >= 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('+')
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func (e encoder) prefixes(list []string) []api.CommonPrefix {
	var out []api.CommonPrefix
	for _, p := range list {
		out = append(out, api.CommonPrefix{Prefix: e.encode(p)})
	}
	return out
}

func (e encoder) object(o *object, own *api.Owner) api.Object {
	item := api.Object{
		Key: e.encode(o.Key), LastModified: &o.Modified, ETag: quote(o.ETag), Size: &o.Size,
		StorageClass: o.storageClass(), Owner: own,
	}
	if o.Sum != nil {
		item.ChecksumAlgorithm, item.ChecksumType = []string{string(o.Sum.Algorithm)}, o.Sum.Type
	}
	return item
}

// checkListing refuses listings that S3 refuses.
func checkListing(name string, n *int32, encoding string) (int, encoder, error) {
	limit, err := pageSize(name, n)
	if err != nil {
		return 0, false, err
	}
	e, err := readEncoding(encoding)
	return limit, e, err
}

// page lists in a view of its own.
func (s *Service) page(ctx context.Context, l listing, expected string) (b *bucket, p *page, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		if b, err = lookup(ctx, tx, l.bucket, expected, ""); err != nil {
			return err
		}
		p, err = l.list(tx)
		return err
	})
	return b, p, err
}

// ListObjects lists a bucket the older way, by markers.
func (s *Service) ListObjects(ctx context.Context, in *api.ListObjectsInput) (*api.ListObjectsOutput, error) {
	limit, e, err := checkListing("max-keys", in.MaxKeys, in.EncodingType)
	if err != nil {
		return nil, err
	}
	b, p, err := s.page(ctx, listing{in.Bucket, in.Prefix, in.Delimiter, in.Marker, limit}, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	out := &api.ListObjectsOutput{
		Name: in.Bucket, Prefix: e.encode(in.Prefix), Delimiter: e.encode(in.Delimiter), Marker: e.encode(in.Marker),
		MaxKeys: ptr(int32(limit)), EncodingType: in.EncodingType, IsTruncated: &p.truncated, CommonPrefixes: e.prefixes(p.prefixes),
	}
	if p.truncated && in.Delimiter != "" {
		out.NextMarker = e.encode(p.last)
	}
	for _, o := range p.objects {
		out.Contents = append(out.Contents, e.object(o, owner(b.Account)))
	}
	return out, nil
}

// ListObjectsV2 lists a bucket by continuation tokens, which stay good while
// objects come and go.
func (s *Service) ListObjectsV2(ctx context.Context, in *api.ListObjectsV2Input) (*api.ListObjectsV2Output, error) {
	limit, e, err := checkListing("max-keys", in.MaxKeys, in.EncodingType)
	if err != nil {
		return nil, err
	}
	after := in.StartAfter
	if in.ContinuationToken != "" {
		raw, err := base64.RawURLEncoding.DecodeString(in.ContinuationToken)
		if err != nil || checkKey(string(raw)) != nil {
			return nil, invalidArgument("continuation-token", in.ContinuationToken, "The continuation token provided is incorrect")
		}
		after = string(raw)
	}
	b, p, err := s.page(ctx, listing{in.Bucket, in.Prefix, in.Delimiter, after, limit}, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	out := &api.ListObjectsV2Output{
		Name: in.Bucket, Prefix: e.encode(in.Prefix), Delimiter: e.encode(in.Delimiter), StartAfter: e.encode(in.StartAfter),
		MaxKeys: ptr(int32(limit)), EncodingType: in.EncodingType, ContinuationToken: in.ContinuationToken,
		IsTruncated: &p.truncated, KeyCount: ptr(int32(p.size())), CommonPrefixes: e.prefixes(p.prefixes),
	}
	if p.truncated {
		out.NextContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(p.last))
	}
	var own *api.Owner
	if value(in.FetchOwner) {
		own = owner(b.Account)
	}
	for _, o := range p.objects {
		out.Contents = append(out.Contents, e.object(o, own))
	}
	return out, nil
}
