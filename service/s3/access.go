package s3

import (
	"context"
	"errors"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// lookup finds a bucket that the caller may use for its operation, on the
// bucket itself or, where key is set, on an object.
func lookup(ctx context.Context, tx store.Tx, name, expected, key string) (*bucket, error) {
	return lookupVersion(ctx, tx, target{bucket: name, expected: expected, key: key})
}

// lookupVersion is lookup for an operation on a version of an object, which
// needs leave of its own.
func lookupVersion(ctx context.Context, tx store.Tx, t target) (*bucket, error) {
	b, err := findBucket(tx, t.bucket, t.expected)
	if err != nil {
		return nil, err
	}
	if err := elsewhere(auth.From(ctx), b); err != nil {
		return nil, err
	}
	if err := permit(auth.From(ctx), tx, b, t.key, t.version); err != nil {
		return nil, err
	}
	return b, nil
}

// findBucket finds a bucket. expected is the account that the caller thinks owns
// it, or "".
func findBucket(tx store.Tx, name, expected string) (*bucket, error) {
	if expected != "" && !arn.IsAccount(expected) {
		return nil, fault.New(fault.InvalidBucketOwner,
			"The value of the expected bucket owner parameter must be an AWS Account ID... [%s]", expected)
	}
	if !validBucketName(name) {
		return nil, invalidBucketName(name)
	}
	b, err := getBucket(tx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, noSuchBucket(name)
	}
	if err != nil {
		return nil, err
	}
	if expected != "" && expected != b.Account {
		return nil, accessDenied()
	}
	return b, nil
}

// permit applies the bucket's policy and access control lists: a Deny to all
// principals that policies bind, an Allow or a grant to those of other accounts
// and to nobody in particular, who need one. What a caller's own policies allow
// was decided before the call got here.
func permit(call auth.Call, tx store.Tx, b *bucket, key, version string) error {
	anonymous := call.Principal.Kind == auth.Anonymous
	other := anonymous || call.Scope.Account != b.Account
	if !other && (b.Policy == "" || !call.Principal.Enforced || call.Principal.Kind == auth.Service) {
		return nil
	}
	ask := call.Requests(&struct{ Bucket, Key, VersionId string }{b.Name, key, version})[0]
	request := policy.Request{Action: ask.Action, Resource: bucketARN(b.Name), Context: ask.Context}
	if key != "" {
		request.Resource += "/" + key
	}
	if b.Policy != "" {
		doc, err := parsePolicy(b.Policy, b.Name)
		if err != nil {
			return err
		}
		if !other && call.Principal.Kind == auth.Root && policyActions[ask.Action] {
			return nil // or nobody could take a policy back that denies everybody
		}
		switch doc.Decide(call.Principal.Caller(), request) {
		case policy.Denied:
			if anonymous {
				return accessDenied()
			}
			return fault.New(fault.AccessDenied, "User: %s is not authorized to perform: %s on resource: %q with an explicit deny in a resource-based policy",
				call.Principal.ARN, request.Action, request.Resource)
		case policy.Allowed:
			if !other || b.Public == nil || !b.Public.RestrictPublicBuckets || !public(doc) {
				return nil
			}
		}
	}
	if !other {
		return nil
	}
	granted, err := grantedByList(call, tx, b, request.Action, key, version)
	if err == nil && !granted {
		err = accessDenied()
	}
	return err
}

// grantedByList reports whether the access control list of the bucket or of the
// object lets the caller do what an action does.
func grantedByList(call auth.Call, tx store.Tx, b *bucket, action, key, id string) (bool, error) {
	if !b.aclsOn() {
		return false, nil
	}
	if p := bucketPermissions[action]; p != "" {
		return permits(b.grants(), call, b, p), nil
	}
	p := objectPermissions[action]
	if p == "" || checkKey(key) != nil {
		return false, nil
	}
	var f found
	var err error
	if id == "" {
		f, err = latest(tx, b, key)
	} else {
		f, err = version(tx, b, key, id)
	}
	if err != nil || f.object == nil {
		// Who may list the bucket may know that nothing is there.
		return err == nil && permits(b.grants(), call, b, grantRead), err
	}
	return permits(f.object.access(b).Grants, call, b, p), nil
}

// elsewhere refuses a request that was signed for another region than the
// bucket's. There is one endpoint for all regions, so it is the signature that
// is wrong: clients sign again for the region that they are told.
func elsewhere(call auth.Call, b *bucket) error {
	if call.SignedFor == "" || call.SignedFor == b.Region || call.Operation == "GetBucketLocation" {
		return nil
	}
	return fault.New(fault.AuthorizationHeaderMalform, "The authorization header is malformed; the region '%s' is wrong; expecting '%s'", call.SignedFor, b.Region).
		With("Region", b.Region)
}

// policyActions are what the root user of the bucket's account may always do.
var policyActions = map[string]bool{"s3:GetBucketPolicy": true, "s3:PutBucketPolicy": true, "s3:DeleteBucketPolicy": true}

// readingSource is the context in which a copy reads its source.
func readingSource(ctx context.Context) context.Context {
	call := auth.From(ctx)
	call.Operation = "GetObject"
	return auth.With(ctx, call)
}
