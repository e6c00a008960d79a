package kms

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/fault"
)

func (b *bench) keyOf(t *testing.T, ctx context.Context, in *api.CreateKeyInput) string {
	t.Helper()
	out, err := b.CreateKey(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return out.KeyMetadata.KeyId
}

func TestSignatures(t *testing.T) {
	b, ctx := newBench(t)
	for _, keySpec := range []string{"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_NIST_EDWARDS25519"} {
		id := b.keyOf(t, ctx, &api.CreateKeyInput{KeySpec: keySpec, KeyUsage: "SIGN_VERIFY"})
		for _, algorithm := range specs[keySpec].sign {
			t.Run(keySpec+" "+algorithm, func(t *testing.T) {
				message, kind := []byte("a message"), "RAW"
				if algorithm == "ED25519_PH_SHA_512" {
					message, kind = make([]byte, 64), "DIGEST"
				}
				signed, err := b.Sign(ctx, &api.SignInput{KeyId: id, Message: message, MessageType: kind, SigningAlgorithm: algorithm})
				if err != nil {
					t.Fatal(err)
				}
				check := func(message []byte) error {
					_, err := b.Verify(ctx, &api.VerifyInput{KeyId: id, Message: message, MessageType: kind, SigningAlgorithm: algorithm, Signature: signed.Signature})
					return err
				}
				if err := check(message); err != nil {
					t.Error(err)
				}
				message[0]++
				wantCode(t, check(message), fault.KMSInvalidSignature)
			})
		}
	}
}

// TestPublicKeyVerifies: what Sign makes stands up without the service.
func TestPublicKeyVerifies(t *testing.T) {
	b, ctx := newBench(t)
	id := b.keyOf(t, ctx, &api.CreateKeyInput{KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY"})
	sum := sha256.Sum256([]byte("a message"))
	signed, err := b.Sign(ctx, &api.SignInput{KeyId: id, Message: sum[:], MessageType: "DIGEST", SigningAlgorithm: "ECDSA_SHA_256"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.GetPublicKey(ctx, &api.GetPublicKeyInput{KeyId: id})
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(out.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), sum[:], signed.Signature) {
		t.Error("the signature does not verify with the public key")
	}
	_, err = b.Sign(ctx, &api.SignInput{KeyId: id, Message: sum[:31], MessageType: "DIGEST", SigningAlgorithm: "ECDSA_SHA_256"})
	wantMessage(t, err, fault.ValidationException, "Digest is invalid length for algorithm ECDSA_SHA_256.")
	_, err = b.Sign(ctx, &api.SignInput{KeyId: id, Message: sum[:], SigningAlgorithm: "ECDSA_SHA_384"})
	wantMessage(t, err, fault.InvalidKeyUsage, "Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256.")
	_, err = b.Sign(ctx, &api.SignInput{KeyId: b.key(t, ctx), Message: sum[:], SigningAlgorithm: "ECDSA_SHA_256"})
	wantCode(t, err, fault.InvalidKeyUsage)
	_, err = b.GetPublicKey(ctx, &api.GetPublicKeyInput{KeyId: b.key(t, ctx)})
	wantCode(t, err, fault.UnsupportedOperationException)
}

func wantMessage(t *testing.T, err error, code, message string) {
	t.Helper()
	wantCode(t, err, code)
	if f, ok := fault.As(err); ok && f.Message != message {
		t.Errorf("message is %q, want %q", f.Message, message)
	}
}

func TestRSAEncryption(t *testing.T) {
	b, ctx := newBench(t)
	id := b.keyOf(t, ctx, &api.CreateKeyInput{KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT"})
	for _, algorithm := range rsaEncrypt {
		sealed, err := b.Encrypt(ctx, &api.EncryptInput{KeyId: id, Plaintext: []byte("secret"), EncryptionAlgorithm: algorithm})
		if err != nil {
			t.Fatal(err)
		}
		out, err := b.Decrypt(ctx, &api.DecryptInput{KeyId: id, CiphertextBlob: sealed.CiphertextBlob, EncryptionAlgorithm: algorithm})
		if err != nil || string(out.Plaintext) != "secret" {
			t.Errorf("%s: Decrypt gives %v, error %v", algorithm, out, err)
		}
	}
	_, err := b.Encrypt(ctx, &api.EncryptInput{KeyId: id, Plaintext: make([]byte, 215), EncryptionAlgorithm: "RSAES_OAEP_SHA_1"})
	wantMessage(t, err, fault.ValidationException, "Algorithm RSAES_OAEP_SHA_1 and key spec RSA_2048 cannot encrypt data larger than 214 bytes.")
	_, err = b.Encrypt(ctx, &api.EncryptInput{KeyId: id, Plaintext: []byte("x")})
	wantCode(t, err, fault.InvalidKeyUsage)
	_, err = b.GenerateDataKey(ctx, &api.GenerateDataKeyInput{KeyId: id, KeySpec: "AES_256"})
	wantCode(t, err, fault.InvalidKeyUsage)
}

func TestMacs(t *testing.T) {
	b, ctx := newBench(t)
	for _, size := range []string{"224", "256", "384", "512"} {
		id := b.keyOf(t, ctx, &api.CreateKeyInput{KeySpec: "HMAC_" + size, KeyUsage: "GENERATE_VERIFY_MAC"})
		algorithm := "HMAC_SHA_" + size
		made, err := b.GenerateMac(ctx, &api.GenerateMacInput{KeyId: id, Message: []byte("m"), MacAlgorithm: algorithm})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.VerifyMac(ctx, &api.VerifyMacInput{KeyId: id, Message: []byte("m"), MacAlgorithm: algorithm, Mac: made.Mac}); err != nil {
			t.Error(err)
		}
		_, err = b.VerifyMac(ctx, &api.VerifyMacInput{KeyId: id, Message: []byte("n"), MacAlgorithm: algorithm, Mac: made.Mac})
		wantCode(t, err, fault.KMSInvalidMac)
	}
	id := b.keyOf(t, ctx, &api.CreateKeyInput{KeySpec: "HMAC_224", KeyUsage: "GENERATE_VERIFY_MAC"})
	_, err := b.GenerateMac(ctx, &api.GenerateMacInput{KeyId: id, Message: []byte("m"), MacAlgorithm: "HMAC_SHA_256"})
	wantMessage(t, err, fault.InvalidKeyUsage, "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224.")
}

func TestSharedSecret(t *testing.T) {
	b, ctx := newBench(t)
	id := b.keyOf(t, ctx, &api.CreateKeyInput{KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT"})
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&other.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.DeriveSharedSecret(ctx, &api.DeriveSharedSecretInput{KeyId: id, KeyAgreementAlgorithm: "ECDH", PublicKey: der})
	if err != nil {
		t.Fatal(err)
	}
	public, err := b.GetPublicKey(ctx, &api.GetPublicKeyInput{KeyId: id})
	if err != nil {
		t.Fatal(err)
	}
	peer, err := peerKey(public.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	own, err := other.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	want, err := own.ECDH(peer)
	if err != nil || string(want) != string(out.SharedSecret) {
		t.Errorf("the two sides have different secrets (error %v)", err)
	}
	_, err = b.DeriveSharedSecret(ctx, &api.DeriveSharedSecretInput{KeyId: id, KeyAgreementAlgorithm: "ECDH", PublicKey: []byte("noise")})
	wantCode(t, err, fault.ValidationException)
	_, err = b.DeriveSharedSecret(ctx, &api.DeriveSharedSecretInput{KeyId: b.key(t, ctx), KeyAgreementAlgorithm: "ECDH", PublicKey: der})
	if f, ok := fault.As(err); !ok || !strings.HasSuffix(f.Message, "key usage is ENCRYPT_DECRYPT which is not valid for DeriveSharedSecret.") {
		t.Errorf("error is %v", err)
	}
}

func TestDataKeyPairs(t *testing.T) {
	b, ctx := newBench(t)
	id := b.key(t, ctx)
	out, err := b.GenerateDataKeyPair(ctx, &api.GenerateDataKeyPairInput{KeyId: id, KeyPairSpec: "RSA_2048"})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := b.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: out.PrivateKeyCiphertextBlob})
	if err != nil || string(opened.Plaintext) != string(out.PrivateKeyPlaintext) {
		t.Fatalf("the private key's ciphertext does not open (error %v)", err)
	}
	private, err := x509.ParsePKCS8PrivateKey(opened.Plaintext)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(out.PublicKey)
	if err != nil || !private.(*rsa.PrivateKey).PublicKey.Equal(public) {
		t.Errorf("the two keys are no pair (error %v)", err)
	}
	_, err = b.GenerateDataKeyPairWithoutPlaintext(ctx, &api.GenerateDataKeyPairWithoutPlaintextInput{KeyId: id, KeyPairSpec: "RSA_4096", DryRun: new(true)})
	wantCode(t, err, fault.DryRunOperationException)
	_, err = b.GenerateDataKeyPair(ctx, &api.GenerateDataKeyPairInput{KeyId: id, KeyPairSpec: "SM2"})
	wantCode(t, err, fault.NotImplemented)
}

func TestSpecsAndUsagesFit(t *testing.T) {
	b, ctx := newBench(t)
	for _, tc := range []struct{ spec, usage, message string }{
		{"RSA_2048", "KEY_AGREEMENT", "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048"},
		{"HMAC_256", "ENCRYPT_DECRYPT", "KeyUsage ENCRYPT_DECRYPT is not compatible with KeySpec HMAC_256"},
		{"ECC_NIST_P256", "", "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."},
	} {
		_, err := b.CreateKey(ctx, &api.CreateKeyInput{KeySpec: tc.spec, KeyUsage: tc.usage})
		wantMessage(t, err, fault.ValidationException, tc.message)
	}
}
