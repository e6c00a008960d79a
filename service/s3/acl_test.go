package s3

import (
	"context"
	"testing"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// nobody is a caller without a signature where policies bind.
func nobody(operation string) context.Context {
	call := auth.From(as("000000000000", usEast1))
	call.Principal = auth.Principal{Kind: auth.Anonymous, Enforced: true}
	call.Service, call.Operation = "s3", operation
	return auth.With(context.Background(), call)
}

// open makes a bucket where lists count and may be public.
func (f *fixture) open(name string) *fixture {
	f.t.Helper()
	_, err := f.CreateBucket(f.ctx, &api.CreateBucketInput{Bucket: name, ObjectOwnership: ownerPreferred})
	noError(f.t, err)
	_, err = f.DeletePublicAccessBlock(f.ctx, &api.DeletePublicAccessBlockInput{Bucket: name})
	noError(f.t, err)
	return f
}

func TestPublicListsLetAnybodyIn(t *testing.T) {
	f := newFixture(t).open("bkt")
	_, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "open", Body: text("x"), ACL: "public-read"})
	noError(t, err)
	f.put("bkt", "shut", "x")
	get := func(key string) string {
		_, err := f.GetObject(nobody("GetObject"), &api.GetObjectInput{Bucket: "bkt", Key: key})
		return code(t, err)
	}
	list := func() string {
		_, err := f.ListObjectsV2(nobody("ListObjectsV2"), &api.ListObjectsV2Input{Bucket: "bkt"})
		return code(t, err)
	}
	put := func() string {
		_, err := f.PutObject(nobody("PutObject"), &api.PutObjectInput{Bucket: "bkt", Key: "new", Body: text("x")})
		return code(t, err)
	}
	check := func(when string, got ...string) {
		t.Helper()
		want := got[len(got)/2:]
		for i, g := range got[:len(got)/2] {
			if g != want[i] {
				t.Errorf("%s: %d is %q, want %q", when, i, g, want[i])
			}
		}
	}
	check("by list", get("open"), get("shut"), get("none"), list(), put(), "", fault.AccessDenied, fault.AccessDenied, fault.AccessDenied, fault.AccessDenied)
	_, err = f.PutBucketAcl(f.ctx, &api.PutBucketAclInput{Bucket: "bkt", ACL: "public-read-write"})
	noError(t, err)
	check("public bucket", list(), put(), get("none"), get("shut"), "", "", fault.NoSuchKey, fault.AccessDenied)
	_, err = f.PutPublicAccessBlock(f.ctx, &api.PutPublicAccessBlockInput{Bucket: "bkt", PublicAccessBlockConfiguration: &api.PublicAccessBlockConfiguration{IgnorePublicAcls: ptr(true)}})
	noError(t, err)
	check("ignored", get("open"), list(), fault.AccessDenied, fault.AccessDenied)
	_, err = f.PutPublicAccessBlock(f.ctx, &api.PutPublicAccessBlockInput{Bucket: "bkt", PublicAccessBlockConfiguration: &api.PublicAccessBlockConfiguration{BlockPublicAcls: ptr(true)}})
	noError(t, err)
	_, err = f.PutObjectAcl(f.ctx, &api.PutObjectAclInput{Bucket: "bkt", Key: "shut", ACL: "public-read"})
	check("blocked", code(t, err), get("open"), fault.AccessDenied, "")
	_, err = f.PutPublicAccessBlock(f.ctx, &api.PutPublicAccessBlockInput{Bucket: "bkt", PublicAccessBlockConfiguration: &api.PublicAccessBlockConfiguration{}})
	noError(t, err)
	_, err = f.PutBucketOwnershipControls(f.ctx, &api.PutBucketOwnershipControlsInput{Bucket: "bkt", OwnershipControls: &api.OwnershipControls{Rules: []api.OwnershipControlsRule{{ObjectOwnership: ownerEnforced}}}})
	wantFault(t, err, fault.InvalidBucketACLOwnership, "")
	for _, op := range []func() error{
		func() error { _, err := f.ListBuckets(nobody("ListBuckets"), &api.ListBucketsInput{}); return err },
		func() error {
			_, err := f.CreateBucket(nobody("CreateBucket"), &api.CreateBucketInput{Bucket: "mine"})
			return err
		},
	} {
		if got := code(t, op()); got != fault.AccessDenied {
			t.Errorf("nobody may: %q", got)
		}
	}
}

func TestPublicPolicyLetsAnybodyIn(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "k", "x")
	_, err := f.DeletePublicAccessBlock(f.ctx, &api.DeletePublicAccessBlockInput{Bucket: "bkt"})
	noError(t, err)
	_, err = f.PutBucketPolicy(f.ctx, &api.PutBucketPolicyInput{Bucket: "bkt", Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*"}]}`})
	noError(t, err)
	in := &api.GetObjectInput{Bucket: "bkt", Key: "k"}
	_, err = f.GetObject(nobody("GetObject"), in)
	noError(t, err)
	_, err = f.PutPublicAccessBlock(f.ctx, &api.PutPublicAccessBlockInput{Bucket: "bkt", PublicAccessBlockConfiguration: &api.PublicAccessBlockConfiguration{RestrictPublicBuckets: ptr(true)}})
	noError(t, err)
	_, err = f.GetObject(nobody("GetObject"), in)
	wantFault(t, err, fault.AccessDenied, "Access Denied")
}

// Answers of AWS: test_s3_bucket_acl, test_s3_multipart_upload_acls.
func TestLists(t *testing.T) {
	f := newFixture(t).open("bkt").bucket("enforced")
	grants := func(want ...string) {
		t.Helper()
		out, err := f.GetBucketAcl(f.ctx, &api.GetBucketAclInput{Bucket: "bkt"})
		noError(t, err)
		var got []string
		for _, g := range out.Grants {
			got = append(got, g.Grantee.Type+" "+g.Permission)
		}
		if len(got) != len(want) {
			t.Fatalf("grants %q, want %q", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("grants %q, want %q", got, want)
			}
		}
	}
	put := func(in api.PutBucketAclInput) error {
		if in.Bucket == "" {
			in.Bucket = "bkt"
		}
		_, err := f.PutBucketAcl(f.ctx, &in)
		return err
	}
	grants("CanonicalUser FULL_CONTROL")
	noError(t, put(api.PutBucketAclInput{ACL: "public-read"}))
	grants("CanonicalUser FULL_CONTROL", "Group READ")
	noError(t, put(api.PutBucketAclInput{GrantRead: `uri="` + logDelivery + `"`}))
	grants("Group READ")
	me := &api.Owner{ID: ownerID(account)}
	noError(t, put(api.PutBucketAclInput{AccessControlPolicy: &api.AccessControlPolicy{Owner: me, Grants: []api.Grant{
		{Grantee: &api.Grantee{Type: "CanonicalUser", ID: me.ID}, Permission: "FULL_CONTROL"}, {Grantee: &api.Grantee{Type: "Group", URI: logDelivery}, Permission: "WRITE"}}}}))
	grants("CanonicalUser FULL_CONTROL", "Group WRITE")
	for name, tt := range map[string]struct {
		in   api.PutBucketAclInput
		want string
	}{
		"nothing":       {api.PutBucketAclInput{}, fault.MissingSecurityHeader},
		"both":          {api.PutBucketAclInput{ACL: "private", GrantRead: "id=x"}, fault.InvalidRequest},
		"unknown":       {api.PutBucketAclInput{ACL: "wide-open"}, fault.InvalidArgument},
		"bad id":        {api.PutBucketAclInput{GrantRead: "id=x"}, fault.InvalidArgument},
		"bad group":     {api.PutBucketAclInput{GrantRead: "uri=http://x"}, fault.InvalidArgument},
		"e-mail":        {api.PutBucketAclInput{GrantRead: "emailAddress=a@b"}, fault.NotImplemented},
		"no owner":      {api.PutBucketAclInput{AccessControlPolicy: &api.AccessControlPolicy{}}, fault.MalformedACL},
		"no permission": {api.PutBucketAclInput{AccessControlPolicy: &api.AccessControlPolicy{Owner: me, Grants: []api.Grant{{Grantee: &api.Grantee{Type: "CanonicalUser", ID: me.ID}}}}}, fault.MalformedACL},
		"enforced":      {api.PutBucketAclInput{Bucket: "enforced", ACL: "public-read"}, fault.ACLNotSupported},
		"enforced own":  {api.PutBucketAclInput{Bucket: "enforced", ACL: "private"}, ""},
	} {
		if got := code(t, put(tt.in)); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestOwnerOfWhatAnotherAccountWrites(t *testing.T) {
	f := newFixture(t).open("bkt")
	const other = "222222222222"
	_, err := f.PutBucketAcl(f.ctx, &api.PutBucketAclInput{Bucket: "bkt", GrantWrite: `id="` + ownerID(other) + `"`})
	noError(t, err)
	for acl, want := range map[string]string{"": other, aclOwner: account} {
		_, err := f.PutObject(user(other, "ann", "PutObject"), &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text("x"), ACL: acl})
		noError(t, err)
		out, err := f.GetObjectAcl(f.ctx, &api.GetObjectAclInput{Bucket: "bkt", Key: "k"})
		noError(t, err)
		if out.Owner.ID != ownerID(want) {
			t.Errorf("with ACL %q the owner is not %s", acl, want)
		}
	}
	_, err = f.GetObject(user(other, "ann", "GetObject"), &api.GetObjectInput{Bucket: "bkt", Key: "k"})
	if got := code(t, err); got != "" && got != fault.AccessDenied {
		t.Errorf("read by the writer: %s", got)
	}
	_, err = f.PutObject(user("333333333333", "eve", "PutObject"), &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text("x")})
	wantFault(t, err, fault.AccessDenied, "")
}
