package s3

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/cfn"
)

func TestBucketSettings(t *testing.T) {
	f := newFixture(t, "us-east-1")
	props := cfn.Properties{
		"BucketName": "site",
		"LifecycleConfiguration": object{"TransitionDefaultMinimumObjectSize": "all_storage_classes_128K", "Rules": []any{
			object{"Id": "old", "Status": "Enabled", "Prefix": "logs/", "ExpirationInDays": int64(7), "ObjectSizeGreaterThan": "10",
				"TagFilters": []any{object{"Key": "a", "Value": "b"}}},
			object{"Id": "rest", "Status": "Disabled", "AbortIncompleteMultipartUpload": object{"DaysAfterInitiation": int64(1)},
				"NoncurrentVersionExpiration": object{"NoncurrentDays": int64(3), "NewerNoncurrentVersions": int64(2)}},
			object{"Id": "on", "Status": "Enabled", "ExpirationDate": "2027-01-01T00:00:00Z"},
		}},
		"CorsConfiguration": object{"CorsRules": []any{
			object{"Id": "all", "AllowedMethods": []any{"GET"}, "AllowedOrigins": []any{"*"}, "MaxAge": int64(10), "ExposedHeaders": []any{"ETag"}},
		}},
		"WebsiteConfiguration": object{"IndexDocument": "index.html", "ErrorDocument": "error.html", "RoutingRules": []any{
			object{"RoutingRuleCondition": object{"KeyPrefixEquals": "old/"}, "RedirectRule": object{"ReplaceKeyPrefixWith": "new/"}},
		}},
		"ObjectLockEnabled":       true,
		"ObjectLockConfiguration": object{"ObjectLockEnabled": "Enabled", "Rule": object{"DefaultRetention": object{"Mode": "GOVERNANCE", "Days": int64(1)}}},
		"VersioningConfiguration": object{"Status": "Enabled"},
		"OwnershipControls":       object{"Rules": []any{object{"ObjectOwnership": "BucketOwnerPreferred"}}},
		"AccessControl":           "PublicRead",
		"PublicAccessBlockConfiguration": object{
			"BlockPublicAcls": false, "BlockPublicPolicy": false, "IgnorePublicAcls": false, "RestrictPublicBuckets": false,
		},
	}
	for range 2 { // as after a crash
		if _, err := f.create("token", props); err != nil {
			t.Fatal(err)
		}
	}
	got := f.read(f.bucket, "site")
	for name, want := range props {
		if name == "AccessControl" {
			continue // write-only
		}
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	acl, err := f.svc.GetBucketAcl(f.ctx, &api.GetBucketAclInput{Bucket: "site"})
	if err != nil || len(acl.Grants) != 2 {
		t.Errorf("list = %+v, %v", acl, err)
	}
	ctx, r := f.request("update", cfn.Properties{"BucketName": "site", "ObjectLockEnabled": true, "AccessControl": "Private", "OwnershipControls": props["OwnershipControls"]})
	r.PhysicalID, r.Prior = "site", props
	r.Properties["VersioningConfiguration"] = props["VersioningConfiguration"]
	if _, err := f.bucket.Update(ctx, r); err != nil {
		t.Fatal(err)
	}
	got = f.read(f.bucket, "site")
	for _, name := range []string{"LifecycleConfiguration", "CorsConfiguration", "WebsiteConfiguration"} {
		if v := got[name]; v != nil {
			t.Errorf("%s is left: %v", name, v)
		}
	}
	if diff := cmp.Diff(object{"ObjectLockEnabled": "Enabled"}, got["ObjectLockConfiguration"]); diff != "" {
		t.Errorf("object lock: %s", diff)
	}
}
