package s3

import (
	"context"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth/checksum"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// recorder makes a case's calls as the client did that AWS's answers were
// recorded with: it sends CRC32 with what it puts, and asks for checksums.
type recorder struct {
	*replay.Case
	ctx context.Context
}

func crc32Of(body string) string {
	h := checksum.CRC32.New()
	h.Write([]byte(body))
	return checksum.Encode(h.Sum(nil))
}

func (r recorder) put(entry string, in api.PutObjectInput, body string) string {
	r.Helper()
	in.Bucket, in.Body, in.ChecksumCRC32 = "bkt", text(body), crc32Of(body)
	return replay.As[api.PutObjectOutput](r.Call(entry, r.ctx, &in)).VersionId
}

func (r recorder) get(entry string, in api.GetObjectInput) {
	r.Helper()
	in.Bucket, in.ChecksumMode = "bkt", "ENABLED"
	_, _ = r.Call(entry, r.ctx, &in)
}

// found is get for what is there.
func (r recorder) found(entry string, in api.GetObjectInput) {
	r.Helper()
	r.Except(entry+"/Metadata", noMetadata)
	r.get(entry, in)
}

const noMetadata = "the recording client makes an empty map of no headers"

func (r recorder) delete(entry, key, version string) string {
	r.Helper()
	return replay.As[api.DeleteObjectOutput](r.Call(entry, r.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: key, VersionId: version})).VersionId
}

func recordedData(t *testing.T, file, name string) (*fixture, recorder) {
	f, records := recording(t, file)
	f.bucket("bkt")
	return f, recorder{records.Case(t, name), f.ctx}
}

func TestRecordedRanges(t *testing.T) {
	_, r := recordedData(t, "test_s3_api", "test_get_object_range")
	r.put("", api.PutObjectInput{Key: "k"}, "0123456789")
	for _, name := range []string{"0-8", "1-1", "1-0", "1-", "-1-", "-2", "-9", "-15", "0-100", "0-0", "0--1"} {
		if name != "1-0" && name != "-1-" && name != "0--1" {
			r.Except("get-"+name+"/ResponseMetadata/HTTPStatusCode", "package wire makes it 206, for the range")
		}
		r.found("get-"+name, api.GetObjectInput{Key: "k", Range: "bytes=" + name})
	}
	r.Except("get-0-8-checksum/ResponseMetadata/HTTPStatusCode", "package wire makes it 206, for the range")
	r.found("get-0-8-checksum", api.GetObjectInput{Key: "k", Range: "bytes=0-8"})
	r.found("get-multiple-ranges", api.GetObjectInput{Key: "k", Range: "bytes=0-4,5-9"})
	r.found("get--", api.GetObjectInput{Key: "k", Range: "bytes=-"})
	r.get("get--0", api.GetObjectInput{Key: "k", Range: "bytes=-0"})
	r.get("get-100-200", api.GetObjectInput{Key: "k", Range: "bytes=100-200"})
	r.Leave("put-after-failed", "the record does not tell its body")
	r.found("get-wrong-format", api.GetObjectInput{Key: "k", Range: "0-1"})
}

func TestRecordedVersions(t *testing.T) {
	f, r := recordedData(t, "test_s3_api", "test_delete_object_versioned")
	f.version("bkt", enabled)
	const key = "test-delete"
	id := r.put("put-object", api.PutObjectInput{Key: key}, key)
	marker := r.delete("delete-object", key, "")
	r.get("get-deleted-object", api.GetObjectInput{Key: key})
	r.found("get-object-with-version", api.GetObjectInput{Key: key, VersionId: id})
	r.get("get-delete-marker", api.GetObjectInput{Key: key, VersionId: marker})
	r.delete("delete-object-2", key, "")
	for _, member := range []string{"KeyMarker", "VersionIdMarker"} {
		r.Except("list-object-versions/"+member, "an empty member is left off")
	}
	r.Call("list-object-versions", f.ctx, &api.ListObjectVersionsInput{Bucket: "bkt", Prefix: key, EncodingType: "url"})
	r.delete("delete-delete-marker", key, marker)
	r.delete("delete-object-version", key, id)
	r.get("get-deleted-object-with-version", api.GetObjectInput{Key: key, VersionId: id})
	r.delete("delete-with-bad-version", key, "BAD-VERSION")
	r.delete("delete-wrong-key", "wrong-key", "")
}

func TestRecordedVersioning(t *testing.T) {
	f, r := recordedData(t, "test_s3_api", "test_bucket_versioning_crud")
	get := func(entry, bucket string) {
		r.Helper()
		_, _ = r.Call(entry, f.ctx, &api.GetBucketVersioningInput{Bucket: bucket})
	}
	put := func(entry, bucket, status string) {
		r.Helper()
		_, _ = r.Call(entry, f.ctx, &api.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &api.VersioningConfiguration{Status: status}})
	}
	get("get-versioning-before", "bkt")
	put("put-versioning-suspended-before", "bkt", "Suspended")
	get("get-versioning-after-suspended", "bkt")
	put("put-versioning-enabled-lowercase", "bkt", "enabled")
	put("put-versioning-enabled-capitalized", "bkt", "Enabled")
	get("get-versioning-after-enabled", "bkt")
	put("put-versioning-suspended-after", "bkt", "Suspended")
	put("put-versioning-disabled", "bkt", "Disabled")
	put("put-versioning-empty", "bkt", "")
	put("put-versioning-no-bucket", "none", "Suspended")
	get("get-versioning-no-bucket", "none")
}

func TestRecordedTags(t *testing.T) {
	f, r := recordedData(t, "test_s3_api", "test_object_tagging_crud")
	const key = "test-object-tagging"
	at := func(entry string) {
		r.Helper()
		_, _ = r.Call(entry, f.ctx, &api.GetObjectTaggingInput{Bucket: "bkt", Key: key})
	}
	put := func(entry string, tags ...api.Tag) {
		r.Helper()
		_, _ = r.Call(entry, f.ctx, &api.PutObjectTaggingInput{Bucket: "bkt", Key: key, Tagging: &api.Tagging{TagSet: tags}})
	}
	r.put("put-object", api.PutObjectInput{Key: key}, "test-tagging")
	at("get-object-tags-empty")
	r.Leave("put-object-tags", "the input cannot tell an empty value from none: package wire does")
	_, err := f.PutObjectTagging(f.ctx, &api.PutObjectTaggingInput{Bucket: "bkt", Key: key, Tagging: &api.Tagging{TagSet: []api.Tag{{Key: "tag1", Value: "tag1"}, {Key: "tag2"}}}})
	noError(t, err)
	at("get-object-tags")
	put("put-object-tags-overwrite", api.Tag{Key: "tag3", Value: "tag3"})
	at("get-object-tags-overwritten")
	r.found("get-obj-after-tags", api.GetObjectInput{Key: key})
	r.Call("delete-object-tags", f.ctx, &api.DeleteObjectTaggingInput{Bucket: "bkt", Key: key})
	at("get-object-tags-deleted")
	r.found("get-obj-after-tags-deleted", api.GetObjectInput{Key: key})
}

func TestRecordedLocksOfObjects(t *testing.T) {
	f, records := recording(t, "test_s3")
	_, err := f.CreateBucket(f.ctx, &api.CreateBucketInput{Bucket: "bkt", ObjectLockEnabledForBucket: ptr(true)})
	noError(t, err)
	r := recorder{records.Case(t, "test_s3_object_retention"), f.ctx}
	const key = "key-1"
	now := f.clock.Now()
	retain := func(entry, version string, l *api.ObjectLockRetention, bypass bool) {
		r.Helper()
		_, _ = r.Call(entry, f.ctx, &api.PutObjectRetentionInput{Bucket: "bkt", Key: key, VersionId: version, Retention: l, BypassGovernanceRetention: &bypass})
	}
	until := func(d time.Duration) *api.ObjectLockRetention {
		return &api.ObjectLockRetention{Mode: governance, RetainUntilDate: ptr(now.Add(d))}
	}
	id := r.put("put-obj-locked-1", api.PutObjectInput{Key: key}, "test")
	retain("put-object-retention-on-key-1", id, until(time.Hour), false)
	r.Call("get-object-retention-on-key-1", f.ctx, &api.GetObjectRetentionInput{Bucket: "bkt", Key: key})
	r.Except("head-object-locked/Metadata", noMetadata)
	r.Call("head-object-locked", f.ctx, &api.HeadObjectInput{Bucket: "bkt", Key: key})
	r.delete("delete-obj-locked", key, id)
	r.Call("delete-obj-locked-bypass", f.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: key, VersionId: id, BypassGovernanceRetention: ptr(true)})
	id = r.put("put-obj-locked-2", api.PutObjectInput{Key: key, ObjectLockMode: governance, ObjectLockRetainUntilDate: ptr(now.Add(time.Hour))}, "test")
	retain("update-retention-locked-object", id, until(time.Minute), false)
	retain("put-object-empty-retention", id, &api.ObjectLockRetention{}, true)
	retain("update-retention-object", id, until(time.Second), false)

	r = recorder{records.Case(t, "test_delete_locked_object"), f.ctx}
	const held = "test-delete-locked"
	hold := func(entry, status string) {
		r.Helper()
		_, _ = r.Call(entry, f.ctx, &api.PutObjectLegalHoldInput{Bucket: "bkt", Key: held, LegalHold: &api.ObjectLockLegalHold{Status: status}})
	}
	id = r.put("put-obj", api.PutObjectInput{Key: held}, "test")
	hold("put-object-legal-hold", holdOn)
	r.delete("delete-object-locked", held, id)
	r.Call("delete-objects-locked", f.ctx, &api.DeleteObjectsInput{Bucket: "bkt", Delete: &api.Delete{Objects: []api.ObjectIdentifier{{Key: held, VersionId: id}}}})
	hold("put-object-legal-hold-off", holdOff)

	r = recorder{records.Case(t, "test_s3_object_lock_mode_validation"), f.ctx}
	r.put("put-obj-locked-error-no-retain-date", api.PutObjectInput{Key: key, ObjectLockMode: governance}, "test")
	r.put("put-obj-locked-error-no-mode", api.PutObjectInput{Key: key, ObjectLockRetainUntilDate: ptr(now.Add(time.Hour))}, "test")
	r.put("put-obj-locked-bad-value", api.PutObjectInput{Key: key, ObjectLockMode: "BAD-VALUE", ObjectLockRetainUntilDate: ptr(now.Add(time.Hour))}, "test")
	r.Call("create-mpu-locked-bad-value", f.ctx, &api.CreateMultipartUploadInput{Bucket: "bkt", Key: key, ObjectLockMode: "BAD-VALUE", ObjectLockRetainUntilDate: ptr(now.Add(time.Hour))})
}

func TestRecordedConditions(t *testing.T) {
	_, r := recordedData(t, "test_s3_api", "test_put_object_if_match_validation")
	const key = "test-precondition-validation"
	r.put("put-obj-if-match-star-value", api.PutObjectInput{Key: key, IfMatch: "*"}, "test")
	r.put("put-obj-if-match-bad-value", api.PutObjectInput{Key: key, IfMatch: "notdigest"}, "test")
	r.put("put-obj-if-match-bad-value-2", api.PutObjectInput{Key: key, IfMatch: strings.Repeat("d", 32)}, "test")

	f, r := recordedData(t, "test_s3", "test_s3_get_object_preconditions[get_object]")
	r.put("", api.PutObjectInput{Key: "k"}, "data")
	f.clock.Add(time.Hour)
	made, now := f.clock.Now().Add(-time.Hour), f.clock.Now()
	for _, entry := range []string{"precondition-if-none-match", "copy-precondition-if-modified-since", "etag-missing-quotes", "precondition-if-modified-since-is-object"} {
		r.Leave(entry, "an answer of 304 has no body: package wire's")
	}
	r.get("precondition-if-match", api.GetObjectInput{Key: "k", IfMatch: `"a"`})
	r.get("precondition-if-unmodified-since", api.GetObjectInput{Key: "k", IfUnmodifiedSince: ptr(made.Add(-time.Hour))})
	r.found("obj-ignore-future-modified-since", api.GetObjectInput{Key: "k", IfModifiedSince: ptr(now.Add(time.Hour))})
	r.found("precondition-if-unmodified-since-is-object", api.GetObjectInput{Key: "k", IfUnmodifiedSince: &made})
	r.found("obj-success", api.GetObjectInput{Key: "k", IfMatch: "8d777f385d3dfec8815d20f7496026dc", IfNoneMatch: "a", IfModifiedSince: ptr(made.Add(-time.Hour)), IfUnmodifiedSince: &now})
}

func TestRecordedUploads(t *testing.T) {
	f, r := recordedData(t, "test_s3", "TestS3::test_multipart_no_such_upload")
	one := &api.CompletedMultipartUpload{Parts: []api.CompletedPart{{PartNumber: ptr(int32(1)), ETag: "a"}}}
	r.Call("upload-exc", f.ctx, &api.UploadPartInput{Bucket: "bkt", Key: "k", UploadId: "fakeid", PartNumber: ptr(int32(1)), Body: text("x")})
	r.Call("complete-exc", f.ctx, &api.CompleteMultipartUploadInput{Bucket: "bkt", Key: "k", UploadId: "fakeid", MultipartUpload: one})
	r.Call("abort-exc", f.ctx, &api.AbortMultipartUploadInput{Bucket: "bkt", Key: "k", UploadId: "fakeid"})

	f, r = recordedData(t, "test_s3", "test_multipart_complete_multipart_too_small")
	id := replay.As[api.CreateMultipartUploadOutput](r.Call("", f.ctx, &api.CreateMultipartUploadInput{Bucket: "bkt", Key: "k"})).UploadId
	complete := func(entry string, parts ...api.CompletedPart) {
		r.Helper()
		_, _ = r.Call(entry, f.ctx, &api.CompleteMultipartUploadInput{Bucket: "bkt", Key: "k", UploadId: id, MultipartUpload: &api.CompletedMultipartUpload{Parts: parts}})
	}
	var parts []api.CompletedPart
	for i, entry := range []string{"upload-part1", "upload-part2"} {
		n := ptr(int32(i + 1))
		out := replay.As[api.UploadPartOutput](r.Call(entry, f.ctx, &api.UploadPartInput{Bucket: "bkt", Key: "k", UploadId: id, PartNumber: n, Body: text("data"), ChecksumCRC32: crc32Of("data")}))
		parts = append(parts, api.CompletedPart{PartNumber: n, ETag: out.ETag})
	}
	complete("complete-exc-no-parts")
	complete("complete-exc-too-small", parts...)
}

func TestRecordedDeletions(t *testing.T) {
	f, r := recordedData(t, "test_s3", "test_delete_non_existing_keys")
	r.Call("deleted-resp", f.ctx, &api.DeleteObjectsInput{Bucket: "bkt", Delete: &api.Delete{Objects: []api.ObjectIdentifier{{Key: "dummy1"}, {Key: "dummy2"}, {Key: "test-key-nonexistent"}}}})
	f, r = recordedData(t, "test_s3_api", "test_delete_objects_versioned")
	f.version("bkt", enabled)
	const key = "test-delete"
	remove := func(entry string, list ...api.ObjectIdentifier) *api.DeleteObjectsOutput {
		r.Helper()
		return replay.As[api.DeleteObjectsOutput](r.Call(entry, f.ctx, &api.DeleteObjectsInput{Bucket: "bkt", Delete: &api.Delete{Objects: list}}))
	}
	id := r.put("put-object", api.PutObjectInput{Key: key}, key)
	out := remove("delete-objects-no-version-id", api.ObjectIdentifier{Key: key}, api.ObjectIdentifier{Key: "wrongkey"}, api.ObjectIdentifier{Key: "wrongkey-x"})
	remove("delete-objects-marker", api.ObjectIdentifier{Key: key, VersionId: out.Deleted[0].DeleteMarkerVersionId})
	remove("delete-objects-wrong-version-id", api.ObjectIdentifier{Key: key, VersionId: "wrong-version-id"}, api.ObjectIdentifier{Key: "wrong-key-2", VersionId: "wrong-version-id"})
	remove("delete-objects-version-id", api.ObjectIdentifier{Key: key, VersionId: id})
	_, r = recordedData(t, "test_s3_api", "test_delete_object_if_match_all_non_express")
	r.Call("delete-obj-if-match-all", r.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: "k", IfMatch: "*", IfMatchLastModifiedTime: ptr(time.Now()), IfMatchSize: ptr(int64(1))})
}

func TestRecordedListings(t *testing.T) {
	f, r := recordedData(t, "test_s3_list_operations", "test_list_objects_v2_with_prefix_and_delimiter")
	for _, key := range []string{"test/foo/bar/123", "test/foo/bar/456", "test/bar/foo/123"} {
		r.put("", api.PutObjectInput{Key: key}, "x")
	}
	list := func(entry, prefix string, most *int32) {
		r.Helper()
		_, _ = r.Call(entry, f.ctx, &api.ListObjectsV2Input{Bucket: "bkt", Prefix: prefix, Delimiter: "/", MaxKeys: most, EncodingType: "url"})
	}
	list("list-objects-v2-1", "test/", nil)
	list("list-objects-v2-1-with-max-keys", "test/", ptr(int32(1)))
	list("list-objects-v2-2", "test/foo", nil)
	list("list-objects-v2-3", "test/foo/bar", nil)
}
