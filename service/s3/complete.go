package s3

import (
	"context"
	"crypto/md5" //nolint:gosec // entity tags are MD5 by S3's definition.
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/checksum"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/s3/blob"
	"github.com/slipway/slipway/store"
)

// CompleteMultipartUpload makes an object of the named parts, without touching
// their bytes, and drops the others. Asked again, it answers the same as long as
// the object is there.
func (s *Service) CompleteMultipartUpload(ctx context.Context, in *api.CompleteMultipartUploadInput) (*api.CompleteMultipartUploadOutput, error) {
	stated, err := readStated(in)
	if err != nil {
		return nil, err
	}
	var b *bucket
	var o *object
	err = s.update(ctx, nil, func(c *change) error {
		var u *upload
		if b, u, err = findUpload(ctx, c, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId); err != nil {
			b, o, err = completed(ctx, c, in, err)
			return err
		}
		if err := (writeCondition{in.IfMatch, in.IfNoneMatch}).check(c, b, in.Key); err != nil {
			return err
		}
		all, err := partsOf(c, u.ID)
		if err != nil {
			return err
		}
		chosen, err := choose(u, all, stated)
		if err != nil {
			return err
		}
		if o, err = assemble(u, chosen, stated); err != nil {
			return err
		}
		o.Modified = s.second()
		if o.Access, o.Lock = u.Access, u.Lock; o.Lock == nil {
			o.Lock = lockRequest{}.lock(b, s.now())
		}
		if err := c.complete(b, u, o, all, chosen); err != nil {
			return err
		}
		return c.emitCreated(ctx, b, o)
	})
	if err != nil {
		return nil, err
	}
	out := &api.CompleteMultipartUploadOutput{
		Bucket: in.Bucket, Key: in.Key, ETag: quote(o.ETag), VersionId: shownVersion(b, o),
		Location: auth.From(ctx).Endpoint + "/" + in.Bucket + "/" + encoder(true).encode(in.Key), ChecksumType: o.Sum.Type,
	}
	o.Enc.show(shown{&out.ServerSideEncryption, &out.SSEKMSKeyId, nil, new(string), new(string), &out.BucketKeyEnabled})
	fields{&out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1, &out.ChecksumSHA256,
		&out.ChecksumSHA512, &out.ChecksumMD5, &out.ChecksumXXHASH64, &out.ChecksumXXHASH3, &out.ChecksumXXHASH128}.
		set(o.Sum.Algorithm, o.Sum.Value)
	out.Expiration, err = s.expiration(ctx, b, o)
	return out, err
}

// completed finds the object that an upload has made already, of the same parts,
// where unknown is the refusal of an upload that is not there.
func completed(ctx context.Context, c *change, in *api.CompleteMultipartUploadInput, unknown error) (*bucket, *object, error) {
	if refused, ok := fault.As(unknown); !ok || refused.Code != fault.NoSuchUpload || in.UploadId == "" {
		return nil, nil, unknown
	}
	b, err := lookup(ctx, c, in.Bucket, in.ExpectedBucketOwner, in.Key)
	if err != nil {
		return nil, nil, err
	}
	tags := md5.New() //nolint:gosec // as above
	for _, p := range in.MultipartUpload.Parts {
		raw, err := hex.DecodeString(strings.Trim(p.ETag, `"`))
		if err != nil {
			return nil, nil, unknown
		}
		tags.Write(raw)
	}
	etag := hex.EncodeToString(tags.Sum(nil)) + "-" + strconv.Itoa(len(in.MultipartUpload.Parts))
	o, err := objects.Get(c, b.Name+"/"+in.Key)
	if err == nil && o.Upload == in.UploadId && o.ETag == etag {
		return b, o, nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, nil, err
	}
	for e, err := range versions.Scan(c, versionsOf(b.Name, in.Key)) {
		if err != nil {
			return nil, nil, err
		}
		if e.Value.Upload == in.UploadId && e.Value.ETag == etag {
			return b, e.Value, nil
		}
	}
	return nil, nil, unknown
}

// stated is what a completion says about the whole and about each part.
type stated struct {
	parts     []api.CompletedPart
	algorithm checksum.Algorithm // of the whole's checksum, or ""
	value     string
	kind      string
	size      *int64
}

func readStated(in *api.CompleteMultipartUploadInput) (stated, error) {
	st := stated{kind: in.ChecksumType, size: in.MpuObjectSize}
	if in.MultipartUpload == nil || len(in.MultipartUpload.Parts) == 0 {
		return st, invalidRequest("You must specify at least one part")
	}
	st.parts = in.MultipartUpload.Parts
	if len(st.parts) > maxParts {
		return st, malformedXML()
	}
	var err error
	st.algorithm, st.value, err = sums{in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumCRC64NVME, in.ChecksumSHA1, in.ChecksumSHA256,
		in.ChecksumSHA512, in.ChecksumMD5, in.ChecksumXXHASH64, in.ChecksumXXHASH3, in.ChecksumXXHASH128}.one()
	return st, err
}

func invalidPart(u *upload, p api.CompletedPart) error {
	return fault.New(fault.InvalidPart, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.").
		With("UploadId", u.ID).With("PartNumber", strconv.Itoa(int(value(p.PartNumber)))).With("ETag", strings.Trim(p.ETag, `"`))
}

// choose finds the uploaded parts that the completion names, and checks them.
func choose(u *upload, all []*part, st stated) ([]*part, error) {
	mode := u.Type
	if mode == "" {
		mode = "null"
	}
	if st.kind != "" && st.kind != mode {
		return nil, invalidRequest("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", mode)
	}
	byNumber := map[int32]*part{}
	for _, p := range all {
		byNumber[p.Number] = p
	}
	var chosen []*part
	previous := int32(0)
	for _, named := range st.parts {
		n := value(named.PartNumber)
		if n <= previous {
			return nil, fault.New(fault.InvalidPartOrder, "The list of parts was not in ascending order. Parts must be ordered by part number.").
				With("UploadId", u.ID)
		}
		previous = n
		p := byNumber[n]
		if p == nil || strings.Trim(named.ETag, `"`) != p.ETag {
			return nil, invalidPart(u, named)
		}
		if err := checkPartSum(u, p, named); err != nil {
			return nil, err
		}
		chosen = append(chosen, p)
	}
	for i, p := range chosen[:len(chosen)-1] {
		if p.Size < minPart {
			return nil, fault.New(fault.EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size").
				With("ETag", strings.Trim(st.parts[i].ETag, `"`)).With("PartNumber", strconv.Itoa(int(p.Number))).
				With("MinSizeAllowed", strconv.Itoa(minPart)).With("ProposedSize", strconv.FormatInt(p.Size, 10))
		}
	}
	return chosen, nil
}

// checkPartSum compares the checksum that the completion states for a part.
// Composite checksums demand one for each.
func checkPartSum(u *upload, p *part, named api.CompletedPart) error {
	a, v, err := sums{named.ChecksumCRC32, named.ChecksumCRC32C, named.ChecksumCRC64NVME, named.ChecksumSHA1, named.ChecksumSHA256,
		named.ChecksumSHA512, named.ChecksumMD5, named.ChecksumXXHASH64, named.ChecksumXXHASH3, named.ChecksumXXHASH128}.one()
	switch {
	case err != nil:
		return err
	case a == "" && u.Type == checksum.Composite:
		return invalidRequest("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.",
			lower(u.Algorithm), p.Number)
	case a != "" && (a != u.Algorithm || checksum.Encode(p.Sums[a]) != v):
		return invalidPart(u, named)
	}
	return nil
}

// assemble describes the object that the parts make.
func assemble(u *upload, chosen []*part, st stated) (*object, error) {
	tags := md5.New() //nolint:gosec // as above
	o := &object{Key: u.Key, Meta: u.Meta, Tags: u.Tags, Enc: u.Enc, Upload: u.ID, Parts: int32(len(chosen)), Content: content{Place: inParts, ID: blob.NewID()}}
	for _, p := range chosen {
		raw, err := hex.DecodeString(p.ETag)
		if err != nil {
			return nil, fmt.Errorf("entity tag of part %d: %w", p.Number, err)
		}
		tags.Write(raw)
		o.Size += p.Size
	}
	o.ETag = hex.EncodeToString(tags.Sum(nil)) + "-" + strconv.Itoa(len(chosen))
	o.Sum = wholeSum(u, chosen)
	if st.size != nil && *st.size != o.Size {
		return nil, invalidRequest("The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", *st.size, o.Size)
	}
	if st.algorithm != "" {
		v, _, _ := strings.Cut(o.Sum.Value, "-")
		if given, _, _ := strings.Cut(st.value, "-"); st.algorithm != o.Sum.Algorithm || given != v {
			return nil, fault.New(fault.BadDigest, "The %s you specified did not match the calculated checksum.", lower(st.algorithm))
		}
	}
	return o, nil
}

// wholeSum makes the whole's checksum from those of its parts.
func wholeSum(u *upload, chosen []*part) *sum {
	a := u.Algorithm
	if a == "" {
		a = checksum.CRC64NVME
	}
	if u.Type == checksum.Composite {
		h := a.New()
		for _, p := range chosen {
			h.Write(p.Sums[a])
		}
		return &sum{a, checksum.Encode(h.Sum(nil)) + "-" + strconv.Itoa(len(chosen)), checksum.Composite}
	}
	whole := a.New().Sum(nil)
	for _, p := range chosen {
		whole = a.Combine(whole, p.Sums[a], p.Size)
	}
	return &sum{a, checksum.Encode(whole), checksum.FullObject}
}

// complete writes the object and removes the upload.
func (c *change) complete(b *bucket, u *upload, o *object, all, chosen []*part) error {
	used := map[int32]bool{}
	layout := &partsRecord{}
	for _, p := range chosen {
		used[p.Number] = true
		layout.Parts = append(layout.Parts, segment{p.Number, p.File, p.Size, checksum.Encode(p.Sums[o.Sum.Algorithm])})
	}
	for _, p := range all {
		if !used[p.Number] {
			if err := c.dropFile(p.File); err != nil {
				return err
			}
		}
		if err := parts.Delete(c, partKey(u.ID, p.Number)); err != nil {
			return err
		}
	}
	if err := layouts.Put(c, o.Content.ID, layout); err != nil {
		return err
	}
	if err := uploads.Delete(c, uploadKey(b.Name, u.Key, u.ID)); err != nil {
		return err
	}
	return c.putVersion(b, o)
}
