package s3

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// noLists is an authorizer of principals who may do all but list.
type noLists struct{}

func (noLists) Authorize(_ context.Context, r auth.Request) error {
	if r.Action == "s3:ListBucket" {
		return fault.New(fault.AccessDenied, "not authorized to perform: %s", r.Action)
	}
	return nil
}

func TestWhatIsNotThereIsHiddenFromWhoMayNotList(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	missing := map[string]func(context.Context) error{
		"GetObject": func(ctx context.Context) error {
			_, err := f.GetObject(ctx, &api.GetObjectInput{Bucket: "bkt", Key: "none"})
			return err
		},
		"HeadObject": func(ctx context.Context) error {
			_, err := f.HeadObject(ctx, &api.HeadObjectInput{Bucket: "bkt", Key: "none"})
			return err
		},
		"PutObjectTagging": func(ctx context.Context) error {
			_, err := f.PutObjectTagging(ctx, &api.PutObjectTaggingInput{Bucket: "bkt", Key: "none", Tagging: &api.Tagging{TagSet: []api.Tag{}}})
			return err
		},
		"PutObjectAcl": func(ctx context.Context) error {
			_, err := f.PutObjectAcl(ctx, &api.PutObjectAclInput{Bucket: "bkt", Key: "none", ACL: "private"})
			return err
		},
		"PutObjectLegalHold": func(ctx context.Context) error {
			_, err := f.PutObjectLegalHold(ctx, &api.PutObjectLegalHoldInput{Bucket: "bkt", Key: "none", LegalHold: &api.ObjectLockLegalHold{Status: holdOn}})
			return err
		},
	}
	for operation, do := range missing {
		wantFault(t, do(user(account, "bob", operation)), fault.NoSuchKey, "")
	}
	f.authorizer = noLists{}
	for operation, do := range missing {
		wantFault(t, do(user(account, "bob", operation)), fault.AccessDenied, "not authorized to perform: s3:ListBucket")
	}
	wantFault(t, missing["GetObject"](f.ctx), fault.NoSuchKey, "") // no policy binds this one
}

func TestAnotherAccountsObject(t *testing.T) {
	const other = "222222222222"
	f := newFixture(t)
	_, err := f.CreateBucket(f.ctx, &api.CreateBucketInput{Bucket: "bkt", ObjectOwnership: ownerWriter})
	noError(t, err)
	_, err = f.PutBucketAcl(f.ctx, &api.PutBucketAclInput{Bucket: "bkt", GrantFullControl: "id=" + ownerID(account), GrantWrite: "id=" + ownerID(other)})
	noError(t, err)
	_, err = f.API().PutObject(user(other, "ann", "PutObject"), &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text("x")})
	noError(t, err)
	get := func(ctx context.Context) error {
		_, err := f.GetObject(ctx, &api.GetObjectInput{Bucket: "bkt", Key: "k"})
		return err
	}
	noError(t, get(user(other, "ann", "GetObject")))
	wantFault(t, get(user(account, "bob", "GetObject")), fault.AccessDenied, "Access Denied")
	_, err = f.PutBucketPolicy(f.ctx, &api.PutBucketPolicyInput{Bucket: "bkt", Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::333333333333:root"},"Action":"s3:*","Resource":["arn:aws:s3:::bkt","arn:aws:s3:::bkt/*"]}]}`})
	noError(t, err)
	wantFault(t, get(user("333333333333", "eve", "GetObject")), fault.AccessDenied, "Access Denied")
	_, err = f.PutObjectAcl(user(account, "bob", "PutObjectAcl"), &api.PutObjectAclInput{Bucket: "bkt", Key: "k", ACL: "private"})
	wantFault(t, err, fault.AccessDenied, "Access Denied")
	_, err = f.PutObjectAcl(user(other, "ann", "PutObjectAcl"), &api.PutObjectAclInput{Bucket: "bkt", Key: "k", ACL: "bucket-owner-read"})
	noError(t, err)
	noError(t, get(user(account, "bob", "GetObject")))
}

// Policies ask about members of the input beside the bucket and the key.
func TestBucketPolicyAsksAboutTheInput(t *testing.T) {
	const other = "222222222222"
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "home/ann/k", "x")
	_, err := f.PutBucketPolicy(f.ctx, &api.PutBucketPolicyInput{Bucket: "bkt", Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::bkt/*","Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption":"AES256"}}},
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::bkt","Condition":{"StringLike":{"s3:prefix":"home/ann/*"}}},
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::bkt/*"}]}`})
	noError(t, err)
	put := func(ctx context.Context, in api.PutObjectInput) string {
		in.Bucket, in.Key, in.Body = "bkt", "k", text("x")
		_, err := f.API().PutObject(ctx, &in)
		return code(t, err)
	}
	list := func(prefix string) string {
		_, err := f.API().ListObjectsV2(user(other, "ann", "ListObjectsV2"), &api.ListObjectsV2Input{Bucket: "bkt", Prefix: prefix})
		return code(t, err)
	}
	for name, tt := range map[string]struct{ got, want string }{
		"plain":                    {put(user(account, "bob", "PutObject"), api.PutObjectInput{}), fault.AccessDenied},
		"encrypted":                {put(user(account, "bob", "PutObject"), api.PutObjectInput{ServerSideEncryption: sseS3}), ""},
		"another account's":        {put(user(other, "ann", "PutObject"), api.PutObjectInput{ServerSideEncryption: sseS3}), ""},
		"with tags, which need it": {put(user(other, "ann", "PutObject"), api.PutObjectInput{ServerSideEncryption: sseS3, Tagging: "a=b"}), fault.AccessDenied},
		"the allowed prefix":       {list("home/ann/"), ""},
		"another prefix":           {list("home/"), fault.AccessDenied},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", name, tt.got, tt.want)
		}
	}
}

// Who may delete versions may not by that alone pass by a retention.
func TestPassingByARetentionNeedsLeave(t *testing.T) {
	const other = "222222222222"
	f := newFixture(t)
	_, err := f.CreateBucket(f.ctx, &api.CreateBucketInput{Bucket: "bkt", ObjectLockEnabledForBucket: ptr(true)})
	noError(t, err)
	policy := func(actions string) {
		t.Helper()
		_, err := f.PutBucketPolicy(f.ctx, &api.PutBucketPolicyInput{Bucket: "bkt", Policy: `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":[` + actions + `],"Resource":"arn:aws:s3:::bkt/*"}]}`})
		noError(t, err)
	}
	until := f.clock.Now().Add(time.Hour)
	lock := func() string {
		t.Helper()
		out, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text("x"), ObjectLockMode: governance, ObjectLockRetainUntilDate: &until})
		noError(t, err)
		return out.VersionId
	}
	passes := map[string]func(id string) error{
		"DeleteObject": func(id string) error {
			_, err := f.API().DeleteObject(user(other, "ann", "DeleteObject"), &api.DeleteObjectInput{Bucket: "bkt", Key: "k", VersionId: id, BypassGovernanceRetention: ptr(true)})
			return err
		},
		"DeleteObjects": func(id string) error {
			out, err := f.API().DeleteObjects(user(other, "ann", "DeleteObjects"), &api.DeleteObjectsInput{Bucket: "bkt", BypassGovernanceRetention: ptr(true),
				Delete: &api.Delete{Objects: []api.ObjectIdentifier{{Key: "k", VersionId: id}}}})
			if err == nil && len(out.Errors) > 0 {
				return fault.New(out.Errors[0].Code, "%s", out.Errors[0].Message)
			}
			return err
		},
		"PutObjectRetention": func(id string) error {
			_, err := f.API().PutObjectRetention(user(other, "ann", "PutObjectRetention"), &api.PutObjectRetentionInput{Bucket: "bkt", Key: "k", VersionId: id,
				BypassGovernanceRetention: ptr(true), Retention: &api.ObjectLockRetention{}})
			return err
		},
	}
	for operation, pass := range passes {
		id := lock()
		policy(`"s3:DeleteObjectVersion","s3:PutObjectRetention"`)
		if got := code(t, pass(id)); got != fault.AccessDenied {
			t.Errorf("%s without leave: %q", operation, got)
		}
		policy(`"s3:DeleteObjectVersion","s3:PutObjectRetention","s3:BypassGovernanceRetention"`)
		if got := code(t, pass(id)); got != "" {
			t.Errorf("%s by leave: %q", operation, got)
		}
	}
}

func TestDeletionsSignedForAnotherRegion(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	call := auth.From(f.ctx)
	call.SignedFor, call.Operation = "eu-west-1", "DeleteObjects"
	_, err := f.DeleteObjects(auth.With(context.Background(), call), &api.DeleteObjectsInput{Bucket: "bkt", Delete: &api.Delete{Objects: []api.ObjectIdentifier{{Key: "k"}}}})
	wantFault(t, err, fault.AuthorizationHeaderMalform, "")
}

// A form makes objects, and nothing else that a put can stand for.
func TestFormsMakeObjectsOnly(t *testing.T) {
	f := newFixture(t).bucket("bkt").bucket("private")
	b := browse(f, false)
	f.put("private", "k", "secret")
	if res, body := b.post("a", "key", ""); res.StatusCode != 400 || !strings.Contains(body, "User key must have a length greater than 0.") {
		t.Errorf("no key: %d %s", res.StatusCode, body)
	}
	if res, body := b.post("a", "key", "copy", "x-amz-copy-source", "private/k"); res.StatusCode != 400 || f.body("bkt", "copy") != fault.NoSuchKey {
		t.Errorf("copy: %d %s", res.StatusCode, body)
	}
}

// A bucket's CORS rules let a site in to the bucket, not to another that it
// could copy from.
func TestCORSDoesNotReachTheSourceOfACopy(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	_, err := f.PutBucketCors(f.ctx, &api.PutBucketCorsInput{Bucket: "bkt", CORSConfiguration: &api.CORSConfiguration{CORSRules: []api.CORSRule{
		{AllowedMethods: []string{"PUT"}, AllowedOrigins: []string{"*"}, AllowedHeaders: []string{"*"}}}}})
	noError(t, err)
	b := browse(f, false)
	var allowed bool
	b.front.(*front).Next = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { allowed = OriginAllowed(r.Context()) })
	for source, want := range map[string]bool{"": true, "private/k": false} {
		header := map[string]string{"Origin": "https://app.test", "Authorization": inAccount()}
		if source != "" {
			header["X-Amz-Copy-Source"] = source
		}
		b.ask("PUT", "http://localhost:4566/bkt/k", header, strings.NewReader(""))
		if allowed != want {
			t.Errorf("copy source %q: allowed = %v", source, allowed)
		}
	}
}

// What a website's visitor sends beside the path counts for the policy.
func TestWebsiteTellsThePolicyWhoVisits(t *testing.T) {
	f := newFixture(t).bucket("site")
	b := browse(f, true)
	f.put("site", "dir/index.html", "dir")
	f.website(&api.WebsiteConfiguration{IndexDocument: &api.IndexDocument{Suffix: "index.html"}})
	_, err := f.DeletePublicAccessBlock(f.ctx, &api.DeletePublicAccessBlockInput{Bucket: "site"})
	noError(t, err)
	_, err = f.PutBucketPolicy(f.ctx, &api.PutBucketPolicyInput{Bucket: "site", Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::site/*","Condition":{
			"StringLike":{"aws:Referer":"http://pages.test/*"},"IpAddress":{"aws:SourceIp":"192.0.2.0/24"},"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}}}]}`})
	noError(t, err)
	from := map[string]string{"Referer": "http://pages.test/a"}
	for _, tt := range []struct {
		path   string
		header map[string]string
		status int
	}{
		{"/dir/", from, 200}, {"/dir/", nil, 403}, {"/dir", from, 302},
		{"/none", from, 403}, // who may not list the bucket is not told
	} {
		if res, page := b.ask("GET", siteURL+tt.path, tt.header, nil); res.StatusCode != tt.status {
			t.Errorf("%s from %v: %d %s, want %d", tt.path, tt.header, res.StatusCode, page, tt.status)
		}
	}
}

// The bucket may stand in the host.
func TestVirtualHostedBuckets(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	b := browse(f, false)
	key := map[string]string{"Authorization": inAccount(), "X-Amz-Date": "20261122T100000Z"}
	for _, host := range []string{"bkt.s3.localhost:4566", "bkt.s3.us-east-1.localhost:4566", "bkt.localhost:4566", "BKT.s3.localhost", "bkt.s3.amazonaws.com"} {
		url := "http://" + host + "/a%2Fb//c"
		if res, body := b.ask("PUT", url, key, strings.NewReader(host)); res.StatusCode != 200 {
			t.Fatalf("put to %s: %d %s", host, res.StatusCode, body)
		}
		if res, body := b.ask("GET", url, key, nil); res.StatusCode != 200 || body != host {
			t.Errorf("get from %s: %d %s", host, res.StatusCode, body)
		}
		if got := f.body("bkt", "a/b//c"); got != host {
			t.Errorf("the object put to %s: %q", host, got)
		}
		if res, body := b.ask("GET", "http://"+host+"/?list-type=2&prefix=a", key, nil); res.StatusCode != 200 || !strings.Contains(body, "<Key>a/b//c</Key>") {
			t.Errorf("list of %s: %d %s", host, res.StatusCode, body)
		}
		if res, _ := b.ask("DELETE", url, key, nil); res.StatusCode != 204 {
			t.Errorf("delete from %s: %d", host, res.StatusCode)
		}
	}
	if res, body := b.ask("GET", "http://none.s3.localhost/k", key, nil); res.StatusCode != 404 || !strings.Contains(body, "<BucketName>none</BucketName>") {
		t.Errorf("no bucket: %d %s", res.StatusCode, body)
	}
	if res, _ := b.ask("GET", "http://s3.localhost:4566/bkt/none", key, nil); res.StatusCode != 404 {
		t.Errorf("by its path: %d", res.StatusCode)
	}
}
