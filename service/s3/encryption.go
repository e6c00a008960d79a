package s3

import (
	"context"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the header that names a customer's key is its MD5.
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"

	kmsapi "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// All content is encrypted. Beside Slipway's own key (SSE-S3) a key of KMS or of
// the customer can be asked for: content is then sealed under a secret, too, that
// only KMS or the customer can give ("Protecting data with encryption", S3 User
// Guide).
const (
	sseS3   = "AES256"
	sseKMS  = "aws:kms"
	sseDSSE = "aws:kms:dsse"
)

// encryption says what besides Slipway's own key an object is sealed under; nil
// is nothing else.
type encryption struct {
	KMS       string            `json:",omitempty"` // ARN of the key; "": a customer's key
	Wrapped   []byte            `json:",omitempty"` // the data key, encrypted
	Bound     string            `json:",omitempty"` // ARN that the data key is bound to
	Context   map[string]string `json:",omitempty"` // as the writer gave it
	BucketKey bool              `json:",omitempty"`
	MD5       string            `json:",omitempty"` // of the customer's key
	Salt      []byte            `json:",omitempty"`
	Proof     []byte            `json:",omitempty"` // of the customer's key
}

// defaultEncryption is what a bucket does to objects that ask for none.
type defaultEncryption struct{ Key string }

// customerKey is the key that a request brings, as its headers have it.
type customerKey struct{ algorithm, key, md5 string }

func (c customerKey) given() bool { return c.algorithm != "" || c.key != "" || c.md5 != "" }

// read checks the headers against each other.
func (c customerKey) read() ([]byte, error) {
	const header = "x-amz-server-side-encryption-customer-"
	bad := func(name, message string) error { return invalidArgument(header+name, "", "%s", message) }
	switch {
	case c.algorithm == "":
		return nil, bad("algorithm", "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.")
	case c.algorithm != sseS3:
		return nil, fault.New(fault.InvalidEncryptionAlgorithm, "The Encryption request you specified is not valid. Supported value: AES256.").
			With("ArgumentName", header+"algorithm").With("ArgumentValue", c.algorithm)
	case c.key == "":
		return nil, bad("key", "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.")
	case c.md5 == "":
		return nil, bad("key-MD5", "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.")
	}
	key, err := base64.StdEncoding.DecodeString(c.key)
	if err != nil || len(key) != 32 {
		return nil, bad("key", "The secret key was invalid for the specified algorithm.")
	}
	sum := md5.Sum(key) //nolint:gosec // as above
	if !hmac.Equal([]byte(base64.StdEncoding.EncodeToString(sum[:])), []byte(c.md5)) {
		return nil, bad("key-MD5", "The calculated MD5 hash of the key did not match the hash that was provided.")
	}
	return key, nil
}

func proof(salt, key []byte) []byte {
	h := hmac.New(sha256.New, salt)
	h.Write(key)
	return h.Sum(nil)
}

// protection is the encryption that a write asks for.
type protection struct {
	algorithm, key, context string
	bucketKey               *bool
	customer                customerKey
}

// check refuses what no bucket takes.
func (p protection) check() error {
	switch p.algorithm {
	case "", sseS3, sseKMS:
	case sseDSSE, "aws:fsx":
		return notBuilt("server-side encryption " + p.algorithm)
	default:
		return fault.New(fault.InvalidEncryptionAlgorithm, "The Encryption request you specified is not valid. Supported value: AES256.").
			With("ArgumentName", "x-amz-server-side-encryption").With("ArgumentValue", p.algorithm)
	}
	if p.customer.given() {
		if p.algorithm != "" || p.key != "" {
			return invalidArgument("x-amz-server-side-encryption", p.algorithm, "Server Side Encryption with Customer provided key is incompatible with the encryption method specified")
		}
		_, err := p.customer.read()
		return err
	}
	if p.algorithm != sseKMS && (p.key != "" || p.context != "") {
		return invalidArgument("x-amz-server-side-encryption", p.algorithm, "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
	}
	_, err := p.contextPairs()
	return err
}

func (p protection) contextPairs() (map[string]string, error) {
	if p.context == "" {
		return nil, nil
	}
	var pairs map[string]string
	raw, err := base64.StdEncoding.DecodeString(p.context)
	if err == nil {
		err = json.Unmarshal(raw, &pairs)
	}
	if err != nil {
		return nil, invalidArgument("x-amz-server-side-encryption-context", p.context, "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map")
	}
	return pairs, nil
}

// protect makes the encryption of a new object, and the secret to seal it under:
// what the write asks for or else the bucket's default.
func (s *Service) protect(ctx context.Context, b *bucket, key string, p protection) (*encryption, []byte, error) {
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	if p.customer.given() {
		secret, err := p.customer.read()
		if err != nil {
			return nil, nil, err
		}
		e := &encryption{MD5: p.customer.md5, Salt: make([]byte, 16)}
		_, _ = rand.Read(e.Salt) // never fails
		e.Proof = proof(e.Salt, secret)
		return e, secret, nil
	}
	name := p.key
	switch {
	case p.algorithm == sseKMS:
		if name == "" && b.Encryption != nil {
			name = b.Encryption.Key
		}
	case p.algorithm == "" && b.Encryption != nil:
		name = b.Encryption.Key
	default:
		return nil, nil, nil
	}
	return s.protectByKMS(ctx, b, key, name, p)
}

func (s *Service) protectByKMS(ctx context.Context, b *bucket, key, name string, p protection) (*encryption, []byte, error) {
	pairs, err := p.contextPairs()
	if err != nil {
		return nil, nil, err
	}
	e := &encryption{Context: pairs, BucketKey: b.BucketKey, Bound: bucketARN(b.Name)}
	if p.bucketKey != nil {
		e.BucketKey = *p.bucketKey
	}
	if !e.BucketKey {
		e.Bound += "/" + key
	}
	if name == "" {
		name = "alias/aws/s3"
	}
	if s.kms == nil {
		return nil, nil, notBuilt("server-side encryption with keys of KMS, which this server runs without")
	}
	out, err := s.kms.GenerateDataKey(kmsContext(ctx, b.Region), &kmsapi.GenerateDataKeyInput{
		KeyId: name, KeySpec: kmsapi.DataKeySpecAes256, EncryptionContext: e.boundContext(),
	})
	if err != nil {
		return nil, nil, kmsRefusal(err)
	}
	e.KMS, e.Wrapped = out.KeyId, out.CiphertextBlob
	return e, out.Plaintext, nil
}

// boundContext is the encryption context that KMS binds the data key to.
func (e *encryption) boundContext() map[string]string {
	all := map[string]string{"aws:s3:arn": e.Bound}
	maps.Copy(all, e.Context)
	return all
}

// kmsContext is the caller's context in the region where the key is.
func kmsContext(ctx context.Context, region string) context.Context {
	call := auth.From(ctx)
	call.Scope.Region, call.Token = region, ""
	return auth.With(ctx, call)
}

// kmsRefusal names KMS's refusals as S3 does.
func kmsRefusal(err error) error {
	refused, ok := fault.As(err)
	if !ok || refused.Code == fault.AccessDenied || refused.Code == fault.NotImplemented {
		return err
	}
	if refused.Code == fault.AccessDeniedException {
		return fault.New(fault.AccessDenied, "%s", refused.Message)
	}
	return fault.New("KMS."+strings.TrimPrefix(refused.Code, "KMS."), "%s", refused.Message).Because(err)
}

// secret gives what an object was sealed under beside Slipway's own key. A
// request for an object under a customer's key must bring that key, and no other
// request may bring one.
func (s *Service) secret(ctx context.Context, e *encryption, c customerKey) ([]byte, error) {
	if err := e.admits(c); err != nil || e == nil {
		return nil, err
	}
	if e.KMS == "" {
		return c.read()
	}
	if s.kms == nil {
		return nil, notBuilt("server-side encryption with keys of KMS, which this server runs without")
	}
	key, err := arn.Parse(e.KMS)
	if err != nil {
		return nil, err
	}
	out, err := s.kms.Decrypt(kmsContext(ctx, key.Region), &kmsapi.DecryptInput{
		KeyId: e.KMS, CiphertextBlob: e.Wrapped, EncryptionContext: e.boundContext(),
	})
	if err != nil {
		return nil, kmsRefusal(err)
	}
	return out.Plaintext, nil
}

// admits checks the customer's key of a request.
func (e *encryption) admits(c customerKey) error {
	customers := e != nil && e.KMS == ""
	switch {
	case !customers && c.given():
		return invalidRequest("The encryption parameters are not applicable to this object.")
	case customers && !c.given():
		return invalidRequest("The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	case !customers:
		return nil
	}
	key, err := c.read()
	if err != nil {
		return err
	}
	if !hmac.Equal(proof(e.Salt, key), e.Proof) {
		return accessDenied()
	}
	return nil
}

// shown points to the members of an output that tell the encryption.
type shown struct {
	algorithm, key, context, customerAlgorithm, customerMD5 *string
	bucketKey                                               **bool
}

func (e *encryption) show(to shown) {
	switch {
	case e == nil:
		*to.algorithm = sseS3
	case e.KMS == "":
		*to.customerAlgorithm, *to.customerMD5 = sseS3, e.MD5
	default:
		*to.algorithm, *to.key = sseKMS, e.KMS
		if e.BucketKey {
			*to.bucketKey = &e.BucketKey
		}
		if to.context != nil && len(e.Context) > 0 {
			text, _ := json.Marshal(e.Context) // a map of strings always encodes
			*to.context = base64.StdEncoding.EncodeToString(text)
		}
	}
}

// etag is the entity tag of content under the encryption. Only Slipway's own key
// leaves it the content's MD5, which would tell what is in an object.
func (e *encryption) etag(sum []byte) []byte {
	if e == nil {
		return sum
	}
	random := make([]byte, md5.Size)
	_, _ = rand.Read(random) // never fails
	return random
}
