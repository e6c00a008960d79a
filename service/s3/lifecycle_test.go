package s3

import (
	"context"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

const day = 24 * time.Hour

func (f *fixture) rules(bucket string, rules ...api.LifecycleRule) {
	f.t.Helper()
	_, err := f.PutBucketLifecycleConfiguration(f.ctx, &api.PutBucketLifecycleConfigurationInput{
		Bucket: bucket, LifecycleConfiguration: &api.BucketLifecycleConfiguration{Rules: rules},
	})
	noError(f.t, err)
}

// after moves the clock and applies the rules once.
func (f *fixture) after(d time.Duration) {
	f.t.Helper()
	f.clock.Add(d)
	noError(f.t, f.expire(context.Background()))
}

func (f *fixture) versionsOf(bucket string) (versions, markers int) {
	f.t.Helper()
	out, err := f.ListObjectVersions(f.ctx, &api.ListObjectVersionsInput{Bucket: bucket})
	noError(f.t, err)
	return len(out.Versions), len(out.DeleteMarkers)
}

func expireAfter(days int32, filter *api.LifecycleRuleFilter) api.LifecycleRule {
	return api.LifecycleRule{ID: "r", Status: "Enabled", Filter: filter, Expiration: &api.LifecycleExpiration{Days: &days}}
}

func TestLifecycleExpiresCurrentObjects(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "logs/old", "x")
	f.put("bkt", "logs/large", large(2000))
	f.put("bkt", "keep", "x")
	f.rules("bkt", expireAfter(2, &api.LifecycleRuleFilter{And: &api.LifecycleRuleAndOperator{Prefix: "logs/", ObjectSizeLessThan: ptr(int64(1000))}}))
	head, err := f.HeadObject(f.ctx, &api.HeadObjectInput{Bucket: "bkt", Key: "logs/old"})
	noError(t, err)
	if want := `expiry-date="Wed, 25 Nov 2026 00:00:00 GMT", rule-id="r"`; head.Expiration != want {
		t.Errorf("x-amz-expiration = %s, want %s", head.Expiration, want)
	}
	f.after(2 * day)
	if got := f.body("bkt", "logs/old"); got != "x" {
		t.Fatalf("expired before the midnight after two days: %s", got)
	}
	f.after(14 * time.Hour) // the midnight after
	for key, want := range map[string]string{"logs/old": "NoSuchKey", "keep": "x"} {
		if got := f.body("bkt", key); got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
	if got := f.body("bkt", "logs/large"); got == "NoSuchKey" {
		t.Error("an object that the filter leaves out expired")
	}
	if n := f.filesOnDisk(); n > 2 {
		t.Errorf("%d files are left of 2 objects", n)
	}
}

func TestLifecycleExpiresByDateAndTag(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	_, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "tagged", Body: text("x"), Tagging: "a=b&c=d"})
	noError(t, err)
	f.put("bkt", "plain", "x")
	on := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	f.rules("bkt", api.LifecycleRule{Status: "Enabled", Filter: &api.LifecycleRuleFilter{Tag: &api.Tag{Key: "a", Value: "b"}}, Expiration: &api.LifecycleExpiration{Date: &on}},
		api.LifecycleRule{ID: "off", Status: "Disabled", Filter: &api.LifecycleRuleFilter{}, Expiration: &api.LifecycleExpiration{Days: ptr(int32(1))}})
	f.after(8 * day)
	if got := f.body("bkt", "tagged"); got != "x" {
		t.Fatalf("expired before its date: %s", got)
	}
	f.after(day)
	if got := f.body("bkt", "tagged") + " " + f.body("bkt", "plain"); got != "NoSuchKey x" {
		t.Errorf("after the date: %s", got)
	}
}

func TestLifecycleOfVersions(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.version("bkt", enabled)
	for range 4 {
		f.put("bkt", "k", "x")
		f.clock.Add(time.Hour)
	}
	f.rules("bkt", api.LifecycleRule{Status: "Enabled", Filter: &api.LifecycleRuleFilter{},
		Expiration:                  &api.LifecycleExpiration{Days: ptr(int32(10))},
		NoncurrentVersionExpiration: &api.NoncurrentVersionExpiration{NoncurrentDays: ptr(int32(3)), NewerNoncurrentVersions: ptr(int32(1))},
	})
	f.after(2 * day)
	if v, m := f.versionsOf("bkt"); v != 4 || m != 0 {
		t.Fatalf("after two days %d versions and %d markers", v, m)
	}
	f.after(3 * day)
	if v, m := f.versionsOf("bkt"); v != 2 || m != 0 {
		t.Fatalf("after five days %d versions and %d markers, want the current and one noncurrent", v, m)
	}
	f.after(7 * day)
	if v, m := f.versionsOf("bkt"); v != 1 || m != 1 {
		t.Fatalf("after twelve days %d versions and %d markers, want the one that a marker ended", v, m)
	}
	f.rules("bkt", api.LifecycleRule{Status: "Enabled", Filter: &api.LifecycleRuleFilter{},
		Expiration:                  &api.LifecycleExpiration{ExpiredObjectDeleteMarker: ptr(true)},
		NoncurrentVersionExpiration: &api.NoncurrentVersionExpiration{NoncurrentDays: ptr(int32(1))},
	})
	f.after(20 * day)
	f.after(0) // the marker is alone only now
	if v, m := f.versionsOf("bkt"); v != 0 || m != 0 {
		t.Errorf("at last %d versions and %d markers", v, m)
	}
	if n := f.filesOnDisk(); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestLifecycleLeavesLockedVersions(t *testing.T) {
	f := newFixture(t)
	_, err := f.CreateBucket(f.ctx, &api.CreateBucketInput{Bucket: "bkt", ObjectLockEnabledForBucket: ptr(true)})
	noError(t, err)
	until := f.clock.Now().Add(30 * day)
	_, err = f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text("old"), ObjectLockMode: governance, ObjectLockRetainUntilDate: &until})
	noError(t, err)
	f.put("bkt", "k", "new")
	f.rules("bkt", api.LifecycleRule{Status: "Enabled", Filter: &api.LifecycleRuleFilter{},
		NoncurrentVersionExpiration: &api.NoncurrentVersionExpiration{NoncurrentDays: ptr(int32(1))}})
	f.after(20 * day)
	if v, _ := f.versionsOf("bkt"); v != 2 {
		t.Fatalf("%d versions while one is retained", v)
	}
	f.after(20 * day)
	if v, _ := f.versionsOf("bkt"); v != 1 {
		t.Errorf("%d versions after the retention", v)
	}
}

func TestLifecycleAbortsUploads(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	up, err := f.CreateMultipartUpload(f.ctx, &api.CreateMultipartUploadInput{Bucket: "bkt", Key: "tmp/k"})
	noError(t, err)
	_, err = f.UploadPart(f.ctx, &api.UploadPartInput{Bucket: "bkt", Key: "tmp/k", UploadId: up.UploadId, PartNumber: ptr(int32(1)), Body: text(large(5000))})
	noError(t, err)
	f.rules("bkt", api.LifecycleRule{Status: "Enabled", Filter: &api.LifecycleRuleFilter{Prefix: "tmp/"},
		AbortIncompleteMultipartUpload: &api.AbortIncompleteMultipartUpload{DaysAfterInitiation: ptr(int32(1))}})
	f.after(3 * day)
	_, err = f.ListParts(f.ctx, &api.ListPartsInput{Bucket: "bkt", Key: "tmp/k", UploadId: up.UploadId})
	wantFault(t, err, fault.NoSuchUpload, "")
	if n := f.filesOnDisk(); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

// More objects than one page and one batch hold.
func TestLifecyclePages(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	const n = expiryBatch*2 + 7
	for i := range n {
		f.put("bkt", "k"+large(i%50)+string(rune('a'+i%26))+time.Duration(i).String(), "")
	}
	f.rules("bkt", expireAfter(1, nil))
	f.after(3 * day)
	out, err := f.ListObjectsV2(f.ctx, &api.ListObjectsV2Input{Bucket: "bkt"})
	noError(t, err)
	if len(out.Contents) != 0 {
		t.Errorf("%d objects are left", len(out.Contents))
	}
}

func TestLifecycleConfiguration(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	_, err := f.GetBucketLifecycleConfiguration(f.ctx, &api.GetBucketLifecycleConfigurationInput{Bucket: "bkt"})
	wantFault(t, err, fault.NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist")
	days := func(n int32) *api.LifecycleExpiration { return &api.LifecycleExpiration{Days: &n} }
	all := &api.LifecycleRuleFilter{}
	noon := f.clock.Now()
	for _, tt := range []struct {
		name string
		rule api.LifecycleRule
		want string
	}{
		{"status", api.LifecycleRule{Status: "on", Filter: all, Expiration: days(1)}, fault.MalformedXML},
		{"no action", api.LifecycleRule{Status: "Enabled", Filter: all}, fault.InvalidRequest},
		{"zero days", api.LifecycleRule{Status: "Enabled", Filter: all, Expiration: days(0)}, fault.InvalidArgument},
		{"date at noon", api.LifecycleRule{Status: "Enabled", Filter: all, Expiration: &api.LifecycleExpiration{Date: &noon}}, fault.InvalidArgument},
		{"days and date", api.LifecycleRule{Status: "Enabled", Filter: all, Expiration: &api.LifecycleExpiration{Days: ptr(int32(1)), Date: &noon}}, fault.MalformedXML},
		{"two filters", api.LifecycleRule{Status: "Enabled", Filter: &api.LifecycleRuleFilter{Prefix: "a", Tag: &api.Tag{Key: "a"}}, Expiration: days(1)}, fault.MalformedXML},
		{"and of one", api.LifecycleRule{Status: "Enabled", Filter: &api.LifecycleRuleFilter{And: &api.LifecycleRuleAndOperator{Prefix: "a"}}, Expiration: days(1)}, fault.MalformedXML},
		{"prefix and filter", api.LifecycleRule{Status: "Enabled", Prefix: "a", Filter: all, Expiration: days(1)}, fault.MalformedXML},
		{"sizes", api.LifecycleRule{Status: "Enabled", Filter: &api.LifecycleRuleFilter{And: &api.LifecycleRuleAndOperator{ObjectSizeGreaterThan: ptr(int64(9)), ObjectSizeLessThan: ptr(int64(9))}}, Expiration: days(1)}, fault.InvalidRequest},
		{"abort by tag", api.LifecycleRule{Status: "Enabled", Filter: &api.LifecycleRuleFilter{Tag: &api.Tag{Key: "a"}}, AbortIncompleteMultipartUpload: &api.AbortIncompleteMultipartUpload{DaysAfterInitiation: ptr(int32(1))}}, fault.InvalidRequest},
		{"marker by tag", api.LifecycleRule{Status: "Enabled", Filter: &api.LifecycleRuleFilter{Tag: &api.Tag{Key: "a"}}, Expiration: &api.LifecycleExpiration{ExpiredObjectDeleteMarker: ptr(true)}}, fault.InvalidRequest},
		{"transition", api.LifecycleRule{Status: "Enabled", Filter: all, Transitions: []api.Transition{{StorageClass: "GLACIER"}}}, fault.NotImplemented},
	} {
		_, err := f.PutBucketLifecycleConfiguration(f.ctx, &api.PutBucketLifecycleConfigurationInput{
			Bucket: "bkt", LifecycleConfiguration: &api.BucketLifecycleConfiguration{Rules: []api.LifecycleRule{tt.rule}}})
		if got := code(t, err); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	f.rules("bkt", api.LifecycleRule{ID: "wholebucket", Status: "Enabled", Filter: all, Expiration: days(7)})
	out, err := f.GetBucketLifecycleConfiguration(f.ctx, &api.GetBucketLifecycleConfigurationInput{Bucket: "bkt"})
	noError(t, err)
	if r := out.Rules[0]; r.ID != "wholebucket" || *r.Expiration.Days != 7 || r.Filter == nil || out.TransitionDefaultMinimumObjectSize != defaultMinimum {
		t.Errorf("= %+v", out)
	}
	_, err = f.DeleteBucketLifecycle(f.ctx, &api.DeleteBucketLifecycleInput{Bucket: "bkt"})
	noError(t, err)
	_, err = f.GetBucketLifecycleConfiguration(f.ctx, &api.GetBucketLifecycleConfigurationInput{Bucket: "bkt"})
	wantFault(t, err, fault.NoSuchLifecycleConfiguration, "")
}
