package s3

import (
	"testing"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

func TestCopyObject(t *testing.T) {
	f := newFixture(t).bucket("src").bucket("dst")
	_, err := f.PutObject(f.ctx, &api.PutObjectInput{
		Bucket: "src", Key: "a b/ü", Body: text(large(10_000)), Metadata: map[string]string{"key": "value"}, ContentType: "application/json",
		ContentLanguage: "en-US", Tagging: "t=1", ChecksumAlgorithm: "SHA1",
	})
	noError(t, err)
	copyTo := func(key string, change func(in *api.CopyObjectInput)) (*api.CopyObjectOutput, error) {
		in := &api.CopyObjectInput{Bucket: "dst", Key: key, CopySource: "src/a%20b/%C3%BC"}
		if change != nil {
			change(in)
		}
		return f.CopyObject(f.ctx, in)
	}
	out, err := copyTo("same", nil)
	noError(t, err)
	if _, err := f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "src", Key: "other"}); err != nil {
		t.Fatal(err)
	}
	body, got, _ := f.get(&api.GetObjectInput{Bucket: "dst", Key: "same"})
	if body != large(10_000) || got.Metadata["key"] != "value" || got.ContentType != "application/json" || value(got.TagCount) != 1 || got.ETag != out.CopyObjectResult.ETag {
		t.Fatalf("copy = %+v", got)
	}
	_, err = copyTo("new", func(in *api.CopyObjectInput) {
		in.MetadataDirective, in.TaggingDirective, in.ContentType = "REPLACE", "REPLACE", "image/jpg"
		in.Metadata = map[string]string{"another": "value"}
		in.ChecksumAlgorithm = "SHA256"
	})
	noError(t, err)
	_, got, _ = f.get(&api.GetObjectInput{Bucket: "dst", Key: "new", ChecksumMode: "ENABLED"})
	if got.Metadata["key"] != "" || got.Metadata["another"] != "value" || got.ContentType != "image/jpg" || got.ContentLanguage != "" || got.TagCount != nil || got.ChecksumSHA256 == "" {
		t.Fatalf("replaced = %+v", got)
	}
}

// Answers of AWS: test_s3_copy_object_in_place, test_s3_copy_object_preconditions.
func TestCopyRefusals(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "k", "data")
	past := f.clock.Now().Add(-1e9)
	now := f.clock.Now()
	tests := []struct {
		name, want, message string
		in                  api.CopyObjectInput
	}{
		{"in place", fault.InvalidRequest, "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.", api.CopyObjectInput{Key: "k"}},
		{"in place, class", "", "", api.CopyObjectInput{Key: "k", StorageClass: "STANDARD"}},
		{"no source", fault.NoSuchKey, "", api.CopyObjectInput{Key: "x", CopySource: "bkt/none"}},
		{"no source bucket", fault.NoSuchBucket, "", api.CopyObjectInput{Key: "x", CopySource: "none/none"}},
		{"no key", fault.InvalidArgument, "", api.CopyObjectInput{Key: "x", CopySource: "bkt"}},
		{"bad query", fault.InvalidArgument, "", api.CopyObjectInput{Key: "x", CopySource: "bkt/k?x=1"}},
		{"directive", fault.InvalidArgument, "Unknown metadata directive.", api.CopyObjectInput{Key: "x", MetadataDirective: "MERGE"}},
		{"match", fault.PreconditionFailed, "", api.CopyObjectInput{Key: "x", CopySourceIfMatch: "bad"}},
		{"none match", fault.PreconditionFailed, "", api.CopyObjectInput{Key: "x", CopySourceIfNoneMatch: "8d777f385d3dfec8815d20f7496026dc"}},
		{"unmodified", fault.PreconditionFailed, "", api.CopyObjectInput{Key: "x", CopySourceIfUnmodifiedSince: &past}},
		{"modified", fault.PreconditionFailed, "", api.CopyObjectInput{Key: "x", CopySourceIfModifiedSince: &now}},
		{"algorithm", fault.InvalidRequest, "", api.CopyObjectInput{Key: "x", ChecksumAlgorithm: "ADLER"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			in.Bucket = "bkt"
			if in.CopySource == "" {
				in.CopySource = "/bkt/k"
			}
			_, err := f.CopyObject(f.ctx, &in)
			if tt.want == "" {
				noError(t, err)
				return
			}
			wantFault(t, err, tt.want, tt.message)
		})
	}
}
