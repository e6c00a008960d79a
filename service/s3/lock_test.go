package s3

import (
	"testing"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

const lockedText = "Access Denied because object protected by object lock."

// locking is a fixture with a bucket that has object lock.
func locking(t *testing.T) *fixture {
	f := newFixture(t)
	_, err := f.CreateBucket(f.ctx, &api.CreateBucketInput{Bucket: "bkt", ObjectLockEnabledForBucket: ptr(true)})
	noError(t, err)
	return f
}

func (f *fixture) remove(key, version string, bypass bool) error {
	_, err := f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: key, VersionId: version, BypassGovernanceRetention: &bypass})
	return err
}

// Answers of AWS: test_s3_object_retention, test_delete_locked_object.
func TestRetentionAndLegalHold(t *testing.T) {
	f := locking(t)
	v := f.put("bkt", "k", "x").VersionId
	until := f.clock.Now().Add(time.Hour)
	retain := func(mode string, until *time.Time, bypass bool) error {
		_, err := f.PutObjectRetention(f.ctx, &api.PutObjectRetentionInput{Bucket: "bkt", Key: "k", VersionId: v, BypassGovernanceRetention: &bypass,
			Retention: &api.ObjectLockRetention{Mode: mode, RetainUntilDate: until}})
		return err
	}
	noError(t, retain(governance, &until, false))
	wantFault(t, f.remove("k", v, false), fault.AccessDenied, lockedText)
	sooner := until.Add(-time.Minute)
	wantFault(t, retain(governance, &sooner, false), fault.AccessDenied, lockedText)
	noError(t, retain(governance, &sooner, true))
	noError(t, retain(compliance, &until, false))
	wantFault(t, f.remove("k", v, true), fault.AccessDenied, lockedText)
	wantFault(t, retain("", nil, true), fault.AccessDenied, lockedText)
	later := until.Add(time.Hour)
	noError(t, retain(compliance, &later, false))
	noError(t, f.remove("k", "", false)) // a marker takes nothing away
	out, err := f.DeleteObjects(f.ctx, &api.DeleteObjectsInput{Bucket: "bkt", Delete: &api.Delete{Objects: []api.ObjectIdentifier{{Key: "k", VersionId: v}}}})
	if err != nil || len(out.Errors) != 1 || out.Errors[0].Code != fault.AccessDenied || out.Errors[0].Message != lockedText {
		t.Fatalf("delete many: %+v, %v", out, err)
	}
	hold := func(status string) {
		t.Helper()
		_, err := f.PutObjectLegalHold(f.ctx, &api.PutObjectLegalHoldInput{Bucket: "bkt", Key: "k", VersionId: v, LegalHold: &api.ObjectLockLegalHold{Status: status}})
		noError(t, err)
	}
	hold(holdOn)
	f.clock.Add(3 * time.Hour)
	wantFault(t, f.remove("k", v, true), fault.AccessDenied, lockedText)
	head, err := f.HeadObject(f.ctx, &api.HeadObjectInput{Bucket: "bkt", Key: "k", VersionId: v})
	if err != nil || head.ObjectLockLegalHoldStatus != holdOn || head.ObjectLockMode != compliance {
		t.Fatalf("head: %+v, %v", head, err)
	}
	hold(holdOff)
	noError(t, f.remove("k", v, false))
}

// Answers of AWS: test_object_lock_delete_markers, test_put_object_legal_hold_exc.
func TestLockRefusals(t *testing.T) {
	f := locking(t).bucket("plain")
	f.put("plain", "k", "x")
	f.put("bkt", "k", "x")
	hold := func(bucket, key, status string) error {
		_, err := f.PutObjectLegalHold(f.ctx, &api.PutObjectLegalHoldInput{Bucket: bucket, Key: key, LegalHold: &api.ObjectLockLegalHold{Status: status}})
		return err
	}
	wantFault(t, hold("none", "k", holdOn), fault.NoSuchBucket, "")
	wantFault(t, hold("bkt", "none", holdOn), fault.NoSuchKey, "")
	wantFault(t, hold("plain", "k", holdOn), fault.InvalidRequest, "Bucket is missing Object Lock Configuration")
	wantFault(t, hold("bkt", "k", ""), fault.MalformedXML, "")
	_, err := f.GetObjectRetention(f.ctx, &api.GetObjectRetentionInput{Bucket: "plain", Key: "k"})
	wantFault(t, err, fault.InvalidRequest, "Bucket is missing Object Lock Configuration")
	_, err = f.GetObjectRetention(f.ctx, &api.GetObjectRetentionInput{Bucket: "bkt", Key: "k"})
	wantFault(t, err, fault.NoSuchObjectLock, "")
	noError(t, f.remove("k", "", false))
	wantFault(t, hold("bkt", "k", holdOn), fault.MethodNotAllowed, "The specified method is not allowed against this resource.")
	_, err = f.PutBucketVersioning(f.ctx, &api.PutBucketVersioningInput{Bucket: "bkt", VersioningConfiguration: &api.VersioningConfiguration{Status: suspended}})
	wantFault(t, err, fault.InvalidBucketState, "")
	later := f.clock.Now().Add(time.Hour)
	for _, tt := range []struct {
		in   api.PutObjectInput
		want string
	}{
		{api.PutObjectInput{ObjectLockMode: governance}, "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"},
		{api.PutObjectInput{ObjectLockRetainUntilDate: &later}, "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"},
		{api.PutObjectInput{ObjectLockMode: "BAD-VALUE", ObjectLockRetainUntilDate: &later}, "Unknown wormMode directive."},
	} {
		in := tt.in
		in.Bucket, in.Key, in.Body = "bkt", "k", text("x")
		_, err := f.PutObject(f.ctx, &in)
		wantFault(t, err, fault.InvalidArgument, tt.want)
	}
}

// Answers of AWS: test_get_put_object_lock_configuration and ..._exc.
func TestDefaultRetention(t *testing.T) {
	f := locking(t).bucket("plain")
	put := func(bucket string, cfg *api.ObjectLockConfiguration) error {
		_, err := f.PutObjectLockConfiguration(f.ctx, &api.PutObjectLockConfigurationInput{Bucket: bucket, ObjectLockConfiguration: cfg})
		return err
	}
	with := func(d *api.DefaultRetention) *api.ObjectLockConfiguration {
		return &api.ObjectLockConfiguration{ObjectLockEnabled: enabled, Rule: &api.ObjectLockRule{DefaultRetention: d}}
	}
	for name, cfg := range map[string]*api.ObjectLockConfiguration{
		"nothing": nil, "empty": {}, "no retention": with(nil), "no days": with(&api.DefaultRetention{Mode: governance}),
		"bad mode": with(&api.DefaultRetention{Mode: "BAD", Days: ptr(int32(1))}),
		"both":     with(&api.DefaultRetention{Mode: governance, Days: ptr(int32(1)), Years: ptr(int32(1))}),
	} {
		if got := code(t, put("bkt", cfg)); got != fault.MalformedXML {
			t.Errorf("%s: %s", name, got)
		}
	}
	days := with(&api.DefaultRetention{Mode: compliance, Days: ptr(int32(2))})
	wantFault(t, put("plain", days), fault.InvalidBucketState, "")
	_, err := f.GetObjectLockConfiguration(f.ctx, &api.GetObjectLockConfigurationInput{Bucket: "plain"})
	wantFault(t, err, fault.ObjectLockConfigurationNotFound, "Object Lock configuration does not exist for this bucket")
	noError(t, put("bkt", days))
	v := f.put("bkt", "k", "x").VersionId
	got, err := f.GetObjectRetention(f.ctx, &api.GetObjectRetentionInput{Bucket: "bkt", Key: "k"})
	noError(t, err)
	if want := f.clock.Now().Add(48 * time.Hour); got.Retention.Mode != compliance || !got.Retention.RetainUntilDate.Equal(want) {
		t.Errorf("retention = %+v, want until %s", got.Retention, want)
	}
	wantFault(t, f.remove("k", v, true), fault.AccessDenied, lockedText)
	f.reopen()
	f.clock.Add(49 * time.Hour)
	noError(t, f.remove("k", v, false))
}
