package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/slipway/slipway/fault"
)

// hashedBody passes a body on and, at its end, compares its SHA-256 with the one
// that the request was signed with. The end is known by the content length, too,
// so a reader that stops there has the check all the same.
type hashedBody struct {
	body io.ReadCloser
	sum  hash.Hash
	want string // hexadecimal
	left int64  // bytes still to come; -1 where the length is unknown
	err  error
}

func newHashedBody(body io.ReadCloser, want string, length int64) *hashedBody {
	return &hashedBody{body: body, sum: sha256.New(), want: want, left: length}
}

func (b *hashedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.body.Read(p)
	b.sum.Write(p[:n])
	if b.left >= 0 {
		b.left -= int64(n)
	}
	if err == io.EOF || b.left == 0 {
		got := hex.EncodeToString(b.sum.Sum(nil))
		b.err = io.EOF
		if got != b.want {
			b.err = fault.New(fault.ContentSHA256Mismatch, "The provided 'x-amz-content-sha256' header does not match what was computed.").
				With("ClientComputedContentSHA256", b.want).With("S3ComputedContentSHA256", got)
		}
		return n, b.err
	}
	b.err = err
	return n, err
}

func (b *hashedBody) Close() error { return b.body.Close() }
