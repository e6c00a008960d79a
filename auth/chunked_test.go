package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/slipway/slipway/fault"
)

// The chunked upload of "Signature calculations: transferring payload in
// multiple chunks" (Amazon S3 API Reference): 66560 letters a in two chunks.
const (
	firstChunk  = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
	secondChunk = "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
	lastChunk   = "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"
)

func chunkedBodyOf(first, second, last string) string {
	return "10000;chunk-signature=" + first + "\r\n" + strings.Repeat("a", 65536) + "\r\n" +
		"400;chunk-signature=" + second + "\r\n" + strings.Repeat("a", 1024) + "\r\n" +
		"0;chunk-signature=" + last + "\r\n\r\n"
}

func chunkedRequest(t *testing.T, body string) *http.Request {
	t.Helper()
	r := newRequest(t, "PUT", "https://s3.amazonaws.com/examplebucket/chunkObject.txt", body, map[string]string{
		"X-Amz-Date":                   "20130524T000000Z",
		"X-Amz-Storage-Class":          "REDUCED_REDUNDANCY",
		"X-Amz-Content-Sha256":         streamingSigned,
		"Content-Encoding":             "aws-chunked",
		"Content-Length":               "66824",
		"X-Amz-Decoded-Content-Length": "66560",
		"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," +
			"SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class," +
			"Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
	})
	return r
}

func TestPublishedChunkedUpload(t *testing.T) {
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "data with EOF": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			r := chunkedRequest(t, "")
			r.Body = io.NopCloser(wrap(strings.NewReader(chunkedBodyOf(firstChunk, secondChunk, lastChunk))))
			out, err := closedAt(at(t, "20130524T000000Z")).Authenticate(r, "s3")
			if err != nil {
				t.Fatal(err)
			}
			if out.ContentLength != 66560 {
				t.Errorf("content length %d", out.ContentLength)
			}
			b, err := io.ReadAll(out.Body)
			if err != nil || string(b) != strings.Repeat("a", 66560) {
				t.Fatalf("read %d bytes, %v", len(b), err)
			}
		})
	}
}

func TestBrokenChunkedUploads(t *testing.T) {
	whole := chunkedBodyOf(firstChunk, secondChunk, lastChunk)
	for name, c := range map[string]struct{ body, code string }{
		"changed byte in the first chunk": {strings.Replace(whole, "\r\na", "\r\nb", 1), fault.SignatureDoesNotMatch},
		"changed chunk signature":         {chunkedBodyOf(firstChunk, firstChunk, lastChunk), fault.SignatureDoesNotMatch},
		"changed last signature":          {chunkedBodyOf(firstChunk, secondChunk, firstChunk), fault.SignatureDoesNotMatch},
		"no chunk signature":              {strings.Replace(whole, ";chunk-signature="+secondChunk, "", 1), fault.InvalidRequest},
		"no last chunk":                   {whole[:strings.LastIndex(whole, "0;chunk")], fault.IncompleteBody},
		"cut in a chunk":                  {whole[:1000], fault.IncompleteBody},
		"only the last chunk":             {"0;chunk-signature=" + lastChunk + "\r\n\r\n", fault.SignatureDoesNotMatch},
		"more than was announced":         {strings.Replace(whole, "10000;", "20000;", 1), fault.IncompleteBody},
		"no size":                         {"x" + whole, fault.InvalidRequest},
		"negative size":                   {"-1" + whole, fault.InvalidRequest},
		"endless line":                    {strings.Repeat("1", 100000), fault.InvalidRequest},
		"empty":                           {"", fault.IncompleteBody},
	} {
		t.Run(name, func(t *testing.T) {
			r := chunkedRequest(t, c.body)
			out, err := closedAt(at(t, "20130524T000000Z")).Authenticate(r, "s3")
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(out.Body)
			if !fault.Is(err, c.code) {
				t.Fatalf("%v, want %s", err, c.code)
			}
			if n, again := out.Body.Read(make([]byte, 1)); n != 0 || again == nil || again == io.EOF {
				t.Fatalf("reading on gives %d, %v", n, again)
			}
		})
	}
}

// The published upload with a trailing checksum ("Signature calculations:
// including trailing headers", Amazon S3 API Reference).
func TestPublishedTrailingChecksum(t *testing.T) {
	body := chunkedBodyOf("b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
		"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
		"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992")
	trailer := "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
	body = strings.TrimSuffix(body, "\r\n") + trailer
	for name, c := range map[string]struct{ body, code string }{
		"as published":      {body, ""},
		"changed checksum":  {strings.Replace(body, "sOO8", "sOO9", 1), fault.SignatureDoesNotMatch},
		"changed signature": {strings.Replace(body, ":d81f", ":d81e", 1), fault.SignatureDoesNotMatch},
		"no trailer":        {strings.TrimSuffix(body, trailer) + "\r\n", fault.SignatureDoesNotMatch},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRequest(t, "PUT", "https://s3.amazonaws.com/examplebucket/chunkObject.txt", c.body, map[string]string{
				"X-Amz-Date":                   "20130524T000000Z",
				"X-Amz-Storage-Class":          "REDUCED_REDUNDANCY",
				"X-Amz-Content-Sha256":         streamingTrailer,
				"Content-Encoding":             "aws-chunked",
				"X-Amz-Decoded-Content-Length": "66560",
				"X-Amz-Trailer":                "x-amz-checksum-crc32c",
				"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," +
					"SignedHeaders=content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer," +
					"Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			})
			out, err := closedAt(at(t, "20130524T000000Z")).Authenticate(r, "s3")
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(out.Body)
			if c.code != "" {
				if !fault.Is(err, c.code) {
					t.Fatalf("%v, want %s", err, c.code)
				}
				return
			}
			if err != nil || len(b) != 66560 || out.Trailer.Get("X-Amz-Checksum-Crc32c") != "sOO8/Q==" {
				t.Fatalf("read %d bytes, %v, trailers %v", len(b), err, out.Trailer)
			}
		})
	}
}

// TestUnsignedTrailers sends what the SDKs send to plain HTTPS endpoints.
func TestUnsignedTrailers(t *testing.T) {
	data := []byte("123456789")
	sum256 := sha256.Sum256(data)
	crc := crc32.NewIEEE()
	crc.Write(data)
	for _, c := range []struct{ name, header, value, code string }{
		{"crc32", "x-amz-checksum-crc32", base64.StdEncoding.EncodeToString(crc.Sum(nil)), ""},
		{"crc32c check value", "x-amz-checksum-crc32c", base64.StdEncoding.EncodeToString([]byte{0xe3, 0x06, 0x92, 0x83}), ""},
		{"crc64nvme check value", "x-amz-checksum-crc64nvme", base64.StdEncoding.EncodeToString([]byte{0xae, 0x8b, 0x14, 0x86, 0x0a, 0x79, 0x98, 0x88}), ""},
		{"sha256", "x-amz-checksum-sha256", base64.StdEncoding.EncodeToString(sum256[:]), ""},
		{"wrong", "x-amz-checksum-crc32", "AAAAAA==", fault.BadDigest},
		{"missing", "x-amz-checksum-crc32", "", fault.MalformedTrailer},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := fmt.Sprintf("4\r\n1234\r\n5\r\n56789\r\n0\r\n%s:%s\r\n\r\n", c.header, c.value)
			r := newRequest(t, "PUT", "http://127.0.0.1/b/k", body, map[string]string{
				"X-Amz-Content-Sha256": unsignedTrailer, "X-Amz-Decoded-Content-Length": "9", "X-Amz-Trailer": c.header,
			})
			out, err := (&Authenticator{Open: true}).Authenticate(r, "s3")
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(out.Body)
			if c.code != "" {
				if !fault.Is(err, c.code) {
					t.Fatalf("%v, want %s", err, c.code)
				}
			} else if err != nil || !bytes.Equal(b, data) {
				t.Fatalf("read %q, %v", b, err)
			}
		})
	}
}

// FuzzChunkedBody: no input makes the decoder panic, loop, or hand on more than
// the request announced.
func FuzzChunkedBody(f *testing.F) {
	f.Add(chunkedBodyOf(firstChunk, secondChunk, lastChunk))
	f.Add("4\r\n1234\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n")
	f.Fuzz(func(t *testing.T, body string) {
		r := newRequest(t, "PUT", "http://127.0.0.1/b/k", body, map[string]string{
			"X-Amz-Content-Sha256": unsignedTrailer, "X-Amz-Decoded-Content-Length": "100", "X-Amz-Trailer": "x-amz-checksum-crc32",
		})
		out, err := (&Authenticator{Open: true}).Authenticate(r, "s3")
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(out.Body); len(b) > 100 {
			t.Fatalf("%d bytes", len(b))
		}
	})
}
