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
	version    = 1
	overhead   = 1 + saltSize + 16 // version, salt, GCM tag
)

// ErrSealed is the error of a value that this keyring did not seal for this
// purpose, or that was changed since.
var ErrSealed = errors.New("keyring: the value cannot be opened with this key")

// Ring seals and opens values under one master key. It is safe for use by
// several goroutines.
type Ring struct{ master []byte }

// New makes a ring of a master key of 32 bytes.
func New(master []byte) (*Ring, error) {
	if len(master) != masterSize {
		return nil, fmt.Errorf("keyring: the master key has %d bytes, want %d", len(master), masterSize)
	}
	return &Ring{master: append([]byte(nil), master...)}, nil
}

// Ephemeral makes a ring whose key is kept nowhere, for tests and for data
// folders that do not outlive the process.
func Ephemeral() *Ring {
	b := make([]byte, masterSize)
	_, _ = rand.Read(b) // crypto/rand.Read never fails (Go 1.24)
	return &Ring{master: b}
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
	out[0] = version
	_, _ = rand.Read(out[1:])
	aead, nonce, err := r.cipher(purpose, out[1:])
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, nonce, plain, []byte(purpose)), nil
}

// Open decrypts what Seal made for the same purpose; anything else is ErrSealed.
func (r *Ring) Open(purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < overhead || sealed[0] != version {
		return nil, ErrSealed
	}
	aead, nonce, err := r.cipher(purpose, sealed[1:1+saltSize])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce, sealed[1+saltSize:], []byte(purpose))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// cipher derives a key and nonce for one message from its random salt: AES-GCM's
// own 96-bit random nonces would allow too few messages under one key.
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
