package blob

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

const (
	keyLength = 32
	// blockSize is the plain length of all blocks but the last, sealedSize
	// theirs in the file.
	blockSize  = 64 << 10
	overhead   = 16
	sealedSize = blockSize + overhead
)

// Vault is a Store whose content is sealed under a secret beside the folder's
// key. Without that secret it cannot be read.
type Vault struct {
	s      *Store
	secret []byte
}

// Under seals, and reads, under a secret; none is fine.
func (s *Store) Under(secret []byte) Vault { return Vault{s, secret} }

// sealer is the cipher of one file. Its key is the file's own, so a block's
// number serves as its nonce, and a block of another file or place never opens.
func (v Vault) sealer(id string) (cipher.AEAD, error) {
	prk := v.s.prk
	if len(v.secret) > 0 {
		var err error
		if prk, err = hkdf.Extract(sha256.New, append(slices.Clip(v.s.master), v.secret...), nil); err != nil {
			return nil, err
		}
	}
	key, err := hkdf.Expand(sha256.New, prk, "slipway s3 content "+id, keyLength)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func nonce(block int64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), uint64(block))
}

// Seal encrypts content that is small enough to be kept in a record. The id,
// from NewID, must seal nothing else.
func (v Vault) Seal(id string, plain []byte) ([]byte, error) {
	aead, err := v.sealer(id)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nonce(0), plain, nil), nil
}

// Unseal is the reverse of Seal.
func (v Vault) Unseal(id string, sealed []byte) ([]byte, error) {
	aead, err := v.sealer(id)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce(0), sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: inline content %s", ErrDamaged, id)
	}
	return plain, nil
}
