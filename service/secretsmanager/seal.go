package secretsmanager

import (
	"context"
	"strings"

	kms "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
)

// value is a version's value: sealed under a data key of its own, which KMS has
// encrypted in a context that names the secret and the version ("Secret encryption
// and decryption in AWS Secrets Manager", AWS Secrets Manager User Guide).
type value struct {
	DataKey []byte
	Sealed  []byte
	Binary  bool `json:",omitempty"`
}

const (
	defaultKey = "alias/aws/secretsmanager"
	maxValue   = 65536 // bytes
)

// plainValue is a value in the clear: text, or binary.
type plainValue struct {
	data   []byte
	binary bool
}

// given is the value that an input has; ok is false where it has none.
func given(text string, binary []byte) (v plainValue, ok bool, err error) {
	switch {
	case text != "" && len(binary) > 0:
		return v, false, invalid("You can't specify both a binary secret value and a string secret value in the same secret.")
	case len(text) > maxValue || len(binary) > maxValue:
		return v, false, invalid("A secret value has at most %d bytes.", maxValue)
	case text != "":
		return plainValue{data: []byte(text)}, true, nil
	case len(binary) > 0:
		return plainValue{data: binary, binary: true}, true, nil
	}
	return v, false, nil
}

func encryptionContext(full, versionID string) map[string]string {
	return map[string]string{"SecretARN": full, "SecretVersionId": versionID}
}

func purpose(full, versionID string) string { return "secretsmanager/" + full + "/" + versionID }

// keyName is a key as KMS finds it for callers of any account.
func (p place) keyName(id string) string {
	switch {
	case id == "":
		id = defaultKey
	case strings.HasPrefix(id, "arn:"):
		return id
	}
	if !strings.HasPrefix(id, "alias/") {
		id = "key/" + id
	}
	return p.ARN("kms", id).String()
}

// isDefault reports whether a name is that of the account's aws/secretsmanager.
func (p place) isDefault(id string) bool {
	return id == "" || id == defaultKey || id == p.ARN("kms", defaultKey).String()
}

// keyError tells of a key in Secrets Manager's words: code is that of a key that
// is not usable.
func keyError(err error, code string) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	switch f.Code {
	case fault.AccessDeniedException:
		return fault.New(fault.AccessDeniedException, "Access to KMS is not allowed").Because(err)
	case fault.NotFoundException, fault.DisabledException, fault.KMSInvalidState, fault.InvalidKeyUsage, fault.InvalidArn, fault.InvalidCiphertext,
		fault.ValidationException:
		verb := "encrypt"
		if code == fault.DecryptionFailure {
			verb = "decrypt"
		}
		return fault.New(code, "Secrets Manager can't %s the protected secret text using the provided KMS key: %s", verb, f.Message)
	}
	return err
}

// seal encrypts a value under a KMS key as the caller.
func (s *Service) seal(ctx context.Context, p place, full, keyID, versionID string, plain plainValue) (*value, error) {
	data, err := s.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: p.keyName(keyID), KeySpec: kms.DataKeySpecAes256, EncryptionContext: encryptionContext(full, versionID),
	})
	if err != nil {
		return nil, keyError(err, fault.EncryptionFailure)
	}
	ring, err := keyring.New(data.Plaintext)
	if err != nil {
		return nil, err
	}
	sealed, err := ring.Seal(purpose(full, versionID), plain.data)
	if err != nil {
		return nil, err
	}
	return &value{DataKey: data.CiphertextBlob, Sealed: sealed, Binary: plain.binary}, nil
}

// open decrypts a value as the caller.
func (s *Service) open(ctx context.Context, full, versionID string, v *value) (plainValue, error) {
	data, err := s.dataKey(ctx, full, versionID, v)
	if err != nil {
		return plainValue{}, err
	}
	ring, err := keyring.New(data)
	if err != nil {
		return plainValue{}, err
	}
	plain, err := ring.Open(purpose(full, versionID), v.Sealed)
	return plainValue{plain, v.Binary}, err
}

func (s *Service) dataKey(ctx context.Context, full, versionID string, v *value) ([]byte, error) {
	out, err := s.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: v.DataKey, EncryptionContext: encryptionContext(full, versionID)})
	if err != nil {
		return nil, keyError(err, fault.DecryptionFailure)
	}
	return out.Plaintext, nil
}

// reseal puts a value under another key. The value stays sealed under its data
// key; KMS encrypts that anew. ok is false where the caller may not use the new key:
// the value then stays as it is ("UpdateSecret", AWS Secrets Manager API Reference).
func (s *Service) reseal(ctx context.Context, p place, full, keyID, versionID string, v *value) (ok bool, err error) {
	data, err := s.dataKey(ctx, full, versionID, v)
	if err != nil {
		return false, err
	}
	out, err := s.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: p.keyName(keyID), Plaintext: data, EncryptionContext: encryptionContext(full, versionID)})
	if fault.Is(err, fault.AccessDeniedException) {
		return false, nil
	}
	if err != nil {
		return false, keyError(err, fault.EncryptionFailure)
	}
	v.DataKey = out.CiphertextBlob
	return true, nil
}

// reachable refuses callers of other accounts what the default key seals: its
// policy is for its own account alone.
func reachable(ctx context.Context, p place, keyID string) error {
	if p.Account != auth.From(ctx).Scope.Account && p.isDefault(keyID) {
		return invalidRequest("You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key.")
	}
	return nil
}
