package s3

import (
	"context"
	"testing"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// user is a principal that policies bind, calling an operation.
func user(account, name, operation string) context.Context {
	call := auth.From(as(account, usEast1))
	call.Principal = auth.Principal{Kind: auth.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/" + name, Name: name, Enforced: true}
	if name == "root" {
		call.Principal.Kind, call.Principal.ARN = auth.Root, "arn:aws:iam::"+account+":root"
	}
	call.Service, call.Operation = "s3", operation
	return auth.With(context.Background(), call)
}

func TestBucketPolicyDecides(t *testing.T) {
	const other = "222222222222"
	f := newFixture(t).bucket("bkt").bucket("mine")
	f.put("bkt", "public/k", "x")
	f.put("bkt", "secret/k", "x")
	_, err := f.PutBucketPolicy(f.ctx, &api.PutBucketPolicyInput{Bucket: "bkt", Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":["s3:GetObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::bkt/public/*"},
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:user/ann"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::bkt"},
		{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::bkt/secret/*"},
		{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111111111111:user/bob"},"Action":"s3:PutBucketPolicy","Resource":"arn:aws:s3:::bkt"}]}`})
	noError(t, err)
	get := func(key string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := f.GetObject(ctx, &api.GetObjectInput{Bucket: "bkt", Key: key})
			return err
		}
	}
	put := func(ctx context.Context) error {
		_, err := f.PutObject(ctx, &api.PutObjectInput{Bucket: "bkt", Key: "public/new", Body: text("x")})
		return err
	}
	list := func(ctx context.Context) error {
		_, err := f.ListObjectsV2(ctx, &api.ListObjectsV2Input{Bucket: "bkt"})
		return err
	}
	unset := func(ctx context.Context) error {
		_, err := f.GetBucketPolicy(ctx, &api.GetBucketPolicyInput{Bucket: "bkt"})
		return err
	}
	copyOut := func(key string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := f.CopyObject(ctx, &api.CopyObjectInput{Bucket: "mine", Key: "k", CopySource: "bkt/" + key})
			return err
		}
	}
	tests := []struct {
		name, account, user, operation string
		do                             func(context.Context) error
		allowed                        bool
	}{
		{"own user", account, "bob", "GetObject", get("public/k"), true},
		{"own user, denied", account, "bob", "GetObject", get("secret/k"), false},
		{"own root, denied", account, "root", "GetObject", get("secret/k"), false},
		{"own root takes the policy back", account, "root", "GetBucketPolicy", unset, true},
		{"own user copies", account, "bob", "CopyObject", copyOut("public/k"), true},
		{"own user copies what is denied", account, "bob", "CopyObject", copyOut("secret/k"), false},
		{"other account", other, "cid", "GetObject", get("public/k"), true},
		{"other account, another object", other, "cid", "GetObject", get("secret/k"), false},
		{"other account writes", other, "cid", "PutObject", put, false},
		{"other account lists", other, "cid", "ListObjectsV2", list, false},
		{"the named user lists", other, "ann", "ListObjectsV2", list, true},
		{"third account", "333333333333", "eve", "GetObject", get("public/k"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do(user(tt.account, tt.user, tt.operation))
			if tt.allowed {
				noError(t, err)
				return
			}
			wantFault(t, err, fault.AccessDenied, "")
		})
	}
	out, err := f.DeleteObjects(user(other, "cid", "DeleteObjects"), &api.DeleteObjectsInput{Bucket: "bkt", Delete: &api.Delete{Objects: []api.ObjectIdentifier{{Key: "public/k"}, {Key: "secret/k"}}}})
	if err != nil || len(out.Deleted) != 1 || len(out.Errors) != 1 || out.Errors[0].Code != fault.AccessDenied || out.Errors[0].Key != "secret/k" {
		t.Fatalf("delete both = %+v, %v; want the secret one denied", out, err)
	}
}

// TestTagsOfObjectsDecide: a bucket's policy lets another account have, and keeps
// its own users from, objects and versions by their tags.
func TestTagsOfObjectsDecide(t *testing.T) {
	const other = "222222222222"
	f := newFixture(t).bucket("bkt")
	for key, tags := range map[string]string{"open": "class=Public&x=y", "shut": "class=secret", "bare": ""} {
		_, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: key, Body: text("x"), Tagging: tags})
		noError(t, err)
	}
	_, err := f.PutBucketPolicy(f.ctx, &api.PutBucketPolicyInput{Bucket: "bkt", Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*","Condition":{"StringEquals":{"s3:ExistingObjectTag/class":"Public"}}},
		{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::bkt","Condition":{"StringEquals":{"s3:ResourceAccount":"` + account + `"}}},
		{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*","Condition":{"StringEquals":{"s3:ExistingObjectTag/class":"secret"}}}]}`})
	noError(t, err)
	for _, tt := range []struct {
		account, key string
		allowed      bool
	}{
		{other, "open", true}, {other, "shut", false}, {other, "bare", false},
		{account, "open", true}, {account, "shut", false}, {account, "bare", true},
	} {
		_, err := f.GetObject(user(tt.account, "ann", "GetObject"), &api.GetObjectInput{Bucket: "bkt", Key: tt.key})
		if tt.allowed != (err == nil) || err != nil && !fault.Is(err, fault.AccessDenied) {
			t.Errorf("%s gets %s: %v", tt.account, tt.key, err)
		}
	}
	_, err = f.ListObjectsV2(user(other, "ann", "ListObjectsV2"), &api.ListObjectsV2Input{Bucket: "bkt"})
	noError(t, err)
}

// A signature for another region than the bucket's is refused with the region,
// for which clients then sign again; where the bucket is may be asked anywhere.
func TestSignedForAnotherRegion(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	signed := func(region, operation string) context.Context {
		call := auth.From(f.ctx)
		call.SignedFor, call.Scope.Region, call.Operation = region, region, operation
		return auth.With(context.Background(), call)
	}
	_, err := f.HeadBucket(signed("eu-west-1", "HeadBucket"), &api.HeadBucketInput{Bucket: "bkt"})
	wantFault(t, err, fault.AuthorizationHeaderMalform, "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-east-1'")
	if e, _ := fault.As(err); e.Fields["Region"] != usEast1 {
		t.Errorf("fields %v", e.Fields)
	}
	_, err = f.HeadBucket(signed(usEast1, "HeadBucket"), &api.HeadBucketInput{Bucket: "bkt"})
	noError(t, err)
	_, err = f.GetBucketLocation(signed("eu-west-1", "GetBucketLocation"), &api.GetBucketLocationInput{Bucket: "bkt"})
	noError(t, err)
}

func TestRequestPayment(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	for payer, want := range map[string]string{"BucketOwner": "", "Requester": fault.NotImplemented, "Nobody": fault.MalformedXML} {
		_, err := f.PutBucketRequestPayment(f.ctx, &api.PutBucketRequestPaymentInput{Bucket: "bkt", RequestPaymentConfiguration: &api.RequestPaymentConfiguration{Payer: payer}})
		if got := code(t, err); got != want {
			t.Errorf("%s: %q, want %q", payer, got, want)
		}
	}
}
