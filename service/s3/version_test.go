package s3

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

// history is a bucket's versions in short: "k:1+" is the newest version of k,
// "k:2x" an older delete marker; ids are numbered as they are first seen.
func (f *fixture) history(bucket string, ids map[string]int, in api.ListObjectVersionsInput) (string, *api.ListObjectVersionsOutput) {
	f.t.Helper()
	in.Bucket = bucket
	out, err := f.ListObjectVersions(f.ctx, &in)
	noError(f.t, err)
	var all []string
	number := func(id string) string {
		if id == nullVersion {
			return id
		}
		if ids[id] == 0 {
			ids[id] = len(ids) + 1
		}
		return fmt.Sprint(ids[id])
	}
	for _, v := range out.Versions {
		all = append(all, v.Key+":"+number(v.VersionId)+latestMark(v.IsLatest))
	}
	for _, m := range out.DeleteMarkers {
		all = append(all, m.Key+":"+number(m.VersionId)+"x"+latestMark(m.IsLatest))
	}
	return strings.Join(all, " "), out
}

func latestMark(b *bool) string {
	if value(b) {
		return "+"
	}
	return ""
}

// Answers of AWS: test_delete_object_versioned.
func TestVersions(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.version("bkt", enabled)
	ids := map[string]int{}
	first := f.put("bkt", "k", "one")
	second := f.put("bkt", "k", large(10_000))
	ids[first.VersionId], ids[second.VersionId] = 1, 2
	if got, _ := f.history("bkt", ids, api.ListObjectVersionsInput{}); got != "k:2+ k:1" {
		t.Fatalf("history = %s", got)
	}
	if body, _, _ := f.get(&api.GetObjectInput{Bucket: "bkt", Key: "k", VersionId: first.VersionId}); body != "one" {
		t.Fatalf("first version = %q", body)
	}
	marker, err := f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: "k"})
	if err != nil || !value(marker.DeleteMarker) || marker.VersionId == "" {
		t.Fatalf("delete = %+v, %v", marker, err)
	}
	if got, _ := f.history("bkt", ids, api.ListObjectVersionsInput{}); got != "k:2 k:1 k:3x+" {
		t.Fatalf("history = %s", got)
	}
	if got := f.body("bkt", "k"); got != fault.NoSuchKey {
		t.Fatalf("a deleted object: %q", got)
	}
	_, err = f.GetObject(f.ctx, &api.GetObjectInput{Bucket: "bkt", Key: "k", VersionId: marker.VersionId})
	wantFault(t, err, fault.MethodNotAllowed, "The specified method is not allowed against this resource.")
	_, err = f.DeleteBucket(f.ctx, &api.DeleteBucketInput{Bucket: "bkt"})
	wantFault(t, err, fault.BucketNotEmpty, "The bucket you tried to delete is not empty. You must delete all versions in the bucket.")
	out, err := f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: "k", VersionId: marker.VersionId})
	if err != nil || !value(out.DeleteMarker) {
		t.Fatalf("delete the marker = %+v, %v", out, err)
	}
	if got := f.body("bkt", "k"); got != large(10_000) {
		t.Fatal("without its marker the object is not back")
	}
	out, err = f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: "k", VersionId: second.VersionId})
	if err != nil || out.DeleteMarker != nil || out.VersionId != second.VersionId {
		t.Fatalf("delete a version = %+v, %v", out, err)
	}
	if got := f.body("bkt", "k"); got != "one" {
		t.Fatalf("the version before did not become the current one: %q", got)
	}
	if n := f.filesOnDisk(); n != 0 {
		t.Fatalf("%d files are left of a deleted version", n)
	}
	_, err = f.GetObject(f.ctx, &api.GetObjectInput{Bucket: "bkt", Key: "k", VersionId: second.VersionId})
	wantFault(t, err, fault.NoSuchVersion, "The specified version does not exist.")
	_, err = f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: "k", VersionId: "bad"})
	wantFault(t, err, fault.InvalidArgument, "Invalid version id specified")
}

func TestSuspendedVersioningReplacesTheNullVersion(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	ids := map[string]int{}
	f.put("bkt", "k", large(5000)) // becomes the null version
	f.version("bkt", enabled)
	ids[f.put("bkt", "k", "two").VersionId] = 1
	if got, _ := f.history("bkt", ids, api.ListObjectVersionsInput{}); got != "k:1+ k:null" {
		t.Fatalf("history = %s", got)
	}
	f.version("bkt", suspended)
	if out := f.put("bkt", "k", "three"); out.VersionId != nullVersion {
		t.Fatalf("version id = %q", out.VersionId)
	}
	if got, _ := f.history("bkt", ids, api.ListObjectVersionsInput{}); got != "k:null+ k:1" {
		t.Fatalf("history = %s", got)
	}
	if n := f.filesOnDisk(); n != 0 {
		t.Fatalf("%d files are left of the null version that was replaced", n)
	}
	for range 2 {
		if _, err := f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: "k"}); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := f.history("bkt", ids, api.ListObjectVersionsInput{}); got != "k:1 k:nullx+" {
		t.Fatalf("history = %s", got)
	}
}

func TestHistoryInPages(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.version("bkt", enabled)
	ids := map[string]int{}
	for _, k := range []string{"a", "b/x", "b/y", "a", "c", "a"} {
		ids[f.put("bkt", k, "x").VersionId] = len(ids) + 1
	}
	pages := func(in api.ListObjectVersionsInput) string {
		var all []string
		for {
			got, out := f.history("bkt", ids, in)
			for _, p := range out.CommonPrefixes {
				got += p.Prefix + "*"
			}
			all = append(all, got)
			if !value(out.IsTruncated) {
				return strings.Join(all, " | ")
			}
			in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
		}
	}
	tests := []struct {
		in   api.ListObjectVersionsInput
		want string
	}{
		{api.ListObjectVersionsInput{MaxKeys: ptr(int32(2))}, "a:6+ a:4 | a:1 b/x:2+ | b/y:3+ c:5+"},
		{api.ListObjectVersionsInput{MaxKeys: ptr(int32(1)), Prefix: "b"}, "b/x:2+ | b/y:3+"},
		{api.ListObjectVersionsInput{MaxKeys: ptr(int32(3)), Delimiter: "/"}, "a:6+ a:4 a:1 | c:5+b/*"},
		{api.ListObjectVersionsInput{KeyMarker: "a"}, "b/x:2+ b/y:3+ c:5+"},
	}
	for _, tt := range tests {
		if got := pages(tt.in); got != tt.want {
			t.Errorf("pages = %s, want %s", got, tt.want)
		}
	}
	_, err := f.ListObjectVersions(f.ctx, &api.ListObjectVersionsInput{Bucket: "bkt", VersionIdMarker: "x"})
	wantFault(t, err, fault.InvalidArgument, "A version-id marker cannot be specified without a key marker.")
}

// Answers of AWS: test_bucket_versioning_crud.
func TestVersioningStates(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	put := func(cfg *api.VersioningConfiguration) string {
		_, err := f.PutBucketVersioning(f.ctx, &api.PutBucketVersioningInput{Bucket: "bkt", VersioningConfiguration: cfg})
		return code(t, err)
	}
	tests := []struct {
		cfg    *api.VersioningConfiguration
		want   string
		status string
	}{
		{&api.VersioningConfiguration{Status: "enabled"}, fault.MalformedXML, ""},
		{&api.VersioningConfiguration{}, fault.IllegalVersioning, ""},
		{&api.VersioningConfiguration{Status: "Suspended"}, "", "Suspended"},
		{&api.VersioningConfiguration{Status: "Enabled"}, "", "Enabled"},
		{&api.VersioningConfiguration{Status: "Enabled", MFADelete: "Enabled"}, fault.NotImplemented, "Enabled"},
		{&api.VersioningConfiguration{Status: "Disabled"}, fault.MalformedXML, "Enabled"},
	}
	for _, tt := range tests {
		if got := put(tt.cfg); got != tt.want {
			t.Errorf("put %+v = %q, want %q", tt.cfg, got, tt.want)
		}
		out, err := f.GetBucketVersioning(f.ctx, &api.GetBucketVersioningInput{Bucket: "bkt"})
		if err != nil || out.Status != tt.status {
			t.Errorf("after %+v: %q, %v; want %q", tt.cfg, out.Status, err, tt.status)
		}
	}
}

// Answers of AWS: test_delete_non_existing_keys, test_delete_objects_versioned.
func TestDeleteObjects(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "k", large(10_000))
	out, err := f.DeleteObjects(f.ctx, &api.DeleteObjectsInput{Bucket: "bkt", Delete: &api.Delete{Objects: []api.ObjectIdentifier{
		{Key: "k"}, {Key: "gone"}, {Key: "k", VersionId: "wrong"}, {Key: strings.Repeat("x", 2000)},
	}}})
	noError(t, err)
	if len(out.Deleted) != 2 || len(out.Errors) != 2 || out.Errors[0].Code != fault.NoSuchVersion || out.Errors[1].Code != fault.KeyTooLong {
		t.Fatalf("= %+v", out)
	}
	if n := f.filesOnDisk(); n != 0 || f.body("bkt", "k") != fault.NoSuchKey {
		t.Fatalf("%d files left", n)
	}
	quiet, err := f.DeleteObjects(f.ctx, &api.DeleteObjectsInput{Bucket: "bkt", Delete: &api.Delete{Quiet: ptr(true), Objects: []api.ObjectIdentifier{{Key: "k"}}}})
	if err != nil || len(quiet.Deleted) != 0 {
		t.Fatalf("quiet = %+v, %v", quiet, err)
	}
	f.version("bkt", enabled)
	out, err = f.DeleteObjects(f.ctx, &api.DeleteObjectsInput{Bucket: "bkt", Delete: &api.Delete{Objects: []api.ObjectIdentifier{{Key: "k"}, {Key: "k"}}}})
	if err != nil || len(out.Deleted) != 2 || !value(out.Deleted[0].DeleteMarker) || out.Deleted[0].DeleteMarkerVersionId == out.Deleted[1].DeleteMarkerVersionId {
		t.Fatalf("with versions = %+v, %v", out, err)
	}
	_, err = f.DeleteObjects(f.ctx, &api.DeleteObjectsInput{Bucket: "bkt", Delete: &api.Delete{}})
	wantFault(t, err, fault.MalformedXML, "")
}

// A refusal tells that what it refuses is a delete marker.
func TestRefusalsOfMarkersSaySo(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.version("bkt", enabled)
	f.put("bkt", "k", "x")
	gone, err := f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: "k"})
	noError(t, err)
	for version, want := range map[string][][2]string{
		"":             {{"x-amz-delete-marker", "true"}, {"x-amz-version-id", gone.VersionId}},
		gone.VersionId: {{"x-amz-delete-marker", "true"}, {"x-amz-version-id", gone.VersionId}, {"Last-Modified", "Sun, 22 Nov 2026 10:00:00 GMT"}, {"Allow", "DELETE"}},
	} {
		_, err := f.GetObject(f.ctx, &api.GetObjectInput{Bucket: "bkt", Key: "k", VersionId: version})
		refused, ok := fault.As(err)
		if !ok || !slices.Equal(refused.Headers, want) {
			t.Errorf("version %q: %v, headers %v", version, err, refused.Headers)
		}
	}
	_, err = f.HeadObject(f.ctx, &api.HeadObjectInput{Bucket: "bkt", Key: "none"})
	if refused, ok := fault.As(err); !ok || refused.Headers != nil {
		t.Errorf("a key that never was: %v", err)
	}
}
