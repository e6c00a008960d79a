package s3

import (
	"context"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

// The settings of a bucket that are kept. Each is either enforced or the only
// behaviour there is: objects are encrypted with Slipway's own key (SSE-S3),
// belong to the bucket's owner, and have no access control lists.

const (
	ownerEnforced = "BucketOwnerEnforced"
	aclPrivate    = "private"
	aclOwner      = "bucket-owner-full-control"
	sseS3         = "AES256"
)

type publicAccess struct {
	BlockPublicAcls       bool
	IgnorePublicAcls      bool
	BlockPublicPolicy     bool
	RestrictPublicBuckets bool
}

// GetPublicAccessBlock gives the bucket's block of public access.
func (s *Service) GetPublicAccessBlock(ctx context.Context, in *api.GetPublicAccessBlockInput) (*api.GetPublicAccessBlockOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.Public == nil {
		return nil, fault.New(fault.NoSuchPublicAccessBlock, "The public access block configuration was not found").
			With("BucketName", b.Name)
	}
	return &api.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: &api.PublicAccessBlockConfiguration{
		BlockPublicAcls: &b.Public.BlockPublicAcls, IgnorePublicAcls: &b.Public.IgnorePublicAcls,
		BlockPublicPolicy: &b.Public.BlockPublicPolicy, RestrictPublicBuckets: &b.Public.RestrictPublicBuckets,
	}}, nil
}

// PutPublicAccessBlock sets the block. Access by list is never public, and
// requests without a principal are never let in, so what it decides is whether
// a public policy is taken.
func (s *Service) PutPublicAccessBlock(ctx context.Context, in *api.PutPublicAccessBlockInput) (*api.PutPublicAccessBlockOutput, error) {
	p := in.PublicAccessBlockConfiguration
	if p == nil {
		return nil, malformedXML()
	}
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Public = &publicAccess{
			BlockPublicAcls: value(p.BlockPublicAcls), IgnorePublicAcls: value(p.IgnorePublicAcls),
			BlockPublicPolicy: value(p.BlockPublicPolicy), RestrictPublicBuckets: value(p.RestrictPublicBuckets),
		}
		return nil
	})
	return &api.PutPublicAccessBlockOutput{}, err
}

// DeletePublicAccessBlock removes the block.
func (s *Service) DeletePublicAccessBlock(ctx context.Context, in *api.DeletePublicAccessBlockInput) (*api.DeletePublicAccessBlockOutput, error) {
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Public = nil
		return nil
	})
	return &api.DeletePublicAccessBlockOutput{}, err
}

// checkOwnership reads the x-amz-object-ownership header of CreateBucket.
func checkOwnership(header string) error {
	switch header {
	case "", ownerEnforced:
		return nil
	case "BucketOwnerPreferred", "ObjectWriter":
		return notBuilt("object ownership " + header + " (access control lists)")
	}
	return fault.New(fault.InvalidArgument, "Invalid x-amz-object-ownership header: %s", header).
		With("ArgumentName", "x-amz-object-ownership")
}

// GetBucketOwnershipControls gives who owns the bucket's objects.
func (s *Service) GetBucketOwnershipControls(ctx context.Context, in *api.GetBucketOwnershipControlsInput) (*api.GetBucketOwnershipControlsOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.Ownership == "" {
		return nil, fault.New(fault.OwnershipControlsNotFound, "The bucket ownership controls were not found").
			With("BucketName", b.Name)
	}
	return &api.GetBucketOwnershipControlsOutput{OwnershipControls: &api.OwnershipControls{
		Rules: []api.OwnershipControlsRule{{ObjectOwnership: b.Ownership}},
	}}, nil
}

// PutBucketOwnershipControls takes BucketOwnerEnforced, the one ownership that
// there is without access control lists.
func (s *Service) PutBucketOwnershipControls(ctx context.Context, in *api.PutBucketOwnershipControlsInput) (*api.PutBucketOwnershipControlsOutput, error) {
	if in.OwnershipControls == nil || len(in.OwnershipControls.Rules) != 1 {
		return nil, malformedXML()
	}
	rule := in.OwnershipControls.Rules[0].ObjectOwnership
	if err := checkOwnership(rule); fault.Is(err, fault.InvalidArgument) || rule == "" {
		return nil, malformedXML()
	} else if err != nil {
		return nil, err
	}
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Ownership = rule
		return nil
	})
	return &api.PutBucketOwnershipControlsOutput{}, err
}

// GetBucketEncryption gives the default encryption: SSE-S3, which every object
// has.
func (s *Service) GetBucketEncryption(ctx context.Context, in *api.GetBucketEncryptionInput) (*api.GetBucketEncryptionOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &api.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: &api.ServerSideEncryptionConfiguration{
		Rules: []api.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &api.ServerSideEncryptionByDefault{SSEAlgorithm: sseS3},
			BucketKeyEnabled:                   &b.BucketKey,
		}},
	}}, nil
}

// PutBucketEncryption takes SSE-S3. Encryption with keys of KMS is not built.
func (s *Service) PutBucketEncryption(ctx context.Context, in *api.PutBucketEncryptionInput) (*api.PutBucketEncryptionOutput, error) {
	if in.ServerSideEncryptionConfiguration == nil || len(in.ServerSideEncryptionConfiguration.Rules) != 1 {
		return nil, malformedXML()
	}
	rule := in.ServerSideEncryptionConfiguration.Rules[0]
	if rule.BlockedEncryptionTypes != nil {
		return nil, notBuilt("BlockedEncryptionTypes")
	}
	if by := rule.ApplyServerSideEncryptionByDefault; by != nil {
		if err := checkEncryption(by.SSEAlgorithm); err != nil {
			return nil, err
		}
		if by.KMSMasterKeyID != "" {
			return nil, fault.New(fault.InvalidArgument, "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
		}
	}
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.BucketKey = value(rule.BucketKeyEnabled)
		return nil
	})
	return &api.PutBucketEncryptionOutput{}, err
}

// DeleteBucketEncryption brings back the default, SSE-S3.
func (s *Service) DeleteBucketEncryption(ctx context.Context, in *api.DeleteBucketEncryptionInput) (*api.DeleteBucketEncryptionOutput, error) {
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.BucketKey = false
		return nil
	})
	return &api.DeleteBucketEncryptionOutput{}, err
}

func checkEncryption(algorithm string) error {
	switch algorithm {
	case "", sseS3:
		return nil
	case "aws:kms", "aws:kms:dsse", "aws:fsx":
		return notBuilt("server-side encryption " + algorithm)
	}
	return fault.New(fault.InvalidEncryptionAlgorithm, "The Encryption request you specified is not valid. Supported value: AES256.").
		With("ArgumentName", "x-amz-server-side-encryption").With("ArgumentValue", algorithm)
}

// GetBucketVersioning gives the versioning state, nothing where it was never set.
func (s *Service) GetBucketVersioning(ctx context.Context, in *api.GetBucketVersioningInput) (*api.GetBucketVersioningOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &api.GetBucketVersioningOutput{Status: b.Versioning}, nil
}

// PutBucketVersioning enables or suspends versioning.
func (s *Service) PutBucketVersioning(ctx context.Context, in *api.PutBucketVersioningInput) (*api.PutBucketVersioningOutput, error) {
	cfg := in.VersioningConfiguration
	if cfg == nil || cfg.Status == "" && cfg.MFADelete == "" {
		return nil, fault.New(fault.IllegalVersioning, "The Versioning element must be specified")
	}
	if in.MFA != "" || cfg.MFADelete == "Enabled" {
		return nil, notBuilt("MFA delete")
	}
	if cfg.Status != enabled && cfg.Status != suspended {
		return nil, malformedXML()
	}
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Versioning = cfg.Status
		return nil
	})
	return &api.PutBucketVersioningOutput{}, err
}

// grants reports whether any grant header is given.
func grants(headers ...string) bool {
	for _, h := range headers {
		if h != "" {
			return true
		}
	}
	return false
}

// checkACL refuses access control lists on objects, as a bucket does whose
// owner owns all that is in it.
func checkACL(canned string, grantHeaders ...string) error {
	if canned != "" && canned != aclPrivate && canned != aclOwner || grants(grantHeaders...) {
		return fault.New(fault.ACLNotSupported, "The bucket does not allow ACLs")
	}
	return nil
}

func ownerGrant(account string) []api.Grant {
	return []api.Grant{{
		Grantee:    &api.Grantee{ID: ownerID(account), Type: "CanonicalUser"},
		Permission: "FULL_CONTROL",
	}}
}

// GetBucketAcl gives the one list that there is: full control of the owner.
func (s *Service) GetBucketAcl(ctx context.Context, in *api.GetBucketAclInput) (*api.GetBucketAclOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &api.GetBucketAclOutput{Owner: owner(b.Account), Grants: ownerGrant(b.Account)}, nil
}

// PutBucketAcl refuses every list but the one that there is.
func (s *Service) PutBucketAcl(ctx context.Context, in *api.PutBucketAclInput) (*api.PutBucketAclOutput, error) {
	if _, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	if in.ACL != aclPrivate {
		return nil, fault.New(fault.ACLNotSupported, "The bucket does not allow ACLs")
	}
	return &api.PutBucketAclOutput{}, nil
}

// GetObjectAcl gives the one list that there is: full control of the owner.
func (s *Service) GetObjectAcl(ctx context.Context, in *api.GetObjectAclInput) (*api.GetObjectAclOutput, error) {
	b, _, err := s.object(ctx, target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "GET"})
	if err != nil {
		return nil, err
	}
	return &api.GetObjectAclOutput{Owner: owner(b.Account), Grants: ownerGrant(b.Account)}, nil
}

// GetBucketRequestPayment gives who pays: the owner.
func (s *Service) GetBucketRequestPayment(ctx context.Context, in *api.GetBucketRequestPaymentInput) (*api.GetBucketRequestPaymentOutput, error) {
	if _, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	return &api.GetBucketRequestPaymentOutput{Payer: "BucketOwner"}, nil
}
