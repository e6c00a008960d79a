package s3

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

const maxPolicy = 20 << 10 // bytes

func malformedPolicy(format string, args ...any) *fault.Error {
	return fault.New(fault.MalformedPolicy, format, args...)
}

// parsePolicy checks that a text is a policy for the bucket.
func parsePolicy(text, bucketName string) (*policy.Document, error) {
	if !strings.HasPrefix(text, "{") || !json.Valid([]byte(text)) {
		return nil, malformedPolicy("Policies must be valid JSON and the first byte must be '{'")
	}
	if len(text) > maxPolicy {
		return nil, malformedPolicy("Normalized policy document exceeds the maximum allowed size of %d bytes.", maxPolicy).
			With("Size", strconv.Itoa(len(text)))
	}
	var fields struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(text), &fields); err != nil || len(fields.Statement) == 0 {
		return nil, malformedPolicy("Missing required field Statement")
	}
	doc, err := policy.Parse(text, policy.Resource)
	var bad *policy.Malformed
	if errors.As(err, &bad) {
		return nil, malformedPolicy("%s", bad.Message)
	}
	if err != nil {
		return nil, err
	}
	for i := range doc.Statements {
		if err := checkStatement(&doc.Statements[i], bucketName); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

// checkStatement refuses actions of other services, and resources that are not
// the bucket or its objects.
func checkStatement(st *policy.Statement, bucketName string) error {
	for _, a := range append(append([]string(nil), st.Actions...), st.NotActions...) {
		if a != "*" && !strings.HasPrefix(strings.ToLower(a), "s3:") {
			return malformedPolicy("Policy has invalid action")
		}
	}
	ofBucket, ofObjects := false, false
	for _, r := range append(append([]string(nil), st.Resources...), st.NotResources...) {
		name, isARN := strings.CutPrefix(r, "arn:aws:s3:::")
		pattern, path, object := strings.Cut(name, "/")
		if !isARN || pattern != bucketName && !strings.ContainsAny(pattern, "*?") || !policy.Match(pattern, bucketName) {
			return malformedPolicy("Policy has invalid resource")
		}
		wild := !object && strings.HasSuffix(pattern, "*")
		ofBucket = ofBucket || !object
		ofObjects = ofObjects || object && path != "" || wild
	}
	for _, a := range st.Actions {
		if len(st.Resources) > 0 && (!ofObjects && objectAction(a) || !ofBucket && bucketAction(a)) {
			return malformedPolicy("Action does not apply to any resource(s) in statement")
		}
	}
	return nil
}

// objectAction and bucketAction know the actions that policies name most, and
// which of the two kinds of resources they are for ("Actions, resources, and
// condition keys for Amazon S3", Service Authorization Reference).
func objectAction(a string) bool {
	switch strings.ToLower(a) {
	case "s3:getobject", "s3:putobject", "s3:deleteobject", "s3:getobjectversion", "s3:deleteobjectversion",
		"s3:getobjecttagging", "s3:putobjecttagging", "s3:abortmultipartupload", "s3:getobjectacl", "s3:putobjectacl":
		return true
	}
	return false
}

func bucketAction(a string) bool {
	switch strings.ToLower(a) {
	case "s3:listbucket", "s3:getbucketlocation", "s3:getbucketpolicy", "s3:putbucketpolicy", "s3:deletebucket",
		"s3:getbucketacl", "s3:listbucketversions", "s3:listbucketmultipartuploads", "s3:getbucketversioning":
		return true
	}
	return false
}

// PutBucketPolicy sets the bucket's policy. It must be one for this bucket, and
// not public where the bucket's block of public access says so.
func (s *Service) PutBucketPolicy(ctx context.Context, in *api.PutBucketPolicyInput) (*api.PutBucketPolicyOutput, error) {
	call := auth.From(ctx)
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		doc, err := parsePolicy(in.Policy, b.Name)
		if err != nil {
			return err
		}
		if b.Public != nil && b.Public.BlockPublicPolicy && doc.Public() {
			return fault.New(fault.AccessDenied, "User: %s is not authorized to perform: s3:PutBucketPolicy on resource: %q because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
				call.Principal.ARN, bucketARN(b.Name))
		}
		b.Policy = in.Policy
		return nil
	})
	return &api.PutBucketPolicyOutput{}, err
}

func noPolicy(name string) error {
	return fault.New(fault.NoSuchBucketPolicy, "The bucket policy does not exist").With("BucketName", name)
}

// GetBucketPolicy gives the policy as it was put.
func (s *Service) GetBucketPolicy(ctx context.Context, in *api.GetBucketPolicyInput) (*api.GetBucketPolicyOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.Policy == "" {
		return nil, noPolicy(b.Name)
	}
	return &api.GetBucketPolicyOutput{Policy: b.Policy}, nil
}

// GetBucketPolicyStatus says whether the policy is public.
func (s *Service) GetBucketPolicyStatus(ctx context.Context, in *api.GetBucketPolicyStatusInput) (*api.GetBucketPolicyStatusOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.Policy == "" {
		return nil, noPolicy(b.Name)
	}
	doc, err := parsePolicy(b.Policy, b.Name)
	if err != nil {
		return nil, err
	}
	return &api.GetBucketPolicyStatusOutput{PolicyStatus: &api.PolicyStatus{IsPublic: ptr(doc.Public())}}, nil
}

// DeleteBucketPolicy removes the policy; removing none is no error.
func (s *Service) DeleteBucketPolicy(ctx context.Context, in *api.DeleteBucketPolicyInput) (*api.DeleteBucketPolicyOutput, error) {
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Policy = ""
		return nil
	})
	return &api.DeleteBucketPolicyOutput{}, err
}
