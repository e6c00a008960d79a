package s3

import (
	"context"
	"io"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth/checksum"
)

const (
	directiveCopy    = "COPY"
	directiveReplace = "REPLACE"
)

// CopyObject copies an object of up to 5 GiB. The copy has bytes of its own.
func (s *Service) CopyObject(ctx context.Context, in *api.CopyObjectInput) (*api.CopyObjectOutput, error) {
	if err := checkCopy(in, s.now()); err != nil {
		return nil, err
	}
	src, err := parseCopySource(in.CopySource)
	if err != nil {
		return nil, err
	}
	src.expected = in.ExpectedSourceBucketOwner
	o, err := newObject(in.Key, meta{
		CacheControl: in.CacheControl, ContentDisposition: in.ContentDisposition, ContentEncoding: in.ContentEncoding,
		ContentLanguage: in.ContentLanguage, ContentType: in.ContentType, Expires: in.Expires,
		Redirect: in.WebsiteRedirectLocation, StorageClass: in.StorageClass, User: in.Metadata,
	}, in.Tagging)
	if err != nil {
		return nil, err
	}
	w := writing{bucket: in.Bucket, expected: in.ExpectedBucketOwner, object: o, cond: writeCondition{in.IfMatch, in.IfNoneMatch}, extras: copyExtras(in)}
	b, err := s.admit(ctx, w, 0)
	if err != nil {
		return nil, err
	}
	if err := inPlace(src, in); err != nil {
		return nil, err
	}
	cond := readCondition{in.CopySourceIfMatch, in.CopySourceIfNoneMatch, in.CopySourceIfModifiedSince, in.CopySourceIfUnmodifiedSince, "x-amz-copy-source-"}
	sel, body, err := s.choosePart(readingSource(ctx), reading{target: src, cond: cond,
		customer: customerKey{in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKey, in.CopySourceSSECustomerKeyMD5}})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if sel.Size > maxPut {
		return nil, invalidRequest("The specified copy source is larger than the maximum allowable size for a copy source: %d", int64(maxPut))
	}
	inherit(o, sel.object, in)
	how := intake{}
	if how.encryption, how.secret, err = s.protect(ctx, b, in.Key, copyProtection(in)); err != nil {
		return nil, err
	}
	r, err := s.receiveCopy(body, how, in.ChecksumAlgorithm, sel.object, o)
	if err != nil {
		return nil, err
	}
	b, err = s.write(ctx, w, r)
	if err != nil {
		return nil, err
	}
	out := copied(o, b, sel)
	out.Expiration, err = s.expiration(ctx, b, o)
	return out, err
}

// copied tells what a copy made.
func copied(o *object, b *bucket, sel selected) *api.CopyObjectOutput {
	out := &api.CopyObjectOutput{
		VersionId: shownVersion(b, o), CopySourceVersionId: shownVersion(sel.bucket, sel.object),
		CopyObjectResult: &api.CopyObjectResult{ETag: quote(o.ETag), LastModified: &o.Modified, ChecksumType: o.Sum.Type},
	}
	o.Enc.show(shown{&out.ServerSideEncryption, &out.SSEKMSKeyId, &out.SSEKMSEncryptionContext, &out.SSECustomerAlgorithm, &out.SSECustomerKeyMD5, &out.BucketKeyEnabled})
	c := out.CopyObjectResult
	fields{&c.ChecksumCRC32, &c.ChecksumCRC32C, &c.ChecksumCRC64NVME, &c.ChecksumSHA1, &c.ChecksumSHA256,
		&c.ChecksumSHA512, &c.ChecksumMD5, &c.ChecksumXXHASH64, &c.ChecksumXXHASH3, &c.ChecksumXXHASH128}.set(o.Sum.Algorithm, o.Sum.Value)
	return out
}

func copyProtection(in *api.CopyObjectInput) protection {
	return protection{in.ServerSideEncryption, in.SSEKMSKeyId, in.SSEKMSEncryptionContext, in.BucketKeyEnabled,
		customerKey{in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5}}
}

func copyExtras(in *api.CopyObjectInput) extras {
	return extras{aclRequest{in.ACL, in.GrantFullControl, in.GrantRead, in.GrantReadACP, "", in.GrantWriteACP},
		lockRequest{in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus}}
}

func checkCopy(in *api.CopyObjectInput, now time.Time) error {
	if err := copyExtras(in).check(now); err != nil {
		return err
	}
	for name, directive := range map[string]string{"x-amz-metadata-directive": in.MetadataDirective, "x-amz-tagging-directive": in.TaggingDirective} {
		if directive != "" && directive != directiveCopy && directive != directiveReplace {
			return invalidArgument(name, directive, "Unknown %s.", strings.ReplaceAll(strings.TrimPrefix(name, "x-amz-"), "-", " "))
		}
	}
	return copyProtection(in).check()
}

// inPlace refuses a copy that would change nothing.
func inPlace(src target, in *api.CopyObjectInput) error {
	same := src.bucket == in.Bucket && src.key == in.Key && src.version == "" &&
		in.MetadataDirective != directiveReplace && in.TaggingDirective != directiveReplace &&
		in.StorageClass == "" && in.WebsiteRedirectLocation == "" && in.ServerSideEncryption == "" && in.SSECustomerAlgorithm == ""
	if !same {
		return nil
	}
	return invalidRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
}

// inherit takes over what the directives leave to the source.
func inherit(o, source *object, in *api.CopyObjectInput) {
	if in.MetadataDirective != directiveReplace {
		given := o.Meta
		o.Meta = source.Meta
		o.Meta.StorageClass, o.Meta.Redirect = given.StorageClass, given.Redirect
	}
	if in.TaggingDirective != directiveReplace {
		o.Tags = source.Tags
	}
}

func (s *Service) receiveCopy(body io.Reader, how intake, wanted string, source, o *object) (*received, error) {
	algorithm := checksum.CRC64NVME
	if source.Sum != nil {
		algorithm = source.Sum.Algorithm
	}
	if wanted != "" {
		var ok bool
		if algorithm, ok = checksum.Parse(wanted); !ok {
			return nil, badAlgorithm()
		}
	}
	r, err := s.receive(body, how, algorithm)
	if err != nil {
		return nil, err
	}
	o.describe(r, algorithm)
	o.Enc = how.encryption
	return r, nil
}

func badAlgorithm() error {
	return invalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
}
