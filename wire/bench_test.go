package wire

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/slipway/slipway/api/sqs"
)

// What the pipeline itself costs, without network and service.
func BenchmarkSendMessage(b *testing.B) {
	a := &answering{output: &sqs.SendMessageOutput{MessageId: "m", MD5OfMessageBody: "5"}}
	h := New(testConfig(a.mount(sqs.Describe())))
	for name, body := range map[string][2]string{
		"json":  {`{"QueueUrl":"http://127.0.0.1:4566/000000000000/q","MessageBody":"hello"}`, json10},
		"query": {"Action=SendMessage&Version=2012-11-05&QueueUrl=u&MessageBody=hello", formType},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := request("POST", "/", "", signed("sqs"), body[1])
				if name == "json" {
					r.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
				}
				r.Body = readCloser{strings.NewReader(body[0])}
				r.ContentLength = int64(len(body[0]))
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
		})
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
