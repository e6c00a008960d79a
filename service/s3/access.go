package s3

import (
	"context"
	"errors"
	"strings"

	api "github.com/slipway/slipway/api/s3"
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
	if err := permit(ctx, tx, b, t.key, t.version); err != nil {
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

// askedKey is the context's key of a call's input.
type askedKey struct{}

func asking(ctx context.Context, input any) context.Context {
	return context.WithValue(ctx, askedKey{}, input)
}

// API is the service as it is to be called: bucket policies ask about more of a
// call's input than the bucket and the key, and find it in the context.
func (s *Service) API() api.Service {
	return api.Intercept(s, func(ctx context.Context, _, _ string, input any, call func(context.Context) (any, error)) (any, error) {
		return call(asking(ctx, input))
	})
}

// named names what a call acts on, as inputs do.
type named struct{ Bucket, Key, VersionId string }

// asks are what the call needs leave for in the bucket: the actions, each with
// one resource. There is always one.
func asks(ctx context.Context, call auth.Call, b *bucket, key, version string) (out []policy.Request) {
	own := bucketARN(b.Name)
	if input := ctx.Value(askedKey{}); input != nil {
		for _, r := range call.Requests(input) {
			if copies[call.Operation] && strings.HasPrefix(r.Action, "s3:GetObject") {
				continue // asked when the source is read
			}
			for _, resource := range r.Resources {
				if resource == own || strings.HasPrefix(resource, own+"/") {
					out = append(out, policy.Request{Action: r.Action, Resource: resource, Context: r.Context})
				}
			}
		}
	}
	if out != nil {
		return out
	}
	if key != "" {
		own += "/" + key
	}
	r := call.Requests(&named{b.Name, key, version})[0]
	return []policy.Request{{Action: r.Action, Resource: own, Context: r.Context}}
}

// permit applies the bucket's policy and access control lists: a Deny to all
// principals that policies bind, an Allow or a grant to those of other accounts
// and to nobody in particular, who need one for all that the call does. What a
// caller's own policies allow was decided before the call got here.
func permit(ctx context.Context, tx store.Tx, b *bucket, key, version string) error {
	call := auth.From(ctx)
	anonymous := call.Principal.Kind == auth.Anonymous
	other := anonymous || call.Scope.Account != b.Account
	if !other && (b.Policy == "" || !call.Principal.Enforced || call.Principal.Kind == auth.Service) {
		return nil
	}
	var doc *policy.Document
	if b.Policy != "" {
		var err error
		if doc, err = parsedPolicies.Parse(b.Policy, policy.Resource); err != nil {
			return err
		}
	}
	for _, request := range asks(ctx, call, b, key, version) {
		request.Context = recordKeys{request.Context, tx, b, request.Resource}
		allowed, err := decide(call, b, doc, request, other)
		if err != nil {
			return err
		}
		if allowed {
			continue
		}
		granted, err := grantedByList(call, tx, b, request.Action, key, version)
		if err != nil {
			return err
		}
		if !granted {
			return accessDenied()
		}
	}
	return nil
}

// decide applies the bucket's policy, nil for none, to a request. Where it does
// not allow what somebody else asks, a list may.
func decide(call auth.Call, b *bucket, doc *policy.Document, request policy.Request, other bool) (allowed bool, err error) {
	if !other && call.Principal.Kind == auth.Root && policyActions[request.Action] {
		return true, nil // or nobody could take a policy back that denies everybody
	}
	if doc == nil {
		return !other, nil
	}
	switch doc.Decide(call.Principal.Caller(), request) {
	case policy.Denied:
		if call.Principal.Kind == auth.Anonymous {
			return false, accessDenied()
		}
		return false, fault.New(fault.AccessDenied, "User: %s is not authorized to perform: %s on resource: %q with an explicit deny in a resource-based policy",
			call.Principal.ARN, request.Action, request.Resource)
	case policy.Allowed:
		return !other || b.Public == nil || !b.Public.RestrictPublicBuckets || !doc.Public(), nil
	}
	return !other, nil
}

// grantedByList reports whether the access control list of the bucket or of the
// object lets the caller do what an action does.
func grantedByList(call auth.Call, tx store.Tx, b *bucket, action, key, id string) (bool, error) {
	if !b.aclsOn() {
		return false, nil
	}
	if p := bucketPermissions[action]; p != "" || action == "s3:PutObjectAcl" && writes[call.Operation] {
		if p == "" {
			p = grantWrite // the list that an object is written with
		}
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

// writes are the operations that make objects, and may give them lists.
var writes = map[string]bool{"PutObject": true, "CopyObject": true, "CreateMultipartUpload": true}

var copies = map[string]bool{"CopyObject": true, "UploadPartCopy": true}

// readingSource is the context in which a copy reads its source.
func readingSource(ctx context.Context) context.Context {
	call := auth.From(ctx)
	call.Operation = "GetObject"
	return auth.With(asking(ctx, nil), call)
}
