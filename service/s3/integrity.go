package s3

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // Content-MD5 is MD5.
	"encoding/base64"
	"encoding/hex"
	"net/http"

	"github.com/slipway/slipway/auth/checksum"
	"github.com/slipway/slipway/fault"
)

// sum is an object's checksum.
type sum struct {
	Algorithm checksum.Algorithm
	Value     string // base64; of a composite one with "-" and the number of parts
	Type      string
}

// claims are the checksums that a request states about its body.
type claims struct {
	md5       []byte // nil: none
	algorithm checksum.Algorithm
	value     []byte
}

// sums are the checksum members that many shapes have.
type sums struct {
	CRC32, CRC32C, CRC64NVME, SHA1, SHA256    string
	SHA512, MD5, XXHASH64, XXHASH3, XXHASH128 string
}

func (m sums) of(a checksum.Algorithm) string {
	switch a {
	case checksum.CRC32:
		return m.CRC32
	case checksum.CRC32C:
		return m.CRC32C
	case checksum.CRC64NVME:
		return m.CRC64NVME
	case checksum.SHA1:
		return m.SHA1
	case checksum.SHA256:
		return m.SHA256
	case checksum.SHA512:
		return m.SHA512
	case checksum.MD5:
		return m.MD5
	case checksum.XXHASH64:
		return m.XXHASH64
	case checksum.XXHASH3:
		return m.XXHASH3
	case checksum.XXHASH128:
		return m.XXHASH128
	}
	return ""
}

// one gives the one checksum that is set, if any.
func (m sums) one() (a checksum.Algorithm, v string, err error) {
	for _, algorithm := range checksum.All {
		s := m.of(algorithm)
		if s == "" {
			continue
		}
		if a != "" {
			return "", "", invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		a, v = algorithm, s
	}
	return a, v, nil
}

// fields point to the checksum members of an output.
type fields struct {
	CRC32, CRC32C, CRC64NVME, SHA1, SHA256    *string
	SHA512, MD5, XXHASH64, XXHASH3, XXHASH128 *string
}

func (f fields) set(a checksum.Algorithm, v string) {
	switch a {
	case checksum.CRC32:
		*f.CRC32 = v
	case checksum.CRC32C:
		*f.CRC32C = v
	case checksum.CRC64NVME:
		*f.CRC64NVME = v
	case checksum.SHA1:
		*f.SHA1 = v
	case checksum.SHA256:
		*f.SHA256 = v
	case checksum.SHA512:
		*f.SHA512 = v
	case checksum.MD5:
		*f.MD5 = v
	case checksum.XXHASH64:
		*f.XXHASH64 = v
	case checksum.XXHASH3:
		*f.XXHASH3 = v
	case checksum.XXHASH128:
		*f.XXHASH128 = v
	}
}

// readClaims reads what a request states about its body.
func readClaims(contentMD5 string, m sums) (claims, error) {
	var c claims
	if contentMD5 != "" {
		raw, err := base64.StdEncoding.Strict().DecodeString(contentMD5)
		if err != nil || len(raw) != md5.Size {
			return c, fault.New(fault.InvalidDigest, "The Content-MD5 you specified was invalid.").With("Content-MD5", contentMD5)
		}
		c.md5 = raw
	}
	a, v, err := m.one()
	if err != nil || a == "" {
		return c, err
	}
	if c.value, err = a.Decode(v); err != nil {
		return c, invalidRequest("Value for %s header is invalid.", a.Header())
	}
	c.algorithm = a
	return c, nil
}

// wanted are the algorithms to compute for an object: the one claimed, and
// S3's own where none is, for it may yet come in a trailer or not at all.
func (c claims) wanted() []checksum.Algorithm {
	if c.algorithm != "" {
		return []checksum.Algorithm{c.algorithm}
	}
	return []checksum.Algorithm{checksum.CRC64NVME}
}

// verify compares what came with what was claimed, in headers or in trailers.
func (c *claims) verify(r *received) error {
	if c.md5 != nil && !hmac.Equal(c.md5, r.md5) {
		return fault.New(fault.BadDigest, "The Content-MD5 you specified did not match what we received.").
			With("ExpectedDigest", hex.EncodeToString(c.md5)).With("CalculatedDigest", base64.StdEncoding.EncodeToString(r.md5))
	}
	if c.algorithm == "" {
		return nil
	}
	if !hmac.Equal(c.value, r.sums[c.algorithm]) {
		return fault.New(fault.BadDigest, "The %s you specified did not match the calculated checksum.", c.algorithm)
	}
	return nil
}

// trailered is a body whose checksum follows it. The trailer is complete, and
// compared with the body already, when the body has been read to its end.
type trailered interface{ Trailer() http.Header }

// trailer takes up the checksum that followed a body.
func trailer(body any, r *received) (checksum.Algorithm, error) {
	t, ok := body.(trailered)
	if !ok {
		return "", nil
	}
	for _, a := range checksum.All {
		v := t.Trailer().Get(a.Header())
		if v == "" {
			continue
		}
		raw, err := a.Decode(v)
		if err != nil {
			return "", invalidRequest("Value for %s trailing header is invalid.", a.Header())
		}
		if got, ok := r.sums[a]; ok && !hmac.Equal(got, raw) {
			return "", fault.New(fault.BadDigest, "The %s you specified did not match the calculated checksum.", a)
		}
		r.sums[a] = raw
		return a, nil
	}
	return "", nil
}
