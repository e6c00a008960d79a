package s3

import (
	"context"
	"errors"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// errHidden is why access is refused to an object that is not there.
var errHidden = errors.New("s3: the object is not there, and the caller may not know")

// conceal keeps from a caller who may not list a bucket that an object is not in
// it ("GetObject", Amazon S3 API Reference). It is asked outside of transactions,
// for it asks who else decides.
func (s *Service) conceal(ctx context.Context, b *bucket, err error) error {
	if b == nil || !fault.Is(err, fault.NoSuchKey) {
		return err
	}
	call := auth.From(ctx)
	other := call.Principal.Kind == auth.Anonymous || call.Scope.Account != b.Account
	if call.Principal.Kind == auth.Service || !other && !call.Principal.Enforced {
		return err
	}
	call.Operation = "ListObjectsV2"
	refusal := s.mayList(auth.With(asking(ctx, &named{Bucket: b.Name}), call), b)
	refused, ok := fault.As(refusal)
	switch {
	case refusal == nil:
		return err
	case !ok:
		return refusal
	}
	return refused.Because(errHidden)
}

// mayList is nil where the caller may list the bucket.
func (s *Service) mayList(ctx context.Context, b *bucket) error {
	call := auth.From(ctx)
	for _, r := range call.Requests(&named{Bucket: b.Name}) {
		if err := s.authorizer.Authorize(ctx, r); err != nil {
			return err
		}
	}
	return s.store.View(ctx, func(tx store.Tx) error { return permit(ctx, tx, b, "", "") })
}

// belongs refuses what an object's own list does not grant, where the object is
// another account's than the bucket's: neither the bucket's owner nor its policy
// decides about those then ("Object Ownership", S3 User Guide).
func belongs(ctx context.Context, b *bucket, o *object) error {
	if o == nil || !b.aclsOn() || o.Access == nil || o.Access.Owner == b.Account {
		return nil
	}
	call := auth.From(ctx)
	if call.Principal.Kind == auth.Service {
		return nil
	}
	for _, request := range asks(ctx, call, b, o.Key, "") {
		p := objectPermissions[request.Action]
		if p == "" || permits(o.Access.Grants, call, b, p) {
			continue
		}
		if mine := call.Principal.Kind != auth.Anonymous && call.Scope.Account == o.Access.Owner; mine && p != grantRead {
			continue // or the owner could not change the list any more
		}
		return accessDenied()
	}
	return nil
}
