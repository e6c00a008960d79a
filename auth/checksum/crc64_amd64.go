package checksum

import (
	"encoding/binary"

	"golang.org/x/sys/cpu"
)

// fold is in crc64_amd64.s.
//
//go:noescape
func fold(state uint64, p []byte, constants *[4]uint64, out *[2]uint64)

// foldConstants multiply the two halves of 16 bytes by the distance that they are
// moved on, of four lanes and of one. The product of two reversed words is one
// power short, which the exponents make up.
var foldConstants = [4]uint64{
	raise(polyCRC64NVME, 64, 512+63), raise(polyCRC64NVME, 64, 511),
	raise(polyCRC64NVME, 64, 128+63), raise(polyCRC64NVME, 64, 127),
}

var canFold = cpu.X86.HasPCLMULQDQ

// foldCRC64 takes as much of p into the sum as it can fast, and returns the rest.
func foldCRC64(crc uint64, p []byte) (uint64, []byte) {
	if !canFold || len(p) < foldAtLeast {
		return crc, p
	}
	n := len(p) &^ 63
	var out [2]uint64
	fold(^crc, p[:n], &foldConstants, &out)
	var last [16]byte
	binary.LittleEndian.PutUint64(last[:8], out[0])
	binary.LittleEndian.PutUint64(last[8:], out[1])
	return updateCRC64(^uint64(0), last[:]), p[n:]
}
