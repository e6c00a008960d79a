package checksum

import (
	"encoding/binary"
	"hash/crc64"
)

// crc64nvme is CRC-64/NVME, which S3 makes of every object that comes without a
// checksum. hash/crc64 makes a byte in three cycles; with carry-less
// multiplication a cycle makes several ("Fast CRC Computation for Generic
// Polynomials Using PCLMULQDQ Instruction", Intel, 2009).
type crc64nvme struct{ sum uint64 }

// updateCRC64 keeps hash/crc64 out of what is short: its frame of 16 KB makes the
// stack grow, which costs more than the sum.
func updateCRC64(crc uint64, p []byte) uint64 {
	if len(p) > foldAtLeast {
		return crc64.Update(crc, tableCRC64NVME, p)
	}
	crc = ^crc
	for _, b := range p {
		crc = tableCRC64NVME[byte(crc)^b] ^ crc>>8
	}
	return ^crc
}

const foldAtLeast = 256 // bytes from which it pays to do several at a time

func (c *crc64nvme) Write(p []byte) (int, error) {
	crc, rest := foldCRC64(c.sum, p)
	c.sum = updateCRC64(crc, rest)
	return len(p), nil
}

func (c *crc64nvme) Sum(in []byte) []byte { return binary.BigEndian.AppendUint64(in, c.sum) }
func (c *crc64nvme) Reset()               { c.sum = 0 }
func (c *crc64nvme) Size() int            { return crc64.Size }
func (c *crc64nvme) BlockSize() int       { return 1 }

// raise is x^n modulo the polynomial.
func raise(poly uint64, width uint, n uint64) uint64 {
	power := uint64(1) << (width - 1) // x^0
	square := power >> 1              // x^1
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			power = multiply(poly, width, power, square)
		}
		square = multiply(poly, width, square, square)
	}
	return power
}
