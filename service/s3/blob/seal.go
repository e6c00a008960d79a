package blob

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
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
	return newSealer(prk, "slipway s3 content "+id)
}

func newSealer(prk []byte, info string) (cipher.AEAD, error) {
	key, err := hkdf.Expand(sha256.New, prk, info, keyLength)
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

// Small content has a key for all that a Store seals while it is open, its run, and
// is told apart by its number: to derive a key for each piece would cost more than
// to seal it. Content under a secret, and that of before, has a key of its own.
const (
	runMark   = 'r' // begins the ids of small content under a run's key
	runLength = 16  // hexadecimal digits of a run, and of the number behind it
	maxRuns   = 64  // ciphers of runs that are remembered
)

func newRun() string {
	var b [runLength / 2]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// runSealer is the cipher of a run.
func (s *Store) runSealer(run string) (cipher.AEAD, error) {
	if known, ok := s.runs.Load(run); ok {
		return known.(cipher.AEAD), nil
	}
	aead, err := newSealer(s.prk, "slipway s3 small content of "+run)
	if err != nil {
		return nil, err
	}
	if s.runCount.Add(1) > maxRuns {
		s.runs.Clear()
		s.runCount.Store(1)
	}
	s.runs.Store(run, aead)
	return aead, nil
}

// Seal encrypts content that is small enough to be kept in a record, and names it.
func (v Vault) Seal(plain []byte) (id string, sealed []byte, err error) {
	if len(v.secret) > 0 {
		id = NewID()
		aead, err := v.sealer(id)
		if err != nil {
			return "", nil, err
		}
		return id, aead.Seal(nil, nonce(0), plain, nil), nil
	}
	aead, err := v.s.runSealer(v.s.run)
	if err != nil {
		return "", nil, err
	}
	n := v.s.sealed.Add(1)
	text := append(make([]byte, 0, 1+2*runLength), runMark)
	text = hex.AppendEncode(append(text, v.s.run...), binary.BigEndian.AppendUint64(nil, n))
	return string(text), aead.Seal(nil, nonce(int64(n)), plain, nil), nil
}

// Unseal is the reverse of Seal.
func (v Vault) Unseal(id string, sealed []byte) ([]byte, error) {
	aead, number, err := v.opener(id)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce(number), sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: inline content %s", ErrDamaged, id)
	}
	return plain, nil
}

// opener is the cipher of small content, and its number under that.
func (v Vault) opener(id string) (cipher.AEAD, int64, error) {
	if len(id) != 1+2*runLength || id[0] != runMark || len(v.secret) > 0 {
		aead, err := v.sealer(id)
		return aead, 0, err
	}
	number, err := strconv.ParseUint(id[1+runLength:], 16, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %q is no id", ErrDamaged, id)
	}
	aead, err := v.s.runSealer(id[1 : 1+runLength])
	return aead, int64(number), err
}
