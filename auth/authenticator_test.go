package auth

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
)

var day = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func signedRequest(t *testing.T, c Credentials, service string, when time.Time) *http.Request {
	t.Helper()
	r := newRequest(t, "POST", "http://127.0.0.1:4566/", "", map[string]string{"X-Amz-Target": "AmazonSSM.GetParameter"})
	Sign(r, []byte("{}"), c, service, "eu-west-1", when)
	return r
}

func TestClosedModeRefusals(t *testing.T) {
	good := Credentials{AccessKeyID: exID, SecretAccessKey: exSecret}
	for _, c := range []struct {
		name    string
		spoil   func(r *http.Request)
		creds   Credentials
		when    time.Time
		codes   map[string]string // by service
		message string            // of sts, in part
	}{
		{name: "no signature", spoil: func(r *http.Request) { r.Header.Del("Authorization") },
			codes:   map[string]string{"sts": fault.MissingAuthToken, "ssm": fault.MissingAuthTokenException, "s3": fault.AccessDenied, "ec2": fault.MissingParameter},
			message: "Request is missing Authentication Token"},
		{name: "half a signature", spoil: func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b") },
			codes:   map[string]string{"sts": fault.IncompleteSignature, "ssm": fault.IncompleteSignatureEx, "s3": fault.AuthorizationHeaderMalform, "ec2": fault.AuthFailure},
			message: "Authorization header requires 'Signature' parameter."},
		{name: "short credential", spoil: func(r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00")
		}, codes: map[string]string{"sts": fault.IncompleteSignature}, message: "Credential must have"},
		{name: "other algorithm", spoil: func(r *http.Request) { r.Header.Set("Authorization", "AWS4-ECDSA-P256-SHA256 Credential=a") },
			codes: map[string]string{"sts": fault.IncompleteSignature}, message: "Unsupported AWS 'algorithm'"},
		{name: "unknown key", creds: Credentials{AccessKeyID: "AKIANOBODY", SecretAccessKey: "x"},
			codes:   map[string]string{"sts": fault.InvalidClientTokenID, "ssm": fault.UnrecognizedClient, "s3": fault.InvalidAccessKeyID, "ec2": fault.AuthFailure},
			message: "The security token included in the request is invalid."},
		{name: "account id for a key", creds: Credentials{AccessKeyID: "123456789012", SecretAccessKey: "x"},
			codes: map[string]string{"sts": fault.InvalidClientTokenID}},
		{name: "foreign token", creds: Credentials{AccessKeyID: exID, SecretAccessKey: exSecret, SessionToken: "IQoJ"},
			codes: map[string]string{"sts": fault.InvalidClientTokenID, "s3": fault.InvalidToken}},
		{name: "wrong secret", creds: Credentials{AccessKeyID: exID, SecretAccessKey: "wrong"},
			codes:   map[string]string{"sts": fault.SignatureDoesNotMatch, "ssm": fault.InvalidSignatureException, "s3": fault.SignatureDoesNotMatch, "ec2": fault.AuthFailure},
			message: "The request signature we calculated does not match"},
		{name: "changed body", spoil: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{ }")) },
			codes: map[string]string{"sts": fault.SignatureDoesNotMatch, "ssm": fault.InvalidSignatureException}},
		{name: "changed target", spoil: func(r *http.Request) { r.Header.Set("X-Amz-Target", "AmazonSSM.PutParameter") },
			codes: map[string]string{"sts": fault.SignatureDoesNotMatch, "s3": fault.SignatureDoesNotMatch}},
		{name: "added header", spoil: func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") },
			codes: map[string]string{"sts": fault.SignatureDoesNotMatch, "s3": fault.AccessDenied}, message: "'x-amz-acl' must be a 'SignedHeader'"},
		{name: "old", when: day.Add(-16 * time.Minute),
			codes:   map[string]string{"sts": fault.SignatureDoesNotMatch, "ssm": fault.InvalidSignatureException, "s3": fault.RequestTimeTooSkewed, "ec2": fault.RequestExpired},
			message: "Signature expired: 20261122T114400Z is now earlier than 20261122T114500Z (20261122T120000Z - 15 min.)"},
		{name: "from the future", when: day.Add(16 * time.Minute),
			codes:   map[string]string{"sts": fault.SignatureDoesNotMatch, "s3": fault.RequestTimeTooSkewed},
			message: "Signature not yet current: 20261122T121600Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for service, code := range c.codes {
				creds, when := good, day
				if c.creds.AccessKeyID != "" {
					creds = c.creds
				}
				if !c.when.IsZero() {
					when = c.when
				}
				r := signedRequest(t, creds, service, when)
				if c.spoil != nil {
					c.spoil(r)
				}
				_, err := (&Authenticator{Keys: testKeys, Sessions: NewSessions(keyring.Ephemeral()), Now: func() time.Time { return day }}).Authenticate(r, service)
				if !fault.Is(err, code) {
					t.Errorf("%s: %v, want %s", service, err, code)
				} else if service == "sts" && !strings.Contains(err.Error(), c.message) {
					t.Errorf("%s: %q lacks %q", service, err, c.message)
				}
			}
		})
	}
}

// TestSignatureIsForItsService: a signature for one service opens no other one.
func TestSignatureIsForItsService(t *testing.T) {
	for service, code := range map[string]string{
		"sts": fault.SignatureDoesNotMatch, "ssm": fault.InvalidSignatureException, "s3": fault.AuthorizationHeaderMalform, "ec2": fault.AuthFailure,
	} {
		r := signedRequest(t, Credentials{AccessKeyID: exID, SecretAccessKey: exSecret}, "sqs", day)
		_, err := (&Authenticator{Keys: testKeys, Now: func() time.Time { return day }}).Authenticate(r, service)
		if !fault.Is(err, code) || !strings.Contains(err.Error(), "Credential should be scoped to correct service: '"+service+"'.") {
			t.Errorf("%s: %v", service, err)
		}
	}
}

// TestS3StatesItsPayloadsHash: an object is never read whole to be verified.
func TestS3StatesItsPayloadsHash(t *testing.T) {
	r := newRequest(t, "PUT", "http://127.0.0.1/b/k", "", nil)
	Sign(r, []byte("hello"), Credentials{AccessKeyID: exID, SecretAccessKey: exSecret}, "s3", "us-east-1", day)
	r.Header.Del("X-Amz-Content-Sha256")
	_, err := (&Authenticator{Keys: testKeys, Now: func() time.Time { return day }}).Authenticate(r, "s3")
	if !fault.Is(err, fault.InvalidRequest) || !strings.Contains(err.Error(), "x-amz-content-sha256") {
		t.Errorf("%v", err)
	}
}

func TestPayloadHashIsCheckedAtTheEnd(t *testing.T) {
	for _, open := range []bool{false, true} {
		r := newRequest(t, "PUT", "http://127.0.0.1/b/k", "", nil)
		Sign(r, []byte("hello"), Credentials{AccessKeyID: exID, SecretAccessKey: exSecret}, "s3", "us-east-1", day)
		r.Body = io.NopCloser(strings.NewReader("hellO"))
		out, err := (&Authenticator{Open: open, Keys: testKeys, Now: func() time.Time { return day }}).Authenticate(r, "s3")
		if err != nil {
			t.Fatal(err)
		}
		// A reader that stops at the content length still has the answer.
		if _, err := io.ReadFull(out.Body, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Body.Read(make([]byte, 1)); !fault.Is(err, fault.ContentSHA256Mismatch) {
			t.Fatalf("open %v: %v", open, err)
		}
	}
	r := newRequest(t, "PUT", "http://127.0.0.1/b/k", "", map[string]string{"X-Amz-Content-Sha256": "none"})
	if _, err := (&Authenticator{Open: true}).Authenticate(r, "s3"); !fault.Is(err, fault.InvalidArgument) {
		t.Fatalf("an unknown payload hash: %v", err)
	}
}

func TestOpenModeLetsIn(t *testing.T) {
	for _, c := range []struct {
		name   string
		header string
		want   arn.Scope
	}{
		{"unsigned", "", arn.Scope{Account: "000000000000", Region: "us-east-1"}},
		{"any key", "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=00", arn.Scope{Account: "000000000000", Region: "eu-west-1"}},
		{"account", "AWS4-HMAC-SHA256 Credential=123456789012/20260101/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=00", arn.Scope{Account: "123456789012", Region: "eu-west-1"}},
		{"broken", "AWS4-HMAC-SHA256 nonsense", arn.Scope{Account: "000000000000", Region: "us-east-1"}},
		{"bearer", "Bearer x", arn.Scope{Account: "000000000000", Region: "us-east-1"}},
	} {
		r := newRequest(t, "POST", "http://127.0.0.1/", "x", map[string]string{"X-Amz-Date": "20260101T000000Z"})
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		out, err := (&Authenticator{Open: true, Keys: testKeys, Sessions: NewSessions(keyring.Ephemeral())}).Authenticate(r, "sqs")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if out.Scope != c.want || out.Verified || out.Principal.Kind != Root || out.Principal.ARN != "arn:aws:iam::"+c.want.Account+":root" {
			t.Errorf("%s: %+v", c.name, out)
		}
	}
}

// TestIssuedKeysAreVerifiedInOpenMode: who holds a session is its role, and no
// one else can be.
func TestIssuedKeysAreVerifiedInOpenMode(t *testing.T) {
	sessions := NewSessions(keyring.Ephemeral())
	role := Principal{Kind: AssumedRole, Account: "123456789012", ARN: "arn:aws:sts::123456789012:assumed-role/r/s", UserID: "AROAX:s", Name: "r"}
	creds, err := sessions.Issue(role, time.Hour, day)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(creds.AccessKeyID, "ASIA") || len(creds.AccessKeyID) != 20 || len(creds.SecretAccessKey) != 40 {
		t.Fatalf("credentials %+v", creds)
	}
	spoilt := creds
	spoilt.SecretAccessKey = "no"
	other, err := sessions.Issue(role, time.Hour, day)
	if err != nil {
		t.Fatal(err)
	}
	swapped := creds
	swapped.AccessKeyID = other.AccessKeyID
	for _, c := range []struct {
		name  string
		creds Credentials
		after time.Duration
		code  string
		kind  Kind // where it is let in
	}{
		{"session", creds, 59 * time.Minute, "", AssumedRole},
		{"wrong secret", spoilt, 0, fault.SignatureDoesNotMatch, ""},
		{"expired", creds, time.Hour, fault.ExpiredToken, ""},
		{"token of another key", swapped, 0, "", Root},
		{"AWS's own session", Credentials{AccessKeyID: "ASIAIOSFODNN7EXAMPLE", SecretAccessKey: "x", SessionToken: "IQoJ"}, 0, "", Root},
		{"user's key, wrong secret", Credentials{AccessKeyID: exID, SecretAccessKey: "x"}, 0, fault.SignatureDoesNotMatch, ""},
	} {
		now := day.Add(c.after)
		a := &Authenticator{Open: true, Keys: testKeys, Sessions: sessions, Now: func() time.Time { return now }}
		out, err := a.Authenticate(signedRequest(t, c.creds, "sqs", now), "sqs")
		if c.code != "" {
			if !fault.Is(err, c.code) {
				t.Errorf("%s: %v, want %s", c.name, err, c.code)
			}
			continue
		}
		if err != nil || out.Principal.Kind != c.kind || out.Verified != (c.kind == AssumedRole) {
			t.Errorf("%s: %+v, %v", c.name, out, err)
		}
	}
	// A restart with the same master key changes nothing; another key does.
	if _, err := NewSessions(keyring.Ephemeral()).open(creds.AccessKeyID, creds.SessionToken, day); !errors.Is(err, errForeignToken) {
		t.Errorf("another ring opened the token: %v", err)
	}
}

func TestPresignedWithSessionToken(t *testing.T) {
	sessions := NewSessions(keyring.Ephemeral())
	creds, err := sessions.Issue(RootOf("123456789012"), time.Hour, day)
	if err != nil {
		t.Fatal(err)
	}
	u := Presign(newRequest(t, "PUT", "http://127.0.0.1:4566/b/a%20b?x-id=PutObject", "", nil), creds, "s3", "us-east-1", day, time.Minute)
	a := &Authenticator{Sessions: sessions, Now: func() time.Time { return day }}
	out, err := a.Authenticate(newRequest(t, "PUT", u.String(), "data", nil), "s3")
	if err != nil || !out.Presigned || out.Principal.Account != "123456789012" {
		t.Fatalf("%+v, %v", out, err)
	}
	_, err = a.Authenticate(newRequest(t, "GET", u.String(), "", nil), "s3")
	if !fault.Is(err, fault.SignatureDoesNotMatch) {
		t.Fatalf("another method: %v", err)
	}
	for _, bad := range []string{"X-Amz-Expires=604801", "X-Amz-Expires=-1", "X-Amz-Expires=x", "X-Amz-Signature="} {
		name, _, _ := strings.Cut(bad, "=")
		q := u.Query()
		q.Set(name, strings.TrimPrefix(bad, name+"="))
		spoilt := *u
		spoilt.RawQuery = q.Encode()
		if _, err := a.Authenticate(newRequest(t, "PUT", spoilt.String(), "", nil), "s3"); !fault.Is(err, fault.AuthorizationQueryMalformed) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestSignatureVersion2 is what boto3 puts into presigned URLs by default: let
// in where nothing is verified, refused plainly where it would have to be.
func TestSignatureVersion2(t *testing.T) {
	url := "http://127.0.0.1:4566/b/k?AWSAccessKeyId=123456789012&Signature=x%3D&Expires="
	live, dead := url+"1795348860", url+"1795348799"
	now := func() time.Time { return day }
	if service, _, ok := SignatureScope(newRequest(t, "GET", live, "", nil)); !ok || service != "s3" {
		t.Errorf("scope %s, %v", service, ok)
	}
	out, err := (&Authenticator{Open: true, Now: now}).Authenticate(newRequest(t, "GET", live, "", nil), "s3")
	if err != nil || out.Scope.Account != "123456789012" || out.Verified || !out.Presigned {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := (&Authenticator{Open: true, Now: now}).Authenticate(newRequest(t, "GET", dead, "", nil), "s3"); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("expired: %v", err)
	}
	for _, r := range []*http.Request{newRequest(t, "GET", live, "", nil), newRequest(t, "GET", "http://h/", "", map[string]string{"Authorization": "AWS AKID:sig="})} {
		if _, err := (&Authenticator{Keys: testKeys, Now: now}).Authenticate(r, "s3"); !fault.Is(err, fault.InvalidRequest) {
			t.Errorf("closed: %v", err)
		}
	}
}

func TestSignatureScope(t *testing.T) {
	r := signedRequest(t, Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, "monitoring", day)
	if service, region, ok := SignatureScope(r); service != "monitoring" || region != "eu-west-1" || !ok {
		t.Errorf("%s %s %v", service, region, ok)
	}
	if _, _, ok := SignatureScope(newRequest(t, "GET", "http://h/", "", nil)); ok {
		t.Error("a scope without a signature")
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	r, err := http.NewRequest("POST", "http://127.0.0.1:4566/", nil)
	if err != nil {
		b.Fatal(err)
	}
	Sign(r, nil, Credentials{AccessKeyID: exID, SecretAccessKey: exSecret}, "sqs", "us-east-1", day)
	a := &Authenticator{Keys: testKeys, Now: func() time.Time { return day }}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(r, "sqs"); err != nil {
			b.Fatal(err)
		}
	}
}
