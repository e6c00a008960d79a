package s3

import (
	"context"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// The settings of a bucket that are kept in its record. Each is either enforced
// or the only behaviour there is. Larger ones have records of their own, which
// begin to count with a flag in the bucket's.

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

// PutPublicAccessBlock sets the block.
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
	case "", ownerEnforced, ownerPreferred, ownerWriter:
		return nil
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

// PutBucketOwnershipControls sets who owns the bucket's objects, and with it
// whether access control lists count.
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
		if rule == ownerEnforced && !onlyOwners(b.grants(), b.Account) {
			return fault.New(fault.InvalidBucketACLOwnership, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
		}
		b.Ownership = rule
		return nil
	})
	return &api.PutBucketOwnershipControlsOutput{}, err
}

// DeleteBucketOwnershipControls takes the setting away: objects belong to who
// writes them then.
func (s *Service) DeleteBucketOwnershipControls(ctx context.Context, in *api.DeleteBucketOwnershipControlsInput) (*api.DeleteBucketOwnershipControlsOutput, error) {
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Ownership = ""
		return nil
	})
	return &api.DeleteBucketOwnershipControlsOutput{}, err
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
		if b.ObjectLock && cfg.Status != enabled {
			return fault.New(fault.InvalidBucketState, "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
		}
		b.Versioning = cfg.Status
		return nil
	})
	return &api.PutBucketVersioningOutput{}, err
}

// GetBucketRequestPayment gives who pays: the owner.
func (s *Service) GetBucketRequestPayment(ctx context.Context, in *api.GetBucketRequestPaymentInput) (*api.GetBucketRequestPaymentOutput, error) {
	if _, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	return &api.GetBucketRequestPaymentOutput{Payer: "BucketOwner"}, nil
}

// PutBucketRequestPayment takes the owner as the one who pays. There are no
// bills here for others to pay.
func (s *Service) PutBucketRequestPayment(ctx context.Context, in *api.PutBucketRequestPaymentInput) (*api.PutBucketRequestPaymentOutput, error) {
	if _, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	if in.RequestPaymentConfiguration == nil {
		return nil, malformedXML()
	}
	switch in.RequestPaymentConfiguration.Payer {
	case "BucketOwner":
		return &api.PutBucketRequestPaymentOutput{}, nil
	case "Requester":
		return nil, notBuilt("request payment by the requester")
	}
	return nil, malformedXML()
}

// changeSettings is change for settings with a record of their own.
func (s *Service) changeSettings(ctx context.Context, name, expected string, fn func(c *change, b *bucket) error) error {
	return s.update(ctx, nil, func(c *change) error {
		b, err := lookup(ctx, c, name, expected, "")
		if err != nil {
			return err
		}
		if err := fn(c, b); err != nil {
			return err
		}
		return buckets.Put(c, b.Name, b)
	})
}

// dropSettings removes the settings of a bucket that goes.
func dropSettings(c *change, name string) error {
	for _, remove := range []func(tx store.Tx, key string) error{
		notifications.Delete, lifecycles.Delete, corsConfigs.Delete, websites.Delete,
	} {
		if err := ignoreNotFound(remove(c, name)); err != nil {
			return err
		}
	}
	return nil
}
