package kms

import (
	"slices"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/fault"
)

// spec is what keys of a KeySpec are and can do ("Key spec reference", AWS KMS
// Developer Guide).
type spec struct {
	size   int      // bytes of random material; 0 where the key is a pair
	usages []string // the first is what CreateKey assumes, for symmetric keys
	encrypt,
	sign,
	mac []string // algorithms
}

var (
	rsaEncrypt = []string{kms.EncryptionAlgorithmSpecRsaesOaepSha1, kms.EncryptionAlgorithmSpecRsaesOaepSha256}
	rsaSign    = []string{
		kms.SigningAlgorithmSpecRsassaPkcs1V15Sha256, kms.SigningAlgorithmSpecRsassaPkcs1V15Sha384, kms.SigningAlgorithmSpecRsassaPkcs1V15Sha512,
		kms.SigningAlgorithmSpecRsassaPssSha256, kms.SigningAlgorithmSpecRsassaPssSha384, kms.SigningAlgorithmSpecRsassaPssSha512,
	}
	rsaSpec = spec{usages: []string{kms.KeyUsageTypeEncryptDecrypt, kms.KeyUsageTypeSignVerify}, encrypt: rsaEncrypt, sign: rsaSign}
)

func curve(algorithm string) spec {
	return spec{usages: []string{kms.KeyUsageTypeSignVerify, kms.KeyUsageTypeKeyAgreement}, sign: []string{algorithm}}
}

func hmacOf(size int, algorithm string) spec {
	return spec{size: size, usages: []string{kms.KeyUsageTypeGenerateVerifyMac}, mac: []string{algorithm}}
}

// specs are the key specs of this build. SM2, ML-DSA and secp256k1 are not: Go's
// standard library does not have them.
var specs = map[string]spec{
	kms.KeySpecSymmetricDefault: {
		size: materialSize, usages: []string{kms.KeyUsageTypeEncryptDecrypt}, encrypt: []string{kms.EncryptionAlgorithmSpecSymmetricDefault},
	},
	kms.KeySpecRsa2048: rsaSpec, kms.KeySpecRsa3072: rsaSpec, kms.KeySpecRsa4096: rsaSpec,
	kms.KeySpecEccNistP256: curve(kms.SigningAlgorithmSpecEcdsaSha256),
	kms.KeySpecEccNistP384: curve(kms.SigningAlgorithmSpecEcdsaSha384),
	kms.KeySpecEccNistP521: curve(kms.SigningAlgorithmSpecEcdsaSha512),
	kms.KeySpecEccNistEdwards25519: {
		usages: []string{kms.KeyUsageTypeSignVerify},
		sign:   []string{kms.SigningAlgorithmSpecEd25519Sha512, kms.SigningAlgorithmSpecEd25519PhSha512},
	},
	kms.KeySpecHmac224: hmacOf(28, kms.MacAlgorithmSpecHmacSha224),
	kms.KeySpecHmac256: hmacOf(32, kms.MacAlgorithmSpecHmacSha256),
	kms.KeySpecHmac384: hmacOf(48, kms.MacAlgorithmSpecHmacSha384),
	kms.KeySpecHmac512: hmacOf(64, kms.MacAlgorithmSpecHmacSha512),
}

func (k *key) symmetric() bool { return k.Spec == kms.KeySpecSymmetricDefault }

// algorithms are those of a key for its usage.
func (k *key) algorithms() []string {
	s := specs[k.Spec]
	switch k.Usage {
	case kms.KeyUsageTypeEncryptDecrypt:
		return s.encrypt
	case kms.KeyUsageTypeSignVerify:
		return s.sign
	case kms.KeyUsageTypeGenerateVerifyMac:
		return s.mac
	}
	return []string{kms.KeyAgreementAlgorithmSpecEcdh}
}

// does refuses keys of another usage or another algorithm than an operation's.
func (k *key) does(operation, usage, algorithm string) error {
	if k.Usage != usage {
		return fault.New(fault.InvalidKeyUsage, "%s key usage is %s which is not valid for %s.", k.name(), k.Usage, operation)
	}
	if !slices.Contains(k.algorithms(), algorithm) {
		return fault.New(fault.InvalidKeyUsage, "Algorithm %s is incompatible with key spec %s.", algorithm, k.Spec)
	}
	return nil
}
