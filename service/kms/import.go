package kms

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// importLife is how long the parameters of an import hold.
const importLife = 24 * time.Hour

// importToken is what an import token says, sealed: the pair whose public key
// the caller wraps the material with is kept nowhere else.
type importToken struct {
	Key       string // path
	Algorithm string
	Private   []byte // PKCS #8
	Until     time.Time
}

const importPurpose = "kms/import"

// imports refuses keys whose material is not imported.
func (k *key) imports() error {
	if !k.External {
		return unsupported("%s origin is AWS_KMS which is not valid for this operation.", k.name())
	}
	return k.alive()
}

// GetParametersForImport gives a public key to wrap key material with.
func (s *Service) GetParametersForImport(ctx context.Context, in *kms.GetParametersForImportInput) (*kms.GetParametersForImportOutput, error) {
	k, err := s.read(ctx, in.KeyId, request{operation: "GetParametersForImport", in: in})
	if err != nil {
		return nil, err
	}
	if err := k.imports(); err != nil {
		return nil, err
	}
	switch {
	case in.WrappingKeySpec == kms.WrappingKeySpecSm2 || in.WrappingAlgorithm == kms.AlgorithmSpecSm2pke:
		return nil, fault.New(fault.NotImplemented, "GetParametersForImport with SM2 is not built")
	case in.WrappingAlgorithm == kms.AlgorithmSpecRsaesPkcs1V15:
		return nil, unsupported("The wrapping algorithm RSAES_PKCS1_V1_5 is no longer supported.")
	}
	private, err := generate(in.WrappingKeySpec)
	if err != nil {
		return nil, err
	}
	pair, err := parsePair(private)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(pair.Public())
	if err != nil {
		return nil, err
	}
	until := s.cfg.Now().UTC().Add(importLife)
	token, err := json.Marshal(importToken{k.path(), in.WrappingAlgorithm, private, until})
	if err != nil {
		return nil, err
	}
	sealed, err := s.cfg.Ring.Seal(importPurpose, token)
	if err != nil {
		return nil, err
	}
	return &kms.GetParametersForImportOutput{KeyId: k.name(), ImportToken: sealed, PublicKey: public, ParametersValidTo: &until}, nil
}

// unwrap opens the material of an import.
func (s *Service) unwrap(k *key, in *kms.ImportKeyMaterialInput) ([]byte, error) {
	var t importToken
	text, err := s.cfg.Ring.Open(importPurpose, in.ImportToken)
	if err != nil || json.Unmarshal(text, &t) != nil || t.Key != k.path() {
		return nil, fault.New(fault.InvalidImportToken, "")
	}
	if !s.cfg.Now().Before(t.Until) {
		return nil, fault.New(fault.ExpiredImportToken, "")
	}
	pair, err := parsePair(t.Private)
	if err != nil {
		return nil, err
	}
	private, ok := pair.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("kms: an import token without an RSA key")
	}
	h, wrapped, rest := crypto.SHA256, in.EncryptedKeyMaterial, []byte(nil)
	if t.Algorithm == kms.AlgorithmSpecRsaesOaepSha1 || t.Algorithm == kms.AlgorithmSpecRsaAesKeyWrapSha1 {
		h = crypto.SHA1
	}
	hybrid := t.Algorithm == kms.AlgorithmSpecRsaAesKeyWrapSha1 || t.Algorithm == kms.AlgorithmSpecRsaAesKeyWrapSha256
	if n := private.Size(); hybrid && len(wrapped) > n {
		wrapped, rest = wrapped[:n], wrapped[n:]
	}
	plain, err := rsa.DecryptOAEP(h.New(), nil, private, wrapped, nil)
	if err == nil && hybrid {
		plain, err = unwrapPadded(plain, rest)
	}
	if err != nil {
		return nil, fault.New(fault.InvalidCiphertext, "")
	}
	return plain, k.fits(plain)
}

// fits refuses material that is none for the key's spec.
func (k *key) fits(plain []byte) error {
	bad := fault.New(fault.IncorrectKeyMaterial, "The key material is not valid for key spec %s.", k.Spec)
	if n := specs[k.Spec].size; n > 0 {
		if len(plain) != n {
			return bad
		}
		return nil
	}
	pair, err := parsePair(plain)
	if err != nil {
		return bad
	}
	switch p := pair.(type) {
	case *rsa.PrivateKey:
		if p.N.BitLen() == bits[k.Spec] {
			return nil
		}
	case *ecdsa.PrivateKey:
		if p.Curve == curves[k.Spec] {
			return nil
		}
	case ed25519.PrivateKey:
		if k.Spec == kms.KeySpecEccNistEdwards25519 {
			return nil
		}
	}
	return bad
}

// ImportKeyMaterial gives a key the material that the caller brings. A key that
// had material takes only the same again.
func (s *Service) ImportKeyMaterial(ctx context.Context, in *kms.ImportKeyMaterialInput) (*kms.ImportKeyMaterialOutput, error) {
	expires := in.ExpirationModel != kms.ExpirationModelTypeKeyMaterialDoesNotExpire
	switch now := s.cfg.Now(); {
	case expires && in.ValidTo == nil:
		return nil, fault.New(fault.ValidationException, "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
	case expires && !in.ValidTo.After(now):
		return nil, fault.New(fault.ValidationException, "The validTo date must be in the future.")
	case !expires && in.ValidTo != nil:
		return nil, fault.New(fault.ValidationException, "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE")
	}
	out := &kms.ImportKeyMaterialOutput{}
	_, err := s.change(ctx, in.KeyId, request{operation: "ImportKeyMaterial", in: in}, func(_ store.Tx, k *key) error {
		if err := k.imports(); err != nil {
			return err
		}
		plain, err := s.unwrap(k, in)
		if err != nil {
			return err
		}
		m := material{Begun: s.cfg.Now().UTC(), Description: in.KeyMaterialDescription, ValidTo: in.ValidTo}
		out.KeyId = k.name()
		if k.symmetric() {
			out.KeyMaterialId = materialID(k.ID, plain)
		}
		if len(k.Materials) == 0 {
			return s.add(k, plain, m)
		}
		had := k.Materials[0]
		if subtle.ConstantTimeCompare([]byte(had.ID), []byte(materialID(k.ID, plain))) != 1 {
			if in.ImportType == kms.ImportTypeNewKeyMaterial {
				return fault.New(fault.NotImplemented, "ImportKeyMaterial: new material for the rotation of an imported key is not built")
			}
			return fault.New(fault.IncorrectKeyMaterial, "")
		}
		k.Materials = nil
		m.Begun = had.Begun
		return s.add(k, plain, m)
	})
	return either(out, err)
}

// DeleteImportedKeyMaterial takes the material away; the same can be imported
// again.
func (s *Service) DeleteImportedKeyMaterial(ctx context.Context, in *kms.DeleteImportedKeyMaterialInput) (*kms.DeleteImportedKeyMaterialOutput, error) {
	out := &kms.DeleteImportedKeyMaterialOutput{}
	_, err := s.change(ctx, in.KeyId, request{operation: "DeleteImportedKeyMaterial", in: in}, func(_ store.Tx, k *key) error {
		if err := k.imports(); err != nil {
			return err
		}
		out.KeyId = k.name()
		if len(k.Materials) == 0 {
			return nil
		}
		if in.KeyMaterialId != "" && in.KeyMaterialId != k.Materials[0].ID {
			return fault.New(fault.NotFoundException, "Key material %s does not exist", in.KeyMaterialId)
		}
		if k.symmetric() {
			out.KeyMaterialId = k.Materials[0].ID
		}
		k.Materials[0].Sealed = nil
		return nil
	})
	return either(out, err)
}

// outlived says whether there is imported material left that has expired.
func (k *key) outlived(now time.Time) bool {
	for _, m := range k.Materials {
		if m.Sealed != nil && m.ValidTo != nil && !now.Before(*m.ValidTo) {
			return true
		}
	}
	return false
}

// expunge removes imported material that has expired.
func (s *Service) expunge(tx store.Tx, path string) error {
	k, err := s.load(tx, path)
	if err != nil {
		return ignoreMissing(err)
	}
	if !k.outlived(s.cfg.Now()) {
		return nil
	}
	for i := range k.Materials {
		k.Materials[i].Sealed = nil
	}
	return s.keys.Put(tx, path, k)
}

// imported completes what ListKeyRotations tells of imported material.
func (k *key) imported(m *material, e *kms.RotationsListEntry, now time.Time) {
	e.ImportState, e.ExpirationModel = kms.ImportStateImported, kms.ExpirationModelTypeKeyMaterialDoesNotExpire
	if m.ValidTo != nil {
		e.ExpirationModel = kms.ExpirationModelTypeKeyMaterialExpires
	}
	if !k.hasMaterial(now) {
		e.ImportState = kms.ImportStatePendingImport
	}
}

var errUnwrap = errors.New("kms: the wrapped key does not open")

// unwrapPadded is AES key unwrap with padding (RFC 5649).
func unwrapPadded(kek, wrapped []byte) ([]byte, error) {
	if len(wrapped) < 16 || len(wrapped)%8 != 0 {
		return nil, errUnwrap
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, errUnwrap
	}
	n := len(wrapped)/8 - 1
	out := make([]byte, len(wrapped))
	copy(out, wrapped)
	var b [16]byte
	if n == 1 {
		block.Decrypt(out, wrapped)
	} else {
		copy(b[:8], out[:8])
		for t := 6 * n; t > 0; t-- {
			i := (t-1)%n + 1
			binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^uint64(t)) // #nosec G115 -- positive
			copy(b[8:], out[8*i:])
			block.Decrypt(b[:], b[:])
			copy(out[8*i:8*i+8], b[8:])
		}
		copy(out[:8], b[:8])
	}
	size := int(binary.BigEndian.Uint32(out[4:8]))
	if subtle.ConstantTimeCompare(out[:4], []byte{0xa6, 0x59, 0x59, 0xa6}) != 1 || size > 8*n || size <= 8*(n-1) {
		return nil, errUnwrap
	}
	for _, pad := range out[8+size:] {
		if pad != 0 {
			return nil, errUnwrap
		}
	}
	return out[8 : 8+size], nil
}
