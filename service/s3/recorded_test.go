package s3

import (
	"context"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// recording is a fixture of the account that AWS's answers were recorded in, and
// a file of them.
func recording(t *testing.T, file string) (*fixture, *replay.Records) {
	f := newFixture(t)
	return f, replay.Open(t, "s3/"+file, api.Describe(), f.Service)
}

func TestRecordedWebsites(t *testing.T) {
	f, records := recording(t, "test_s3")
	f.bucket("bkt")
	c := records.Case(t, "TestS3StaticWebsiteHosting::test_crud_website_configuration")
	c.Call("get-no-such-website-config", f.ctx, &api.GetBucketWebsiteInput{Bucket: "bkt"})
	c.Call("del-no-such-website-config", f.ctx, &api.DeleteBucketWebsiteInput{Bucket: "bkt"})
	index := &api.IndexDocument{Suffix: "index.html"}
	c.Call("put-website-config", f.ctx, &api.PutBucketWebsiteInput{Bucket: "bkt", WebsiteConfiguration: &api.WebsiteConfiguration{IndexDocument: index}})
	c.Call("get-website-config", f.ctx, &api.GetBucketWebsiteInput{Bucket: "bkt"})
}

func TestRecordedLifecycle(t *testing.T) {
	f, records := recording(t, "test_s3")
	f.bucket("bkt")
	c := records.Case(t, "test_delete_lifecycle_configuration_on_bucket_deletion")
	c.Call("", f.ctx, &api.PutBucketLifecycleConfigurationInput{Bucket: "bkt", LifecycleConfiguration: &api.BucketLifecycleConfiguration{Rules: []api.LifecycleRule{
		{Expiration: &api.LifecycleExpiration{Days: ptr(int32(7))}, ID: "wholebucket", Filter: &api.LifecycleRuleFilter{Prefix: ""}, Status: "Enabled"}}}})
	c.Except("get-bucket-lifecycle-conf/Rules/0/Filter/Prefix", "an empty prefix is left off: it means the same as none")
	c.Call("get-bucket-lifecycle-conf", f.ctx, &api.GetBucketLifecycleConfigurationInput{Bucket: "bkt"})
	c.Call("", f.ctx, &api.DeleteBucketInput{Bucket: "bkt"})
	c.Call("", f.ctx, &api.CreateBucketInput{Bucket: "bkt"})
	c.Call("get-bucket-lifecycle-exc", f.ctx, &api.GetBucketLifecycleConfigurationInput{Bucket: "bkt"})
}

func TestRecordedLocks(t *testing.T) {
	f, records := recording(t, "test_s3_api")
	locked := &api.CreateBucketInput{Bucket: "bkt", ObjectLockEnabledForBucket: ptr(true)}
	c := records.Case(t, "test_get_put_object_lock_configuration")
	c.Call("", f.ctx, locked)
	get := &api.GetObjectLockConfigurationInput{Bucket: "bkt"}
	put := func(cfg *api.ObjectLockConfiguration) *api.PutObjectLockConfigurationInput {
		return &api.PutObjectLockConfigurationInput{Bucket: "bkt", ObjectLockConfiguration: cfg}
	}
	with := func(d *api.DefaultRetention) *api.ObjectLockConfiguration {
		return &api.ObjectLockConfiguration{ObjectLockEnabled: "Enabled", Rule: &api.ObjectLockRule{DefaultRetention: d}}
	}
	c.Call("get-lock-config-start", f.ctx, get)
	c.Call("put-lock-config", f.ctx, put(with(&api.DefaultRetention{Mode: governance, Days: ptr(int32(1))})))
	c.Call("get-lock-config", f.ctx, get)
	c.Call("put-lock-config-enabled", f.ctx, put(&api.ObjectLockConfiguration{ObjectLockEnabled: "Enabled"}))
	c.Call("get-lock-config-only-enabled", f.ctx, get)

	c = records.Case(t, "test_put_object_lock_configuration_exc")
	c.Call("put-lock-config-no-enabled", f.ctx, put(&api.ObjectLockConfiguration{Rule: &api.ObjectLockRule{}}))
	c.Call("put-lock-config-empty", f.ctx, put(&api.ObjectLockConfiguration{}))
	c.Call("put-lock-config-empty-rule", f.ctx, put(&api.ObjectLockConfiguration{ObjectLockEnabled: "Enabled", Rule: &api.ObjectLockRule{}}))
	c.Call("put-lock-config-empty-retention", f.ctx, put(with(&api.DefaultRetention{})))
	c.Call("put-lock-config-no-days", f.ctx, put(with(&api.DefaultRetention{Mode: governance})))
	c.Call("put-lock-config-bad-mode", f.ctx, put(with(&api.DefaultRetention{Mode: "BAD-VALUE", Days: ptr(int32(1))})))
	c.Call("put-lock-config-both-days-years", f.ctx, put(with(&api.DefaultRetention{Mode: governance, Days: ptr(int32(1)), Years: ptr(int32(1))})))
}

func TestRecordedLegalHolds(t *testing.T) {
	f, records := recording(t, "test_s3")
	f.bucket("plain")
	f.put("plain", "k", "x")
	c := records.Case(t, "test_put_object_legal_hold_exc")
	c.Call("", f.ctx, &api.CreateBucketInput{Bucket: "bkt", ObjectLockEnabledForBucket: ptr(true)})
	hold := func(bucket, key, status string) *api.PutObjectLegalHoldInput {
		return &api.PutObjectLegalHoldInput{Bucket: bucket, Key: key, LegalHold: &api.ObjectLockLegalHold{Status: status}}
	}
	c.Call("put-object-legal-hold-no-bucket", f.ctx, hold("non-existing", "k", "ON"))
	c.Call("put-object-legal-hold-no-key", f.ctx, hold("bkt", "non-existing-key", "ON"))
	c.Call("put-object-retention-regular-bucket", f.ctx, hold("plain", "k", "ON"))
	c.Call("put-object-retention-empty", f.ctx, hold("bkt", "k", ""))
	c.Call("get-object-retention-regular-bucket", f.ctx, &api.GetObjectLegalHoldInput{Bucket: "plain", Key: "k"})

	c = records.Case(t, "test_object_lock_delete_markers")
	until := f.clock.Now().Add(time.Hour)
	c.Leave("put-object-with-lock", "its checksum is of the recorded body")
	c.Leave("head-object-with-lock", "its entity tag is of the recorded body")
	c.Call("", f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text("x"), ObjectLockMode: governance, ObjectLockRetainUntilDate: &until})
	marker := replay.As[api.DeleteObjectOutput](c.Call("put-delete-marker", f.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: "k"})).VersionId
	c.Call("put-object-retention-delete-marker", f.ctx, &api.PutObjectRetentionInput{Bucket: "bkt", Key: "k", VersionId: marker,
		Retention: &api.ObjectLockRetention{Mode: governance, RetainUntilDate: &until}})
	c.Call("get-object-retention-delete-marker", f.ctx, &api.GetObjectRetentionInput{Bucket: "bkt", Key: "k", VersionId: marker})
	c.Leave("head-object-locked-delete-marker", "an answer to HEAD has no body: package wire's")
}

func TestRecordedOwnershipAndBlocks(t *testing.T) {
	f, records := recording(t, "test_s3_api")
	f.bucket("bkt")
	c := records.Case(t, "test_bucket_ownership_controls_exc")
	own := func(rules ...string) *api.PutBucketOwnershipControlsInput {
		in := &api.PutBucketOwnershipControlsInput{Bucket: "bkt", OwnershipControls: &api.OwnershipControls{Rules: []api.OwnershipControlsRule{}}}
		for _, r := range rules {
			in.OwnershipControls.Rules = append(in.OwnershipControls.Rules, api.OwnershipControlsRule{ObjectOwnership: r})
		}
		return in
	}
	c.Call("default-ownership", f.ctx, &api.GetBucketOwnershipControlsInput{Bucket: "bkt"})
	c.Call("put-ownership-multiple-rules", f.ctx, own("BucketOwnerPreferred", "ObjectWriter"))
	c.Call("put-ownership-wrong-value", f.ctx, own("RandomValue"))
	c.Call("put-ownership-empty-rule", f.ctx, own())
	c.Call("ownership-wrong-value-at-creation", f.ctx, &api.CreateBucketInput{Bucket: "other", ObjectOwnership: "RandomValue"})
	c.Leave("ownership-non-value-at-creation", "an empty header cannot be told from none in the input")

	c = records.Case(t, "test_crud_public_access_block")
	get := &api.GetPublicAccessBlockInput{Bucket: "bkt"}
	c.Call("get-default-public-access-block", f.ctx, get)
	c.Call("put-public-access-block", f.ctx, &api.PutPublicAccessBlockInput{Bucket: "bkt", PublicAccessBlockConfiguration: &api.PublicAccessBlockConfiguration{
		BlockPublicAcls: ptr(false), IgnorePublicAcls: ptr(false), BlockPublicPolicy: ptr(false)}})
	c.Call("get-public-access-block", f.ctx, get)
	c.Call("delete-public-access-block", f.ctx, &api.DeletePublicAccessBlockInput{Bucket: "bkt"})
	c.Call("get-public-access-block-after-delete", f.ctx, get)
	c.Call("idempotent-delete-public-access-block", f.ctx, &api.DeletePublicAccessBlockInput{Bucket: "bkt"})
}

func TestRecordedCORS(t *testing.T) {
	f, records := recording(t, "test_s3_cors")
	f.bucket("bkt")
	put := func(r api.CORSRule) *api.PutBucketCorsInput {
		return &api.PutBucketCorsInput{Bucket: "bkt", CORSConfiguration: &api.CORSConfiguration{CORSRules: []api.CORSRule{r}}}
	}
	c := records.Case(t, "test_put_cors")
	c.Call("put-cors", f.ctx, put(api.CORSRule{AllowedOrigins: []string{"https://test.com", "https://app.test.com", "http://test.com:80"},
		AllowedMethods: []string{"GET", "PUT", "HEAD"}, MaxAgeSeconds: ptr(int32(3000)),
		AllowedHeaders: []string{"x-amz-expected-bucket-owner", "x-amz-server-side-encryption-customer-algorithm"}}))
	c.Call("get-cors", f.ctx, &api.GetBucketCorsInput{Bucket: "bkt"})
	c = records.Case(t, "test_put_cors_invalid_rules")
	c.Call("put-cors-exc", f.ctx, put(api.CORSRule{AllowedOrigins: []string{"https://test.com"}, AllowedMethods: []string{"GET", "PUT", "MYMETHOD"}}))
	c.Call("put-cors-exc-empty", f.ctx, &api.PutBucketCorsInput{Bucket: "bkt", CORSConfiguration: &api.CORSConfiguration{CORSRules: []api.CORSRule{}}})
}

func TestRecordedLists(t *testing.T) {
	f, records := recording(t, "test_s3")
	f.open("bkt")
	c := records.Case(t, "TestS3::test_s3_bucket_acl")
	get := &api.GetBucketAclInput{Bucket: "bkt"}
	me := ownerID(account)
	c.Call("", f.ctx, &api.PutBucketAclInput{Bucket: "bkt", ACL: "public-read"})
	c.Call("get-bucket-acl", f.ctx, get)
	c.Call("", f.ctx, &api.PutBucketAclInput{Bucket: "bkt", ACL: "private"})
	c.Call("get-bucket-canned-acl", f.ctx, get)
	c.Call("", f.ctx, &api.PutBucketAclInput{Bucket: "bkt", GrantRead: `uri="` + logDelivery + `"`})
	c.Call("get-bucket-grant-acl", f.ctx, get)
	c.Call("", f.ctx, &api.PutBucketAclInput{Bucket: "bkt", AccessControlPolicy: &api.AccessControlPolicy{Owner: &api.Owner{ID: me}, Grants: []api.Grant{
		{Grantee: &api.Grantee{ID: me, Type: "CanonicalUser"}, Permission: "FULL_CONTROL"}, {Grantee: &api.Grantee{URI: logDelivery, Type: "Group"}, Permission: "WRITE"}}}})
	c.Call("get-bucket-acp-acl", f.ctx, get)

	f.version("bkt", enabled)
	c = records.Case(t, "test_put_object_acl_on_delete_marker")
	c.Leave("put-obj-1", "its checksum is of the recorded body")
	c.Leave("put-obj-2", "its checksum is of the recorded body")
	f.put("bkt", "test-key-versioned", "x")
	c.Call("delete-object", f.ctx, &api.DeleteObjectInput{Bucket: "bkt", Key: "test-key-versioned"})
	marker := f.markerOf("bkt")
	c.Call("put-acl-delete-marker", f.ctx, &api.PutObjectAclInput{Bucket: "bkt", Key: "test-key-versioned", ACL: "public-read"})
	c.Call("get-acl-delete-marker", f.ctx, &api.GetObjectAclInput{Bucket: "bkt", Key: "test-key-versioned"})
	c.Call("put-acl-delete-marker-version-id", f.ctx, &api.PutObjectAclInput{Bucket: "bkt", Key: "test-key-versioned", VersionId: marker, ACL: "public-read"})
	c.Call("get-acl-delete-marker-version-id", f.ctx, &api.GetObjectAclInput{Bucket: "bkt", Key: "test-key-versioned", VersionId: marker})
}

func (f *fixture) markerOf(bucket string) string {
	f.t.Helper()
	out, err := f.ListObjectVersions(f.ctx, &api.ListObjectVersionsInput{Bucket: bucket})
	noError(f.t, err)
	return out.DeleteMarkers[0].VersionId
}

// noQueues is a destination where nothing is.
type noQueues struct{}

func (noQueues) Send(context.Context, arn.ARN, string) error {
	return fault.New(fault.InvalidArgument, "The destination queue does not exist")
}

func (q noQueues) Try(ctx context.Context, to arn.ARN, testEvent string) error {
	return q.Send(ctx, to, testEvent)
}

func TestRecordedNotifications(t *testing.T) {
	f, records := recording(t, "test_s3_notifications_sqs")
	f.bucket("bkt")
	f.destinations = map[string]Destination{"sqs": noQueues{}}
	put := func(arns ...string) *api.PutBucketNotificationConfigurationInput {
		in := &api.PutBucketNotificationConfigurationInput{Bucket: "bkt", NotificationConfiguration: &api.NotificationConfiguration{}}
		for i, a := range arns {
			event := []string{"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}[i]
			in.NotificationConfiguration.QueueConfigurations = append(in.NotificationConfiguration.QueueConfigurations, api.QueueConfiguration{QueueArn: a, Events: []string{event}})
		}
		return in
	}
	queue := "arn:aws:sqs:us-east-1:" + replay.Account + ":my-queue"
	c := records.Case(t, "test_multiple_invalid_sqs_arns")
	c.Call("two-queue-arns-invalid", f.ctx, put("invalid_arn", "invalid_arn_2"))
	c.Call("one-queue-invalid-one-not-existent", f.ctx, put(queue, "invalid_arn_2"))
	c.Call("multiple-queues-do-not-exist", f.ctx, put(queue, queue+"-2"))
}
