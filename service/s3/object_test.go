package s3

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

func TestObjectsComeBackAfterRestart(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	bodies := map[string]string{"empty": "", "small": "hello", "limit": large(inlineLimit), "file": large(inlineLimit + 1), "large": large(3<<20 + 7)}
	for key, body := range bodies {
		f.put("bkt", key, body)
	}
	f.reopen()
	for key, body := range bodies {
		if got := f.body("bkt", key); got != body {
			t.Errorf("%s: %d bytes, want %d", key, len(got), len(body))
		}
	}
	if n := f.filesOnDisk(); n != 2 {
		t.Errorf("%d files, want the two large objects only", n)
	}
}

// Answers of AWS: test_s3_get_object_checksum, test_put_object_checksum.
func TestChecksums(t *testing.T) {
	const body = "test-checksum"
	in := func(change func(in *api.PutObjectInput)) *api.PutObjectInput {
		p := &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text(body)}
		change(p)
		return p
	}
	tests := []struct {
		name    string
		in      *api.PutObjectInput
		refusal string
	}{
		{"none", in(func(p *api.PutObjectInput) {}), ""},
		{"right", in(func(p *api.PutObjectInput) { p.ChecksumCRC64NVME = "1f2xscCCZCU=" }), ""},
		{"wrong", in(func(p *api.PutObjectInput) { p.ChecksumCRC32 = "AAAAAA==" }), "BadDigest: The CRC32 you specified did not match the calculated checksum."},
		{"no base64", in(func(p *api.PutObjectInput) { p.ChecksumSHA256 = "test" }), "InvalidRequest: Value for x-amz-checksum-sha256 header is invalid."},
		{"two", in(func(p *api.PutObjectInput) { p.ChecksumCRC32, p.ChecksumSHA1 = "AAAAAA==", "x" }), "InvalidRequest: Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."},
		{"wrong length", in(func(p *api.PutObjectInput) { p.ChecksumXXHASH128 = "ar6L5avLJ2A=" }), "InvalidRequest: Value for x-amz-checksum-xxhash128 header is invalid."},
		{"right MD5", in(func(p *api.PutObjectInput) { p.ContentMD5 = "8ggd1h36cAoP1eKbnDzCPQ==" }), ""},
		{"wrong MD5", in(func(p *api.PutObjectInput) { p.ContentMD5 = "AAAAAAAAAAAAAAAAAAAAAA==" }), "BadDigest: The Content-MD5 you specified did not match what we received."},
		{"broken MD5", in(func(p *api.PutObjectInput) { p.ContentMD5 = "abc" }), "InvalidDigest: The Content-MD5 you specified was invalid."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t).bucket("bkt")
			out, err := f.PutObject(f.ctx, tt.in)
			if tt.refusal != "" {
				if err == nil || err.Error() != tt.refusal {
					t.Fatalf("error = %v, want %s", err, tt.refusal)
				}
				if got := f.body("bkt", "k"); got != fault.NoSuchKey {
					t.Fatalf("a refused object is there: %q", got)
				}
				return
			}
			noError(t, err)
			if out.ChecksumCRC64NVME != "1f2xscCCZCU=" || out.ETag != `"f2081dd61dfa700a0fd5e29b9c3cc23d"` {
				t.Fatalf("put = %+v", out)
			}
			head, err := f.HeadObject(f.ctx, &api.HeadObjectInput{Bucket: "bkt", Key: "k", ChecksumMode: "ENABLED"})
			if err != nil || head.ChecksumCRC64NVME != "1f2xscCCZCU=" || head.ChecksumType != "FULL_OBJECT" {
				t.Fatalf("head = %+v, %v", head, err)
			}
			if head, _ := f.HeadObject(f.ctx, &api.HeadObjectInput{Bucket: "bkt", Key: "k"}); head.ChecksumCRC64NVME != "" {
				t.Fatal("a checksum that nobody asked for")
			}
		})
	}
}

type trailing struct {
	io.ReadCloser
	header http.Header
}

func (b trailing) Trailer() http.Header { return b.header }

func TestChecksumInATrailer(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	body := trailing{text("data"), http.Header{"X-Amz-Checksum-Crc32": {"rfPzYw=="}}}
	out, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: body})
	if err != nil || out.ChecksumCRC32 != "rfPzYw==" || out.ChecksumCRC64NVME != "" {
		t.Fatalf("put = %+v, %v", out, err)
	}
	body = trailing{text("data"), http.Header{"X-Amz-Checksum-Crc64nvme": {"AAAAAAAAAAA="}}}
	_, err = f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "k2", Body: body})
	wantFault(t, err, fault.BadDigest, "")
}

func TestABodyThatBreaksOffLeavesNothing(t *testing.T) {
	mismatch := fault.New(fault.ContentSHA256Mismatch, "mismatch")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"connection lost", io.ErrUnexpectedEOF, fault.IncompleteBody},
		{"signature check failed", mismatch, fault.ContentSHA256Mismatch},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t).bucket("bkt")
			f.put("bkt", "k", "before")
			broken := io.NopCloser(io.MultiReader(strings.NewReader(large(1<<20)), iotest.ErrReader(tt.err)))
			_, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: broken})
			wantFault(t, err, tt.want, "")
			if got, n := f.body("bkt", "k"), f.filesOnDisk(); got != "before" || n != 0 {
				t.Fatalf("object = %q, %d files; want what was there before", got, n)
			}
		})
	}
}

func TestRefusedObjects(t *testing.T) {
	tests := []struct {
		name string
		in   api.PutObjectInput
		want string
	}{
		{"long key", api.PutObjectInput{Key: strings.Repeat("k", 1025)}, fault.KeyTooLong},
		{"key with NUL", api.PutObjectInput{Key: "a\x00b"}, fault.InvalidURI},
		{"key not UTF-8", api.PutObjectInput{Key: "a\xff"}, fault.InvalidURI},
		{"metadata", api.PutObjectInput{Metadata: map[string]string{"a": strings.Repeat("x", 2048)}}, fault.MetadataTooLarge},
		{"too large", api.PutObjectInput{ContentLength: ptr(int64(5<<30 + 1))}, fault.EntityTooLarge},
		{"storage class", api.PutObjectInput{StorageClass: "WARM"}, fault.InvalidStorageClass},
		{"archive", api.PutObjectInput{StorageClass: "DEEP_ARCHIVE"}, fault.NotImplemented},
		{"KMS", api.PutObjectInput{ServerSideEncryption: "aws:kms"}, fault.NotImplemented},
		{"no encryption", api.PutObjectInput{ServerSideEncryption: "rot13"}, fault.InvalidEncryptionAlgorithm},
		{"ACL", api.PutObjectInput{ACL: "public-read"}, fault.ACLNotSupported},
		{"half a lock", api.PutObjectInput{ObjectLockMode: "GOVERNANCE"}, fault.InvalidArgument},
		{"lock", api.PutObjectInput{ObjectLockLegalHoldStatus: "ON"}, fault.InvalidRequest},
		{"append", api.PutObjectInput{WriteOffsetBytes: ptr(int64(1))}, fault.NotImplemented},
		{"tags twice", api.PutObjectInput{Tagging: "key1=val1&key1=val2"}, fault.InvalidArgument},
		{"tags no query", api.PutObjectInput{Tagging: "key1=val1,key2=val2"}, fault.InvalidArgument},
		{"no bucket", api.PutObjectInput{Bucket: "other"}, fault.NoSuchBucket},
	}
	f := newFixture(t).bucket("bkt")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			if in.Bucket == "" {
				in.Bucket = "bkt"
			}
			if in.Key == "" {
				in.Key = "k"
			}
			in.Body = text("x")
			_, err := f.PutObject(f.ctx, &in)
			wantFault(t, err, tt.want, "")
		})
	}
}

func TestMetadataAndOverrides(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	_, err := f.PutObject(f.ctx, &api.PutObjectInput{
		Bucket: "bkt", Key: "k", Body: text("x"), Metadata: map[string]string{"Color": "blue"}, CacheControl: "no-store",
		ContentEncoding: "gzip,aws-chunked", ContentType: "text/html", StorageClass: "STANDARD_IA", Tagging: "a=1&b=2",
	})
	noError(t, err)
	_, out, _ := f.get(&api.GetObjectInput{Bucket: "bkt", Key: "k"})
	if out.Metadata["color"] != "blue" || out.CacheControl != "no-store" || out.ContentEncoding != "gzip" ||
		out.ContentType != "text/html" || out.StorageClass != "STANDARD_IA" || value(out.TagCount) != 2 || out.ServerSideEncryption != "AES256" {
		t.Fatalf("get = %+v", out)
	}
	expires := time.Date(2015, 10, 21, 7, 28, 0, 0, time.UTC)
	_, out, _ = f.get(&api.GetObjectInput{Bucket: "bkt", Key: "k", ResponseContentType: "image/jpeg", ResponseExpires: &expires})
	if out.ContentType != "image/jpeg" || out.Expires != "Wed, 21 Oct 2015 07:28:00 GMT" || out.CacheControl != "no-store" {
		t.Fatalf("with overrides = %+v", out)
	}
	f.put("bkt", "plain", "x")
	_, out, _ = f.get(&api.GetObjectInput{Bucket: "bkt", Key: "plain"})
	if out.ContentType != "binary/octet-stream" || out.StorageClass != "" || out.AcceptRanges != "bytes" {
		t.Fatalf("defaults = %+v", out)
	}
}

// Answers of AWS: test_get_object_range, on "0123456789".
func TestRanges(t *testing.T) {
	tests := []struct{ header, body, contentRange, refusal string }{
		{"bytes=0-8", "012345678", "bytes 0-8/10", ""},
		{"bytes=1-1", "1", "bytes 1-1/10", ""},
		{"bytes=1-0", "0123456789", "", ""},
		{"bytes=1-", "123456789", "bytes 1-9/10", ""},
		{"bytes=-1-", "0123456789", "", ""},
		{"bytes=-2", "89", "bytes 8-9/10", ""},
		{"bytes=-9", "123456789", "bytes 1-9/10", ""},
		{"bytes=-15", "0123456789", "bytes 0-9/10", ""},
		{"bytes=0-100", "0123456789", "bytes 0-9/10", ""},
		{"bytes=0-0", "0", "bytes 0-0/10", ""},
		{"bytes=0--1", "0123456789", "", ""},
		{"bytes=0-1,3-4,7-9", "0123456789", "", ""},
		{"0-9", "0123456789", "", ""},
		{"bytes=-", "0123456789", "", ""},
		{"bytes=99999999999999999999-", "", "", "InvalidRange"},
		{"bytes=-0", "", "", "InvalidRange"},
		{"bytes=100-200", "", "", "InvalidRange"},
		{"bytes=10-", "", "", "InvalidRange"},
	}
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "k", "0123456789")
	for _, tt := range tests {
		t.Run(tt.header, func(t *testing.T) {
			body, out, refusal := f.get(&api.GetObjectInput{Bucket: "bkt", Key: "k", Range: tt.header, ChecksumMode: "ENABLED"})
			if body != tt.body || refusal != tt.refusal || out != nil && out.ContentRange != tt.contentRange {
				t.Fatalf("= %q %+v %s; want %q, %q, %q", body, out, refusal, tt.body, tt.contentRange, tt.refusal)
			}
			if out != nil && (out.ChecksumCRC64NVME != "") != (len(body) == 10) {
				t.Fatalf("a checksum of %q with %d bytes", out.ChecksumCRC64NVME, len(body))
			}
		})
	}
	f.put("bkt", "large", large(300_000))
	if body, _, _ := f.get(&api.GetObjectInput{Bucket: "bkt", Key: "large", Range: "bytes=65530-200005"}); body != large(300_000)[65530:200006] {
		t.Fatal("a range over the blocks of a file is not what was put")
	}
}

// Answers of AWS: test_s3_get_object_preconditions.
func TestReadConditions(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "k", "data")
	modified := f.clock.Now()
	const etag = `"8d777f385d3dfec8815d20f7496026dc"`
	past, future := modified.Add(-time.Hour), modified.Add(time.Hour)
	tests := []struct {
		name string
		in   api.GetObjectInput
		want string
	}{
		{"match", api.GetObjectInput{IfMatch: etag}, ""},
		{"no match", api.GetObjectInput{IfMatch: `"bad"`}, fault.PreconditionFailed},
		{"unmodified since the past", api.GetObjectInput{IfUnmodifiedSince: &past}, fault.PreconditionFailed},
		{"unmodified since it was put", api.GetObjectInput{IfUnmodifiedSince: &modified}, ""},
		{"match wins over unmodified", api.GetObjectInput{IfMatch: etag, IfUnmodifiedSince: &past}, ""},
		{"none match", api.GetObjectInput{IfNoneMatch: etag}, fault.NotModified},
		{"none match without quotes", api.GetObjectInput{IfNoneMatch: strings.Trim(etag, `"`)}, fault.NotModified},
		{"none match another", api.GetObjectInput{IfNoneMatch: `"bad"`, IfModifiedSince: &modified}, ""},
		{"modified since it was put", api.GetObjectInput{IfModifiedSince: &modified}, fault.NotModified},
		{"modified since the past", api.GetObjectInput{IfModifiedSince: &past}, ""},
		{"modified since the future", api.GetObjectInput{IfModifiedSince: &future}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			in.Bucket, in.Key = "bkt", "k"
			if _, _, got := f.get(&in); got != tt.want {
				t.Fatalf("= %q, want %q", got, tt.want)
			}
		})
	}
}

// Answers of AWS: TestS3ObjectWritePrecondition.
func TestWriteConditions(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	out := f.put("bkt", "k", "data")
	tests := []struct {
		name, key, match, noneMatch, want string
	}{
		{"create what is there", "k", "", "*", fault.PreconditionFailed},
		{"create what is not", "new", "", "*", ""},
		{"none match a tag", "k", "", `"x"`, fault.NotImplemented},
		{"match any", "k", "*", "", fault.NotImplemented},
		{"match what is not there", "gone", `"x"`, "", fault.NoSuchKey},
		{"match another", "k", `"x"`, "", fault.PreconditionFailed},
		{"match", "k", out.ETag, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: tt.key, Body: text("y"), IfMatch: tt.match, IfNoneMatch: tt.noneMatch})
			if got := code(t, err); got != tt.want {
				t.Fatalf("= %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDamageIsNeverGivenOut(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "k", large(200_000))
	damageAll(t, f.dir)
	out, err := f.GetObject(f.ctx, &api.GetObjectInput{Bucket: "bkt", Key: "k"})
	var body []byte
	if err == nil {
		defer out.Body.Close()
		body, err = io.ReadAll(out.Body)
	}
	if err == nil || len(body) == 200_000 {
		t.Fatalf("%d bytes of a damaged object, %v", len(body), err)
	}
	var e *fault.Error
	if errors.As(err, &e) {
		t.Fatalf("damage is told to the client as %v", e)
	}
}

func TestGetObjectAttributes(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "k", "test-checksum")
	out, err := f.GetObjectAttributes(f.ctx, &api.GetObjectAttributesInput{
		Bucket: "bkt", Key: "k", ObjectAttributes: []string{"ETag", "Checksum,ObjectSize", "ObjectParts"},
	})
	if err != nil || out.ETag != "f2081dd61dfa700a0fd5e29b9c3cc23d" || out.Checksum.ChecksumCRC64NVME != "1f2xscCCZCU=" ||
		value(out.ObjectSize) != 13 || out.StorageClass != "" || out.ObjectParts != nil {
		t.Fatalf("= %+v, %v", out, err)
	}
	_, err = f.GetObjectAttributes(f.ctx, &api.GetObjectAttributesInput{Bucket: "bkt", Key: "k", ObjectAttributes: []string{"Colour"}})
	wantFault(t, err, fault.InvalidArgument, "Invalid attribute name specified.")
}

// A body may differ from what its request says of its length.
func TestSmallBodiesOfOtherLengths(t *testing.T) {
	f := newFixture(t).bucket("bucket")
	for _, n := range []int{0, 1, inlineLimit, inlineLimit + 1, 3 * bufferSize} {
		for _, said := range []int64{0, 1, inlineLimit} {
			_, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bucket", Key: "k", Body: text(large(n)), ContentLength: &said})
			noError(t, err)
			if got := f.body("bucket", "k"); got != large(n) {
				t.Errorf("%d bytes, said to be %d: got %d", n, said, len(got))
			}
		}
	}
	if n := f.filesOnDisk(); n != 1 {
		t.Errorf("%d files", n)
	}
}

func TestConditionalDeletes(t *testing.T) {
	f := newFixture(t).bucket("bucket")
	etag := f.put("bucket", "k", "x").ETag
	remove := func(key, condition string) error {
		_, err := f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "bucket", Key: key, IfMatch: condition})
		return err
	}
	wantFault(t, remove("k", `"0123"`), fault.PreconditionFailed, "")
	wantFault(t, remove("none", etag), fault.NoSuchKey, "")
	if got := f.body("bucket", "k"); got != "x" {
		t.Fatalf("a refused deletion left %q", got)
	}
	noError(t, remove("k", etag))
	f.put("bucket", "k", "x")
	noError(t, remove("k", "*"))
	f.put("bucket", "a", "x")
	f.put("bucket", "b", "y")
	out, err := f.DeleteObjects(f.ctx, &api.DeleteObjectsInput{Bucket: "bucket", Delete: &api.Delete{Objects: []api.ObjectIdentifier{{Key: "a", ETag: etag}, {Key: "b", ETag: etag}, {Key: "c", ETag: "*"}}}})
	noError(t, err)
	if len(out.Deleted) != 1 || out.Deleted[0].Key != "a" || len(out.Errors) != 2 || out.Errors[0].Code != fault.PreconditionFailed || out.Errors[1].Code != fault.NoSuchKey {
		t.Errorf("deleted %+v, refused %+v", out.Deleted, out.Errors)
	}
}
