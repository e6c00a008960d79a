package kms

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const symmetricAlgorithm = kms.EncryptionAlgorithmSpecSymmetricDefault

// A symmetric ciphertext is: blobVersion, the key's account (12 bytes) and id (36),
// the place of the material (2), the sealed text. Older builds wrote
// oldBlobVersion, the id and the sealed text. Whoever changes the header finds
// another material, which does not open the text.
const (
	oldBlobVersion = 1
	blobVersion    = 2
	oldBlobHeader  = 1 + 36
	blobHeader     = 1 + 12 + 36 + 2
)

// blob is a symmetric ciphertext, taken apart.
type blob struct {
	key    string // id or ARN
	n      int    // place of the material
	sealed []byte
}

// of says whether the ciphertext was made under a key of the account.
func (b blob) of(account string) bool {
	return !strings.HasPrefix(b.key, "arn:") || strings.Contains(b.key, ":"+account+":")
}

func parseBlob(b []byte, region string) (blob, bool) {
	switch {
	case len(b) >= oldBlobHeader && b[0] == oldBlobVersion && arn.IsUUID(string(b[1:oldBlobHeader])):
		return blob{string(b[1:oldBlobHeader]), 0, b[oldBlobHeader:]}, true
	case len(b) >= blobHeader && b[0] == blobVersion && (arn.IsUUID(string(b[13:49])) || multiRegionID.Match(b[13:49])):
		return blob{"arn:aws:kms:" + region + ":" + string(b[1:13]) + ":key/" + string(b[13:49]), int(binary.BigEndian.Uint16(b[49:51])), b[blobHeader:]}, true
	}
	return blob{}, false
}

// purpose binds a ciphertext to its encryption context: pairs in key order,
// each text behind its length, so that no two contexts read alike.
func purpose(context map[string]string) string {
	names := make([]string, 0, len(context))
	for name := range context {
		names = append(names, name)
	}
	slices.Sort(names)
	var b []byte
	for _, name := range names {
		for _, text := range []string{name, context[name]} {
			b = binary.AppendUvarint(b, uint64(len(text)))
			b = append(b, text...)
		}
	}
	return "kms/context/" + string(b)
}

// seal encrypts under a symmetric key's newest material.
func (s *Service) seal(k *key, context map[string]string, plain []byte) ([]byte, error) {
	ring, err := s.ring(k, k.current())
	if err != nil {
		return nil, err
	}
	sealed, err := ring.Seal(purpose(context), plain)
	if err != nil {
		return nil, err
	}
	head := append([]byte{blobVersion}, k.Account+k.ID...)
	head = binary.BigEndian.AppendUint16(head, uint16(k.current())) // #nosec G115 -- a key has fewer materials
	return append(head, sealed...), nil
}

// encrypt encrypts with a key of either kind.
func (s *Service) encrypt(k *key, algorithm string, context map[string]string, plain []byte) ([]byte, error) {
	if k.symmetric() {
		return s.seal(k, context, plain)
	}
	if len(context) > 0 {
		return nil, fault.New(fault.ValidationException, "An encryption context is for symmetric encryption keys only.")
	}
	pair, err := s.pair(k)
	if err != nil {
		return nil, err
	}
	public, ok := pair.Public().(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("kms: an encryption key that is no RSA key")
	}
	h := oaepHash(algorithm)
	if most := public.Size() - 2*h.Size() - 2; len(plain) > most {
		return nil, fault.New(fault.ValidationException, "Algorithm %s and key spec %s cannot encrypt data larger than %d bytes.", algorithm, k.Spec, most)
	}
	return rsa.EncryptOAEP(h.New(), rand.Reader, public, plain, nil)
}

func oaepHash(algorithm string) crypto.Hash {
	if algorithm == kms.EncryptionAlgorithmSpecRsaesOaepSha1 {
		return crypto.SHA1
	}
	return crypto.SHA256
}

func orSymmetric(algorithm string) string {
	if algorithm == "" {
		return symmetricAlgorithm
	}
	return algorithm
}

// Encrypt encrypts up to 4,096 bytes; RSA keys less.
func (s *Service) Encrypt(ctx context.Context, in *kms.EncryptInput) (*kms.EncryptOutput, error) {
	algorithm := orSymmetric(in.EncryptionAlgorithm)
	r := request{operation: "Encrypt", context: in.EncryptionContext, algorithm: algorithm, tokens: in.GrantTokens, dryRun: in.DryRun, in: in}
	k, err := s.use(ctx, in.KeyId, kms.KeyUsageTypeEncryptDecrypt, r)
	if err != nil {
		return nil, err
	}
	if err := r.dry(); err != nil {
		return nil, err
	}
	out, err := s.encrypt(k, algorithm, in.EncryptionContext, in.Plaintext)
	if err != nil {
		return nil, err
	}
	return &kms.EncryptOutput{CiphertextBlob: out, KeyId: k.name(), EncryptionAlgorithm: algorithm}, nil
}

// Decrypt opens what Encrypt or GenerateDataKey made, in the same encryption
// context. A symmetric ciphertext names its key; a KeyId must be that one.
func (s *Service) Decrypt(ctx context.Context, in *kms.DecryptInput) (*kms.DecryptOutput, error) {
	if in.Recipient != nil {
		return nil, fault.New(fault.NotImplemented, "Decrypt with Recipient is not built")
	}
	if len(in.DryRunModifiers) > 0 {
		return nil, fault.New(fault.NotImplemented, "Decrypt with DryRunModifiers is not built")
	}
	r := request{
		operation: "Decrypt", context: in.EncryptionContext, algorithm: orSymmetric(in.EncryptionAlgorithm),
		tokens: in.GrantTokens, dryRun: in.DryRun, in: in,
	}
	plain, k, n, err := s.decrypt(ctx, in.KeyId, in.CiphertextBlob, r)
	if err != nil {
		return nil, err
	}
	out := &kms.DecryptOutput{KeyId: k.name(), Plaintext: plain, EncryptionAlgorithm: r.algorithm}
	if k.symmetric() {
		out.KeyMaterialId = k.Materials[n].ID
	}
	return out, nil
}

// decrypt opens a ciphertext, and tells the key and the place of the material
// that it was made with.
func (s *Service) decrypt(ctx context.Context, name string, ciphertext []byte, r request) ([]byte, *key, int, error) {
	if r.algorithm != symmetricAlgorithm && name != "" {
		return s.decryptPair(ctx, name, ciphertext, r)
	}
	b, ok := parseBlob(ciphertext, auth.From(ctx).Scope.Region)
	if !ok {
		return nil, nil, 0, invalidCiphertext()
	}
	k, err := s.use(ctx, b.key, kms.KeyUsageTypeEncryptDecrypt, r)
	if fault.Is(err, fault.NotFoundException) || fault.Is(err, fault.AccessDeniedException) && !b.of(auth.From(ctx).Scope.Account) {
		// Whose key it is, is nobody else's business.
		err = fault.New(fault.AccessDeniedException, "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")
	}
	if err != nil {
		return nil, nil, 0, err
	}
	if name != "" {
		if err := s.mustBe(ctx, name, k); err != nil {
			return nil, nil, 0, err
		}
	}
	if b.n >= len(k.Materials) {
		return nil, nil, 0, invalidCiphertext()
	}
	if err := r.dry(); err != nil {
		return nil, nil, 0, err
	}
	ring, err := s.ring(k, b.n)
	if err != nil {
		return nil, nil, 0, err
	}
	plain, err := ring.Open(purpose(r.context), bytes.Clone(b.sealed))
	if err != nil {
		return nil, nil, 0, invalidCiphertext()
	}
	return plain, k, b.n, nil
}

// mustBe refuses a key that the caller names but did not encrypt with.
func (s *Service) mustBe(ctx context.Context, name string, k *key) error {
	if err := s.ensureManaged(ctx, name); err != nil {
		return err
	}
	return s.cfg.Store.View(ctx, func(tx store.Tx) error {
		named, err := s.resolve(ctx, tx, name)
		if err == nil && named.path() != k.path() {
			err = fault.New(fault.IncorrectKey, "The key ID in the request does not identify a CMK that can perform this operation.")
		}
		return err
	})
}

func (s *Service) decryptPair(ctx context.Context, name string, ciphertext []byte, r request) ([]byte, *key, int, error) {
	k, err := s.use(ctx, name, kms.KeyUsageTypeEncryptDecrypt, r)
	if err != nil {
		return nil, nil, 0, err
	}
	if err := r.dry(); err != nil {
		return nil, nil, 0, err
	}
	pair, err := s.pair(k)
	if err != nil {
		return nil, nil, 0, err
	}
	private, ok := pair.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, 0, errors.New("kms: an encryption key that is no RSA key")
	}
	plain, err := rsa.DecryptOAEP(oaepHash(r.algorithm).New(), nil, private, ciphertext, nil)
	if err != nil {
		return nil, nil, 0, invalidCiphertext()
	}
	return plain, k, k.current(), nil
}

// invalidCiphertext has no message: AWS gives none.
func invalidCiphertext() error { return fault.New(fault.InvalidCiphertext, "") }

// ReEncrypt decrypts under one key and encrypts under another; the text is not
// seen outside.
func (s *Service) ReEncrypt(ctx context.Context, in *kms.ReEncryptInput) (*kms.ReEncryptOutput, error) {
	if len(in.DryRunModifiers) > 0 {
		return nil, fault.New(fault.NotImplemented, "ReEncrypt with DryRunModifiers is not built")
	}
	to := request{
		operation: "ReEncryptTo", context: in.DestinationEncryptionContext, algorithm: orSymmetric(in.DestinationEncryptionAlgorithm),
		tokens: in.GrantTokens, dryRun: in.DryRun, in: in,
	}
	from := request{
		operation: "ReEncryptFrom", context: in.SourceEncryptionContext, algorithm: orSymmetric(in.SourceEncryptionAlgorithm),
		tokens: in.GrantTokens, in: in,
	}
	plain, source, n, err := s.decrypt(ctx, in.SourceKeyId, in.CiphertextBlob, from)
	if err != nil {
		return nil, err
	}
	k, err := s.use(ctx, in.DestinationKeyId, kms.KeyUsageTypeEncryptDecrypt, to)
	if err != nil {
		return nil, err
	}
	if err := to.dry(); err != nil {
		return nil, err
	}
	sealed, err := s.encrypt(k, to.algorithm, to.context, plain)
	if err != nil {
		return nil, err
	}
	out := &kms.ReEncryptOutput{
		CiphertextBlob: sealed, SourceKeyId: source.name(), KeyId: k.name(),
		SourceEncryptionAlgorithm: from.algorithm, DestinationEncryptionAlgorithm: to.algorithm,
	}
	if source.symmetric() {
		out.SourceKeyMaterialId = source.Materials[n].ID
	}
	if k.symmetric() {
		out.DestinationKeyMaterialId = k.Materials[k.current()].ID
	}
	return out, nil
}
