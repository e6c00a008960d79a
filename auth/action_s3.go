package auth

import (
	"net/url"
	"strings"

	"github.com/slipway/slipway/auth/policy"
)

// The names of S3's operations and actions part more than those of others
// ("Required permissions for Amazon S3 API operations", S3 User Guide).
var s3Table = table{prefix: "s3", keys: s3Keys, operations: entries(
	act(bucketOrObject, "AbortMultipartUpload CreateSession GetBucketAcl GetBucketLocation GetBucketLogging GetBucketNotification "+
		"GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketRequestPayment GetBucketTagging GetBucketVersioning "+
		"GetBucketWebsite GetBucketAbac PutBucketAbac PutBucketAcl PutBucketLogging PutBucketNotification PutBucketOwnershipControls "+
		"PutBucketPolicy PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite DeleteBucket DeleteBucketPolicy "+
		"DeleteBucketWebsite GetObjectLegalHold GetObjectRetention GetObjectTorrent PutObjectLegalHold "+
		"RestoreObject UpdateObjectEncryption"),
	act(nil, "WriteGetObjectResponse"),
	s3Actions("DeleteBucketAnalyticsConfiguration PutAnalyticsConfiguration, GetBucketAnalyticsConfiguration GetAnalyticsConfiguration, "+
		"ListBucketAnalyticsConfigurations GetAnalyticsConfiguration, PutBucketAnalyticsConfiguration PutAnalyticsConfiguration, "+
		"DeleteBucketCors PutBucketCORS, GetBucketCors GetBucketCORS, PutBucketCors PutBucketCORS, "+
		"DeleteBucketEncryption PutEncryptionConfiguration, GetBucketEncryption GetEncryptionConfiguration, "+
		"PutBucketEncryption PutEncryptionConfiguration, "+
		"DeleteBucketIntelligentTieringConfiguration PutIntelligentTieringConfiguration, "+
		"GetBucketIntelligentTieringConfiguration GetIntelligentTieringConfiguration, "+
		"ListBucketIntelligentTieringConfigurations GetIntelligentTieringConfiguration, "+
		"PutBucketIntelligentTieringConfiguration PutIntelligentTieringConfiguration, "+
		"DeleteBucketInventoryConfiguration PutInventoryConfiguration, GetBucketInventoryConfiguration GetInventoryConfiguration, "+
		"ListBucketInventoryConfigurations GetInventoryConfiguration, PutBucketInventoryConfiguration PutInventoryConfiguration, "+
		"DeleteBucketLifecycle PutLifecycleConfiguration, GetBucketLifecycle GetLifecycleConfiguration, "+
		"GetBucketLifecycleConfiguration GetLifecycleConfiguration, PutBucketLifecycle PutLifecycleConfiguration, "+
		"PutBucketLifecycleConfiguration PutLifecycleConfiguration, "+
		"CreateBucketMetadataConfiguration CreateBucketMetadataTableConfiguration, "+
		"CreateBucketMetadataTableConfiguration CreateBucketMetadataTableConfiguration, "+
		"DeleteBucketMetadataConfiguration DeleteBucketMetadataTableConfiguration, "+
		"DeleteBucketMetadataTableConfiguration DeleteBucketMetadataTableConfiguration, "+
		"GetBucketMetadataConfiguration GetBucketMetadataTableConfiguration, "+
		"GetBucketMetadataTableConfiguration GetBucketMetadataTableConfiguration, "+
		"UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataInventoryTableConfiguration, "+
		"UpdateBucketMetadataJournalTableConfiguration UpdateBucketMetadataJournalTableConfiguration, "+
		"DeleteBucketMetricsConfiguration PutMetricsConfiguration, GetBucketMetricsConfiguration GetMetricsConfiguration, "+
		"ListBucketMetricsConfigurations GetMetricsConfiguration, PutBucketMetricsConfiguration PutMetricsConfiguration, "+
		"DeleteBucketOwnershipControls PutBucketOwnershipControls, DeleteBucketReplication PutReplicationConfiguration, "+
		"GetBucketReplication GetReplicationConfiguration, DeleteBucketTagging PutBucketTagging, "+
		"DeletePublicAccessBlock PutBucketPublicAccessBlock, GetPublicAccessBlock GetBucketPublicAccessBlock, "+
		"PutPublicAccessBlock PutBucketPublicAccessBlock, "+
		"GetBucketAccelerateConfiguration GetAccelerateConfiguration, PutBucketAccelerateConfiguration PutAccelerateConfiguration, "+
		"GetBucketNotificationConfiguration GetBucketNotification, PutBucketNotificationConfiguration PutBucketNotification, "+
		"GetObjectLockConfiguration GetBucketObjectLockConfiguration, PutObjectLockConfiguration PutBucketObjectLockConfiguration, "+
		"HeadBucket ListBucket, ListObjects ListBucket, ListObjectsV2 ListBucket, ListObjectVersions ListBucketVersions, "+
		"ListMultipartUploads ListBucketMultipartUploads, ListParts ListMultipartUploadParts"),
	versioned("GetObject DeleteObject GetObjectAcl PutObjectAcl GetObjectTagging PutObjectTagging DeleteObjectTagging GetObjectAttributes HeadObject"),
	map[string]operation{
		"ListBuckets":          {action: "s3:ListAllMyBuckets"},
		"ListDirectoryBuckets": {action: "s3express:ListAllMyDirectoryBuckets"},
		"CreateBucket":         {on: bucketOrObject, needs: bucketSettings},
		"PutBucketReplication": {action: "s3:PutReplicationConfiguration", on: bucketOrObject, needs: func(a *asking) {
			a.passRole(a.in.text("ReplicationConfiguration.Role"), "s3.amazonaws.com")
		}},
		"PutObject":               {on: bucketOrObject, needs: objectSettings},
		"PutObjectRetention":      {on: bucketOrObject, needs: bypass},
		"CreateMultipartUpload":   {action: "s3:PutObject", on: bucketOrObject, needs: objectSettings},
		"UploadPart":              {action: "s3:PutObject", on: bucketOrObject},
		"CompleteMultipartUpload": {action: "s3:PutObject", on: bucketOrObject, needs: matching},
		"UploadPartCopy":          {action: "s3:PutObject", on: bucketOrObject, needs: copySource},
		"CopyObject":              {action: "s3:PutObject", on: bucketOrObject, needs: func(a *asking) { copySource(a); objectSettings(a) }},
		"RenameObject":            {action: "s3:PutObject", on: bucketOrObject, needs: renameSource},
		"DeleteObjects":           {action: noAction, needs: deletions},
	},
)}

// s3Actions are entries "operation action" that are separated by commas.
func s3Actions(pairs string) map[string]operation {
	out := map[string]operation{}
	for pair := range strings.SplitSeq(pairs, ", ") {
		name, action, _ := strings.Cut(pair, " ")
		out[name] = operation{action: "s3:" + action, on: bucketOrObject}
	}
	return out
}

// versionActions are those on a version that the request names: who may delete
// objects, which leaves their versions, may not delete these.
var versionActions = map[string]string{
	"s3:GetObject":           "s3:GetObjectVersion",
	"s3:DeleteObject":        "s3:DeleteObjectVersion",
	"s3:GetObjectAcl":        "s3:GetObjectVersionAcl",
	"s3:PutObjectAcl":        "s3:PutObjectVersionAcl",
	"s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
	"s3:GetObjectTagging":    "s3:GetObjectVersionTagging",
	"s3:PutObjectTagging":    "s3:PutObjectVersionTagging",
	"s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
}

func versioned(operations string) map[string]operation {
	out := map[string]operation{}
	for name := range strings.FieldsSeq(operations) {
		out[name] = operation{action: noAction, needs: onVersion}
	}
	return out
}

func onVersion(a *asking) {
	action := "s3:" + a.call.Operation
	if action == "s3:HeadObject" {
		action = "s3:GetObject"
	}
	resources := bucketOrObject(a.call, a.in)
	a.also(versionAction(action, a.in.text("VersionId") != ""), resources...)
	if a.call.Operation == "GetObjectAttributes" {
		a.also(versionAction("s3:GetObject", a.in.text("VersionId") != ""), resources...)
	}
	if a.call.Operation == "DeleteObject" {
		bypass(a)
		matching(a)
	}
}

// bypass is the leave to pass by a retention of mode GOVERNANCE.
func bypass(a *asking) {
	if a.in.flag("BypassGovernanceRetention") {
		a.also("s3:BypassGovernanceRetention", bucketOrObject(a.call, a.in)...)
	}
}

// matching is the leave to compare an object's entity tag, which tells what is in
// it ("How to perform conditional deletes", S3 User Guide).
func matching(a *asking) {
	if tag := a.in.text("IfMatch"); tag != "" && tag != "*" {
		a.also("s3:GetObject", bucketOrObject(a.call, a.in)...)
	}
}

func versionAction(action string, versioned bool) string {
	if a, ok := versionActions[action]; ok && versioned {
		return a
	}
	return action
}

// bucketOrObject is the object, of operations that name one, or the bucket.
func bucketOrObject(_ *Call, in membersOf) []string {
	b := in.text("Bucket")
	switch {
	case b == "":
		return nil
	case strings.HasPrefix(b, "arn:"):
	default:
		b = "arn:aws:s3:::" + b
	}
	if k := in.text("Key"); k != "" {
		return []string{b + "/" + k}
	}
	return []string{b}
}

// objectSettings are what an object is given as it is written.
func objectSettings(a *asking) {
	on := bucketOrObject(a.call, a.in)
	matching(a)
	for _, s := range []struct {
		action  string
		members []string
	}{
		{"s3:PutObjectTagging", []string{"Tagging"}},
		{"s3:PutObjectAcl", []string{"ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"}},
		{"s3:PutObjectRetention", []string{"ObjectLockMode", "ObjectLockRetainUntilDate"}},
		{"s3:PutObjectLegalHold", []string{"ObjectLockLegalHoldStatus"}},
	} {
		for _, m := range s.members {
			if a.in.has(m) {
				a.also(s.action, on...)
				break
			}
		}
	}
}

func bucketSettings(a *asking) {
	on := bucketOrObject(a.call, a.in)
	for _, m := range []string{"ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP"} {
		if a.in.has(m) {
			a.also("s3:PutBucketAcl", on...)
			break
		}
	}
	if a.in.flag("ObjectLockEnabledForBucket") {
		a.also("s3:PutBucketObjectLockConfiguration", on...)
		a.also("s3:PutBucketVersioning", on...)
	}
	if a.in.has("ObjectOwnership") {
		a.also("s3:PutBucketOwnershipControls", on...)
	}
}

func copySource(a *asking) {
	source, version, versioned := strings.Cut(strings.TrimPrefix(a.in.text("CopySource"), "/"), "?versionId=")
	if plain, err := url.PathUnescape(source); err == nil {
		source = plain
	}
	a.with(policy.Context{"s3:versionid": one(version), "s3:prefix": nil}, versionAction("s3:GetObject", versioned), "arn:aws:s3:::"+strings.TrimPrefix(source, "/"))
}

func renameSource(a *asking) {
	if b := a.in.text("Bucket"); b != "" {
		a.also("s3:GetObject", "arn:aws:s3:::"+b+"/"+strings.TrimPrefix(a.in.text("RenameSource"), "/"))
		a.also("s3:DeleteObject", "arn:aws:s3:::"+b+"/"+strings.TrimPrefix(a.in.text("RenameSource"), "/"))
	}
}

// deletions are the objects and the versions that a list names.
func deletions(a *asking) {
	var objects, versions, matched []string
	bucket := "arn:aws:s3:::" + a.in.text("Bucket") + "/"
	if a.in.text("Key") != "" { // one of them, as the service asks its bucket's policy
		a.also(versionAction("s3:DeleteObject", a.in.text("VersionId") != ""), bucketOrObject(a.call, a.in)...)
		bypass(a)
		matching(a)
		return
	}
	for _, o := range a.in.member("Delete").list("Objects") {
		if tag := o.text("ETag"); tag != "" && tag != "*" {
			matched = append(matched, bucket+o.text("Key"))
		}
		if o.text("VersionId") != "" {
			versions = append(versions, bucket+o.text("Key"))
		} else {
			objects = append(objects, bucket+o.text("Key"))
		}
	}
	if objects != nil || versions == nil {
		a.also("s3:DeleteObject", objects...)
	}
	if versions != nil {
		a.also("s3:DeleteObjectVersion", versions...)
		if a.in.flag("BypassGovernanceRetention") {
			a.also("s3:BypassGovernanceRetention", versions...)
		}
	}
	if matched != nil {
		a.also("s3:GetObject", matched...)
	}
}

// s3Members are the members that condition keys tell.
var s3Members = map[string]string{
	"prefix": "Prefix", "delimiter": "Delimiter", "max-keys": "MaxKeys", "versionid": "VersionId",
	"x-amz-acl": "ACL", "x-amz-copy-source": "CopySource", "x-amz-metadata-directive": "MetadataDirective",
	"x-amz-server-side-encryption": "ServerSideEncryption", "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
	"x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
	"x-amz-storage-class":                             "StorageClass", "x-amz-website-redirect-location": "WebsiteRedirectLocation",
	"x-amz-grant-full-control": "GrantFullControl", "x-amz-grant-read": "GrantRead", "x-amz-grant-read-acp": "GrantReadACP",
	"x-amz-grant-write": "GrantWrite", "x-amz-grant-write-acp": "GrantWriteACP", "x-amz-object-ownership": "ObjectOwnership",
	"locationconstraint": "CreateBucketConfiguration.LocationConstraint", "object-lock-mode": "ObjectLockMode",
	"object-lock-retain-until-date": "ObjectLockRetainUntilDate", "object-lock-legal-hold": "ObjectLockLegalHoldStatus",
	"if-match": "IfMatch", "if-none-match": "IfNoneMatch",
}

func s3Keys(k *requestKeys, key string) ([]string, bool) {
	if name, ok := strings.CutPrefix(key, "requestobjecttag/"); ok {
		tags, _ := url.ParseQuery(k.in.text("Tagging"))
		found := valuesFold(tags, name)
		k.in.requestTags(func(tag, value string) {
			if strings.EqualFold(tag, name) {
				found = []string{value}
			}
		})
		return found, true
	}
	if name, ok := strings.CutPrefix(key, "existingobjecttag/"); ok {
		return k.existingTag(name)
	}
	if name, ok := strings.CutPrefix(key, "buckettag/"); ok {
		return k.resourceTag(name)
	}
	switch key {
	case "requestobjecttagkeys":
		tags, _ := url.ParseQuery(k.in.text("Tagging"))
		var out []string
		for tag := range tags {
			out = append(out, tag)
		}
		k.in.requestTags(func(tag, _ string) { out = append(out, tag) })
		return out, true
	case "prefix", "delimiter", "max-keys":
		if !strings.HasPrefix(k.call.Operation, "ListObject") {
			return nil, true
		}
	case "object-lock-mode", "object-lock-retain-until-date":
		name := map[string]string{"object-lock-mode": "Retention.Mode", "object-lock-retain-until-date": "Retention.RetainUntilDate"}[key]
		if v := k.in.value(name); v != nil {
			return v, true
		}
	case "object-lock-remaining-retention-days":
		return k.retentionDays(), true
	case "objectcreationoperation":
		return k.creation(), true
	case "resourceaccount":
		return k.resourceAccount()
	}
	if s3Absent[key] || strings.HasPrefix(key, "accesspointtag/") {
		return nil, true
	}
	if v, ok := k.signatureKey(key); ok {
		return v, true
	}
	if m, ok := s3Members[key]; ok {
		return k.in.value(m), true
	}
	return nil, false
}
