package kms

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/fault"
)

// wrapPadded is AES key wrap with padding (RFC 5649), as a caller does it.
func wrapPadded(t *testing.T, kek, plain []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	head := binary.BigEndian.AppendUint32([]byte{0xa6, 0x59, 0x59, 0xa6}, uint32(len(plain)))
	padded := append(bytes.Clone(plain), make([]byte, (8-len(plain)%8)%8)...)
	n := len(padded) / 8
	out := append(head, padded...)
	if n == 1 {
		block.Encrypt(out, out)
		return out
	}
	var b [16]byte
	copy(b[:8], out)
	for c := 1; c <= 6*n; c++ {
		i := (c-1)%n + 1
		copy(b[8:], out[8*i:])
		block.Encrypt(b[:], b[:])
		binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^uint64(c))
		copy(out[8*i:8*i+8], b[8:])
	}
	copy(out, b[:8])
	return out
}

// TestUnwrap: the examples of RFC 5649, section 6.
func TestUnwrap(t *testing.T) {
	for _, tc := range []struct{ plain, wrapped string }{
		{"c37b7e6492584340bed12207808941155068f738", "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"},
		{"466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"},
	} {
		kek, _ := hex.DecodeString("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
		wrapped, _ := hex.DecodeString(tc.wrapped)
		got, err := unwrapPadded(kek, wrapped)
		if err != nil || hex.EncodeToString(got) != tc.plain {
			t.Errorf("unwrapped %x, error %v, want %s", got, err, tc.plain)
		}
		wrapped[3]++
		if _, err := unwrapPadded(kek, wrapped); err == nil {
			t.Error("a changed key opens")
		}
	}
}

func (b *bench) wrap(t *testing.T, ctx context.Context, id, algorithm string, plain []byte) (token, wrapped []byte) {
	t.Helper()
	p, err := b.GetParametersForImport(ctx, &api.GetParametersForImportInput{KeyId: id, WrappingAlgorithm: algorithm, WrappingKeySpec: "RSA_2048"})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKIXPublicKey(p.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	secret, rest := plain, []byte(nil)
	if algorithm == "RSA_AES_KEY_WRAP_SHA_256" {
		secret = make([]byte, 32)
		_, _ = rand.Read(secret)
		rest = wrapPadded(t, secret, plain)
	}
	wrapped, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, parsed.(*rsa.PublicKey), secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p.ImportToken, append(wrapped, rest...)
}

func TestImport(t *testing.T) {
	b, ctx := newBench(t)
	id := b.keyOf(t, ctx, &api.CreateKeyInput{Origin: "EXTERNAL"})
	encrypt := func() ([]byte, error) {
		out, err := b.Encrypt(ctx, &api.EncryptInput{KeyId: id, Plaintext: []byte("x")})
		if err != nil {
			return nil, err
		}
		return out.CiphertextBlob, nil
	}
	_, err := encrypt()
	wantCode(t, err, fault.KMSInvalidState)
	_, err = b.RotateKeyOnDemand(ctx, &api.RotateKeyOnDemandInput{KeyId: id})
	wantCode(t, err, fault.KMSInvalidState)
	material := bytes.Repeat([]byte{7}, 32)
	importIt := func(material []byte, until *time.Time) error {
		token, wrapped := b.wrap(t, ctx, id, "RSAES_OAEP_SHA_256", material)
		model := "KEY_MATERIAL_DOES_NOT_EXPIRE"
		if until != nil {
			model = "KEY_MATERIAL_EXPIRES"
		}
		_, err := b.ImportKeyMaterial(ctx, &api.ImportKeyMaterialInput{KeyId: id, ImportToken: token, EncryptedKeyMaterial: wrapped, ExpirationModel: model, ValidTo: until})
		return err
	}
	until := b.now.Add(time.Hour)
	if err := importIt(material, &until); err != nil {
		t.Fatal(err)
	}
	sealed, err := encrypt()
	if err != nil {
		t.Fatal(err)
	}
	b.now = until
	_, err = encrypt()
	wantCode(t, err, fault.KMSInvalidState)
	if err := b.keepUp(ctx); err != nil {
		t.Fatal(err)
	}
	wantCode(t, importIt(bytes.Repeat([]byte{8}, 32), nil), fault.IncorrectKeyMaterial)
	wantCode(t, importIt(make([]byte, 16), nil), fault.IncorrectKeyMaterial)
	if err := importIt(material, nil); err != nil {
		t.Fatal(err)
	}
	if out, err := b.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: sealed}); err != nil || string(out.Plaintext) != "x" {
		t.Errorf("Decrypt gives %v, error %v", out, err)
	}
	if _, err := b.DeleteImportedKeyMaterial(ctx, &api.DeleteImportedKeyMaterialInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	out, err := b.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: id})
	if err != nil || out.KeyMetadata.KeyState != "PendingImport" || *out.KeyMetadata.Enabled {
		t.Errorf("DescribeKey gives %+v, error %v", out, err)
	}
}

func TestImportPair(t *testing.T) {
	b, ctx := newBench(t)
	id := b.keyOf(t, ctx, &api.CreateKeyInput{Origin: "EXTERNAL", KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY"})
	pair, err := generate("ECC_NIST_P256")
	if err != nil {
		t.Fatal(err)
	}
	token, wrapped := b.wrap(t, ctx, id, "RSA_AES_KEY_WRAP_SHA_256", pair)
	in := &api.ImportKeyMaterialInput{KeyId: id, ImportToken: token, EncryptedKeyMaterial: wrapped, ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE"}
	if _, err := b.ImportKeyMaterial(ctx, in); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Sign(ctx, &api.SignInput{KeyId: id, Message: []byte("m"), SigningAlgorithm: "ECDSA_SHA_256"}); err != nil {
		t.Error(err)
	}
	b.now = b.now.Add(importLife)
	_, err = b.ImportKeyMaterial(ctx, in)
	wantCode(t, err, fault.ExpiredImportToken)
	in.ImportToken = token[:len(token)-1]
	_, err = b.ImportKeyMaterial(ctx, in)
	wantCode(t, err, fault.InvalidImportToken)
	_, err = b.GetParametersForImport(ctx, &api.GetParametersForImportInput{KeyId: b.key(t, ctx), WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048"})
	wantCode(t, err, fault.UnsupportedOperationException)
}
