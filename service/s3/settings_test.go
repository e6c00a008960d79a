package s3

import (
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// Answers of AWS: test_tagging_validation, test_create_bucket_with_tags_exc,
// test_put_bucket_tagging_none_value.
func TestTagging(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "k", "x")
	of := func(pairs ...string) *api.Tagging {
		set := []api.Tag{}
		for i := 0; i < len(pairs); i += 2 {
			set = append(set, api.Tag{Key: pairs[i], Value: pairs[i+1]})
		}
		return &api.Tagging{TagSet: set}
	}
	many := make([]string, 22)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	tests := []struct {
		name           string
		set            *api.Tagging
		bucket, object string // refusals
	}{
		{"fine", of("a", "1", "b", ""), "", ""},
		{"twice", of("Key1", "a", "Key1", "b"), "InvalidTag: Cannot provide multiple Tags with the same key", "InvalidTag: Cannot provide multiple Tags with the same key"},
		{"key", of("Key1,Key2", "a"), "InvalidTag: The TagKey you have provided is invalid", "InvalidTag: The TagKey you have provided is invalid"},
		{"value", of("Key1", "Val1,Val2"), "InvalidTag: The TagValue you have provided is invalid", "InvalidTag: The TagValue you have provided is invalid"},
		{"system", of("aws:prefixed", "a"), "InvalidTag: System tags cannot be added/updated by requester", "InvalidTag: Your TagKey cannot be prefixed with aws:"},
		{"many", of(many...), "", "BadRequest: Object tags cannot be greater than 10"},
		{"nothing", nil, "MalformedXML: The XML you provided was not well-formed or did not validate against our published schema", "MalformedXML: The XML you provided was not well-formed or did not validate against our published schema"},
	}
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := f.PutBucketTagging(f.ctx, &api.PutBucketTaggingInput{Bucket: "bkt", Tagging: tt.set})
			if got := text(err); got != tt.bucket {
				t.Errorf("bucket = %s, want %s", got, tt.bucket)
			}
			_, err = f.PutObjectTagging(f.ctx, &api.PutObjectTaggingInput{Bucket: "bkt", Key: "k", Tagging: tt.set})
			if got := text(err); got != tt.object {
				t.Errorf("object = %s, want %s", got, tt.object)
			}
		})
	}
	out, err := f.GetObjectTagging(f.ctx, &api.GetObjectTaggingInput{Bucket: "bkt", Key: "k"})
	if err != nil || len(out.TagSet) != 2 || out.TagSet[1].Key != "b" {
		t.Fatalf("object's tags = %+v, %v", out, err)
	}
	if _, err := f.DeleteObjectTagging(f.ctx, &api.DeleteObjectTaggingInput{Bucket: "bkt", Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if out, _ := f.GetObjectTagging(f.ctx, &api.GetObjectTaggingInput{Bucket: "bkt", Key: "k"}); out.TagSet == nil || len(out.TagSet) != 0 {
		t.Fatalf("after deletion = %+v, want an empty set", out)
	}
	if got := f.body("bkt", "k"); got != "x" {
		t.Fatalf("body = %q", got)
	}
	if _, err := f.DeleteBucketTagging(f.ctx, &api.DeleteBucketTaggingInput{Bucket: "bkt"}); err != nil {
		t.Fatal(err)
	}
	_, err = f.GetBucketTagging(f.ctx, &api.GetBucketTaggingInput{Bucket: "bkt"})
	wantFault(t, err, fault.NoSuchTagSet, "The TagSet does not exist")
}

func TestSystemTagsStay(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	step := auth.WithToken(f.ctx, "step")
	_, err := f.PutBucketTagging(step, &api.PutBucketTaggingInput{Bucket: "bkt", Tagging: &api.Tagging{TagSet: []api.Tag{{Key: "a", Value: "1"}, {Key: "aws:cloudformation:stack-name", Value: "web"}}}})
	noError(t, err)
	_, err = f.PutBucketTagging(f.ctx, &api.PutBucketTaggingInput{Bucket: "bkt", Tagging: &api.Tagging{TagSet: []api.Tag{{Key: "b", Value: "2"}}}})
	noError(t, err)
	out, err := f.GetBucketTagging(f.ctx, &api.GetBucketTaggingInput{Bucket: "bkt"})
	if err != nil || len(out.TagSet) != 2 || out.TagSet[0].Key != "b" || out.TagSet[1].Value != "web" {
		t.Fatalf("tags = %+v, %v", out, err)
	}
}

// Answers of AWS: test_crud_public_access_block.
func TestPublicAccessBlock(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	in := &api.GetPublicAccessBlockInput{Bucket: "bkt"}
	out, err := f.GetPublicAccessBlock(f.ctx, in)
	if err != nil || !value(out.PublicAccessBlockConfiguration.BlockPublicPolicy) {
		t.Fatalf("default = %+v, %v; want all blocked", out, err)
	}
	for range 2 {
		_, err = f.DeletePublicAccessBlock(f.ctx, &api.DeletePublicAccessBlockInput{Bucket: "bkt"})
		noError(t, err)
	}
	_, err = f.GetPublicAccessBlock(f.ctx, in)
	wantFault(t, err, fault.NoSuchPublicAccessBlock, "The public access block configuration was not found")
	_, err = f.PutPublicAccessBlock(f.ctx, &api.PutPublicAccessBlockInput{Bucket: "bkt", PublicAccessBlockConfiguration: &api.PublicAccessBlockConfiguration{BlockPublicAcls: ptr(true)}})
	noError(t, err)
	out, err = f.GetPublicAccessBlock(f.ctx, in)
	if c := out.PublicAccessBlockConfiguration; err != nil || !value(c.BlockPublicAcls) || value(c.BlockPublicPolicy) || c.IgnorePublicAcls == nil {
		t.Fatalf("= %+v, %v", c, err)
	}
}

// Answers of AWS: test_bucket_ownership_controls_exc.
func TestOwnershipAndEncryption(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	own := func(rules ...string) string {
		in := &api.PutBucketOwnershipControlsInput{Bucket: "bkt", OwnershipControls: &api.OwnershipControls{}}
		for _, r := range rules {
			in.OwnershipControls.Rules = append(in.OwnershipControls.Rules, api.OwnershipControlsRule{ObjectOwnership: r})
		}
		_, err := f.PutBucketOwnershipControls(f.ctx, in)
		return code(t, err)
	}
	for _, tt := range []struct {
		rules []string
		want  string
	}{{[]string{"BucketOwnerEnforced"}, ""}, {[]string{"ObjectWriter"}, ""}, {[]string{"Random"}, fault.MalformedXML}, {nil, fault.MalformedXML}, {[]string{""}, fault.MalformedXML}} {
		if got := own(tt.rules...); got != tt.want {
			t.Errorf("ownership %q = %q, want %q", tt.rules, got, tt.want)
		}
	}
	encrypt := func(algorithm, key string) string {
		_, err := f.PutBucketEncryption(f.ctx, &api.PutBucketEncryptionInput{Bucket: "bkt", ServerSideEncryptionConfiguration: &api.ServerSideEncryptionConfiguration{
			Rules: []api.ServerSideEncryptionRule{{BucketKeyEnabled: ptr(true), ApplyServerSideEncryptionByDefault: &api.ServerSideEncryptionByDefault{SSEAlgorithm: algorithm, KMSMasterKeyID: key}}},
		}})
		return code(t, err)
	}
	for _, tt := range []struct{ algorithm, key, want string }{{"AES256", "", ""}, {"AES256", "x", fault.InvalidArgument}, {"aws:kms:dsse", "", fault.NotImplemented}, {"none", "", fault.InvalidEncryptionAlgorithm}} {
		if got := encrypt(tt.algorithm, tt.key); got != tt.want {
			t.Errorf("encryption %+v = %q", tt, got)
		}
	}
	out, err := f.GetBucketEncryption(f.ctx, &api.GetBucketEncryptionInput{Bucket: "bkt"})
	if err != nil || out.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != "AES256" || !value(out.ServerSideEncryptionConfiguration.Rules[0].BucketKeyEnabled) {
		t.Fatalf("encryption = %+v, %v", out, err)
	}
	_, err = f.CreateBucket(f.ctx, &api.CreateBucketInput{Bucket: "other", ObjectOwnership: "RandomValue"})
	wantFault(t, err, fault.InvalidArgument, "Invalid x-amz-object-ownership header: RandomValue")
	_, err = f.CreateBucket(f.ctx, &api.CreateBucketInput{Bucket: "other", ACL: "public-read"})
	wantFault(t, err, fault.InvalidBucketACLOwnership, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
}

// Answers of AWS: test_bucket_policy_exc, test_bucket_policy_crud.
func TestBucketPolicy(t *testing.T) {
	statement := func(principal, action, resource string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"` + action + `","Resource":"` + resource + `"}]}`
	}
	const me = `{"AWS":"arn:aws:iam::111111111111:root"}`
	tests := []struct{ name, policy, want, message string }{
		{"fine", statement(me, "s3:GetObject", "arn:aws:s3:::bkt/*"), "", ""},
		{"bucket", statement(me, "s3:ListBucket", "arn:aws:s3:::bkt"), "", ""},
		{"all", statement(me, "s3:*", "arn:aws:s3:::bkt*"), "", ""},
		{"bounded", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::bkt/*","Condition":{"StringEquals":{"aws:PrincipalAccount":"111111111111"}}}}`, "", ""},
		{"denied", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::bkt/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}}`, "", ""},
		{"empty", "", fault.MalformedPolicy, "Policies must be valid JSON and the first byte must be '{'"},
		{"list", "[]", fault.MalformedPolicy, "Policies must be valid JSON and the first byte must be '{'"},
		{"no statement", "{}", fault.MalformedPolicy, "Missing required field Statement"},
		{"no principal", `{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bkt"}]}`, fault.MalformedPolicy, "Missing required field Principal"},
		{"other bucket", statement(me, "s3:*", "arn:aws:s3:::other/*"), fault.MalformedPolicy, "Policy has invalid resource"},
		{"other service", statement(me, "sqs:SendMessage", "arn:aws:s3:::bkt"), fault.MalformedPolicy, "Policy has invalid action"},
		{"action of objects on a bucket", statement(me, "s3:GetObject", "arn:aws:s3:::bkt"), fault.MalformedPolicy, "Action does not apply to any resource(s) in statement"},
		{"public", statement(`"*"`, "s3:GetObject", "arn:aws:s3:::bkt/*"), fault.AccessDenied, ""},
		// A pattern that a search by trial and error would not be done with.
		{"stars", statement(me, "s3:*", "arn:aws:s3:::"+strings.Repeat("*b", 2000)), fault.MalformedPolicy, "Policy has invalid resource"},
		{"long", statement(me, "s3:GetObject", "arn:aws:s3:::bkt/"+strings.Repeat("x", 21000)), fault.MalformedPolicy, ""},
	}
	f := newFixture(t).bucket("bkt")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := f.PutBucketPolicy(f.ctx, &api.PutBucketPolicyInput{Bucket: "bkt", Policy: tt.policy})
			if tt.want != "" {
				wantFault(t, err, tt.want, tt.message)
				return
			}
			noError(t, err)
			out, err := f.GetBucketPolicy(f.ctx, &api.GetBucketPolicyInput{Bucket: "bkt"})
			if err != nil || out.Policy != tt.policy {
				t.Fatalf("get = %+v, %v", out, err)
			}
		})
	}
	for range 2 {
		_, err := f.DeleteBucketPolicy(f.ctx, &api.DeleteBucketPolicyInput{Bucket: "bkt"})
		noError(t, err)
	}
	_, err := f.GetBucketPolicy(f.ctx, &api.GetBucketPolicyInput{Bucket: "bkt"})
	wantFault(t, err, fault.NoSuchBucketPolicy, "The bucket policy does not exist")
}

func TestAPublicPolicyWhereItIsAllowed(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	_, err := f.DeletePublicAccessBlock(f.ctx, &api.DeletePublicAccessBlockInput{Bucket: "bkt"})
	noError(t, err)
	_, err = f.PutBucketPolicy(f.ctx, &api.PutBucketPolicyInput{Bucket: "bkt", Policy: `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*"}]}`})
	noError(t, err)
	out, err := f.GetBucketPolicyStatus(f.ctx, &api.GetBucketPolicyStatusInput{Bucket: "bkt"})
	if err != nil || !value(out.PolicyStatus.IsPublic) {
		t.Fatalf("status = %+v, %v", out, err)
	}
}
