package s3

import (
	"slices"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func TestBucketNames(t *testing.T) {
	tests := map[string]bool{
		"abc": true, "a.b-c9": true, "my.bucket": true, strings.Repeat("a", 63): true, "1.2.3": true,
		"ab": false, strings.Repeat("a", 64): false, "Abc": false, "a_b": false, "-abc": false, "abc-": false,
		".abc": false, "a..b": false, "192.168.1.1": false, "xn--abc": false, "sthree-abc": false,
		"abc-s3alias": false, "abc--ol-s3": false, "abc--x-s3": false, "a/b": false, "": false, "a\x00bc": false,
	}
	for name, want := range tests {
		if got := validBucketName(name); got != want {
			t.Errorf("validBucketName(%q) = %v, want %v", name, got, want)
		}
	}
}

// Answers of AWS: test_different_location_constraint,
// test_create_bucket_with_invalid_location_constraint, test_bucket_constraint_aws_global.
func TestPlacement(t *testing.T) {
	incompatible := func(what string) string {
		return fault.IllegalLocationConstraint + ": The " + what + " location constraint is incompatible for the region specific endpoint this request was sent to."
	}
	tests := []struct{ region, constraint, want, refusal string }{
		{"us-east-1", "", "us-east-1", ""},
		{"us-east-1", "us-east-1", "", fault.InvalidLocationConstraint + ": The specified location-constraint is not valid"},
		{"us-east-1", "nowhere", "", fault.InvalidLocationConstraint + ": The specified location-constraint is not valid"},
		{"us-east-1", "eu-west-2", "eu-west-2", ""},
		{"us-east-1", "EU", "eu-west-1", ""},
		{"us-east-2", "us-east-2", "us-east-2", ""},
		{"us-east-2", "", "", incompatible("unspecified")},
		{"us-east-2", "us-west-1", "", incompatible("us-west-1")},
		{"eu-west-1", "bar", "", incompatible("bar")},
		{"us-west-1", "aws-global", "", incompatible("aws-global")},
	}
	for _, tt := range tests {
		t.Run(tt.region+" "+tt.constraint, func(t *testing.T) {
			got, err := placeBucket(tt.region, tt.constraint)
			if got != tt.want || err == nil && tt.refusal != "" || err != nil && err.Error() != tt.refusal {
				t.Fatalf("= %q, %v; want %q, %s", got, err, tt.want, tt.refusal)
			}
		})
	}
}

func TestBucketsAreGlobalAndOwned(t *testing.T) {
	f := newFixture(t).bucket("mine")
	other, elsewhere := as("222222222222", usEast1), as(account, "eu-west-1")
	_, err := f.CreateBucket(f.ctx, &api.CreateBucketInput{Bucket: "mine"})
	noError(t, err) // in us-east-1 a bucket may be made again
	_, err = f.CreateBucket(other, &api.CreateBucketInput{Bucket: "mine"})
	wantFault(t, err, fault.BucketAlreadyExists, "")
	_, err = f.CreateBucket(elsewhere, &api.CreateBucketInput{
		Bucket: "mine", CreateBucketConfiguration: &api.CreateBucketConfiguration{LocationConstraint: "eu-west-1"},
	})
	wantFault(t, err, fault.BucketAlreadyOwnedByYou, "Your previous request to create the named bucket succeeded and you already own it.")
	_, err = f.HeadBucket(other, &api.HeadBucketInput{Bucket: "mine"})
	wantFault(t, err, fault.AccessDenied, "Access Denied")
	head, err := f.HeadBucket(elsewhere, &api.HeadBucketInput{Bucket: "mine"})
	if err != nil || head.BucketRegion != usEast1 {
		t.Fatalf("head from another region = %+v, %v", head, err)
	}
	_, err = f.HeadBucket(f.ctx, &api.HeadBucketInput{Bucket: "gone"})
	wantFault(t, err, fault.NoSuchBucket, "The specified bucket does not exist")
	_, err = f.CreateBucket(f.ctx, &api.CreateBucketInput{Bucket: "Upper"})
	wantFault(t, err, fault.InvalidBucketName, "The specified bucket is not valid.")
}

func TestDurableStepsMakeABucketOnce(t *testing.T) {
	f := newFixture(t)
	in := &api.CreateBucketInput{Bucket: "stacks-bucket"}
	for range 2 {
		_, err := f.CreateBucket(auth.WithToken(f.ctx, "step-1"), in)
		noError(t, err)
	}
	_, err := f.CreateBucket(auth.WithToken(f.ctx, "step-2"), in)
	wantFault(t, err, fault.BucketAlreadyOwnedByYou, "")
}

func TestExpectedOwner(t *testing.T) {
	f := newFixture(t).bucket("mine")
	for expected, want := range map[string]string{account: "", "222222222222": fault.AccessDenied, "0000": fault.InvalidBucketOwner, "abcd": fault.InvalidBucketOwner} {
		_, err := f.HeadBucket(f.ctx, &api.HeadBucketInput{Bucket: "mine", ExpectedBucketOwner: expected})
		if got := code(t, err); got != want {
			t.Errorf("owner %s: %q, want %q", expected, got, want)
		}
	}
}

func TestDeleteBucket(t *testing.T) {
	f := newFixture(t).bucket("mine").bucket("mine2")
	f.put("mine", "k", "v")
	f.put("mine2", "k", "v")
	_, err := f.DeleteBucket(f.ctx, &api.DeleteBucketInput{Bucket: "mine"})
	wantFault(t, err, fault.BucketNotEmpty, "The bucket you tried to delete is not empty")
	_, err = f.DeleteObject(f.ctx, &api.DeleteObjectInput{Bucket: "mine", Key: "k"})
	noError(t, err)
	up, err := f.CreateMultipartUpload(f.ctx, &api.CreateMultipartUploadInput{Bucket: "mine", Key: "k"})
	noError(t, err)
	_, err = f.UploadPart(f.ctx, &api.UploadPartInput{Bucket: "mine", Key: "k", UploadId: up.UploadId, PartNumber: ptr(int32(1)), Body: text("x")})
	noError(t, err)
	_, err = f.DeleteBucket(f.ctx, &api.DeleteBucketInput{Bucket: "mine"})
	noError(t, err)
	if n := f.filesOnDisk(); n != 0 {
		t.Fatalf("%d files are left of a deleted bucket's upload", n)
	}
	_, err = f.DeleteBucket(f.ctx, &api.DeleteBucketInput{Bucket: "mine"})
	wantFault(t, err, fault.NoSuchBucket, "")
	if got := f.body("mine2", "k"); got != "v" {
		t.Fatalf("the bucket whose name begins alike: %q", got)
	}
}

func TestListBuckets(t *testing.T) {
	f := newFixture(t).bucket("bbb").bucket("aaa").bucket("abc")
	_, err := f.CreateBucket(as("222222222222", usEast1), &api.CreateBucketInput{Bucket: "another"})
	noError(t, err)
	names := func(in *api.ListBucketsInput) (list []string, token string) {
		out, err := f.ListBuckets(f.ctx, in)
		noError(t, err)
		for _, b := range out.Buckets {
			list = append(list, b.Name)
		}
		return list, out.ContinuationToken
	}
	if got, _ := names(&api.ListBucketsInput{}); !slices.Equal(got, []string{"aaa", "abc", "bbb"}) {
		t.Fatalf("all = %v", got)
	}
	if got, _ := names(&api.ListBucketsInput{Prefix: "a"}); !slices.Equal(got, []string{"aaa", "abc"}) {
		t.Fatalf("prefix a = %v", got)
	}
	if got, _ := names(&api.ListBucketsInput{BucketRegion: "eu-west-1"}); len(got) != 0 {
		t.Fatalf("of another region = %v", got)
	}
	first, token := names(&api.ListBucketsInput{MaxBuckets: ptr(int32(2))})
	rest, end := names(&api.ListBucketsInput{MaxBuckets: ptr(int32(2)), ContinuationToken: token})
	if !slices.Equal(first, []string{"aaa", "abc"}) || !slices.Equal(rest, []string{"bbb"}) || end != "" {
		t.Fatalf("pages = %v, %v, %q", first, rest, end)
	}
	_, err = f.ListBuckets(f.ctx, &api.ListBucketsInput{ContinuationToken: "!"})
	wantFault(t, err, fault.InvalidArgument, "The continuation token provided is incorrect")
}
