package keyring

import (
	"crypto/aes"
	"crypto/cipher"
)

// xaes is XAES-256-GCM (C2SP, "XAES-256-GCM"): AES-GCM under a key of each
// message's own, which two blocks of AES derive of the key and half of a nonce of
// 192 bits. AES-GCM's own random nonces of 96 bits would allow too few messages
// under one key; a key by HKDF took five times as long.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // CMAC's subkey
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
	var key [2 * aes.BlockSize]byte
	for i := range 2 {
		half := key[i*aes.BlockSize : (i+1)*aes.BlockSize]
		half[1], half[2] = byte(i+1), 'X'
		copy(half[4:], nonce[:12])
		for j := range half {
			half[j] ^= x.k1[j]
		}
		x.block.Encrypt(half, half)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, nonce[12:], err
}
