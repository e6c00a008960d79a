package s3

import (
	"encoding/hex"
	"strings"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// Access control lists count where the bucket's object ownership is not
// BucketOwnerEnforced ("Access control list (ACL) overview", S3 User Guide).

// The settings of object ownership.
const (
	ownerEnforced  = "BucketOwnerEnforced"
	ownerPreferred = "BucketOwnerPreferred"
	ownerWriter    = "ObjectWriter"
)

// The permissions of grants.
const (
	fullControl  = "FULL_CONTROL"
	grantRead    = "READ"
	grantWrite   = "WRITE"
	grantReadACP = "READ_ACP"
	grantSetACP  = "WRITE_ACP"
)

// The groups that a grant can name.
const (
	allUsers      = "http://acs.amazonaws.com/groups/global/AllUsers"
	authenticated = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
	logDelivery   = "http://acs.amazonaws.com/groups/s3/LogDelivery"
)

const (
	aclPrivate = "private"
	aclOwner   = "bucket-owner-full-control"
	maxGrants  = 100
)

// grant gives a permission to a canonical user or to a group.
type grant struct {
	ID         string `json:",omitempty"`
	URI        string `json:",omitempty"`
	Permission string
}

func (g grant) public() bool { return g.URI == allUsers || g.URI == authenticated }

// access is who owns an object, and its list.
type access struct {
	Owner  string  // account
	Grants []grant `json:",omitempty"`
}

// aclsOn reports whether lists count in the bucket.
func (b *bucket) aclsOn() bool { return b.Ownership != ownerEnforced }

func ownersGrant(account string) []grant {
	return []grant{{ID: ownerID(account), Permission: fullControl}}
}

// grants is the bucket's list.
func (b *bucket) grants() []grant {
	if b.Grants == nil || !b.aclsOn() {
		return ownersGrant(b.Account)
	}
	return b.Grants
}

// access is who owns the object and its list, the bucket's owner alone where
// none is kept.
func (o *object) access(b *bucket) access {
	if o.Access == nil || !b.aclsOn() {
		return access{b.Account, ownersGrant(b.Account)}
	}
	return *o.Access
}

// aclRequest is what a request's headers say about a list.
type aclRequest struct {
	canned                                    string
	fullControl, read, readACP, write, setACP string
}

func (r aclRequest) headers() bool {
	return r.fullControl != "" || r.read != "" || r.readACP != "" || r.write != "" || r.setACP != ""
}

func (r aclRequest) given() bool { return r.canned != "" || r.headers() }

// check refuses what no bucket takes.
func (r aclRequest) check() error {
	if r.canned != "" && r.headers() {
		return invalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
	}
	switch r.canned {
	case "", aclPrivate, aclOwner, "public-read", "public-read-write", "authenticated-read", "bucket-owner-read", "log-delivery-write":
	case "aws-exec-read":
		return notBuilt("the canned ACL aws-exec-read")
	default:
		return invalidArgument("x-amz-acl", r.canned, "")
	}
	_, err := r.named()
	return err
}

// named are the grants of the headers.
func (r aclRequest) named() ([]grant, error) {
	var out []grant
	for _, h := range []struct{ name, text, permission string }{
		{"x-amz-grant-full-control", r.fullControl, fullControl}, {"x-amz-grant-read", r.read, grantRead},
		{"x-amz-grant-read-acp", r.readACP, grantReadACP}, {"x-amz-grant-write", r.write, grantWrite},
		{"x-amz-grant-write-acp", r.setACP, grantSetACP},
	} {
		for item := range strings.SplitSeq(h.text, ",") {
			if h.text == "" {
				break
			}
			kind, who, ok := strings.Cut(strings.TrimSpace(item), "=")
			if !ok {
				return nil, invalidArgument(h.name, h.text, "Argument format not recognized")
			}
			g, err := newGrant(strings.TrimSpace(kind), strings.Trim(strings.TrimSpace(who), `"`), h.permission)
			if err != nil {
				return nil, err
			}
			out = append(out, g)
		}
	}
	if len(out) > maxGrants {
		return nil, invalidRequest("The number of grants exceeds the limit of %d", maxGrants)
	}
	return out, nil
}

func newGrant(kind, who, permission string) (grant, error) {
	switch strings.ToLower(kind) {
	case "id":
		if raw, err := hex.DecodeString(who); err != nil || len(raw) != 32 {
			return grant{}, invalidArgument("CanonicalUser/ID", who, "Invalid id")
		}
		return grant{ID: strings.ToLower(who), Permission: permission}, nil
	case "uri":
		if who != allUsers && who != authenticated && who != logDelivery {
			return grant{}, invalidArgument("uri", who, "Invalid group uri")
		}
		return grant{URI: who, Permission: permission}, nil
	case "emailaddress":
		return grant{}, notBuilt("a grant by e-mail address")
	}
	return grant{}, invalidArgument("x-amz-grant", kind, "Argument format not recognized")
}

// grants is the list that the request means for what owner has in the bucket.
func (r aclRequest) grants(owner string, b *bucket) []grant {
	if r.headers() {
		named, _ := r.named() // checked before
		return named
	}
	out := ownersGrant(owner)
	add := func(g ...grant) { out = append(out, g...) }
	switch r.canned {
	case "public-read":
		add(grant{URI: allUsers, Permission: grantRead})
	case "public-read-write":
		add(grant{URI: allUsers, Permission: grantRead}, grant{URI: allUsers, Permission: grantWrite})
	case "authenticated-read":
		add(grant{URI: authenticated, Permission: grantRead})
	case "log-delivery-write":
		add(grant{URI: logDelivery, Permission: grantWrite}, grant{URI: logDelivery, Permission: grantReadACP})
	case "bucket-owner-read", aclOwner:
		if owner != b.Account {
			p := fullControl
			if r.canned != aclOwner {
				p = grantRead
			}
			add(grant{ID: ownerID(b.Account), Permission: p})
		}
	}
	return out
}

// allowed refuses the request where the bucket has no lists, or no public ones.
func (r aclRequest) allowed(b *bucket) error {
	if !r.given() {
		return nil
	}
	if !b.aclsOn() {
		if !r.headers() && (r.canned == aclPrivate || r.canned == aclOwner) {
			return nil
		}
		return aclNotSupported()
	}
	return blockPublic(b, r.grants(b.Account, b))
}

func aclNotSupported() error {
	return fault.New(fault.ACLNotSupported, "The bucket does not allow ACLs")
}

func blockPublic(b *bucket, list []grant) error {
	if b.Public != nil && b.Public.BlockPublicAcls && anyPublic(list) {
		return accessDenied()
	}
	return nil
}

func anyPublic(list []grant) bool {
	for _, g := range list {
		if g.public() {
			return true
		}
	}
	return false
}

// own decides who owns an object that the caller writes, and its list.
func (r aclRequest) own(call auth.Call, b *bucket, o *object) {
	o.Access = nil
	if !b.aclsOn() {
		return
	}
	owner := call.Scope.Account
	if call.Principal.Kind == auth.Anonymous || b.Ownership == ownerPreferred && r.canned == aclOwner {
		owner = b.Account
	}
	if owner == b.Account && !r.given() {
		return
	}
	o.Access = &access{owner, r.grants(owner, b)}
}

// permits reports whether a list gives a caller a permission. Public grants are
// nobody's where the bucket ignores them.
func permits(list []grant, call auth.Call, b *bucket, permission string) bool {
	for _, g := range list {
		if g.Permission != permission && g.Permission != fullControl {
			continue
		}
		switch {
		case g.public() && b.Public != nil && b.Public.IgnorePublicAcls:
		case g.URI == allUsers:
			return true
		case g.URI == authenticated:
			if call.Principal.Kind != auth.Anonymous {
				return true
			}
		case g.ID != "" && call.Principal.Kind != auth.Anonymous && g.ID == ownerID(call.Scope.Account):
			return true
		}
	}
	return false
}

// bucketPermissions and objectPermissions are the permissions that stand for
// actions ("Mapping of ACL permissions and access policy permissions", S3 User
// Guide). An object is written by leave of its bucket.
var (
	bucketPermissions = map[string]string{
		"s3:ListBucket": grantRead, "s3:ListBucketVersions": grantRead, "s3:ListBucketMultipartUploads": grantRead,
		"s3:PutObject": grantWrite, "s3:DeleteObject": grantWrite,
		"s3:GetBucketAcl": grantReadACP, "s3:PutBucketAcl": grantSetACP,
	}
	objectPermissions = map[string]string{
		"s3:GetObject": grantRead, "s3:GetObjectVersion": grantRead,
		"s3:GetObjectAcl": grantReadACP, "s3:GetObjectVersionAcl": grantReadACP,
		"s3:PutObjectAcl": grantSetACP, "s3:PutObjectVersionAcl": grantSetACP,
	}
)

func (g grant) shown() api.Grant {
	if g.URI != "" {
		return api.Grant{Grantee: &api.Grantee{URI: g.URI, Type: "Group"}, Permission: g.Permission}
	}
	return api.Grant{Grantee: &api.Grantee{ID: g.ID, Type: "CanonicalUser"}, Permission: g.Permission}
}

func shownGrants(list []grant) []api.Grant {
	out := []api.Grant{}
	for _, g := range list {
		out = append(out, g.shown())
	}
	return out
}

// ownerID is the canonical user id of an account.
func ownerID(account string) string { return arn.Hash("s3 canonical user " + account) }
