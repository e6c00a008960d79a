package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
)

// Form is the signature of a form that a browser posts to S3 ("Authenticating
// Requests: Browser-Based Uploads Using POST", Amazon S3 API Reference). What is
// signed is the policy, in base64.
type Form struct {
	Policy     string
	Algorithm  string
	Credential string // access key id/date/region/s3/aws4_request
	Signature  string
	Token      string
	LegacyKey  string // access key id of Signature Version 2, which is not verified
}

// signed reports whether the form has a signature at all.
func (f Form) signed() bool { return f.Credential != "" || f.Signature != "" || f.LegacyKey != "" }

// AuthenticateForm says who sent a form. In closed mode one without a signature
// comes from nobody in particular; what it may do is the bucket's to say.
func (a *Authenticator) AuthenticateForm(ctx context.Context, f Form) (Authenticated, error) {
	anybody := Authenticated{
		Principal: Principal{Kind: Anonymous}, Scope: arn.Scope{Account: arn.DefaultAccount, Region: arn.DefaultRegion}, Service: "s3",
	}
	if !f.signed() {
		if a.Open {
			anybody.Principal = RootOf(arn.DefaultAccount)
		}
		return anybody, nil
	}
	parts := strings.Split(f.Credential, "/")
	if len(parts) != 5 {
		if !a.Open || f.LegacyKey == "" {
			return Authenticated{}, unsupported()
		}
		parts = []string{f.LegacyKey, "", arn.DefaultRegion, "s3", "aws4_request"}
	}
	s := &signature{claim: &claim{accessKeyID: parts[0], date: parts[1], region: parts[2], service: parts[3]}, token: f.Token, value: f.Signature}
	key, err := a.key(ctx, s)
	switch {
	case err == nil:
	case errors.Is(err, errExpired):
		return Authenticated{}, expiredToken("s3")
	case (errors.Is(err, errForeignToken) || errors.Is(err, ErrNoKey)) && a.Open:
		account := arn.DefaultAccount
		if arn.IsAccount(s.accessKeyID) {
			account = s.accessKeyID
		}
		anybody.Principal = RootOf(account)
		anybody.Principal.AccessKeyID = s.accessKeyID
		anybody.Scope = arn.Scope{Account: account, Region: s.region}
		return anybody, nil
	case errors.Is(err, errForeignToken):
		return Authenticated{}, badToken("s3")
	case errors.Is(err, ErrNoKey):
		return Authenticated{}, unknownKey("s3", s.accessKeyID)
	default:
		return Authenticated{}, err
	}
	if f.Algorithm != algorithm || s.service != "s3" || parts[4] != "aws4_request" {
		return Authenticated{}, unsupported()
	}
	secret := []byte("AWS4" + key.Secret)
	for _, part := range []string{s.date, s.region, s.service, parts[4]} {
		secret = sum(secret, part)
	}
	if !sameText(hexSum(secret, f.Policy), f.Signature) {
		return Authenticated{}, fault.New(fault.SignatureDoesNotMatch, "The request signature we calculated does not match the signature you provided. Check your key and signing method.").
			With("AWSAccessKeyId", s.accessKeyID).With("SignatureProvided", f.Signature).With("StringToSign", f.Policy)
	}
	p := key.Principal
	p.AccessKeyID = s.accessKeyID
	return Authenticated{
		Principal: p, Scope: arn.Scope{Account: p.Account, Region: s.region}, Service: "s3", Verified: true,
		Signature: Signature{Type: "POST"},
	}, nil
}

// Unsigned reports whether a request carries nothing that says who sent it.
func Unsigned(r *http.Request) bool {
	if r.Header.Get("Authorization") != "" {
		return false
	}
	s, err := parseSignature(r)
	return s == nil && err == nil
}

// Nobody is who sends a request without a signature, where the resource itself
// says what anybody may do.
func Nobody(r *http.Request) Authenticated {
	out := Authenticated{
		Principal: Principal{Kind: Anonymous}, Scope: arn.Scope{Account: arn.DefaultAccount, Region: arn.DefaultRegion},
		Body: r.Body, ContentLength: r.ContentLength,
	}
	if out.Body == nil {
		out.Body = http.NoBody
	}
	return out
}
