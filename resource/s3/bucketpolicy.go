package s3

import (
	"context"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const bucketPolicyName = "AWS::S3::BucketPolicy"

type bucketPolicyProperties struct {
	Bucket         string            `json:"Bucket"`
	PolicyDocument resource.Document `json:"PolicyDocument"`
}

type bucketPolicyHandler struct{ svc api.Service }

func bucketPolicyType(svc api.Service) cfn.Type {
	h := bucketPolicyHandler{svc}
	return cfn.Type{Name: bucketPolicyName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

// create puts the policy on the bucket. Its physical id is the bucket's name. A
// bucket has one policy, so one that is there already, and is not what a first
// run of this very action put, is another's.
func (h bucketPolicyHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p bucketPolicyProperties
	if err := resource.Decode(bucketPolicyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	has, err := h.svc.GetBucketPolicy(ctx, &api.GetBucketPolicyInput{Bucket: p.Bucket})
	switch {
	case err == nil && has.Policy != p.PolicyDocument.Text:
		return cfn.Result{}, fault.New(fault.BucketAlreadyExists, "The bucket policy already exists on bucket %s.", p.Bucket)
	case err != nil && !fault.Is(err, fault.NoSuchBucketPolicy):
		return cfn.Result{}, err
	}
	return h.put(ctx, p)
}

func (h bucketPolicyHandler) put(ctx context.Context, p bucketPolicyProperties) (cfn.Result, error) {
	_, err := h.svc.PutBucketPolicy(ctx, &api.PutBucketPolicyInput{Bucket: p.Bucket, Policy: p.PolicyDocument.Text})
	if err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: p.Bucket, Attributes: cfn.Properties{}}, nil
}

func (h bucketPolicyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.GetBucketPolicy(ctx, &api.GetBucketPolicyInput{Bucket: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, bucketPolicyName, r.PhysicalID, fault.NoSuchBucket, fault.NoSuchBucketPolicy)
	}
	return resource.Encode(bucketPolicyProperties{r.PhysicalID, resource.Document{Text: out.Policy}})
}

func (h bucketPolicyHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p bucketPolicyProperties
	if err := resource.Decode(bucketPolicyName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if _, err := h.read(ctx, r); err != nil {
		return cfn.Result{}, err
	}
	return h.put(ctx, p)
}

func (h bucketPolicyHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteBucketPolicy(ctx, &api.DeleteBucketPolicyInput{Bucket: r.PhysicalID})
	return resource.Gone(err, fault.NoSuchBucket)
}

func (h bucketPolicyHandler) list(ctx context.Context) ([]string, error) {
	buckets, err := bucketHandler(h).list(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, name := range buckets {
		_, err := h.svc.GetBucketPolicy(ctx, &api.GetBucketPolicyInput{Bucket: name})
		if err == nil {
			names = append(names, name)
		} else if !fault.Is(err, fault.NoSuchBucketPolicy, fault.NoSuchBucket) {
			return nil, err
		}
	}
	return names, nil
}
