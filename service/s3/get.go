package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth/checksum"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// reading is what GetObject and HeadObject ask for.
type reading struct {
	target
	cond        readCondition
	rangeHeader string
	partNumber  *int32
	customer    customerKey
	checksums   bool
}

// selected is what they found.
type selected struct {
	*object
	span
	bucket *bucket
	parts  *int32 // PartsCount, where a part was asked for
	sum    *sum   // where it was asked for and covers what is given
}

// choose finds the object and the part of it that is asked for.
func (s *Service) choose(ctx context.Context, r reading) (selected, error) {
	for try := 0; ; try++ {
		sel, err := s.chooseOnce(ctx, r)
		if !errors.Is(err, store.ErrNotFound) || try == reopen {
			return sel, err
		}
	}
}

func (s *Service) chooseOnce(ctx context.Context, r reading) (selected, error) {
	b, o, err := s.object(ctx, r.target)
	if err != nil {
		return selected{}, err
	}
	out := selected{object: o, bucket: b}
	if err := o.Enc.admits(r.customer); err != nil {
		return out, err
	}
	if err := r.cond.check(o, s.now()); err != nil {
		return out, err
	}
	partSum := ""
	if r.partNumber != nil {
		if r.rangeHeader != "" {
			return out, invalidRequest("Cannot specify both Range header and partNumber query parameter")
		}
		out.span, partSum, err = s.part(ctx, o, *r.partNumber)
		if o.Parts > 0 {
			out.parts = &o.Parts
		}
	} else {
		out.span, err = parseRange(r.rangeHeader, o.Size)
	}
	if err != nil {
		return out, err
	}
	switch {
	case !r.checksums || o.Sum == nil:
	case out.length == o.Size && partSum == "":
		out.sum = o.Sum
	case partSum != "" && o.Sum.Type == checksum.Composite:
		out.sum = &sum{o.Sum.Algorithm, partSum, o.Sum.Type}
	}
	return out, nil
}

// part finds the span of a part by its number; an object that was put whole is
// its own part 1. The checksum of a part is told for composite ones.
func (s *Service) part(ctx context.Context, o *object, number int32) (span, string, error) {
	if number < 1 || number > maxParts {
		return span{}, "", badPartNumber(number)
	}
	segments := []segment{{N: 1, Size: o.Size}}
	if o.Content.Place == inParts {
		var err error
		if segments, err = s.layout(ctx, o.Content.ID); err != nil {
			return span{}, "", err
		}
	}
	offset := int64(0)
	for i, seg := range segments {
		if int32(i)+1 == number {
			return span{offset, seg.Size, seg.Size > 0}, seg.Sum, nil
		}
		offset += seg.Size
	}
	return span{}, "", fault.New(fault.InvalidPartNumber, "The requested partnumber is not satisfiable").
		With("ActualPartCount", strconv.Itoa(len(segments))).With("PartNumberRequested", strconv.Itoa(int(number)))
}

// reopen is how often a read looks again when the object is replaced between
// the reading of its record and the opening of its content.
const reopen = 10

// GetObject gives an object or a range of it. The body is checked against the
// damage of the disk as it is read: a damaged block is an error in place of its
// bytes, so the answer ends short.
func (s *Service) GetObject(ctx context.Context, in *api.GetObjectInput) (*api.GetObjectOutput, error) {
	overrides := []struct{ name, value string }{
		{"response-cache-control", in.ResponseCacheControl}, {"response-content-disposition", in.ResponseContentDisposition},
		{"response-content-encoding", in.ResponseContentEncoding}, {"response-content-language", in.ResponseContentLanguage},
		{"response-content-type", in.ResponseContentType},
	}
	for _, o := range overrides {
		if !latin1(o.value) {
			return nil, invalidArgument(o.name, o.value, "Header value cannot be represented using ISO-8859-1.")
		}
	}
	r := reading{
		target:      target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "GET"},
		cond:        readCondition{in.IfMatch, in.IfNoneMatch, in.IfModifiedSince, in.IfUnmodifiedSince, ""},
		rangeHeader: in.Range, partNumber: in.PartNumber, checksums: in.ChecksumMode == "ENABLED",
		customer: customerKey{in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5},
	}
	sel, body, err := s.choosePart(ctx, r)
	if err != nil {
		return nil, err
	}
	m := sel.Meta
	out := &api.GetObjectOutput{
		Body: body, AcceptRanges: "bytes", LastModified: &sel.Modified, ContentLength: &sel.length,
		ETag: quote(sel.ETag), VersionId: shownVersion(sel.bucket, sel.object), ContentRange: sel.contentRange(sel.Size),
		CacheControl: m.CacheControl, ContentDisposition: m.ContentDisposition, ContentEncoding: m.ContentEncoding,
		ContentLanguage: m.ContentLanguage, ContentType: m.ContentType, Expires: m.Expires,
		WebsiteRedirectLocation: m.Redirect, Metadata: m.User,
		StorageClass: sel.shownClass(), PartsCount: sel.parts, TagCount: tagCount(sel.Tags),
	}
	for i, field := range []*string{&out.CacheControl, &out.ContentDisposition, &out.ContentEncoding, &out.ContentLanguage, &out.ContentType} {
		if overrides[i].value != "" {
			*field = overrides[i].value
		}
	}
	if in.ResponseExpires != nil {
		out.Expires = in.ResponseExpires.UTC().Format(http.TimeFormat)
	}
	out.ObjectLockMode, out.ObjectLockRetainUntilDate, out.ObjectLockLegalHoldStatus = sel.Lock.shown()
	if out.Expiration, err = s.expiration(ctx, sel.bucket, sel.object); err != nil {
		_ = body.Close()
		return nil, err
	}
	sel.Enc.show(shown{&out.ServerSideEncryption, &out.SSEKMSKeyId, nil, &out.SSECustomerAlgorithm, &out.SSECustomerKeyMD5, &out.BucketKeyEnabled})
	if sel.sum != nil {
		out.ChecksumType = sel.sum.Type
		fields{&out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1, &out.ChecksumSHA256,
			&out.ChecksumSHA512, &out.ChecksumMD5, &out.ChecksumXXHASH64, &out.ChecksumXXHASH3, &out.ChecksumXXHASH128}.
			set(sel.sum.Algorithm, sel.sum.Value)
	}
	return out, nil
}

// choosePart chooses and opens what a read asks for.
func (s *Service) choosePart(ctx context.Context, r reading) (selected, io.ReadCloser, error) {
	for try := 0; ; try++ {
		sel, err := s.choose(ctx, r)
		if err != nil {
			return sel, nil, err
		}
		secret, err := s.secret(ctx, sel.Enc, r.customer)
		if err != nil {
			return sel, nil, err
		}
		body, err := s.open(ctx, sel.object, secret, sel.offset, sel.length)
		if errors.Is(err, errGone) && try < reopen {
			continue
		}
		if err != nil {
			return sel, nil, fmt.Errorf("read s3://%s/%s: %w", r.bucket, r.key, err)
		}
		return sel, body, nil
	}
}

// HeadObject is GetObject without the body.
func (s *Service) HeadObject(ctx context.Context, in *api.HeadObjectInput) (*api.HeadObjectOutput, error) {
	sel, err := s.choose(ctx, reading{
		target:      target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "HEAD"},
		cond:        readCondition{in.IfMatch, in.IfNoneMatch, in.IfModifiedSince, in.IfUnmodifiedSince, ""},
		rangeHeader: in.Range, partNumber: in.PartNumber, checksums: in.ChecksumMode == "ENABLED",
		customer: customerKey{in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5},
	})
	if err != nil {
		return nil, err
	}
	m := sel.Meta
	out := &api.HeadObjectOutput{
		AcceptRanges: "bytes", LastModified: &sel.Modified, ContentLength: &sel.length,
		ETag: quote(sel.ETag), VersionId: shownVersion(sel.bucket, sel.object), ContentRange: sel.contentRange(sel.Size),
		CacheControl: m.CacheControl, ContentDisposition: m.ContentDisposition, ContentEncoding: m.ContentEncoding,
		ContentLanguage: m.ContentLanguage, ContentType: m.ContentType, Expires: m.Expires,
		WebsiteRedirectLocation: m.Redirect, Metadata: m.User,
		StorageClass: sel.shownClass(), PartsCount: sel.parts, TagCount: tagCount(sel.Tags),
	}
	out.ObjectLockMode, out.ObjectLockRetainUntilDate, out.ObjectLockLegalHoldStatus = sel.Lock.shown()
	if out.Expiration, err = s.expiration(ctx, sel.bucket, sel.object); err != nil {
		return nil, err
	}
	sel.Enc.show(shown{&out.ServerSideEncryption, &out.SSEKMSKeyId, nil, &out.SSECustomerAlgorithm, &out.SSECustomerKeyMD5, &out.BucketKeyEnabled})
	if sel.sum != nil {
		out.ChecksumType = sel.sum.Type
		fields{&out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1, &out.ChecksumSHA256,
			&out.ChecksumSHA512, &out.ChecksumMD5, &out.ChecksumXXHASH64, &out.ChecksumXXHASH3, &out.ChecksumXXHASH128}.
			set(sel.sum.Algorithm, sel.sum.Value)
	}
	return out, nil
}

func tagCount(tags []tag) *int32 {
	if len(tags) == 0 {
		return nil
	}
	return ptr(int32(len(tags)))
}

func latin1(s string) bool {
	for _, c := range s {
		if c > 0xff {
			return false
		}
	}
	return true
}

// GetObjectAttributes gives those attributes of an object that are asked for.
func (s *Service) GetObjectAttributes(ctx context.Context, in *api.GetObjectAttributesInput) (*api.GetObjectAttributesOutput, error) {
	if len(in.ObjectAttributes) == 0 {
		return nil, invalidArgument("x-amz-object-attributes", "", "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	b, o, err := s.object(ctx, target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "GET"})
	if err != nil {
		return nil, err
	}
	if err := o.Enc.admits(customerKey{in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5}); err != nil {
		return nil, err
	}
	out := &api.GetObjectAttributesOutput{LastModified: &o.Modified, VersionId: shownVersion(b, o)}
	for _, list := range in.ObjectAttributes {
		for a := range strings.SplitSeq(list, ",") {
			if err := s.attribute(ctx, in, o, out, strings.TrimSpace(a)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (s *Service) attribute(ctx context.Context, in *api.GetObjectAttributesInput, o *object, out *api.GetObjectAttributesOutput, name string) error {
	switch name {
	case "ETag":
		out.ETag = o.ETag
	case "ObjectSize":
		out.ObjectSize = &o.Size
	case "StorageClass":
		out.StorageClass = o.storageClass()
	case "Checksum":
		if o.Sum != nil {
			out.Checksum = &api.Checksum{ChecksumType: o.Sum.Type}
			c := out.Checksum
			v, _, _ := strings.Cut(o.Sum.Value, "-")
			fields{&c.ChecksumCRC32, &c.ChecksumCRC32C, &c.ChecksumCRC64NVME, &c.ChecksumSHA1, &c.ChecksumSHA256,
				&c.ChecksumSHA512, &c.ChecksumMD5, &c.ChecksumXXHASH64, &c.ChecksumXXHASH3, &c.ChecksumXXHASH128}.set(o.Sum.Algorithm, v)
		}
	case "ObjectParts":
		if o.Content.Place != inParts {
			return nil
		}
		segments, err := s.layout(ctx, o.Content.ID)
		if err != nil {
			return err
		}
		out.ObjectParts = objectParts(in, o, segments)
	default:
		return invalidArgument("x-amz-object-attributes", name, "Invalid attribute name specified.")
	}
	return nil
}

// objectParts describes parts; S3 tells more than their number only of objects
// with a composite checksum.
func objectParts(in *api.GetObjectAttributesInput, o *object, segments []segment) *api.GetObjectAttributesParts {
	out := &api.GetObjectAttributesParts{TotalPartsCount: ptr(int32(len(segments)))}
	if o.Sum == nil || o.Sum.Type != checksum.Composite {
		return out
	}
	after := value(in.PartNumberMarker)
	limit := int32(pageLimit)
	if in.MaxParts != nil {
		limit = min(*in.MaxParts, limit)
	}
	last, truncated := after, false
	for _, seg := range segments {
		if seg.N <= after {
			continue
		}
		if int32(len(out.Parts)) == limit {
			truncated = true
			break
		}
		p := api.ObjectPart{PartNumber: ptr(seg.N), Size: ptr(seg.Size)}
		fields{&p.ChecksumCRC32, &p.ChecksumCRC32C, &p.ChecksumCRC64NVME, &p.ChecksumSHA1, &p.ChecksumSHA256,
			&p.ChecksumSHA512, &p.ChecksumMD5, &p.ChecksumXXHASH64, &p.ChecksumXXHASH3, &p.ChecksumXXHASH128}.set(o.Sum.Algorithm, seg.Sum)
		out.Parts = append(out.Parts, p)
		last = seg.N
	}
	out.PartNumberMarker, out.NextPartNumberMarker = &after, &last
	out.MaxParts, out.IsTruncated = &limit, &truncated
	return out
}
