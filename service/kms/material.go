package kms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth/keyring"
)

// material is what a key encrypts or signs with. A rotated key keeps its older
// materials, so that what they encrypted still decrypts.
type material struct {
	ID          string
	Sealed      []byte // nil once imported material was deleted or has expired
	Begun       time.Time
	Rotation    string     `json:",omitempty"` // AUTOMATIC or ON_DEMAND; "" for the first
	Description string     `json:",omitempty"`
	ValidTo     *time.Time `json:",omitempty"` // of imported material that expires
}

// bits are the sizes of RSA keys, curves those of the elliptic ones.
var (
	bits   = map[string]int{kms.KeySpecRsa2048: 2048, kms.KeySpecRsa3072: 3072, kms.KeySpecRsa4096: 4096}
	curves = map[string]elliptic.Curve{
		kms.KeySpecEccNistP256: elliptic.P256(), kms.KeySpecEccNistP384: elliptic.P384(), kms.KeySpecEccNistP521: elliptic.P521(),
	}
)

// generate makes new material: random bytes, or a key pair in PKCS #8.
func generate(keySpec string) ([]byte, error) {
	if n := specs[keySpec].size; n > 0 {
		b := make([]byte, n)
		_, _ = rand.Read(b) // crypto/rand.Read never fails (Go 1.24)
		return b, nil
	}
	var pair crypto.PrivateKey
	var err error
	switch {
	case bits[keySpec] > 0:
		pair, err = rsa.GenerateKey(rand.Reader, bits[keySpec])
	case curves[keySpec] != nil:
		pair, err = ecdsa.GenerateKey(curves[keySpec], rand.Reader)
	case keySpec == kms.KeySpecEccNistEdwards25519:
		_, pair, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("kms: no material for key spec %s", keySpec)
	}
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(pair)
}

// materialPurpose binds sealed material to its key and place.
func materialPurpose(keyID string, n int) string {
	if n == 0 {
		return "kms/key/" + keyID
	}
	return "kms/key/" + keyID + "/" + strconv.Itoa(n)
}

// materialID tells materials of a key apart, and gives nothing of them away.
func materialID(keyID string, plain []byte) string {
	h := hmac.New(sha256.New, plain)
	h.Write([]byte("slipway kms material " + keyID))
	return hex.EncodeToString(h.Sum(nil))
}

// add seals material as the key's newest.
func (s *Service) add(k *key, plain []byte, m material) error {
	var err error
	m.ID = materialID(k.ID, plain)
	if m.Sealed, err = s.cfg.Ring.Seal(materialPurpose(k.ID, len(k.Materials)), plain); err != nil {
		return err
	}
	k.Materials = append(k.Materials, m)
	return nil
}

// current is the place of the material that encrypts and signs now.
func (k *key) current() int { return len(k.Materials) - 1 }

// plain opens the nth material.
func (s *Service) plain(k *key, n int) ([]byte, error) {
	if n < 0 || n >= len(k.Materials) {
		return nil, keyring.ErrSealed
	}
	return s.cfg.Ring.Open(materialPurpose(k.ID, n), k.Materials[n].Sealed)
}

// ring opens the nth material of a symmetric key.
func (s *Service) ring(k *key, n int) (*keyring.Ring, error) {
	plain, err := s.plain(k, n)
	if err != nil {
		return nil, err
	}
	return keyring.New(plain)
}

// pair opens the key pair of an asymmetric key.
func (s *Service) pair(k *key) (crypto.Signer, error) {
	der, err := s.plain(k, k.current())
	if err != nil {
		return nil, err
	}
	return parsePair(der)
}

func parsePair(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("kms: a key pair of type %T", parsed)
	}
	return signer, nil
}
