package auth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
)

// Authenticator says who makes a request.
//
// In open mode any signature is let in, and none at all: an access key id of 12
// digits names its account, any other is account 000000000000. Keys that
// Slipway itself issued (sessions, IAM users' keys) are verified all the same,
// so that roles work on a laptop as they do elsewhere. In closed mode every
// request must carry a signature that verifies.
type Authenticator struct {
	Open     bool
	Keys     Keys      // root and IAM users' keys; nil: none
	Sessions *Sessions // nil: none are verified
	Now      func() time.Time
	// MaxBody bounds a body that must be read whole to be verified (bytes); 0
	// is 70 MiB, enough for the largest of the JSON and Query services.
	MaxBody int64

	signing signingKeys
	claims  claims
}

// Authenticated is what a request proved.
type Authenticated struct {
	Principal Principal
	Scope     arn.Scope // the principal's account, the signature's region
	// Service is the signature's service name ("s3"), or "".
	Service   string
	Presigned bool
	Signature Signature // the zero value without one
	// Verified is false where open mode let the request in as it came.
	Verified bool
	// Body takes the request body's place: aws-chunked is decoded, and the
	// payload's hash, chunk signatures and checksum trailer are checked by the
	// time that Read returns io.EOF. A failed check is a *fault.Error of Read,
	// so take nothing for good before io.EOF.
	Body io.ReadCloser
	// ContentLength is the length of Body in bytes, -1 where it is not known.
	ContentLength int64
	// Trailer, filled at io.EOF, holds an aws-chunked body's trailers.
	Trailer http.Header
}

const defaultMaxBody = 70 << 20

// Authenticate reads and, as the mode demands, verifies the signature of a
// request for a service, by its signing name ("s3", "sqs"). Refusals are
// *fault.Error in the form of that service. It reads the body only where the
// signature covers a hash that no header tells. The caller goes on with
// Authenticated.Body in place of r.Body.
func (a *Authenticator) Authenticate(r *http.Request, service string) (Authenticated, error) {
	s, err := a.parse(r)
	if err != nil {
		if !a.Open {
			return Authenticated{}, unreadable(service, r.Header.Get("Authorization") == "", err)
		}
		s = nil
	}
	if s == nil {
		if !a.Open {
			return Authenticated{}, missingToken(service)
		}
		return a.letIn(r, nil)
	}
	if s.legacy {
		if !a.Open {
			return Authenticated{}, unsupported()
		}
		return a.letIn(r, s)
	}
	key, err := a.key(r.Context(), s)
	switch {
	case err == nil:
		return a.verify(r, service, s, key)
	case errors.Is(err, errExpired):
		return Authenticated{}, expiredToken(service)
	case errors.Is(err, errForeignToken) || errors.Is(err, ErrNoKey):
		if a.Open {
			return a.letIn(r, s)
		}
		if s.token != "" {
			return Authenticated{}, badToken(service)
		}
		return Authenticated{}, unknownKey(service, s.accessKeyID)
	}
	return Authenticated{}, err
}

// parse is parseSignature of a claim that was verified before, mostly.
func (a *Authenticator) parse(r *http.Request) (*signature, error) {
	text, value, ok := claimText(first(r.Header, "Authorization"))
	if !ok || r.URL.RawQuery != "" {
		return parseSignature(r)
	}
	if known := a.claims.get(text); known != nil {
		s := &signature{claim: known, value: value, token: first(r.Header, "X-Amz-Security-Token")}
		if err := s.takeDate(r); err != nil {
			return nil, err
		}
		return s, s.setTime()
	}
	s, err := parseSignature(r)
	if s != nil {
		s.text = text
	}
	return s, err
}

// key finds the secret and the principal behind an access key id.
func (a *Authenticator) key(ctx context.Context, s *signature) (Key, error) {
	if s.token != "" {
		if a.Sessions == nil {
			return Key{}, errForeignToken
		}
		return a.Sessions.open(s.accessKeyID, s.token, a.now())
	}
	if a.Keys == nil || arn.IsAccount(s.accessKeyID) {
		return Key{}, ErrNoKey
	}
	return a.Keys.Key(ctx, s.accessKeyID)
}

func (a *Authenticator) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// letIn takes an unverified caller for the root of the account that it names.
func (a *Authenticator) letIn(r *http.Request, s *signature) (Authenticated, error) {
	scope := arn.Scope{Account: arn.DefaultAccount, Region: arn.DefaultRegion}
	out := Authenticated{}
	accessKeyID, hash := "", payloadHash(r)
	if s != nil {
		accessKeyID = s.accessKeyID
		scope.Region = s.region
		out.Service, out.Presigned, out.Signature = s.service, s.presigned, s.told(hash)
		if arn.IsAccount(accessKeyID) {
			scope.Account = accessKeyID
		}
		if s.presigned {
			// An open door is no reason for a URL to live on for ever.
			if err := checkTime(s.service, s, a.now()); err != nil {
				return Authenticated{}, err
			}
		}
	}
	out.Scope = scope
	out.Principal = RootOf(scope.Account)
	out.Principal.AccessKeyID = accessKeyID
	return out, out.setBody(r, hash, nil)
}

// RootOf is the principal that an account's root user is.
func RootOf(account string) Principal {
	return Principal{
		Kind: Root, Account: account, UserID: account,
		ARN: arn.ARN{Service: "iam", Account: account, Resource: "root"}.String(),
	}
}

func (a *Authenticator) verify(r *http.Request, service string, s *signature, key Key) (Authenticated, error) {
	if s.service != service {
		return Authenticated{}, otherService(service)
	}
	if name := s.unsignedHeader(r); name != "" {
		return Authenticated{}, unsignedHeader(service, name)
	}
	if err := checkTime(service, s, a.now()); err != nil {
		return Authenticated{}, err
	}
	hash := payloadHash(r)
	signedHash := hash
	if hash == "" {
		switch {
		case s.presigned && isS3(s.service):
			signedHash = unsignedPayload
		case isS3(s.service):
			// Without it an object of any size would have to be read to be verified.
			return Authenticated{}, fault.New(fault.InvalidRequest, "Missing required header for this request: x-amz-content-sha256")
		default:
			var err error
			if signedHash, err = a.readWhole(r); err != nil {
				return Authenticated{}, err
			}
		}
	}
	signing := s.key(&a.signing, key.Secret)
	t := textsPool.Get().(*texts)
	defer t.free()
	if !hmac.Equal(t.signatureOf(r, signing, s.claim, s.amzDate, s.presigned, signedHash), []byte(s.value)) {
		return Authenticated{}, mismatch(service, s.accessKeyID, &signed{string(t.toSign), string(t.canonical), s.value})
	}
	if s.text != "" {
		a.claims.keep(s.text, s.claim)
	}
	p := key.Principal
	p.AccessKeyID = s.accessKeyID
	out := Authenticated{
		Principal: p, Scope: arn.Scope{Account: p.Account, Region: s.region},
		Service: s.service, Presigned: s.presigned, Signature: s.told(hash), Verified: true,
	}
	var chain *chunkChain
	if strings.HasPrefix(hash, "STREAMING-") {
		chain = &chunkChain{key: signing.key, amzDate: s.amzDate, scope: s.scope, previous: s.value, accessKeyID: s.accessKeyID}
	}
	return out, out.setBody(r, hash, chain)
}

// payloadHash is the hash that the request states, or "".
func payloadHash(r *http.Request) string {
	if h := first(r.Header, "X-Amz-Content-Sha256"); h != "" {
		return h
	}
	if !strings.Contains(r.URL.RawQuery, "X-Amz-Content-Sha256=") {
		return ""
	}
	return r.URL.Query().Get("X-Amz-Content-Sha256")
}

// readWhole hashes a body whose hash no header tells, and puts it back.
func (a *Authenticator) readWhole(r *http.Request) (string, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return emptyHash, nil
	}
	limit := a.MaxBody
	if limit == 0 {
		limit = defaultMaxBody
	}
	if r.ContentLength > limit {
		return "", bodyTooLarge()
	}
	room := int64(bytes.MinRead)
	if r.ContentLength > 0 {
		room = min(r.ContentLength, maxGrow) + 1 // the end comes with the last byte, or after it
	}
	b := make([]byte, 0, room)
	for {
		n, err := r.Body.Read(b[len(b):min(int64(cap(b)), limit+1)])
		if b = b[:len(b)+n]; int64(len(b)) > limit {
			return "", bodyTooLarge()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b))
		}
	}
	r.Body = &wholeBody{Reader: *bytes.NewReader(b), Closer: r.Body, all: b}
	return hexHash(b), nil
}

// maxGrow bounds the room made for a body on the word of its length alone.
const maxGrow = 1 << 20

// wholeBody is a body that was read already.
type wholeBody struct {
	bytes.Reader
	io.Closer
	all []byte
}

// Bytes is all of it, for those who would read it into memory once more.
func (b *wholeBody) Bytes() []byte { return b.all }

// setBody wraps the body in the checks that its stated hash asks for. chain is
// nil for callers who were let in unverified.
func (out *Authenticated) setBody(r *http.Request, hash string, chain *chunkChain) error {
	out.ContentLength = r.ContentLength
	out.Body = r.Body
	if out.Body == nil {
		out.Body = http.NoBody
	}
	switch hash {
	case "", unsignedPayload:
	case streamingSigned, streamingTrailer, unsignedTrailer:
		body, err := newChunkedBody(r, hash, chain)
		if err != nil {
			return err
		}
		out.Body, out.ContentLength, out.Trailer = body, body.decoded, body.trailer
	default:
		if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size {
			return fault.New(fault.InvalidArgument, "x-amz-content-sha256 must be %s, %s, %s, %s, or a valid sha256 value.",
				unsignedPayload, unsignedTrailer, streamingSigned, streamingTrailer)
		}
		out.Body = newHashedBody(out.Body, strings.ToLower(hash), r.ContentLength)
	}
	return nil
}
