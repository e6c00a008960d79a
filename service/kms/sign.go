package kms

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // for crypto.SHA1
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"errors"
	"hash"
	"strings"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/fault"
)

// hashOf is the digest that an algorithm's name ends with.
func hashOf(algorithm string) crypto.Hash {
	switch {
	case strings.HasSuffix(algorithm, "_224"):
		return crypto.SHA224
	case strings.HasSuffix(algorithm, "_384"):
		return crypto.SHA384
	case strings.HasSuffix(algorithm, "_512"):
		return crypto.SHA512
	}
	return crypto.SHA256
}

// digest is what is signed: the message's digest, or the message itself for
// Ed25519, which hashes in its own way.
func digest(message []byte, kind, algorithm string) ([]byte, error) {
	h := hashOf(algorithm)
	pure := algorithm == kms.SigningAlgorithmSpecEd25519Sha512
	switch {
	case kind == kms.MessageTypeExternalMu:
		return nil, fault.New(fault.ValidationException, "MessageType EXTERNAL_MU is for ML-DSA keys only.")
	case pure && kind == kms.MessageTypeDigest, algorithm == kms.SigningAlgorithmSpecEd25519PhSha512 && kind != kms.MessageTypeDigest:
		return nil, fault.New(fault.ValidationException, "MessageType %s is not valid for algorithm %s.", orRaw(kind), algorithm)
	case pure:
		return message, nil
	case kind != kms.MessageTypeDigest:
		sum := h.New()
		sum.Write(message)
		return sum.Sum(nil), nil
	case len(message) != h.Size():
		return nil, fault.New(fault.ValidationException, "Digest is invalid length for algorithm %s.", algorithm)
	}
	return message, nil
}

func orRaw(kind string) string {
	if kind == "" {
		return kms.MessageTypeRaw
	}
	return kind
}

// options tell Go's signers the algorithm.
func options(algorithm string) crypto.SignerOpts {
	h := hashOf(algorithm)
	switch {
	case strings.HasPrefix(algorithm, "RSASSA_PSS"):
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
	case algorithm == kms.SigningAlgorithmSpecEd25519PhSha512:
		return &ed25519.Options{Hash: crypto.SHA512}
	case algorithm == kms.SigningAlgorithmSpecEd25519Sha512:
		return &ed25519.Options{}
	}
	return h
}

// Sign signs a message of up to 4,096 bytes, or a digest.
func (s *Service) Sign(ctx context.Context, in *kms.SignInput) (*kms.SignOutput, error) {
	r := request{operation: "Sign", algorithm: in.SigningAlgorithm, tokens: in.GrantTokens, dryRun: in.DryRun, in: in}
	k, err := s.use(ctx, in.KeyId, kms.KeyUsageTypeSignVerify, r)
	if err != nil {
		return nil, err
	}
	sum, err := digest(in.Message, in.MessageType, in.SigningAlgorithm)
	if err != nil {
		return nil, err
	}
	if err := r.dry(); err != nil {
		return nil, err
	}
	pair, err := s.pair(k)
	if err != nil {
		return nil, err
	}
	signature, err := pair.Sign(rand.Reader, sum, options(in.SigningAlgorithm))
	if err != nil {
		return nil, err
	}
	return &kms.SignOutput{KeyId: k.name(), Signature: signature, SigningAlgorithm: in.SigningAlgorithm}, nil
}

// Verify checks a signature; a wrong one is an error.
func (s *Service) Verify(ctx context.Context, in *kms.VerifyInput) (*kms.VerifyOutput, error) {
	r := request{operation: "Verify", algorithm: in.SigningAlgorithm, tokens: in.GrantTokens, dryRun: in.DryRun, in: in}
	k, err := s.use(ctx, in.KeyId, kms.KeyUsageTypeSignVerify, r)
	if err != nil {
		return nil, err
	}
	sum, err := digest(in.Message, in.MessageType, in.SigningAlgorithm)
	if err != nil {
		return nil, err
	}
	if err := r.dry(); err != nil {
		return nil, err
	}
	pair, err := s.pair(k)
	if err != nil {
		return nil, err
	}
	if !verifies(pair.Public(), sum, in.Signature, in.SigningAlgorithm) {
		return nil, fault.New(fault.KMSInvalidSignature, "") // AWS gives no message
	}
	return &kms.VerifyOutput{KeyId: k.name(), SignatureValid: new(true), SigningAlgorithm: in.SigningAlgorithm}, nil
}

func verifies(public crypto.PublicKey, sum, signature []byte, algorithm string) bool {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if o, ok := options(algorithm).(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(public, o.Hash, sum, signature, o) == nil
		}
		return rsa.VerifyPKCS1v15(public, hashOf(algorithm), sum, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, sum, signature)
	case ed25519.PublicKey:
		o, ok := options(algorithm).(*ed25519.Options)
		return ok && ed25519.VerifyWithOptions(public, sum, signature, o) == nil
	}
	return false
}

// GetPublicKey gives a pair's public key as X.509 SubjectPublicKeyInfo.
func (s *Service) GetPublicKey(ctx context.Context, in *kms.GetPublicKeyInput) (*kms.GetPublicKeyOutput, error) {
	k, err := s.read(ctx, in.KeyId, request{operation: "GetPublicKey", tokens: in.GrantTokens, in: in})
	if err != nil {
		return nil, err
	}
	if specs[k.Spec].size > 0 {
		return nil, unsupported("%s is not an asymmetric key, which this operation needs.", k.name())
	}
	if err := k.usable(s.cfg.Now()); err != nil {
		return nil, err
	}
	pair, err := s.pair(k)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(pair.Public())
	if err != nil {
		return nil, err
	}
	m := k.metadata(s.cfg.Now())
	return &kms.GetPublicKeyOutput{
		KeyId: k.name(), PublicKey: public, CustomerMasterKeySpec: k.Spec, KeySpec: k.Spec, KeyUsage: k.Usage,
		EncryptionAlgorithms: m.EncryptionAlgorithms, SigningAlgorithms: m.SigningAlgorithms, KeyAgreementAlgorithms: m.KeyAgreementAlgorithms,
	}, nil
}

func (s *Service) mac(ctx context.Context, name string, message []byte, r request) ([]byte, *key, error) {
	k, err := s.use(ctx, name, kms.KeyUsageTypeGenerateVerifyMac, r)
	if err != nil {
		return nil, nil, err
	}
	if err := r.dry(); err != nil {
		return nil, nil, err
	}
	secret, err := s.plain(k, k.current())
	if err != nil {
		return nil, nil, err
	}
	h := hmac.New(func() hash.Hash { return hashOf(r.algorithm).New() }, secret)
	h.Write(message)
	return h.Sum(nil), k, nil
}

// GenerateMac makes a message authentication code.
func (s *Service) GenerateMac(ctx context.Context, in *kms.GenerateMacInput) (*kms.GenerateMacOutput, error) {
	mac, k, err := s.mac(ctx, in.KeyId, in.Message, request{operation: "GenerateMac", algorithm: in.MacAlgorithm, tokens: in.GrantTokens, dryRun: in.DryRun, in: in})
	if err != nil {
		return nil, err
	}
	return &kms.GenerateMacOutput{Mac: mac, MacAlgorithm: in.MacAlgorithm, KeyId: k.name()}, nil
}

// VerifyMac checks a message authentication code; a wrong one is an error.
func (s *Service) VerifyMac(ctx context.Context, in *kms.VerifyMacInput) (*kms.VerifyMacOutput, error) {
	mac, k, err := s.mac(ctx, in.KeyId, in.Message, request{operation: "VerifyMac", algorithm: in.MacAlgorithm, tokens: in.GrantTokens, dryRun: in.DryRun, in: in})
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(mac, in.Mac) {
		return nil, fault.New(fault.KMSInvalidMac, "") // AWS gives no message
	}
	return &kms.VerifyMacOutput{KeyId: k.name(), MacValid: new(true), MacAlgorithm: in.MacAlgorithm}, nil
}

// DeriveSharedSecret agrees on a secret with the holder of another key pair.
func (s *Service) DeriveSharedSecret(ctx context.Context, in *kms.DeriveSharedSecretInput) (*kms.DeriveSharedSecretOutput, error) {
	if in.Recipient != nil {
		return nil, fault.New(fault.NotImplemented, "DeriveSharedSecret with Recipient is not built")
	}
	r := request{operation: "DeriveSharedSecret", algorithm: in.KeyAgreementAlgorithm, tokens: in.GrantTokens, dryRun: in.DryRun, in: in}
	k, err := s.use(ctx, in.KeyId, kms.KeyUsageTypeKeyAgreement, r)
	if err != nil {
		return nil, err
	}
	peer, err := peerKey(in.PublicKey)
	if err != nil {
		return nil, err
	}
	pair, err := s.pair(k)
	if err != nil {
		return nil, err
	}
	own, ok := pair.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("kms: a key agreement key that is on no curve")
	}
	private, err := own.ECDH()
	if err != nil {
		return nil, err
	}
	if private.Curve() != peer.Curve() {
		return nil, fault.New(fault.ValidationException, "")
	}
	if err := r.dry(); err != nil {
		return nil, err
	}
	secret, err := private.ECDH(peer)
	if err != nil {
		return nil, fault.New(fault.ValidationException, "")
	}
	return &kms.DeriveSharedSecretOutput{
		KeyId: k.name(), SharedSecret: secret, KeyAgreementAlgorithm: in.KeyAgreementAlgorithm, KeyOrigin: k.metadata(s.cfg.Now()).Origin,
	}, nil
}

// peerKey reads the other side's public key. The error has no message: AWS
// gives none.
func peerKey(der []byte) (*ecdh.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if public, ok := parsed.(*ecdsa.PublicKey); ok && err == nil {
		if p, err := public.ECDH(); err == nil {
			return p, nil
		}
	}
	return nil, fault.New(fault.ValidationException, "")
}
