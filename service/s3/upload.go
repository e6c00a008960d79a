package s3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/checksum"
	"github.com/slipway/slipway/store"
)

const maxParts = 10000

// upload is a multipart upload under way, by "bucket/key in hexadecimal/id". Ids
// begin with the time, so the uploads of a key are in order.
type upload struct {
	ID        string
	Key       string
	Initiated time.Time
	Algorithm checksum.Algorithm `json:",omitempty"` // "": none was named
	Type      string             `json:",omitempty"`
	Meta      meta
	Enc       *encryption `json:",omitempty"`
	Tags      []tag       `json:",omitempty"`
	Access    *access     `json:",omitempty"`
	Lock      *lock       `json:",omitempty"` // as asked for; the default counts from the completion
}

// part is an uploaded part, by "upload id/number". Each is a file.
type part struct {
	Number   int32
	File     string
	Size     int64
	ETag     string
	Modified time.Time
	Sums     map[checksum.Algorithm][]byte
	Claimed  checksum.Algorithm `json:",omitempty"` // of the checksum that the client sent
}

var (
	uploads = store.NewCollection[upload](store.BulkPrefix + "s3/upload")
	parts   = store.NewCollection[part](store.BulkPrefix + "s3/part")
)

func uploadKey(bucketName, key, id string) string { return versionsOf(bucketName, key) + id }

func partKey(uploadID string, number int32) string { return fmt.Sprintf("%s/%05d", uploadID, number) }

func (s *Service) newUploadID() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%016x", s.now().UnixNano()) + hex.EncodeToString(b[:])
}

func badPartNumber(n int32) error {
	return invalidArgument("partNumber", strconv.Itoa(int(n)), "Part number must be an integer between 1 and 10000, inclusive")
}

// findUpload gives the upload that a request names.
func findUpload(ctx context.Context, tx store.Tx, bucketName, expected, key, id string) (*bucket, *upload, error) {
	b, err := lookup(ctx, tx, bucketName, expected, key)
	if err != nil {
		return nil, nil, err
	}
	if err := checkKey(key); err != nil {
		return nil, nil, err
	}
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 32 {
		return nil, nil, noSuchUpload(id)
	}
	u, err := uploads.Get(tx, uploadKey(b.Name, key, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, noSuchUpload(id)
	}
	return b, u, err
}

// checksumType decides how the checksum of the whole will be made.
func checksumType(algorithm, kind string) (checksum.Algorithm, string, error) {
	if algorithm == "" {
		if kind != "" {
			return "", "", invalidRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return "", "", nil
	}
	a, ok := checksum.Parse(algorithm)
	if !ok {
		return "", "", badAlgorithm()
	}
	lower := a.Header()[len("x-amz-checksum-"):]
	switch {
	case kind == "" && a == checksum.CRC64NVME:
		kind = checksum.FullObject
	case kind == "":
		kind = checksum.Composite
	case kind == checksum.Composite && a == checksum.CRC64NVME, kind == checksum.FullObject && !a.Linear():
		return "", "", invalidRequest("The %s checksum type cannot be used with the %s checksum algorithm.", kind, lower)
	case kind != checksum.Composite && kind != checksum.FullObject:
		return "", "", invalidRequest("Value for x-amz-checksum-type header is invalid.")
	}
	return a, kind, nil
}

// CreateMultipartUpload begins an upload.
func (s *Service) CreateMultipartUpload(ctx context.Context, in *api.CreateMultipartUploadInput) (*api.CreateMultipartUploadOutput, error) {
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
	o, err := newObject(in.Key, meta{
		CacheControl: in.CacheControl, ContentDisposition: in.ContentDisposition, ContentEncoding: in.ContentEncoding,
		ContentLanguage: in.ContentLanguage, ContentType: in.ContentType, Expires: in.Expires,
		Redirect: in.WebsiteRedirectLocation, StorageClass: in.StorageClass, User: in.Metadata,
	}, in.Tagging)
	if err != nil {
		return nil, err
	}
	u := &upload{ID: s.newUploadID(), Key: in.Key, Initiated: s.second(), Meta: o.Meta, Tags: o.Tags}
	if u.Algorithm, u.Type, err = checksumType(in.ChecksumAlgorithm, in.ChecksumType); err != nil {
		return nil, err
	}
	b, err := s.admit(ctx, writing{bucket: in.Bucket, expected: in.ExpectedBucketOwner, object: o, extras: e}, 0)
	if err != nil {
		return nil, err
	}
	if u.Enc, _, err = s.protect(ctx, b, in.Key, p); err != nil {
		return nil, err
	}
	err = s.update(ctx, nil, func(c *change) error {
		b, err := lookup(ctx, c, in.Bucket, in.ExpectedBucketOwner, in.Key)
		if err != nil {
			return err
		}
		if err := e.apply(auth.From(ctx), b, o, s.now()); err != nil {
			return err
		}
		if u.Access = o.Access; e.lock.given() {
			u.Lock = o.Lock
		}
		return uploads.Put(c, uploadKey(b.Name, in.Key, u.ID), u)
	})
	if err != nil {
		return nil, err
	}
	out := &api.CreateMultipartUploadOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: u.ID, ChecksumAlgorithm: string(u.Algorithm), ChecksumType: u.Type,
	}
	u.Enc.show(shown{&out.ServerSideEncryption, &out.SSEKMSKeyId, &out.SSEKMSEncryptionContext, &out.SSECustomerAlgorithm, &out.SSECustomerKeyMD5, &out.BucketKeyEnabled})
	return out, nil
}

// wanted are the checksums that a part needs for the upload's own to be made.
func (u *upload) wanted(given claims) []checksum.Algorithm {
	list := []checksum.Algorithm{checksum.CRC64NVME}
	if u.Algorithm != "" {
		list = []checksum.Algorithm{u.Algorithm}
	}
	if given.algorithm != "" {
		list = append(list, given.algorithm)
	}
	return list
}

// UploadPart takes a part in. It is durable when the call returns.
func (s *Service) UploadPart(ctx context.Context, in *api.UploadPartInput) (*api.UploadPartOutput, error) {
	number := value(in.PartNumber)
	if number < 1 || number > maxParts {
		return nil, badPartNumber(number)
	}
	if n := value(in.ContentLength); n > maxPut {
		return nil, entityTooLarge(n, maxPut)
	}
	given, err := readClaims(in.ContentMD5, sums{in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumCRC64NVME, in.ChecksumSHA1, in.ChecksumSHA256,
		in.ChecksumSHA512, in.ChecksumMD5, in.ChecksumXXHASH64, in.ChecksumXXHASH3, in.ChecksumXXHASH128})
	if err != nil {
		return nil, err
	}
	at := uploadTarget{in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId}
	u, err := s.upload(ctx, at)
	if err != nil {
		return nil, err
	}
	how, err := s.partIntake(ctx, u, customerKey{in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5})
	if err != nil {
		return nil, err
	}
	r, err := s.receive(in.Body, how, u.wanted(given)...)
	if err != nil {
		return nil, err
	}
	claimed := given.algorithm
	if err = given.verify(r); err == nil {
		var trailing checksum.Algorithm
		if trailing, err = trailer(in.Body, r); trailing != "" {
			claimed = trailing
		}
	}
	if err == nil && u.Algorithm != "" && claimed != "" && claimed != u.Algorithm {
		err = invalidRequest("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", lower(u.Algorithm), lower(claimed))
	}
	if err != nil {
		s.blobs.Remove(r.files()...)
		return nil, err
	}
	p := s.newPart(number, r, claimed)
	if err := s.keepPart(ctx, at, p, r); err != nil {
		return nil, err
	}
	out := &api.UploadPartOutput{ETag: quote(p.ETag)}
	u.Enc.show(shown{&out.ServerSideEncryption, &out.SSEKMSKeyId, nil, &out.SSECustomerAlgorithm, &out.SSECustomerKeyMD5, &out.BucketKeyEnabled})
	if claimed != "" {
		fields{&out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1, &out.ChecksumSHA256,
			&out.ChecksumSHA512, &out.ChecksumMD5, &out.ChecksumXXHASH64, &out.ChecksumXXHASH3, &out.ChecksumXXHASH128}.
			set(claimed, checksum.Encode(p.Sums[claimed]))
	}
	return out, nil
}

// partIntake finds the secret that all parts of the upload are sealed under.
func (s *Service) partIntake(ctx context.Context, u *upload, c customerKey) (intake, error) {
	secret, err := s.secret(ctx, u.Enc, c)
	return intake{alwaysFile: true, encryption: u.Enc, secret: secret}, err
}

func lower(a checksum.Algorithm) string { return a.Header()[len("x-amz-checksum-"):] }

type uploadTarget struct{ bucket, expected, key, id string }

func (s *Service) upload(ctx context.Context, at uploadTarget) (u *upload, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		_, u, err = findUpload(ctx, tx, at.bucket, at.expected, at.key, at.id)
		return err
	})
	return u, err
}

func (s *Service) newPart(number int32, r *received, claimed checksum.Algorithm) *part {
	return &part{Number: number, File: r.ID, Size: r.size, ETag: r.etag(), Modified: s.second(), Sums: r.sums, Claimed: claimed}
}

// keepPart commits a part in place of one of the same number.
func (s *Service) keepPart(ctx context.Context, at uploadTarget, p *part, r *received) error {
	return s.update(ctx, []*received{r}, func(c *change) error {
		if _, _, err := findUpload(ctx, c, at.bucket, at.expected, at.key, at.id); err != nil {
			return err
		}
		key := partKey(at.id, p.Number)
		old, err := parts.Get(c, key)
		if err == nil {
			err = c.dropFile(old.File)
		}
		if err = ignoreNotFound(err); err != nil {
			return err
		}
		return parts.Put(c, key, p)
	})
}

// UploadPartCopy takes a part from an object or a range of one.
func (s *Service) UploadPartCopy(ctx context.Context, in *api.UploadPartCopyInput) (*api.UploadPartCopyOutput, error) {
	number := value(in.PartNumber)
	if number < 1 || number > maxParts {
		return nil, badPartNumber(number)
	}
	src, err := parseCopySource(in.CopySource)
	if err != nil {
		return nil, err
	}
	src.expected = in.ExpectedSourceBucketOwner
	at := uploadTarget{in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId}
	u, err := s.upload(ctx, at)
	if err != nil {
		return nil, err
	}
	cond := readCondition{in.CopySourceIfMatch, in.CopySourceIfNoneMatch, in.CopySourceIfModifiedSince, in.CopySourceIfUnmodifiedSince, "x-amz-copy-source-"}
	if err := checkCopyRange(in.CopySourceRange); err != nil {
		return nil, err
	}
	sel, body, err := s.choosePart(readingSource(ctx), reading{target: src, cond: cond, rangeHeader: in.CopySourceRange,
		customer: customerKey{in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKey, in.CopySourceSSECustomerKeyMD5}})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if in.CopySourceRange != "" && !strings.HasSuffix(in.CopySourceRange, fmt.Sprintf("-%d", sel.offset+sel.length-1)) {
		return nil, invalidArgument("x-amz-copy-source-range", in.CopySourceRange, "Range specified is not valid for source object of size: %d", sel.Size)
	}
	how, err := s.partIntake(ctx, u, customerKey{in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5})
	if err != nil {
		return nil, err
	}
	r, err := s.receive(body, how, u.wanted(claims{})...)
	if err != nil {
		return nil, err
	}
	p := s.newPart(number, r, u.Algorithm)
	if err := s.keepPart(ctx, at, p, r); err != nil {
		return nil, err
	}
	out := &api.UploadPartCopyOutput{
		CopySourceVersionId: shownVersion(sel.bucket, sel.object),
		CopyPartResult:      &api.CopyPartResult{ETag: quote(p.ETag), LastModified: &p.Modified},
	}
	u.Enc.show(shown{&out.ServerSideEncryption, &out.SSEKMSKeyId, nil, &out.SSECustomerAlgorithm, &out.SSECustomerKeyMD5, &out.BucketKeyEnabled})
	if c := out.CopyPartResult; u.Algorithm != "" {
		fields{&c.ChecksumCRC32, &c.ChecksumCRC32C, &c.ChecksumCRC64NVME, &c.ChecksumSHA1, &c.ChecksumSHA256,
			&c.ChecksumSHA512, &c.ChecksumMD5, &c.ChecksumXXHASH64, &c.ChecksumXXHASH3, &c.ChecksumXXHASH128}.
			set(u.Algorithm, checksum.Encode(p.Sums[u.Algorithm]))
	}
	return out, nil
}

// checkCopyRange demands both ends of a range.
func checkCopyRange(r string) error {
	first, last, dash := strings.Cut(strings.TrimPrefix(r, "bytes="), "-")
	_, okFirst := digits(first)
	_, okLast := digits(last)
	if r != "" && (!strings.HasPrefix(r, "bytes=") || !dash || !okFirst || !okLast) {
		return invalidArgument("x-amz-copy-source-range", r, "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	}
	return nil
}

// dropUpload removes an upload and all its parts.
func (c *change) dropUpload(key string, u *upload) error {
	list, err := partsOf(c, u.ID)
	if err != nil {
		return err
	}
	for _, p := range list {
		if err := c.dropFile(p.File); err != nil {
			return err
		}
		if err := parts.Delete(c, partKey(u.ID, p.Number)); err != nil {
			return err
		}
	}
	return uploads.Delete(c, key)
}

func partsOf(tx store.Tx, uploadID string) (list []*part, err error) {
	for e, err := range parts.Scan(tx, uploadID+"/") {
		if err != nil {
			return nil, err
		}
		list = append(list, e.Value)
	}
	return list, nil
}

// partsAfter gives up to limit parts with numbers above one.
func partsAfter(tx store.Tx, uploadID string, number int32, limit int) (list []*part, err error) {
	prefix := parts.Prefix() + uploadID + "/"
	for doc, err := range tx.Scan(parts.Prefix()+partKey(uploadID, number)+"\x00", store.PrefixEnd(prefix)) {
		if err != nil || len(list) == limit {
			return list, err
		}
		p := new(part)
		if err := json.Unmarshal(doc.Value, p); err != nil {
			return nil, fmt.Errorf("decode %s: %w", doc.Key, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// AbortMultipartUpload gives an upload up.
func (s *Service) AbortMultipartUpload(ctx context.Context, in *api.AbortMultipartUploadInput) (*api.AbortMultipartUploadOutput, error) {
	err := s.update(ctx, nil, func(c *change) error {
		b, u, err := findUpload(ctx, c, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId)
		if err != nil {
			return err
		}
		return c.dropUpload(uploadKey(b.Name, u.Key, u.ID), u)
	})
	if err != nil {
		return nil, err
	}
	return &api.AbortMultipartUploadOutput{}, nil
}

// ListParts lists the parts of an upload by number.
func (s *Service) ListParts(ctx context.Context, in *api.ListPartsInput) (*api.ListPartsOutput, error) {
	limit, err := pageSize("max-parts", in.MaxParts)
	if err != nil {
		return nil, err
	}
	var u *upload
	var list []*part
	err = s.store.View(ctx, func(tx store.Tx) error {
		if _, u, err = findUpload(ctx, tx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId); err != nil {
			return err
		}
		list, err = partsAfter(tx, u.ID, value(in.PartNumberMarker), limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	account := auth.From(ctx).Scope.Account
	marker, last, truncated := value(in.PartNumberMarker), int32(0), false
	out := &api.ListPartsOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: u.ID, PartNumberMarker: &marker, NextPartNumberMarker: &last,
		MaxParts: ptr(int32(limit)), IsTruncated: &truncated, Owner: owner(account),
		Initiator:    &api.Initiator{ID: ownerID(account), DisplayName: account},
		StorageClass: (&object{Meta: u.Meta}).storageClass(), ChecksumAlgorithm: string(u.Algorithm), ChecksumType: u.Type,
	}
	for _, p := range list {
		if len(out.Parts) == limit {
			truncated = true
			break
		}
		item := api.Part{PartNumber: ptr(p.Number), LastModified: &p.Modified, ETag: quote(p.ETag), Size: &p.Size}
		if u.Algorithm != "" {
			fields{&item.ChecksumCRC32, &item.ChecksumCRC32C, &item.ChecksumCRC64NVME, &item.ChecksumSHA1, &item.ChecksumSHA256,
				&item.ChecksumSHA512, &item.ChecksumMD5, &item.ChecksumXXHASH64, &item.ChecksumXXHASH3, &item.ChecksumXXHASH128}.
				set(u.Algorithm, checksum.Encode(p.Sums[u.Algorithm]))
		}
		out.Parts = append(out.Parts, item)
		last = p.Number
	}
	return out, nil
}
