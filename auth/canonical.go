package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Names of Signature Version 4 ("AWS Signature Version 4 for API requests", IAM
// User Guide; "Authenticating Requests", Amazon S3 API Reference).
const (
	algorithm        = "AWS4-HMAC-SHA256"
	unsignedPayload  = "UNSIGNED-PAYLOAD"
	streamingSigned  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamingTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	unsignedTrailer  = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	timeForm         = "20060102T150405Z"
	dateForm         = "20060102"
	emptyHash        = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// appendCanonical writes the text that a signature covers.
func appendCanonical(b []byte, r *http.Request, c *claim, presigned bool, payloadHash string) []byte {
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = append(b, canonicalPath(r.URL, c.service)...)
	b = append(b, '\n')
	b = append(b, canonicalQuery(r.URL.RawQuery, presigned)...)
	b = append(b, '\n')
	for i, name := range c.signed {
		b = append(b, name...)
		b = append(b, ':')
		b = appendHeader(b, r, name, c.keys[i])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	for i, name := range c.signed {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	return append(b, payloadHash...)
}

// appendStringToSign writes what the signing key signs.
func appendStringToSign(b []byte, amzDate, scope string, canonical []byte) []byte {
	b = append(b, algorithm...)
	b = append(b, '\n')
	b = append(b, amzDate...)
	b = append(b, '\n')
	b = append(b, scope...)
	b = append(b, '\n')
	sum := sha256.Sum256(canonical)
	return hex.AppendEncode(b, sum[:])
}

// texts are the buffers of one signature's calculation.
type texts struct{ canonical, toSign, value []byte }

// textsPool keeps them: they are of one size, and every request takes some.
var textsPool = sync.Pool{New: func() any { return &texts{} }}

// maxKeptTexts bounds what is kept of a request with very long headers.
const maxKeptTexts = 8 << 10

func (t *texts) free() {
	if cap(t.canonical) <= maxKeptTexts {
		textsPool.Put(t)
	}
}

// signatureOf calculates a request's signature.
func (t *texts) signatureOf(r *http.Request, key *derivedKey, c *claim, amzDate string, presigned bool, payloadHash string) []byte {
	t.canonical = appendCanonical(t.canonical[:0], r, c, presigned, payloadHash)
	t.toSign = appendStringToSign(t.toSign[:0], amzDate, c.scope, t.canonical)
	t.value = key.sign(t.value[:0], t.toSign)
	return t.value
}

// canonicalPath encodes the path: once and unchanged for S3, whose keys may hold
// any segment; twice and with its dot segments removed for every other service.
func canonicalPath(u *url.URL, service string) string {
	path := u.EscapedPath()
	if path == "" {
		return "/"
	}
	if path == "/" {
		return path
	}
	if isS3(service) {
		segments := strings.Split(path, "/")
		for i, s := range segments {
			if plain, err := url.PathUnescape(s); err == nil {
				segments[i] = encode(plain)
			}
		}
		return strings.Join(segments, "/")
	}
	return encodePath(cleanPath(path))
}

func isS3(service string) bool { return service == "s3" || service == "s3-outposts" }

// cleanPath removes empty and dot segments ("RFC 3986, 5.2.4"), and keeps a
// trailing slash.
func cleanPath(path string) string {
	var out []string
	for s := range strings.SplitSeq(path, "/") {
		switch s {
		case "", ".":
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return "/"
	}
	clean := "/" + strings.Join(out, "/")
	if strings.HasSuffix(path, "/") || strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/..") {
		clean += "/"
	}
	return clean
}

func encodePath(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = encode(s)
	}
	return strings.Join(segments, "/")
}

// canonicalQuery sorts the parameters by encoded name, then value. A presigned
// request's own signature is not part of it.
func canonicalQuery(raw string, presigned bool) string {
	if raw == "" {
		return ""
	}
	type pair struct{ name, value string }
	var pairs []pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, value = encode(unquery(name)), encode(unquery(value))
		if presigned && name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, pair{name, value})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	var b strings.Builder
	b.Grow(len(raw) + 16)
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(p.value)
	}
	return b.String()
}

func unquery(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// appendHeader writes a header in canonical form: values joined by commas, runs
// of spaces made one. Go keeps host and content length apart from the headers.
// key is the name in the form of header keys.
func appendHeader(b []byte, r *http.Request, name, key string) []byte {
	values := r.Header[key]
	switch {
	case name == "host":
		return append(b, r.Host...)
	case name == "content-length" && len(values) == 0:
		return strconv.AppendInt(b, r.ContentLength, 10)
	case name == "transfer-encoding" && len(values) == 0:
		return append(b, strings.Join(r.TransferEncoding, ",")...)
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		if plainValue(v) {
			b = append(b, v...)
			continue
		}
		first := true
		for field := range strings.FieldsSeq(v) {
			if !first {
				b = append(b, ' ')
			}
			first = false
			b = append(b, field...)
		}
	}
	return b
}

// plainValue reports whether a value is its own canonical form for certain:
// visible ASCII, and single spaces between.
func plainValue(v string) bool {
	space := true
	for i := range len(v) {
		switch c := v[i]; {
		case c > ' ' && c < 0x7f:
			space = false
		case c == ' ' && !space:
			space = true
		default:
			return false
		}
	}
	return !space
}

// encode is AWS's UriEncode: all but the unreserved characters of RFC 3986 as
// upper-case %XX of their UTF-8 bytes.
func encode(s string) string {
	plain := true
	for i := range len(s) {
		if !unreserved(s[i]) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := range len(s) {
		c := s[i]
		if unreserved(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func unreserved(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

func hexHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
