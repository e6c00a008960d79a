package kms

import (
	"context"
	"crypto/rand"
	"crypto/x509"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/fault"
)

// GenerateDataKey makes a random key, and gives it in the clear and encrypted.
func (s *Service) GenerateDataKey(ctx context.Context, in *kms.GenerateDataKeyInput) (*kms.GenerateDataKeyOutput, error) {
	if in.Recipient != nil {
		return nil, fault.New(fault.NotImplemented, "GenerateDataKey with Recipient is not built")
	}
	r := request{operation: "GenerateDataKey", context: in.EncryptionContext, tokens: in.GrantTokens, dryRun: in.DryRun, in: in}
	plain, sealed, k, err := s.dataKey(ctx, in.KeyId, in.KeySpec, in.NumberOfBytes, r)
	if err != nil {
		return nil, err
	}
	return &kms.GenerateDataKeyOutput{CiphertextBlob: sealed, Plaintext: plain, KeyId: k.name(), KeyMaterialId: k.Materials[k.current()].ID}, nil
}

// GenerateDataKeyWithoutPlaintext makes a random key and gives it encrypted.
func (s *Service) GenerateDataKeyWithoutPlaintext(ctx context.Context, in *kms.GenerateDataKeyWithoutPlaintextInput) (*kms.GenerateDataKeyWithoutPlaintextOutput, error) {
	r := request{operation: "GenerateDataKeyWithoutPlaintext", context: in.EncryptionContext, tokens: in.GrantTokens, dryRun: in.DryRun, in: in}
	_, sealed, k, err := s.dataKey(ctx, in.KeyId, in.KeySpec, in.NumberOfBytes, r)
	if err != nil {
		return nil, err
	}
	return &kms.GenerateDataKeyWithoutPlaintextOutput{CiphertextBlob: sealed, KeyId: k.name(), KeyMaterialId: k.Materials[k.current()].ID}, nil
}

func (s *Service) dataKey(ctx context.Context, name, keySpec string, size *int32, r request) (plain, sealed []byte, k *key, err error) {
	var n int32
	switch {
	case (keySpec == "") == (size == nil):
		return nil, nil, nil, fault.New(fault.ValidationException, "Please specify either number of bytes or key spec.")
	case keySpec == kms.DataKeySpecAes128:
		n = 16
	case keySpec == kms.DataKeySpecAes256:
		n = 32
	default:
		n = *size
	}
	plain = make([]byte, n)
	_, _ = rand.Read(plain)
	sealed, k, err = s.sealNew(ctx, name, r, func() ([]byte, error) { return plain, nil })
	return plain, sealed, k, err
}

// sealNew encrypts, under a symmetric key, what fresh makes.
func (s *Service) sealNew(ctx context.Context, name string, r request, fresh func() ([]byte, error)) ([]byte, *key, error) {
	r.algorithm = symmetricAlgorithm
	k, err := s.use(ctx, name, kms.KeyUsageTypeEncryptDecrypt, r)
	if err != nil {
		return nil, nil, err
	}
	if err := r.dry(); err != nil {
		return nil, nil, err
	}
	plain, err := fresh()
	if err != nil {
		return nil, nil, err
	}
	sealed, err := s.seal(k, r.context, plain)
	return sealed, k, err
}

// GenerateDataKeyPair makes a key pair, and gives the private key in the clear
// and encrypted.
func (s *Service) GenerateDataKeyPair(ctx context.Context, in *kms.GenerateDataKeyPairInput) (*kms.GenerateDataKeyPairOutput, error) {
	if in.Recipient != nil {
		return nil, fault.New(fault.NotImplemented, "GenerateDataKeyPair with Recipient is not built")
	}
	r := request{operation: "GenerateDataKeyPair", context: in.EncryptionContext, tokens: in.GrantTokens, dryRun: in.DryRun, in: in}
	p, err := s.dataKeyPair(ctx, in.KeyId, in.KeyPairSpec, r)
	if err != nil {
		return nil, err
	}
	return &kms.GenerateDataKeyPairOutput{
		PrivateKeyCiphertextBlob: p.sealed, PrivateKeyPlaintext: p.private, PublicKey: p.public, KeyId: p.key.name(),
		KeyPairSpec: in.KeyPairSpec, KeyMaterialId: p.key.Materials[p.key.current()].ID,
	}, nil
}

// GenerateDataKeyPairWithoutPlaintext makes a key pair, and gives the private
// key encrypted.
func (s *Service) GenerateDataKeyPairWithoutPlaintext(ctx context.Context, in *kms.GenerateDataKeyPairWithoutPlaintextInput) (*kms.GenerateDataKeyPairWithoutPlaintextOutput, error) {
	r := request{operation: "GenerateDataKeyPairWithoutPlaintext", context: in.EncryptionContext, tokens: in.GrantTokens, dryRun: in.DryRun, in: in}
	p, err := s.dataKeyPair(ctx, in.KeyId, in.KeyPairSpec, r)
	if err != nil {
		return nil, err
	}
	return &kms.GenerateDataKeyPairWithoutPlaintextOutput{
		PrivateKeyCiphertextBlob: p.sealed, PublicKey: p.public, KeyId: p.key.name(), KeyPairSpec: in.KeyPairSpec,
		KeyMaterialId: p.key.Materials[p.key.current()].ID,
	}, nil
}

// dataPair is a data key pair: PKCS #8 and X.509 SubjectPublicKeyInfo.
type dataPair struct {
	private, public, sealed []byte
	key                     *key
}

func (s *Service) dataKeyPair(ctx context.Context, name, pairSpec string, r request) (dataPair, error) {
	var p dataPair
	if known, ok := specs[pairSpec]; !ok || known.size > 0 {
		return p, fault.New(fault.NotImplemented, "%s with KeyPairSpec %s is not built", r.operation, pairSpec)
	}
	var err error
	p.sealed, p.key, err = s.sealNew(ctx, name, r, func() ([]byte, error) {
		if p.private, err = generate(pairSpec); err != nil {
			return nil, err
		}
		pair, err := parsePair(p.private)
		if err != nil {
			return nil, err
		}
		p.public, err = x509.MarshalPKIXPublicKey(pair.Public())
		return p.private, err
	})
	return p, err
}

// GenerateRandom gives 1 to 1,024 random bytes.
func (s *Service) GenerateRandom(_ context.Context, in *kms.GenerateRandomInput) (*kms.GenerateRandomOutput, error) {
	switch {
	case in.CustomKeyStoreId != "" || in.Recipient != nil:
		return nil, fault.New(fault.NotImplemented, "GenerateRandom with CustomKeyStoreId or Recipient is not built")
	case in.NumberOfBytes == nil:
		return nil, fault.New(fault.ValidationException, "NumberOfBytes is required.")
	}
	b := make([]byte, *in.NumberOfBytes)
	_, _ = rand.Read(b)
	return &kms.GenerateRandomOutput{Plaintext: b}, nil
}
