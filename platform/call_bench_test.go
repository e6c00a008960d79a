package platform

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
)

// startClosed starts a platform on which signatures and policies count, and tells its
// root key.
func startClosed(b *testing.B) (*Platform, auth.Credentials) {
	p, err := New(b.Context(), Config{Dir: b.TempDir(), Listen: "127.0.0.1:0", Compute: "process", Auth: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Stop(b.Context()) })
	if err := p.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	return p, auth.Credentials{AccessKeyID: p.rootKey.AccessKeyID, SecretAccessKey: p.rootKey.SecretAccessKey}
}

// benchCall measures a call from its parsed head to its written answer, with
// its signature verified. tests/load has the rates over HTTP.
func benchCall(b *testing.B, service string, header http.Header, body string, before ...string) {
	p, keys := startClosed(b)
	h := p.handler(true)
	request := func(header http.Header, body string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, p.Endpoint()+"/", nil)
		r.Header = header.Clone()
		auth.Sign(r, []byte(body), keys, service, "us-east-1", time.Now())
		return r
	}
	for i := 0; i+1 < len(before); i += 2 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(http.Header{"Content-Type": header["Content-Type"], "X-Amz-Target": {before[i]}}, before[i+1]))
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
	r := request(header, body)
	b.ReportAllocs()
	for b.Loop() {
		again := r.WithContext(b.Context())
		u := *r.URL
		again.URL = &u
		again.Body = io.NopCloser(bytes.NewReader([]byte(body)))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, again)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

func BenchmarkGetCallerIdentity(b *testing.B) {
	benchCall(b, "sts", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}.Encode())
}

func BenchmarkGetParameter(b *testing.B) {
	benchCall(b, "ssm", http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"AmazonSSM.GetParameter"}},
		`{"Name":"bench"}`, "AmazonSSM.PutParameter", `{"Name":"bench","Type":"String","Value":"v"}`)
}
