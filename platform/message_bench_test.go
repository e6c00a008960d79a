package platform

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
)

// BenchmarkMessage measures a message's way through a queue: sent, received and
// deleted, by 64 callers at once who share the durable commits, each call from its
// parsed head to its written answer. The processor's time is told beside the time
// that passes, of which the disk has a part.
func BenchmarkMessage(b *testing.B) {
	p, keys := startClosed(b)
	h := p.handler(true)
	sign := func(operation string, in any) *http.Request {
		body, err := json.Marshal(in)
		if err != nil {
			b.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, p.Endpoint()+"/", bytes.NewReader(body))
		r.Header = http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AmazonSQS." + operation}}
		auth.Sign(r, body, keys, "sqs", "us-east-1", time.Now())
		r.Body = io.NopCloser(bytes.NewReader(body))
		return r
	}
	do := func(r *http.Request, out any) {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Error(w.Body)
			return
		}
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			b.Error(err)
		}
	}
	var queue struct{ QueueUrl string }
	do(sign("CreateQueue", map[string]string{"QueueName": "bench"}), &queue)
	b.ReportAllocs()
	b.SetParallelism(32)
	before := used(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			do(sign("SendMessage", map[string]string{"QueueUrl": queue.QueueUrl, "MessageBody": "a message of no great length"}), &struct{}{})
			var got struct {
				Messages []struct{ ReceiptHandle string }
			}
			do(sign("ReceiveMessage", map[string]string{"QueueUrl": queue.QueueUrl}), &got)
			for _, m := range got.Messages {
				do(sign("DeleteMessage", map[string]string{"QueueUrl": queue.QueueUrl, "ReceiptHandle": m.ReceiptHandle}), &struct{}{})
			}
		}
	})
	b.ReportMetric(float64((used(b)-before).Microseconds())/float64(b.N), "us-cpu/op")
}

// used is the processor's time of this process.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
