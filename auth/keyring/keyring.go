// Package keyring encrypts what Slipway keeps secret at rest: access keys,
// session tokens, SecureString parameters. The master key stands in a file
// apart from the data, readable by its owner alone, so a copied database gives
// nothing away. It imports nothing of ours and starts no goroutine.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	masterSize = 32
	saltSize   = 24
	hkdfForm   = 1 // of earlier Slipways
	xaesForm   = 2
	overhead   = 1 + saltSize + 16 // form, salt, GCM tag
)

// ErrSealed is the error of a value that this keyring did not seal for this
// purpose, or that was changed since.
var ErrSealed = errors.New("keyring: the value cannot be opened with this key")

// Ring seals and opens values under one master key. It is safe for use by
// several goroutines.
type Ring struct {
	master []byte
	xaes   *xaes
}

func newRing(master []byte) (*Ring, error) {
	key, err := hkdf.Key(sha256.New, master, nil, "slipway keyring 2", masterSize)
	if err != nil {
		return nil, err
	}
	x, err := newXAES(key)
	return &Ring{master, x}, err
}

// New makes a ring of a master key of 32 bytes.
func New(master []byte) (*Ring, error) {
	if len(master) != masterSize {
		return nil, fmt.Errorf("keyring: the master key has %d bytes, want %d", len(master), masterSize)
	}
	return newRing(append([]byte(nil), master...))
}

// Ephemeral makes a ring whose key is kept nowhere, for tests and for data
// folders that do not outlive the process.
func Ephemeral() *Ring {
	b := make([]byte, masterSize)
	_, _ = rand.Read(b) // crypto/rand.Read never fails (Go 1.24)
	r, err := newRing(b)
	if err != nil {
		panic(err) // the key has its length
	}
	return r
}

// Open reads dir/master, and makes it on the first start. The folder gets mode
// 0700 and the file 0600; a file that others may read is refused.
func Open(dir string) (*Ring, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	path := filepath.Join(dir, "master")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(dir, path); err != nil {
			return nil, fmt.Errorf("keyring: %w", err)
		}
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("keyring: %s has mode %04o; others may read it: chmod 600 it", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	return New(b)
}

// create writes a new key so that a crash leaves a whole file or none, and so
// that of two first starts one wins and both read its key.
func create(dir, path string) error {
	f, err := os.CreateTemp(dir, "new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	b := make([]byte, masterSize)
	_, _ = rand.Read(b)
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal encrypts a value for a purpose ("ssm/parameter/..."). A value sealed for
// one purpose does not open for another, so records cannot be swapped.
func (r *Ring) Seal(purpose string, plain []byte) ([]byte, error) {
	out := make([]byte, 1+saltSize, overhead+len(plain))
	out[0] = xaesForm
	r.xaes.fresh(out[1:])
	aead, nonce, err := r.xaes.of(out[1:])
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, nonce, plain, []byte(purpose)), nil
}

// Open decrypts what Seal made for the same purpose; anything else is ErrSealed.
func (r *Ring) Open(purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < overhead {
		return nil, ErrSealed
	}
	var aead cipher.AEAD
	var nonce []byte
	var err error
	switch salt := sealed[1 : 1+saltSize]; sealed[0] {
	case xaesForm:
		aead, nonce, err = r.xaes.of(salt)
	case hkdfForm:
		aead, nonce, err = r.cipher(purpose, salt)
	default:
		return nil, ErrSealed
	}
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce, sealed[1+saltSize:], []byte(purpose))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// cipher derives a key and nonce for one message of the first form from its
// random salt.
func (r *Ring) cipher(purpose string, salt []byte) (cipher.AEAD, []byte, error) {
	k, err := hkdf.Key(sha256.New, r.master, salt, "slipway keyring 1 "+purpose, 32+12)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(k[:32])
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, k[32:], err
}
