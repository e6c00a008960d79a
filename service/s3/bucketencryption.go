package s3

import (
	"context"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

// GetBucketEncryption gives the default encryption: SSE-S3, which every object
// has, or that with a key of KMS.
func (s *Service) GetBucketEncryption(ctx context.Context, in *api.GetBucketEncryptionInput) (*api.GetBucketEncryptionOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	by := &api.ServerSideEncryptionByDefault{SSEAlgorithm: sseS3}
	if b.Encryption != nil {
		by.SSEAlgorithm, by.KMSMasterKeyID = sseKMS, b.Encryption.Key
	}
	return &api.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: &api.ServerSideEncryptionConfiguration{
		Rules: []api.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: by, BucketKeyEnabled: &b.BucketKey}},
	}}, nil
}

// PutBucketEncryption sets the encryption of objects that ask for none.
func (s *Service) PutBucketEncryption(ctx context.Context, in *api.PutBucketEncryptionInput) (*api.PutBucketEncryptionOutput, error) {
	if in.ServerSideEncryptionConfiguration == nil || len(in.ServerSideEncryptionConfiguration.Rules) != 1 {
		return nil, malformedXML()
	}
	rule := in.ServerSideEncryptionConfiguration.Rules[0]
	if rule.BlockedEncryptionTypes != nil {
		return nil, notBuilt("BlockedEncryptionTypes")
	}
	by := rule.ApplyServerSideEncryptionByDefault
	if by == nil {
		by = &api.ServerSideEncryptionByDefault{SSEAlgorithm: sseS3}
	}
	if err := (protection{algorithm: by.SSEAlgorithm}).check(); err != nil {
		return nil, err
	}
	if by.KMSMasterKeyID != "" && by.SSEAlgorithm != sseKMS {
		return nil, fault.New(fault.InvalidArgument, "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
	}
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.BucketKey, b.Encryption = value(rule.BucketKeyEnabled), nil
		if by.SSEAlgorithm == sseKMS {
			b.Encryption = &defaultEncryption{by.KMSMasterKeyID}
		}
		return nil
	})
	return &api.PutBucketEncryptionOutput{}, err
}

// DeleteBucketEncryption brings back the default, SSE-S3.
func (s *Service) DeleteBucketEncryption(ctx context.Context, in *api.DeleteBucketEncryptionInput) (*api.DeleteBucketEncryptionOutput, error) {
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.BucketKey, b.Encryption = false, nil
		return nil
	})
	return &api.DeleteBucketEncryptionOutput{}, err
}
