package s3

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/s3"
	"github.com/slipway/slipway/store/storetest"
)

type fixture struct {
	t      *testing.T
	svc    *s3.Service
	ctx    context.Context
	bucket cfn.Type
	policy cfn.Type
}

func newFixture(t *testing.T, region string) *fixture {
	t.Helper()
	svc, err := s3.New(s3.Config{Store: storetest.New(t), Dir: filepath.Join(t.TempDir(), "s3")})
	if err != nil {
		t.Fatal(err)
	}
	ctx := auth.With(context.Background(), auth.Call{
		Principal: auth.Principal{Kind: auth.Root, Account: "111111111111"},
		Scope:     arn.Scope{Account: "111111111111", Region: region},
	})
	types := Types(svc)
	return &fixture{t, svc, ctx, types[0], types[1]}
}

func (f *fixture) request(token string, p cfn.Properties) (context.Context, cfn.Request) {
	return auth.WithToken(f.ctx, token), cfn.Request{
		StackName: "Web", LogicalID: "Assets", Token: token, Name: "Web-Assets-ABCDEF123456", Properties: p,
		Tags: map[string]string{"aws:cloudformation:stack-name": "Web"}, Progress: func(string) {}, Initiated: func(string) {},
	}
}

func (f *fixture) create(token string, p cfn.Properties) (cfn.Result, error) {
	ctx, r := f.request(token, p)
	return f.bucket.Create(ctx, r)
}

func (f *fixture) read(typ cfn.Type, id string) cfn.Properties {
	f.t.Helper()
	ctx, r := f.request("read", nil)
	r.PhysicalID = id
	p, err := typ.Read(ctx, r)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

type object = map[string]any

func TestBucketLife(t *testing.T) {
	f := newFixture(t, "eu-west-1")
	props := cfn.Properties{
		"Tags":                    []any{object{"Key": "team", "Value": "web"}},
		"VersioningConfiguration": object{"Status": "Enabled"},
		"PublicAccessBlockConfiguration": object{
			"BlockPublicAcls": true, "BlockPublicPolicy": false, "IgnorePublicAcls": true, "RestrictPublicBuckets": false,
		},
		"BucketEncryption": object{"ServerSideEncryptionConfiguration": []any{
			object{"BucketKeyEnabled": true, "ServerSideEncryptionByDefault": object{"SSEAlgorithm": "AES256"}},
		}},
		"AccessControl": "Private",
	}
	var id string
	for range 2 { // as after a crash: the second run finds what the first one made
		got, err := f.create("token-1", props)
		if err != nil {
			t.Fatal(err)
		}
		want := cfn.Result{PhysicalID: "web-assets-abcdef123456", Attributes: cfn.Properties{
			"Arn":                 "arn:aws:s3:::web-assets-abcdef123456",
			"DomainName":          "web-assets-abcdef123456.s3.amazonaws.com",
			"RegionalDomainName":  "web-assets-abcdef123456.s3.eu-west-1.amazonaws.com",
			"DualStackDomainName": "web-assets-abcdef123456.s3.dualstack.eu-west-1.amazonaws.com",
			"WebsiteURL":          "http://web-assets-abcdef123456.s3-website-eu-west-1.amazonaws.com",
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		id = got.PhysicalID
	}
	got := f.read(f.bucket, id)
	for name, want := range props {
		if name == "AccessControl" {
			continue // write-only
		}
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	tags, err := f.svc.GetBucketTagging(f.ctx, &api.GetBucketTaggingInput{Bucket: id})
	if err != nil || len(tags.TagSet) != 2 {
		t.Fatalf("tags = %+v, %v; want the stack's, too", tags, err)
	}
	if _, err := f.create("token-2", cfn.Properties{"BucketName": id}); !fault.Is(err, fault.BucketAlreadyExists) || !strings.Contains(err.Error(), id+" already exists") {
		t.Fatalf("a second bucket of the name: %v", err)
	}
	ctx, r := f.request("token-3", cfn.Properties{"Tags": []any{object{"Key": "team", "Value": "ops"}}})
	r.PhysicalID, r.Prior = id, props
	if _, err := f.bucket.Update(ctx, r); err != nil {
		t.Fatal(err)
	}
	got = f.read(f.bucket, id)
	want := cfn.Properties{
		"Tags":                    []any{object{"Key": "team", "Value": "ops"}},
		"VersioningConfiguration": object{"Status": "Suspended"},
		"PublicAccessBlockConfiguration": object{
			"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
		},
		"BucketEncryption": object{"ServerSideEncryptionConfiguration": []any{
			object{"BucketKeyEnabled": false, "ServerSideEncryptionByDefault": object{"SSEAlgorithm": "AES256"}},
		}},
		"OwnershipControls": object{"Rules": []any{object{"ObjectOwnership": "BucketOwnerEnforced"}}},
	}
	for name := range want {
		if diff := cmp.Diff(want[name], got[name]); diff != "" {
			t.Errorf("after the update, %s: %s", name, diff)
		}
	}
	if ids, err := f.bucket.List(f.ctx); err != nil || len(ids) != 1 || ids[0] != id {
		t.Fatalf("list = %v, %v", ids, err)
	}
}

func TestDeleteBucket(t *testing.T) {
	f := newFixture(t, "us-east-1")
	made, err := f.create("token", cfn.Properties{"BucketName": "assets"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.svc.PutObject(f.ctx, &api.PutObjectInput{Bucket: "assets", Key: "k", Body: io.NopCloser(strings.NewReader("x"))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, r := f.request("delete", nil)
	r.PhysicalID = made.PhysicalID
	if err := f.bucket.Delete(ctx, r); !fault.Is(err, fault.BucketNotEmpty) {
		t.Fatalf("a bucket with an object: %v", err)
	}
	if _, err := f.svc.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "assets", Key: "k"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.bucket.Delete(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.bucket.Read(ctx, r); !fault.Is(err, cfn.NotFound) {
		t.Fatalf("read = %v", err)
	}
	if _, err := f.bucket.Update(ctx, r); !fault.Is(err, cfn.NotFound) {
		t.Fatalf("update = %v", err)
	}
}

func TestBucketRefusals(t *testing.T) {
	tests := []struct {
		name    string
		props   cfn.Properties
		code    string
		message string
	}{
		{"transitions", cfn.Properties{"LifecycleConfiguration": object{"Rules": []any{object{"Status": "Enabled", "Transitions": []any{}}}}}, fault.NotImplemented, "the property Transitions is not built"},
		{"topic", cfn.Properties{"NotificationConfiguration": object{"TopicConfigurations": []any{object{"Event": "s3:ObjectCreated:*", "Topic": "arn:aws:sns:us-east-1:111111111111:t"}}}}, fault.NotImplemented, "Topic (sns)"},
		{"object lock", cfn.Properties{"ObjectLockConfiguration": object{"ObjectLockEnabled": "Enabled"}}, fault.ValidationError, "needs ObjectLockEnabled"},
		{"list", cfn.Properties{"AccessControl": "PublicRead"}, fault.InvalidBucketACLOwnership, "ACL"},
		{"public list", cfn.Properties{"AccessControl": "PublicRead", "OwnershipControls": object{"Rules": []any{object{"ObjectOwnership": "ObjectWriter"}}}}, fault.AccessDenied, "Access Denied"},
		{"name", cfn.Properties{"BucketName": "No_Name"}, fault.InvalidBucketName, "not valid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, "us-east-1")
			made, err := f.create("token", tt.props)
			if !fault.Is(err, tt.code) || !strings.Contains(err.Error(), tt.message) {
				t.Fatalf("error = %v, want %s with %q", err, tt.code, tt.message)
			}
			ids, err := f.bucket.List(f.ctx)
			if err != nil || len(ids) > 0 && made.PhysicalID != ids[0] {
				t.Fatalf("left %v (%v), said %q", ids, err, made.PhysicalID)
			}
		})
	}
}

func TestBucketPolicyLife(t *testing.T) {
	f := newFixture(t, "us-east-1")
	if _, err := f.create("token", cfn.Properties{"BucketName": "assets"}); err != nil {
		t.Fatal(err)
	}
	document := func(action string) cfn.Properties {
		return cfn.Properties{"Bucket": "assets", "PolicyDocument": object{"Version": "2012-10-17", "Statement": []any{object{
			"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "arn:aws:s3:::assets/*",
		}}}}
	}
	ctx, r := f.request("policy", document("s3:PutObject"))
	for range 2 {
		if made, err := f.policy.Create(ctx, r); err != nil || made.PhysicalID != "assets" {
			t.Fatalf("create = %+v, %v", made, err)
		}
	}
	r.PhysicalID = "assets"
	if diff := cmp.Diff(r.Properties, f.read(f.policy, "assets")); diff != "" {
		t.Fatal(diff)
	}
	_, other := f.request("other", document("s3:GetObject"))
	if _, err := f.policy.Create(ctx, other); err == nil || !strings.Contains(err.Error(), "already exists on bucket assets") {
		t.Fatalf("a second policy of the bucket: %v", err)
	}
	other.PhysicalID, other.Prior = "assets", r.Properties
	if _, err := f.policy.Update(ctx, other); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(other.Properties, f.read(f.policy, "assets")); diff != "" {
		t.Fatal(diff)
	}
	if ids, err := f.policy.List(f.ctx); err != nil || len(ids) != 1 {
		t.Fatalf("list = %v, %v", ids, err)
	}
	for range 2 {
		if err := f.policy.Delete(ctx, other); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.policy.Read(ctx, other); !fault.Is(err, cfn.NotFound) {
		t.Fatalf("read = %v", err)
	}
}
