package ssm

import (
	"context"
	"encoding/base64"
	"encoding/binary"

	kms "github.com/slipway/slipway/api/kms"
	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
)

// A SecureString's value is kept, in base64, in one of these forms, which its
// first byte tells:
//
//	1  sealed by the data folder's keyring, as the first builds did
//	2  a ciphertext of KMS
//	3  an envelope: the length of a data key's ciphertext (2 bytes), that
//	   ciphertext, and the value sealed under the data key
//
// KMS encrypts 4 KB at most, so larger values and advanced parameters have
// envelopes ("How AWS Systems Manager Parameter Store uses AWS KMS", AWS KMS
// Developer Guide). The encryption context names the parameter.
const (
	ringForm     = 1
	kmsForm      = 2
	envelopeForm = 3
)

func encryptionContext(scope arn.Scope, name string) map[string]string {
	return map[string]string{"PARAMETER_ARN": parameterARN(scope, name)}
}

// keyError tells of a key in Systems Manager's words.
func keyError(err error) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	switch f.Code {
	case fault.NotFoundException, fault.DisabledException, fault.KMSInvalidState, fault.InvalidKeyUsage:
		return fault.New(fault.InvalidKeyID, "%s (Service: AWSKMS; Status Code: 400; Error Code: %s)", f.Message, f.Code)
	}
	return err
}

// seal encrypts a value under a KMS key as the caller.
func (s *Service) seal(ctx context.Context, scope arn.Scope, name, keyID, plain string, envelope bool) (string, error) {
	about := encryptionContext(scope, name)
	if !envelope && len(plain) <= standardSize {
		out, err := s.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: keyID, Plaintext: []byte(plain), EncryptionContext: about})
		if err != nil {
			return "", keyError(err)
		}
		return base64.StdEncoding.EncodeToString(append([]byte{kmsForm}, out.CiphertextBlob...)), nil
	}
	data, err := s.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: keyID, KeySpec: kms.DataKeySpecAes256, EncryptionContext: about})
	if err != nil {
		return "", keyError(err)
	}
	ring, err := keyring.New(data.Plaintext)
	if err != nil {
		return "", err
	}
	sealed, err := ring.Seal(parameterARN(scope, name), []byte(plain))
	if err != nil {
		return "", err
	}
	b := binary.BigEndian.AppendUint16([]byte{envelopeForm}, uint16(len(data.CiphertextBlob))) // #nosec G115 -- some hundred bytes
	return base64.StdEncoding.EncodeToString(append(append(b, data.CiphertextBlob...), sealed...)), nil
}

// open decrypts a value as the caller. number is the version's, to which the
// values of the first builds are bound.
func (s *Service) open(ctx context.Context, scope arn.Scope, name string, number int64, value string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(b) < 3 {
		return "", keyring.ErrSealed
	}
	if b[0] == ringForm {
		plain, err := s.ring.Open(sealPurpose(scope, name, number), b)
		return string(plain), err
	}
	ciphertext, sealed := b[1:], []byte(nil)
	if b[0] == envelopeForm {
		n := 3 + int(binary.BigEndian.Uint16(b[1:3]))
		if n > len(b) {
			return "", keyring.ErrSealed
		}
		ciphertext, sealed = b[3:n], b[n:]
	}
	out, err := s.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: ciphertext, EncryptionContext: encryptionContext(scope, name)})
	if err != nil {
		return "", keyError(err)
	}
	if sealed == nil {
		return string(out.Plaintext), nil
	}
	ring, err := keyring.New(out.Plaintext)
	if err != nil {
		return "", err
	}
	plain, err := ring.Open(parameterARN(scope, name), sealed)
	return string(plain), err
}

// decrypt opens the SecureStrings of an answer. It runs after the transaction
// that read them: KMS has its own.
func (s *Service) decrypt(ctx context.Context, all []api.Parameter) (err error) {
	scope := auth.From(ctx).Scope
	for i := range all {
		p := &all[i]
		if p.Type != typeSecure {
			continue
		}
		if a, err := arn.Parse(p.ARN); err == nil { // maybe of another account
			scope.Account = a.Account
		}
		if p.Value, err = s.open(ctx, scope, p.Name, *p.Version, p.Value); err != nil {
			return err
		}
	}
	return nil
}
