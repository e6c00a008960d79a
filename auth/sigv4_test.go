package auth

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/fault"
)

// The published examples: "Signature Version 4 test suite" and "Examples of the
// complete signing process" (AWS General Reference), "Signature Calculations for
// the Authorization Header" and "Authenticating Requests: Using Query
// Parameters" (Amazon S3 API Reference).
const (
	s3ID     = "AKIAIOSFODNN7EXAMPLE"
	s3Secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	exID     = "AKIDEXAMPLE"
	exSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var published = []struct {
	name, method, url, body  string
	header                   map[string]string
	id, secret, service, day string
	signature                string
}{
	{"iam ListUsers", "GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", "",
		map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
		exID, exSecret, "iam", "20150830T123600Z", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
	{"get-vanilla", "GET", "https://example.amazonaws.com/", "", nil,
		exID, exSecret, "service", "20150830T123600Z", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-vanilla-query-order-key-case", "GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1", "", nil,
		exID, exSecret, "service", "20150830T123600Z", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{"get-relative", "GET", "https://example.amazonaws.com/example/..", "", nil,
		exID, exSecret, "service", "20150830T123600Z", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-slashes", "GET", "https://example.amazonaws.com//example//", "", nil,
		exID, exSecret, "service", "20150830T123600Z", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
	{"get-header-value-trim", "GET", "https://example.amazonaws.com/", "",
		map[string]string{"My-Header1": " value1", "My-Header2": " \"a   b   c\""},
		exID, exSecret, "service", "20150830T123600Z", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{"post-vanilla", "POST", "https://example.amazonaws.com/", "", nil,
		exID, exSecret, "service", "20150830T123600Z", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	{"post-x-www-form-urlencoded", "POST", "https://example.amazonaws.com/", "Param1=value1",
		map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
		exID, exSecret, "service", "20150830T123600Z", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	{"s3 GET object", "GET", "https://examplebucket.s3.amazonaws.com/test.txt", "",
		map[string]string{"Range": "bytes=0-9"},
		s3ID, s3Secret, "s3", "20130524T000000Z", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	{"s3 PUT object", "PUT", "https://examplebucket.s3.amazonaws.com/test$file.text", "Welcome to Amazon S3.",
		map[string]string{"Date": "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY"},
		s3ID, s3Secret, "s3", "20130524T000000Z", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	{"s3 GET lifecycle", "GET", "https://examplebucket.s3.amazonaws.com/?lifecycle", "", nil,
		s3ID, s3Secret, "s3", "20130524T000000Z", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	{"s3 list objects", "GET", "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", "", nil,
		s3ID, s3Secret, "s3", "20130524T000000Z", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
}

// fixedKeys is a Keys of a map: access key id to secret.
type fixedKeys map[string]string

func (k fixedKeys) Key(_ context.Context, id string) (Key, error) {
	secret, ok := k[id]
	if !ok {
		return Key{}, ErrNoKey
	}
	return Key{Secret: secret, Principal: RootOf("123456789012")}, nil
}

var testKeys = fixedKeys{s3ID: s3Secret, exID: exSecret}

func at(t *testing.T, amzDate string) time.Time {
	t.Helper()
	when, err := time.Parse(timeForm, amzDate)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func closedAt(now time.Time) *Authenticator {
	return &Authenticator{Keys: testKeys, Now: func() time.Time { return now }}
}

func newRequest(t *testing.T, method, url, body string, header map[string]string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	return r
}

func TestPublishedSignatures(t *testing.T) {
	for _, c := range published {
		t.Run(c.name, func(t *testing.T) {
			now := at(t, c.day)
			r := newRequest(t, c.method, c.url, c.body, c.header)
			Sign(r, []byte(c.body), Credentials{AccessKeyID: c.id, SecretAccessKey: c.secret}, c.service, "us-east-1", now)
			if got := r.Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+c.signature) {
				t.Fatalf("signed as %s\nwant %s", got, c.signature)
			}
			out, err := closedAt(now.Add(14*time.Minute)).Authenticate(r, c.service)
			if err != nil {
				t.Fatal(err)
			}
			if !out.Verified || out.Principal.Account != "123456789012" || out.Scope.Region != "us-east-1" || out.Principal.AccessKeyID != c.id {
				t.Fatalf("authenticated as %+v", out)
			}
			if b, err := io.ReadAll(out.Body); err != nil || string(b) != c.body {
				t.Fatalf("body %q, %v", b, err)
			}
		})
	}
}

// TestCanonicalPaths: S3 encodes once and keeps every segment, others twice.
func TestCanonicalPaths(t *testing.T) {
	for _, c := range []struct{ url, service, want string }{
		{"http://h/2015-03-31/functions/arn%3Aaws%3Alambda/invocations", "lambda", "/2015-03-31/functions/arn%253Aaws%253Alambda/invocations"},
		{"http://h/a/./b/../c", "lambda", "/a/c"},
		{"http://h/a/./b/../c", "s3", "/a/./b/../c"},
		{"http://h/b//k", "s3", "/b//k"},
		{"http://h/b/a%2Fb%20c+d=e", "s3", "/b/a%2Fb%20c%2Bd%3De"},
		{"http://h/b/%e1%88%b4", "s3", "/b/%E1%88%B4"},
		{"http://h", "s3", "/"},
	} {
		r := newRequest(t, "GET", c.url, "", nil)
		if got := canonicalPath(r.URL, c.service); got != c.want {
			t.Errorf("%s for %s: %s, want %s", c.url, c.service, got, c.want)
		}
	}
	if got := canonicalQuery("b=2&a=%20x&a=+w&flag&a=%41", false); got != "a=%20w&a=%20x&a=A&b=2&flag=" {
		t.Errorf("query: %s", got)
	}
}

func TestPublishedPresignedURL(t *testing.T) {
	now := at(t, "20130524T000000Z")
	const want = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	r := newRequest(t, "GET", "https://examplebucket.s3.amazonaws.com/test.txt", "", nil)
	u := Presign(r, Credentials{AccessKeyID: s3ID, SecretAccessKey: s3Secret}, "s3", "us-east-1", now, 24*time.Hour)
	if !strings.HasSuffix(u.String(), "&X-Amz-Signature="+want) {
		t.Fatalf("presigned as %s", u)
	}
	for _, c := range []struct {
		after time.Duration
		code  string
	}{{0, ""}, {24 * time.Hour, ""}, {24*time.Hour + time.Second, fault.AccessDenied}, {-16 * time.Minute, fault.AccessDenied}} {
		r := newRequest(t, "GET", u.String(), "", nil)
		out, err := closedAt(now.Add(c.after)).Authenticate(r, "s3")
		if c.code == "" && (err != nil || !out.Presigned) || c.code != "" && !fault.Is(err, c.code) {
			t.Errorf("after %s: %v, want %q", c.after, err, c.code)
		}
	}
}
