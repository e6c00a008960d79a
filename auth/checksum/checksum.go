// Package checksum is the checksums that S3 keeps with an object: the
// algorithms, and the combination of the parts' checksums into the whole's
// ("Checking object integrity in Amazon S3", S3 User Guide). It imports nothing
// of ours and starts no goroutine.
package checksum

import (
	"crypto/md5"  //nolint:gosec // as SHA1
	"crypto/sha1" //nolint:gosec // S3 offers it to detect damage, not to resist an attacker.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/zeebo/xxh3"
)

// Algorithm is a checksum algorithm by its name in the API.
type Algorithm string

// The algorithms that are computed. CRC64NVME is what S3 uses where the client
// names none.
const (
	CRC32     Algorithm = "CRC32"
	CRC32C    Algorithm = "CRC32C"
	CRC64NVME Algorithm = "CRC64NVME"
	SHA1      Algorithm = "SHA1"
	SHA256    Algorithm = "SHA256"
	SHA512    Algorithm = "SHA512"
	MD5       Algorithm = "MD5"
	XXHASH64  Algorithm = "XXHASH64"
	XXHASH3   Algorithm = "XXHASH3"
	XXHASH128 Algorithm = "XXHASH128"
)

// All lists the algorithms.
var All = []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128}

// The two ways in which the checksum of a multipart object is made.
const (
	FullObject = "FULL_OBJECT"
	Composite  = "COMPOSITE"
)

// polynomials, reversed, of the linear algorithms.
const (
	polyCRC32     = 0xedb88320
	polyCRC32C    = 0x82f63b78
	polyCRC64NVME = 0x9a6c9329ac4bc9b5
)

var (
	tableCRC32C    = crc32.MakeTable(polyCRC32C)
	tableCRC64NVME = crc64.MakeTable(polyCRC64NVME)
)

// Parse finds an algorithm by its name.
func Parse(name string) (Algorithm, bool) {
	for _, a := range All {
		if string(a) == strings.ToUpper(name) {
			return a, true
		}
	}
	return "", false
}

// New starts a checksum.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(tableCRC32C)
	case CRC64NVME:
		return &crc64nvme{}
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	case SHA512:
		return sha512.New()
	case MD5:
		return md5.New() //nolint:gosec // as SHA1
	case XXHASH64:
		return xxhash.New()
	case XXHASH3:
		return xxh3.New()
	case XXHASH128:
		return xxh3.New128()
	}
	panic("checksum: no algorithm " + string(a))
}

// Header is the algorithm's HTTP header and trailer, in lower case.
func (a Algorithm) Header() string { return "x-amz-checksum-" + strings.ToLower(string(a)) }

// Size is the length of a sum in bytes.
func (a Algorithm) Size() int { return a.New().Size() }

// Linear reports whether the sums of parts combine into the sum of the whole.
func (a Algorithm) Linear() bool { return a == CRC32 || a == CRC32C || a == CRC64NVME }

// Encode writes a sum as the API does.
func Encode(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }

// Decode reads a sum as the API writes it.
func (a Algorithm) Decode(s string) ([]byte, error) {
	sum, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%s checksum: %w", a, err)
	}
	if len(sum) != a.Size() {
		return nil, fmt.Errorf("%s checksum has %d bytes, want %d", a, len(sum), a.Size())
	}
	return sum, nil
}

// Combine makes the sum of a followed by b from their sums and b's length. It
// panics for an algorithm that is not Linear.
func (a Algorithm) Combine(sumA, sumB []byte, lenB int64) []byte {
	switch a {
	case CRC32, CRC32C:
		poly := uint64(polyCRC32)
		if a == CRC32C {
			poly = polyCRC32C
		}
		x := uint64(binary.BigEndian.Uint32(sumA))
		y := uint64(binary.BigEndian.Uint32(sumB))
		return binary.BigEndian.AppendUint32(nil, uint32(combine(poly, 32, x, y, lenB)))
	case CRC64NVME:
		x, y := binary.BigEndian.Uint64(sumA), binary.BigEndian.Uint64(sumB)
		return binary.BigEndian.AppendUint64(nil, combine(polyCRC64NVME, 64, x, y, lenB))
	}
	panic("checksum: " + string(a) + " does not combine")
}

// combine appends lenB zero bytes to x, which is a multiplication by
// x^(8*lenB) modulo the polynomial, and adds y. Bit order is reversed: the
// highest bit of the word is x^0.
func combine(poly uint64, width uint, x, y uint64, lenB int64) uint64 {
	return multiply(poly, width, x, raise(poly, width, uint64(lenB)*8)) ^ y
}

func multiply(poly uint64, width uint, a, b uint64) uint64 {
	var product uint64
	for bit := uint64(1) << (width - 1); bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry == 1 {
			b ^= poly
		}
	}
	return product
}
