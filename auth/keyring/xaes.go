package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"sync"
	"sync/atomic"
)

// xaes is XAES-256-GCM (C2SP, "XAES-256-GCM"): AES-GCM under a key of each
// message's own, which two blocks of AES derive of the key and half of a nonce of
// 192 bits. AES-GCM's own random nonces of 96 bits would allow too few messages
// under one key; a key by HKDF took five times as long.
//
// To make a cipher takes longer than to seal a small message with it. So the
// first half of the nonce, by which the key is derived, stays for maxShare
// messages, and the ciphers of recent halves are kept. The other half is random
// for each message: that two of 2^16 have the same under one key happens once in
// 2^65 times, where NIST lets 2^32 messages have it (SP 800-38D, 8.3).
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // CMAC's subkey

	mu   sync.Mutex
	half [nonceHalf]byte // with which messages are sealed
	left int             // how many more

	recent [16]atomic.Pointer[derived] // by the first bits of the half
}

// nonceHalf is the part of a nonce that the key is derived by, in bytes.
const nonceHalf = 12

// maxShare is how many messages are sealed under one derived key.
const maxShare = 1 << 16

// derived is the cipher that belongs to half a nonce.
type derived struct {
	half [nonceHalf]byte
	aead cipher.AEAD
}

// fresh fills a nonce for a new message.
func (x *xaes) fresh(nonce []byte) {
	_, _ = rand.Read(nonce[nonceHalf:]) // never fails (Go 1.24)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.left == 0 {
		_, _ = rand.Read(x.half[:])
		x.left = maxShare
	}
	x.left--
	copy(nonce, x.half[:])
}

func newXAES(key []byte) (*xaes, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	x := &xaes{block: block}
	block.Encrypt(x.k1[:], x.k1[:])
	carry := byte(0)
	for i := len(x.k1) - 1; i >= 0; i-- {
		x.k1[i], carry = x.k1[i]<<1|carry, x.k1[i]>>7
	}
	x.k1[len(x.k1)-1] ^= carry * 0x87
	return x, nil
}

// of gives the cipher of one message, and the rest of its nonce.
func (x *xaes) of(nonce []byte) (cipher.AEAD, []byte, error) {
	half := [nonceHalf]byte(nonce)
	place := &x.recent[int(half[0])%len(x.recent)]
	if d := place.Load(); d != nil && d.half == half {
		return d.aead, nonce[nonceHalf:], nil
	}
	aead, err := x.derive(half)
	if err != nil {
		return nil, nil, err
	}
	place.Store(&derived{half, aead})
	return aead, nonce[nonceHalf:], nil
}

// derive makes the cipher of half a nonce.
func (x *xaes) derive(nonce [nonceHalf]byte) (cipher.AEAD, error) {
	var key [2 * aes.BlockSize]byte
	for i := range 2 {
		half := key[i*aes.BlockSize : (i+1)*aes.BlockSize]
		half[1], half[2] = byte(i+1), 'X'
		copy(half[4:], nonce[:])
		for j := range half {
			half[j] ^= x.k1[j]
		}
		x.block.Encrypt(half, half)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
