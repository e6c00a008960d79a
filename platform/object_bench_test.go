package platform

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
)

// benchObjects measures a call on objects of 1 KB, by 64 callers at once who
// share the durable commits.
func benchObjects(b *testing.B, method string) {
	p, keys := startClosed(b)
	h := p.handler(true)
	request := func(method, path string, body []byte) *http.Request {
		r := httptest.NewRequest(method, p.Endpoint()+path, nil)
		r.ContentLength = int64(len(body))
		auth.Sign(r, body, keys, "s3", "us-east-1", time.Now())
		return r
	}
	do := func(r *http.Request, body []byte) {
		again := r.WithContext(b.Context())
		u := *r.URL
		again.URL, again.Body = &u, io.NopCloser(bytes.NewReader(body))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, again)
		if w.Code != http.StatusOK {
			b.Error(w.Body)
		}
	}
	const keyCount = 64
	body := bytes.Repeat([]byte{7}, 1<<10)
	do(request(http.MethodPut, "/bench", nil), nil)
	var requests [keyCount]*http.Request
	for i := range requests {
		path := fmt.Sprintf("/bench/folder/key-%04d", i)
		do(request(http.MethodPut, path, body), body)
		if method == http.MethodGet {
			requests[i] = request(method, path, nil)
		} else {
			requests[i] = request(method, path, body)
		}
	}
	if method == http.MethodGet {
		body = nil
	}
	b.ReportAllocs()
	b.SetParallelism(keyCount / 2)
	var next atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r := requests[next.Add(1)%keyCount]
		for pb.Next() {
			do(r, body)
		}
	})
}

func BenchmarkPutObject(b *testing.B) { benchObjects(b, http.MethodPut) }

func BenchmarkGetObject(b *testing.B) { benchObjects(b, http.MethodGet) }
