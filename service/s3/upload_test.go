package s3

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

type uploading struct {
	*fixture
	bucketName, key, id string
	etags               map[int32]string
	sums                map[int32]string // CRC32C
}

func (f *fixture) begin(key, algorithm, kind string) *uploading {
	f.t.Helper()
	out, err := f.CreateMultipartUpload(f.ctx, &api.CreateMultipartUploadInput{
		Bucket: "bkt", Key: key, ChecksumAlgorithm: algorithm, ChecksumType: kind, ContentType: "text/plain", Tagging: "a=1",
	})
	noError(f.t, err)
	return &uploading{f, "bkt", key, out.UploadId, map[int32]string{}, map[int32]string{}}
}

func (u *uploading) part(n int32, body string) *uploading {
	u.t.Helper()
	in := &api.UploadPartInput{Bucket: u.bucketName, Key: u.key, UploadId: u.id, PartNumber: &n, Body: text(body)}
	out, err := u.UploadPart(u.ctx, in)
	noError(u.t, err)
	u.etags[n] = out.ETag
	list, err := u.ListParts(u.ctx, &api.ListPartsInput{Bucket: u.bucketName, Key: u.key, UploadId: u.id})
	noError(u.t, err)
	for _, p := range list.Parts {
		u.sums[value(p.PartNumber)] = p.ChecksumCRC32C
	}
	return u
}

func (u *uploading) complete(change func(in *api.CompleteMultipartUploadInput), numbers ...int32) (*api.CompleteMultipartUploadOutput, error) {
	in := &api.CompleteMultipartUploadInput{Bucket: u.bucketName, Key: u.key, UploadId: u.id, MultipartUpload: &api.CompletedMultipartUpload{}}
	for _, n := range numbers {
		in.MultipartUpload.Parts = append(in.MultipartUpload.Parts, api.CompletedPart{PartNumber: &n, ETag: u.etags[n], ChecksumCRC32C: u.sums[n]})
	}
	if change != nil {
		change(in)
	}
	return u.CompleteMultipartUpload(u.ctx, in)
}

func TestUpload(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "k", large(10_000))
	one, two := large(minPart), large(minPart+100)
	u := f.begin("k", "", "").part(1, "replaced").part(1, one).part(3, two).part(7, "dropped").part(9, "end")
	out, err := u.complete(nil, 1, 3, 9)
	noError(t, err)
	if !strings.HasSuffix(out.ETag, `-3"`) || out.ChecksumType != "FULL_OBJECT" || out.Location != "http://127.0.0.1:4566/bkt/k" {
		t.Fatalf("complete = %+v", out)
	}
	f.reopen()
	if got := f.body("bkt", "k"); got != one+two+"end" {
		t.Fatalf("%d bytes, want %d", len(got), len(one+two)+3)
	}
	if n := f.filesOnDisk(); n != 3 {
		t.Fatalf("%d files, want those of the three parts", n)
	}
	body, got, _ := f.get(&api.GetObjectInput{Bucket: "bkt", Key: "k", Range: fmt.Sprintf("bytes=%d-%d", minPart-3, minPart+2), ChecksumMode: "ENABLED"})
	if body != one[minPart-3:]+two[:3] || got.ChecksumCRC64NVME != "" || got.ContentType != "text/plain" || value(got.TagCount) != 1 {
		t.Fatalf("range over two parts = %q, %+v", body, got)
	}
	put := f.put("bkt", "same", one+two+"end")
	if put.ChecksumCRC64NVME != out.ChecksumCRC64NVME {
		t.Fatalf("checksum %s from the parts, %s from the whole", out.ChecksumCRC64NVME, put.ChecksumCRC64NVME)
	}
	body, got, _ = f.get(&api.GetObjectInput{Bucket: "bkt", Key: "k", PartNumber: ptr(int32(3))})
	if body != "end" || value(got.PartsCount) != 3 || got.ContentRange != fmt.Sprintf("bytes %d-%d/%d", len(one+two), len(one+two)+2, len(one+two)+3) {
		t.Fatalf("part 3 = %q %+v", body, got)
	}
	_, err = f.GetObject(f.ctx, &api.GetObjectInput{Bucket: "bkt", Key: "k", PartNumber: ptr(int32(4))})
	wantFault(t, err, fault.InvalidPartNumber, "The requested partnumber is not satisfiable")
	_, err = u.complete(nil, 1, 3)
	wantFault(t, err, fault.NoSuchUpload, "")
}

// Answers of AWS: test_complete_multipart_parts_checksum_composite and its like.
func TestUploadRefusals(t *testing.T) {
	tests := []struct {
		name      string
		algorithm string
		change    func(in *api.CompleteMultipartUploadInput)
		numbers   []int32
		refusal   string
	}{
		{"no parts", "", nil, nil, "InvalidRequest: You must specify at least one part"},
		{"order", "", nil, []int32{2, 1}, "InvalidPartOrder: The list of parts was not in ascending order. Parts must be ordered by part number."},
		{"small", "", nil, []int32{1, 2}, "EntityTooSmall: Your proposed upload is smaller than the minimum allowed size"},
		{"not uploaded", "", nil, []int32{5}, "InvalidPart: One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
		{"other tag", "", func(in *api.CompleteMultipartUploadInput) { in.MultipartUpload.Parts[0].ETag = "x" }, []int32{1}, "InvalidPart: One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
		{"mode", "", func(in *api.CompleteMultipartUploadInput) { in.ChecksumType = "COMPOSITE" }, []int32{1}, "InvalidRequest: The upload was created using the null checksum mode. The complete request must use the same checksum mode."},
		{"sum of a part left out", "CRC32C", func(in *api.CompleteMultipartUploadInput) { in.MultipartUpload.Parts[0].ChecksumCRC32C = "" }, []int32{1}, "InvalidRequest: The upload was created using a crc32c checksum. The complete request must include the checksum for each part. It was missing for part 1 in the request."},
		{"size", "", func(in *api.CompleteMultipartUploadInput) { in.MpuObjectSize = ptr(int64(1)) }, []int32{1}, "InvalidRequest: The provided 'x-amz-mp-object-size' header value 1 does not match what was computed: 4"},
		{"sum of the whole", "", func(in *api.CompleteMultipartUploadInput) { in.ChecksumCRC64NVME = "AAAAAAAAAAA=" }, []int32{1}, "BadDigest: The crc64nvme you specified did not match the calculated checksum."},
		{"there already", "", func(in *api.CompleteMultipartUploadInput) { in.IfNoneMatch = "*" }, []int32{1}, "PreconditionFailed: At least one of the pre-conditions you specified did not hold"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t).bucket("bkt")
			f.put("bkt", "k", "before")
			u := f.begin("k", tt.algorithm, "").part(1, "data").part(2, "data")
			_, err := u.complete(tt.change, tt.numbers...)
			if err == nil || err.Error() != tt.refusal {
				t.Fatalf("error = %v, want %s", err, tt.refusal)
			}
			if got := f.body("bkt", "k"); got != "before" {
				t.Fatalf("object = %q", got)
			}
			_, err = u.complete(nil, 1)
			noError(t, err)
		})
	}
}

func TestCompositeChecksum(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	a := large(5242881)
	u := f.begin("k", "CRC32C", "").part(1, a).part(2, a).part(3, "aaaaaaaaaa")
	out, err := u.complete(nil, 1, 2, 3)
	if err != nil || out.ChecksumType != "COMPOSITE" || !strings.HasSuffix(out.ChecksumCRC32C, "-3") {
		t.Fatalf("complete = %+v, %v", out, err)
	}
	_, got, _ := f.get(&api.GetObjectInput{Bucket: "bkt", Key: "k", PartNumber: ptr(int32(3)), ChecksumMode: "ENABLED"})
	if got.ChecksumCRC32C != "5yZkMA==" {
		t.Fatalf("checksum of part 3 = %q", got.ChecksumCRC32C)
	}
	attrs, err := f.GetObjectAttributes(f.ctx, &api.GetObjectAttributesInput{Bucket: "bkt", Key: "k", ObjectAttributes: []string{"Checksum", "ObjectParts"}})
	if err != nil || value(attrs.ObjectParts.TotalPartsCount) != 3 || attrs.ObjectParts.Parts[2].ChecksumCRC32C != "5yZkMA==" ||
		attrs.Checksum.ChecksumCRC32C+"-3" != out.ChecksumCRC32C {
		t.Fatalf("attributes = %+v, %v", attrs, err)
	}
}

// Answers of AWS: test_multipart_checksum_type_compatibility.
func TestChecksumTypes(t *testing.T) {
	tests := []struct{ algorithm, kind, want, refusal string }{
		{"", "", "", ""},
		{"SHA1", "COMPOSITE", "COMPOSITE", ""},
		{"SHA256", "", "COMPOSITE", ""},
		{"CRC64NVME", "", "FULL_OBJECT", ""},
		{"CRC32", "FULL_OBJECT", "FULL_OBJECT", ""},
		{"CRC64NVME", "COMPOSITE", "", "InvalidRequest: The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm."},
		{"SHA256", "FULL_OBJECT", "", "InvalidRequest: The FULL_OBJECT checksum type cannot be used with the sha256 checksum algorithm."},
	}
	for _, tt := range tests {
		_, kind, err := checksumType(tt.algorithm, tt.kind)
		if kind != tt.want || err == nil && tt.refusal != "" || err != nil && err.Error() != tt.refusal {
			t.Errorf("%s %s = %q, %v; want %q, %s", tt.algorithm, tt.kind, kind, err, tt.want, tt.refusal)
		}
	}
}

func TestAbortAndNoSuchUpload(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	u := f.begin("k", "", "").part(1, "x").part(2, "y")
	abort := func() error {
		_, err := f.AbortMultipartUpload(f.ctx, &api.AbortMultipartUploadInput{Bucket: "bkt", Key: "k", UploadId: u.id})
		return err
	}
	noError(t, abort())
	if n := f.filesOnDisk(); n != 0 {
		t.Fatalf("%d files are left of an upload that was given up", n)
	}
	wantFault(t, abort(), fault.NoSuchUpload, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	_, err := f.UploadPart(f.ctx, &api.UploadPartInput{Bucket: "bkt", Key: "k", UploadId: u.id, PartNumber: ptr(int32(1)), Body: text("x")})
	wantFault(t, err, fault.NoSuchUpload, "")
	_, err = f.ListParts(f.ctx, &api.ListPartsInput{Bucket: "bkt", Key: "k", UploadId: "fakeid"})
	wantFault(t, err, fault.NoSuchUpload, "")
	_, err = f.UploadPart(f.ctx, &api.UploadPartInput{Bucket: "bkt", Key: "k", UploadId: u.id, PartNumber: ptr(int32(-1)), Body: text("x")})
	wantFault(t, err, fault.InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive")
}

// Answers of AWS: test_list_parts_pagination, test_multipart_and_list_parts.
func TestListPartsAndUploads(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	u := f.begin("b/k", "", "").part(1, "data").part(2, "data")
	parts := func(limit, marker int32) (n, next int32, truncated bool) {
		out, err := f.ListParts(f.ctx, &api.ListPartsInput{Bucket: "bkt", Key: "b/k", UploadId: u.id, MaxParts: &limit, PartNumberMarker: &marker})
		noError(t, err)
		return int32(len(out.Parts)), value(out.NextPartNumberMarker), value(out.IsTruncated)
	}
	for _, tt := range []struct {
		limit, marker, n, next int32
		truncated              bool
	}{{1000, 0, 2, 2, false}, {1, 0, 1, 1, true}, {1, 1, 1, 2, false}, {1, 10, 0, 0, false}} {
		if n, next, truncated := parts(tt.limit, tt.marker); n != tt.n || next != tt.next || truncated != tt.truncated {
			t.Errorf("parts %d after %d = %d, %d, %v; want %+v", tt.limit, tt.marker, n, next, truncated, tt)
		}
	}
	f.clock.Add(1)
	f.begin("b/k", "", "")
	f.begin("a", "", "")
	f.begin("b", "", "")
	var got []string
	in := &api.ListMultipartUploadsInput{Bucket: "bkt", MaxUploads: ptr(int32(1))}
	for {
		out, err := f.ListMultipartUploads(f.ctx, in)
		noError(t, err)
		for _, item := range out.Uploads {
			got = append(got, item.Key)
		}
		if !value(out.IsTruncated) {
			break
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
	if strings.Join(got, ",") != "a,b,b/k,b/k" {
		t.Fatalf("uploads = %v", got)
	}
	out, err := f.ListMultipartUploads(f.ctx, &api.ListMultipartUploadsInput{Bucket: "bkt", Prefix: "b", Delimiter: "/"})
	if err != nil || len(out.Uploads) != 1 || len(out.CommonPrefixes) != 1 || out.CommonPrefixes[0].Prefix != "b/" {
		t.Fatalf("groups = %+v, %v", out, err)
	}
}

func TestUploadPartCopy(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "src", "0123456789")
	u := f.begin("k", "CRC32C", "")
	copyPart := func(n int32, r string) error {
		out, err := f.UploadPartCopy(f.ctx, &api.UploadPartCopyInput{Bucket: "bkt", Key: "k", UploadId: u.id, PartNumber: &n, CopySource: "bkt/src", CopySourceRange: r})
		if err == nil {
			u.etags[n], u.sums[n] = out.CopyPartResult.ETag, out.CopyPartResult.ChecksumCRC32C
		}
		return err
	}
	noError(t, copyPart(1, "bytes=2-4"))
	noError(t, copyPart(2, ""))
	wantFault(t, copyPart(3, "bytes=5-10"), fault.InvalidArgument, "Range specified is not valid for source object of size: 10")
	wantFault(t, copyPart(3, "bytes=20-30"), fault.InvalidRange, "")
	wantFault(t, copyPart(3, "bytes=5-"), fault.InvalidArgument, "")
	_, err := u.complete(nil, 2)
	noError(t, err)
	if got := f.body("bkt", "k"); got != "0123456789" {
		t.Fatalf("object = %q", got)
	}
}
