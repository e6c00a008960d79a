package auth

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/slipway/slipway/auth/checksum"
	"github.com/slipway/slipway/fault"
)

// chunkedBody decodes the aws-chunked encoding ("Signature calculations for the
// authorization header: transferring payload in multiple chunks", Amazon S3 API
// Reference). It hands bytes on as they come and checks each chunk's signature
// at the chunk's end; a reader must take the body for good only after io.EOF.
type chunkedBody struct {
	body    io.ReadCloser
	in      *bufio.Reader
	chain   *chunkChain // nil where chunks are unsigned or the caller is let in unverified
	signed  bool        // chunks carry signatures
	trailed bool        // trailers follow the last chunk
	expect  string      // the checksum trailer that was announced, lower case, or ""
	sum     hash.Hash   // of the trailer's algorithm, over the decoded body
	trailer http.Header // filled at io.EOF

	total   int64 // decoded bytes so far
	decoded int64 // of x-amz-decoded-content-length; -1: not said
	left    int64 // bytes left in this chunk
	chunk   hash.Hash
	claim   string // this chunk's signature
	open    bool   // a chunk is being read
	err     error
}

// chunkChain computes each chunk's signature from the one before.
type chunkChain struct {
	key         []byte
	amzDate     string
	scope       string
	previous    string
	accessKeyID string
}

func (c *chunkChain) next(dataHash string) string {
	c.previous = hexSum(c.key, algorithm+"-PAYLOAD\n"+c.amzDate+"\n"+c.scope+"\n"+c.previous+"\n"+emptyHash+"\n"+dataHash)
	return c.previous
}

func (c *chunkChain) trailer(trailerHash string) string {
	return hexSum(c.key, "AWS4-HMAC-SHA256-TRAILER\n"+c.amzDate+"\n"+c.scope+"\n"+c.previous+"\n"+trailerHash)
}

// Bounds of what is read into memory: a chunk's header line, and all trailers.
const (
	maxChunkLine = 1024
	maxTrailers  = 8 * 1024
)

func newChunkedBody(r *http.Request, form string, chain *chunkChain) (*chunkedBody, error) {
	b := &chunkedBody{
		body: r.Body, in: bufio.NewReaderSize(r.Body, 64*1024),
		signed: form != unsignedTrailer, trailed: form != streamingSigned,
		trailer: http.Header{}, decoded: -1,
	}
	if b.signed {
		b.chain = chain
		b.chunk = sha256.New()
	}
	if v := r.Header.Get("X-Amz-Decoded-Content-Length"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return nil, fault.New(fault.InvalidArgument, "x-amz-decoded-content-length must be a number of bytes, not %q.", v)
		}
		b.decoded = n
	}
	if b.trailed {
		for name := range strings.SplitSeq(r.Header.Get("X-Amz-Trailer"), ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if a, ok := trailing(name); ok {
				b.expect, b.sum = name, a.New()
			} else if strings.HasPrefix(name, "x-amz-checksum-") {
				return nil, fault.New(fault.InvalidRequest, "The value specified in the x-amz-trailer header is not supported")
			}
		}
	}
	return b, nil
}

// trailing finds the algorithm of an x-amz-checksum-* header.
func trailing(header string) (checksum.Algorithm, bool) {
	name, ok := strings.CutPrefix(header, "x-amz-checksum-")
	if !ok {
		return "", false
	}
	return checksum.Parse(name)
}

func (b *chunkedBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, b.err
	}
	for b.err == nil {
		if !b.open {
			b.err = b.begin()
			continue
		}
		if b.left == 0 {
			b.err = b.end()
			continue
		}
		n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
		if n > 0 {
			b.take(p[:n])
			return n, nil
		}
		if err != nil {
			b.err = cutShort(err)
		}
	}
	return 0, b.err
}

func (b *chunkedBody) take(p []byte) {
	b.left -= int64(len(p))
	b.total += int64(len(p))
	if b.chunk != nil && b.chain != nil {
		b.chunk.Write(p)
	}
	if b.sum != nil {
		b.sum.Write(p)
	}
}

func (b *chunkedBody) Close() error { return b.body.Close() }

// Trailer holds the trailers that followed the body, once it is read to io.EOF.
func (b *chunkedBody) Trailer() http.Header { return b.trailer }

// begin reads a chunk's header line; the chunk of no bytes ends the body.
func (b *chunkedBody) begin() error {
	line, err := b.line(maxChunkLine)
	if err != nil {
		return err
	}
	size, extension, _ := strings.Cut(line, ";")
	n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
	if err != nil || n < 0 {
		return malformed("a chunk's size is not a hexadecimal number")
	}
	if b.decoded >= 0 && b.total+n > b.decoded {
		return incomplete()
	}
	b.claim = ""
	if name, value, _ := strings.Cut(extension, "="); strings.TrimSpace(name) == "chunk-signature" {
		b.claim = strings.TrimSpace(value)
	}
	if b.chain != nil && b.claim == "" {
		return malformed("a chunk has no chunk-signature")
	}
	b.left, b.open = n, true
	if n > 0 {
		return nil
	}
	if err := b.verify(); err != nil {
		return err
	}
	return b.finish()
}

// end closes a chunk of data: its signature and its line end.
func (b *chunkedBody) end() error {
	b.open = false
	if err := b.verify(); err != nil {
		return err
	}
	line, err := b.line(2)
	if err == nil && line != "" {
		err = malformed("a chunk does not end with CRLF")
	}
	return err
}

func (b *chunkedBody) verify() error {
	if b.chain == nil {
		return nil
	}
	want := b.chain.next(hex.EncodeToString(b.chunk.Sum(nil)))
	b.chunk.Reset()
	if !sameText(want, b.claim) {
		return mismatch("s3", b.chain.accessKeyID, nil)
	}
	return nil
}

// finish reads the trailers and makes the checks that need the whole body.
func (b *chunkedBody) finish() error {
	lines, signature, err := b.trailers()
	if err != nil {
		return err
	}
	if b.decoded >= 0 && b.total != b.decoded {
		return incomplete()
	}
	if b.chain != nil && b.trailed {
		var text strings.Builder
		for _, l := range lines {
			text.WriteString(l + "\n")
		}
		if !sameText(b.chain.trailer(hexHash([]byte(text.String()))), signature) {
			return mismatch("s3", b.chain.accessKeyID, nil)
		}
	}
	if b.sum != nil {
		want := b.trailer.Get(b.expect)
		if want == "" {
			return fault.New(fault.MalformedTrailer, "The request contained trailing data that was not well-formed or did not conform to our published schema.")
		}
		if got := base64.StdEncoding.EncodeToString(b.sum.Sum(nil)); !sameText(got, want) {
			return fault.New(fault.BadDigest, "The %s you specified did not match the calculated checksum.",
				strings.ToUpper(strings.TrimPrefix(b.expect, "x-amz-checksum-")))
		}
	}
	return io.EOF
}

// trailers reads "name:value" lines until the empty line or the body's end.
func (b *chunkedBody) trailers() (lines []string, signature string, err error) {
	size := 0
	for {
		line, err := b.line(maxTrailers)
		if errors.Is(err, errCut) || err == nil && line == "" {
			return lines, signature, nil // some clients leave the last line end out
		}
		if err != nil {
			return nil, "", err
		}
		if size += len(line); size > maxTrailers || !b.trailed {
			return nil, "", malformed("trailers are too long or not announced")
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, "", malformed("a trailer is not name:value")
		}
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == "x-amz-trailer-signature" {
			signature = value
			continue
		}
		lines = append(lines, name+":"+value)
		b.trailer.Add(name, value)
	}
}

// line reads up to CRLF (or a bare LF), which it takes off.
func (b *chunkedBody) line(limit int) (string, error) {
	var line []byte
	for {
		c, err := b.in.ReadByte()
		if err != nil {
			return "", cutShort(err)
		}
		if c == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		if line = append(line, c); len(line) > limit {
			return "", malformed("a line is too long")
		}
	}
}

var errCut = errors.New("auth: the body ended early")

func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return incomplete().Because(errCut)
	}
	return err
}

func incomplete() *fault.Error {
	return fault.New(fault.IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header")
}

func malformed(what string) *fault.Error {
	return fault.New(fault.InvalidRequest, "The body is not well-formed aws-chunked data: %s.", what)
}

// sameText compares in a time that does not depend on where the texts differ.
func sameText(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }
