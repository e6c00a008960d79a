package kms

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"slices"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// A ciphertext is: blobVersion, the key's id (36 bytes), the sealed text.
const (
	blobVersion = 1
	blobHeader  = 1 + 36
)

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

// ring opens a key's material.
func (s *Service) ring(k *key) (*keyring.Ring, error) {
	material, err := s.cfg.Ring.Open("kms/key/"+k.ID, k.Material)
	if err != nil {
		return nil, err
	}
	return keyring.New(material)
}

// usableKey finds a key that may encrypt and decrypt now.
func (s *Service) usableKey(ctx context.Context, name string) (k *key, err error) {
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		if k, err = s.resolve(ctx, tx, name); err != nil {
			return err
		}
		return k.usable(s.cfg.Now())
	})
	return k, err
}

func (s *Service) seal(k *key, context map[string]string, plain []byte) ([]byte, error) {
	ring, err := s.ring(k)
	if err != nil {
		return nil, err
	}
	sealed, err := ring.Seal(purpose(context), plain)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte{blobVersion}, []byte(k.ID), sealed), nil
}

// checkCall refuses what the calls on symmetric keys do not have here, and
// answers a dry run that would have succeeded.
func checkCall(algorithm string, grants []string, dryRun *bool) error {
	switch {
	case algorithm != "" && algorithm != kms.EncryptionAlgorithmSpecSymmetricDefault:
		return fault.New(fault.InvalidKeyUsage, "Algorithm %s is incompatible with key spec SYMMETRIC_DEFAULT.", algorithm)
	case len(grants) > 0:
		return fault.New(fault.NotImplemented, "grant tokens are not built yet")
	case dryRun != nil && *dryRun:
		return fault.New(fault.DryRunOperationException, "The request would have succeeded, but the DryRun option is set.")
	}
	return nil
}

// Encrypt encrypts up to 4,096 bytes.
func (s *Service) Encrypt(ctx context.Context, in *kms.EncryptInput) (*kms.EncryptOutput, error) {
	k, err := s.usableKey(ctx, in.KeyId)
	if err != nil {
		return nil, err
	}
	if err := checkCall(in.EncryptionAlgorithm, in.GrantTokens, in.DryRun); err != nil {
		return nil, err
	}
	blob, err := s.seal(k, in.EncryptionContext, in.Plaintext)
	if err != nil {
		return nil, err
	}
	return &kms.EncryptOutput{CiphertextBlob: blob, KeyId: k.name(), EncryptionAlgorithm: kms.EncryptionAlgorithmSpecSymmetricDefault}, nil
}

// Decrypt opens what Encrypt or GenerateDataKey made, in the same encryption
// context. The ciphertext names its key; a KeyId must be that one.
func (s *Service) Decrypt(ctx context.Context, in *kms.DecryptInput) (*kms.DecryptOutput, error) {
	if in.Recipient != nil {
		return nil, fault.New(fault.NotImplemented, "Decrypt with Recipient is not built yet")
	}
	blob := in.CiphertextBlob
	if len(blob) < blobHeader || blob[0] != blobVersion || !keyID.Match(blob[1:blobHeader]) {
		return nil, invalidCiphertext()
	}
	k, err := s.usableKey(ctx, string(blob[1:blobHeader]))
	if fault.Is(err, fault.NotFoundException) {
		// Whose key it is, is nobody else's business.
		return nil, invalidCiphertext()
	}
	if err != nil {
		return nil, err
	}
	if in.KeyId != "" {
		named, err := s.usableKey(ctx, in.KeyId)
		if err != nil {
			return nil, err
		}
		if named.ID != k.ID {
			return nil, fault.New(fault.IncorrectKey, "The key ID in the request does not identify a CMK that can perform this operation.")
		}
	}
	if err := checkCall(in.EncryptionAlgorithm, in.GrantTokens, in.DryRun); err != nil {
		return nil, err
	}
	ring, err := s.ring(k)
	if err != nil {
		return nil, err
	}
	plain, err := ring.Open(purpose(in.EncryptionContext), bytes.Clone(blob[blobHeader:]))
	if err != nil {
		return nil, invalidCiphertext()
	}
	return &kms.DecryptOutput{KeyId: k.name(), Plaintext: plain, EncryptionAlgorithm: kms.EncryptionAlgorithmSpecSymmetricDefault}, nil
}

// invalidCiphertext has no message: AWS gives none.
func invalidCiphertext() error { return fault.New(fault.InvalidCiphertext, "") }

// GenerateDataKey makes a random key, and gives it in the clear and encrypted.
func (s *Service) GenerateDataKey(ctx context.Context, in *kms.GenerateDataKeyInput) (*kms.GenerateDataKeyOutput, error) {
	if in.Recipient != nil {
		return nil, fault.New(fault.NotImplemented, "GenerateDataKey with Recipient is not built yet")
	}
	plain, blob, k, err := s.dataKey(ctx, in.KeyId, in.KeySpec, in.NumberOfBytes, in.EncryptionContext, in.GrantTokens, in.DryRun)
	if err != nil {
		return nil, err
	}
	return &kms.GenerateDataKeyOutput{CiphertextBlob: blob, Plaintext: plain, KeyId: k.name()}, nil
}

// GenerateDataKeyWithoutPlaintext makes a random key and gives it encrypted.
func (s *Service) GenerateDataKeyWithoutPlaintext(ctx context.Context, in *kms.GenerateDataKeyWithoutPlaintextInput) (*kms.GenerateDataKeyWithoutPlaintextOutput, error) {
	_, blob, k, err := s.dataKey(ctx, in.KeyId, in.KeySpec, in.NumberOfBytes, in.EncryptionContext, in.GrantTokens, in.DryRun)
	if err != nil {
		return nil, err
	}
	return &kms.GenerateDataKeyWithoutPlaintextOutput{CiphertextBlob: blob, KeyId: k.name()}, nil
}

func (s *Service) dataKey(ctx context.Context, name, spec string, size *int32, context map[string]string, grants []string, dryRun *bool) (plain, blob []byte, k *key, err error) {
	var n int32
	switch {
	case (spec == "") == (size == nil):
		return nil, nil, nil, fault.New(fault.ValidationException, "Please specify either number of bytes or key spec.")
	case spec == kms.DataKeySpecAes128:
		n = 16
	case spec == kms.DataKeySpecAes256:
		n = 32
	default:
		n = *size
	}
	if k, err = s.usableKey(ctx, name); err != nil {
		return nil, nil, nil, err
	}
	if err := checkCall("", grants, dryRun); err != nil {
		return nil, nil, nil, err
	}
	plain = make([]byte, n)
	_, _ = rand.Read(plain)
	blob, err = s.seal(k, context, plain)
	return plain, blob, k, err
}

// GenerateRandom gives 1 to 1,024 random bytes.
func (s *Service) GenerateRandom(_ context.Context, in *kms.GenerateRandomInput) (*kms.GenerateRandomOutput, error) {
	switch {
	case in.CustomKeyStoreId != "" || in.Recipient != nil:
		return nil, fault.New(fault.NotImplemented, "GenerateRandom with CustomKeyStoreId or Recipient is not built yet")
	case in.NumberOfBytes == nil:
		return nil, fault.New(fault.ValidationException, "NumberOfBytes is required.")
	}
	b := make([]byte, *in.NumberOfBytes)
	_, _ = rand.Read(b)
	return &kms.GenerateRandomOutput{Plaintext: b}, nil
}
