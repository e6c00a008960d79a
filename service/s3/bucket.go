package s3

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// bucket is the record of a bucket, by its name, which is global.
type bucket struct {
	Name       string
	Account    string
	Region     string
	Constraint string `json:",omitempty"` // as given: "EU" stays "EU"
	Created    time.Time
	Token      string             `json:",omitempty"`
	Tags       []tag              `json:",omitempty"`
	Policy     string             `json:",omitempty"`
	Versioning string             `json:",omitempty"` // "", Enabled, Suspended
	Public     *publicAccess      `json:",omitempty"` // nil once it was deleted
	Ownership  string             `json:",omitempty"` // "" once it was deleted
	BucketKey  bool               `json:",omitempty"`
	Encryption *defaultEncryption `json:",omitempty"` // nil: SSE-S3
	Grants     []grant            `json:",omitempty"` // nil: the owner's alone
	ObjectLock bool               `json:",omitempty"`
	Retention  *retention         `json:",omitempty"` // of new objects
	Notifies   bool               `json:",omitempty"` // has a record in notifications
	Lifecycle  bool               `json:",omitempty"` // has a record in lifecycles
}

const indexAccount = "account"

var buckets = store.NewCollection("s3/bucket", store.Index[bucket]{
	Name: indexAccount,
	Keys: func(_ string, b *bucket) []string { return []string{b.Account} },
})

func owner(account string) *api.Owner { return &api.Owner{ID: ownerID(account)} }

func bucketARN(name string) string { return arn.ARN{Service: "s3", Resource: name}.String() }

// CreateBucket makes a bucket. In us-east-1 making one's own bucket again is no
// error, as ever; a durable step, which has a token, sees it as taken.
func (s *Service) CreateBucket(ctx context.Context, in *api.CreateBucketInput) (*api.CreateBucketOutput, error) {
	call := auth.From(ctx)
	if call.Principal.Kind == auth.Anonymous {
		return nil, accessDenied()
	}
	b, err := s.newBucket(call, in)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, nil, func(c *change) error {
		old, err := buckets.Get(c, b.Name)
		switch {
		case errors.Is(err, store.ErrNotFound):
			if err := checkQuota(c, b.Account); err != nil {
				return err
			}
			return buckets.Put(c, b.Name, b)
		case err != nil:
			return err
		case old.Account != b.Account:
			return fault.New(fault.BucketAlreadyExists, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.").
				With("BucketName", b.Name)
		case call.Token != "" && old.Token == call.Token:
			return nil
		case call.Token == "" && call.Scope.Region == usEast1 && old.Region == usEast1 && b.Region == usEast1:
			return nil
		}
		return fault.New(fault.BucketAlreadyOwnedByYou, "Your previous request to create the named bucket succeeded and you already own it.").
			With("BucketName", b.Name)
	})
	if err != nil {
		return nil, err
	}
	location := "/" + b.Name
	if b.Region != usEast1 {
		location = call.Endpoint + "/" + b.Name
	}
	return &api.CreateBucketOutput{Location: location, BucketArn: bucketARN(b.Name)}, nil
}

// checkQuota refuses a bucket more than an account may have ("General purpose
// bucket quotas", S3 User Guide).
func checkQuota(tx store.Tx, account string) error {
	n := 0
	for _, err := range buckets.ByIndex(tx, indexAccount, account) {
		if err != nil {
			return err
		}
		if n++; n >= maxBuckets {
			return fault.New(fault.TooManyBuckets, "You have attempted to create more buckets than allowed")
		}
	}
	return nil
}

// newBucket is the record that the input asks for, with AWS's defaults.
func (s *Service) newBucket(call auth.Call, in *api.CreateBucketInput) (*bucket, error) {
	if !validBucketName(in.Bucket) {
		return nil, invalidBucketName(in.Bucket)
	}
	cfg := in.CreateBucketConfiguration
	if cfg == nil {
		cfg = &api.CreateBucketConfiguration{}
	}
	if cfg.Bucket != nil || cfg.Location != nil || in.BucketNamespace != "" && in.BucketNamespace != "global" {
		return nil, notBuilt("a directory bucket or account regional namespace")
	}
	if err := checkOwnership(in.ObjectOwnership); err != nil {
		return nil, err
	}
	list := aclRequest{in.ACL, in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWrite, in.GrantWriteACP}
	if err := list.check(); err != nil {
		return nil, err
	}
	region, err := placeBucket(call.Scope.Region, cfg.LocationConstraint)
	if err != nil {
		return nil, err
	}
	tags, err := checkTags(cfg.Tags, tagsAtCreation)
	if err != nil {
		return nil, err
	}
	b := &bucket{
		Name: in.Bucket, Account: call.Scope.Account, Region: region, Constraint: cfg.LocationConstraint,
		Created: s.second(), Token: call.Token, Tags: tags,
		Public: &publicAccess{true, true, true, true}, Ownership: in.ObjectOwnership,
	}
	if b.Ownership == "" {
		b.Ownership = ownerEnforced
	}
	if value(in.ObjectLockEnabledForBucket) {
		b.ObjectLock, b.Versioning = true, enabled
	}
	return b, b.firstList(list)
}

// firstList is the list that a bucket is made with.
func (b *bucket) firstList(r aclRequest) error {
	if !r.given() || r.canned == aclPrivate {
		return nil
	}
	list := r.grants(b.Account, b)
	switch {
	case !b.aclsOn():
		return fault.New(fault.InvalidBucketACLOwnership, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	case anyPublic(list):
		return fault.New(fault.InvalidBucketACLBlocked, "Bucket cannot have public ACLs set with BlockPublicAccess enabled")
	}
	b.Grants = list
	return nil
}

// HeadBucket says whether the bucket is there and the caller's.
func (s *Service) HeadBucket(ctx context.Context, in *api.HeadBucketInput) (*api.HeadBucketOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &api.HeadBucketOutput{BucketArn: bucketARN(b.Name), BucketRegion: b.Region, AccessPointAlias: ptr(false)}, nil
}

// bucket is lookup in a view of its own.
func (s *Service) bucket(ctx context.Context, name, expected string) (b *bucket, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		b, err = lookup(ctx, tx, name, expected, "")
		return err
	})
	return b, err
}

// GetBucketLocation gives the location constraint, none for us-east-1.
func (s *Service) GetBucketLocation(ctx context.Context, in *api.GetBucketLocationInput) (*api.GetBucketLocationOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &api.GetBucketLocationOutput{LocationConstraint: b.Constraint}, nil
}

// DeleteBucket removes an empty bucket. Uploads that were not completed go
// with it.
func (s *Service) DeleteBucket(ctx context.Context, in *api.DeleteBucketInput) (*api.DeleteBucketOutput, error) {
	err := s.update(ctx, nil, func(c *change) error {
		b, err := lookup(ctx, c, in.Bucket, in.ExpectedBucketOwner, "")
		if err != nil {
			return err
		}
		if err := checkEmpty(c, b); err != nil {
			return err
		}
		for e, err := range uploads.Scan(c, b.Name+"/") {
			if err != nil {
				return err
			}
			if err := c.dropUpload(e.Key, e.Value); err != nil {
				return err
			}
		}
		if err := dropSettings(c, b.Name); err != nil {
			return err
		}
		return buckets.Delete(c, b.Name)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteBucketOutput{}, nil
}

func checkEmpty(tx store.Tx, b *bucket) error {
	for _, prefix := range []string{objects.Prefix(), versions.Prefix()} {
		for _, err := range tx.Scan(prefix+b.Name+"/", store.PrefixEnd(prefix+b.Name+"/")) {
			if err != nil {
				return err
			}
			message := "The bucket you tried to delete is not empty"
			if b.Versioning != "" {
				message += ". You must delete all versions in the bucket."
			}
			return fault.New(fault.BucketNotEmpty, "%s", message).With("BucketName", b.Name)
		}
	}
	return nil
}

const maxBuckets = 10000

// ListBuckets lists the account's buckets in the order of their names, all of
// them unless MaxBuckets asks for pages.
func (s *Service) ListBuckets(ctx context.Context, in *api.ListBucketsInput) (*api.ListBucketsOutput, error) {
	call := auth.From(ctx)
	if call.Principal.Kind == auth.Anonymous {
		return nil, accessDenied()
	}
	limit := maxBuckets
	if in.MaxBuckets != nil {
		limit = int(*in.MaxBuckets)
		if limit < 1 || limit > maxBuckets {
			return nil, invalidArgument("max-buckets", "", "Argument max-buckets must be an integer between 1 and %d", maxBuckets)
		}
	}
	after, err := base64.RawURLEncoding.DecodeString(in.ContinuationToken)
	if err != nil || in.ContinuationToken != "" && !validBucketName(string(after)) {
		return nil, invalidArgument("continuation-token", in.ContinuationToken, "The continuation token provided is incorrect")
	}
	paged := in.MaxBuckets != nil || in.ContinuationToken != "" || in.Prefix != "" || in.BucketRegion != ""
	out := &api.ListBucketsOutput{Owner: owner(call.Scope.Account), Prefix: in.Prefix, Buckets: []api.Bucket{}}
	err = s.store.View(ctx, func(tx store.Tx) error {
		for e, err := range buckets.ByIndex(tx, indexAccount, call.Scope.Account) {
			if err != nil {
				return err
			}
			b := e.Value
			if b.Name <= string(after) || !strings.HasPrefix(b.Name, in.Prefix) || in.BucketRegion != "" && b.Region != in.BucketRegion {
				continue
			}
			if len(out.Buckets) == limit {
				last := out.Buckets[limit-1].Name
				out.ContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(last))
				return nil
			}
			item := api.Bucket{Name: b.Name, BucketArn: bucketARN(b.Name), CreationDate: &b.Created}
			if paged {
				item.BucketRegion = b.Region
			}
			out.Buckets = append(out.Buckets, item)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
