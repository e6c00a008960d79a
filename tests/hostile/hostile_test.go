package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/platform"
)

// What one refusal may take. A machine that is busy gets more tries, not more
// time: the best of them counts.
const (
	maxTime  = slower * 100 * time.Millisecond
	maxBytes = 20 << 20
	tries    = 5
)

// Whatever breaks the model of whatever operation, in whatever protocol, is
// refused by the real services: a 4xx (or 501 by name) in the protocol's form,
// with a request id, soon and cheaply. What only looks hostile is never a 5xx.
func TestHostileInputs(t *testing.T) {
	h := start(t)
	noise := make([]byte, 10<<20)
	seed := rand.NewChaCha8([32]byte{3})
	if _, err := seed.Read(noise); err != nil {
		t.Fatal(err)
	}
	bodies := Bodies(noise)
	mounts, _ := platform.Built()
	for _, m := range mounts {
		svc := m.Desc
		t.Run(svc.Name, func(t *testing.T) {
			for i := range svc.Operations {
				op := &svc.Operations[i]
				if op.Name == "ListDirectoryBuckets" {
					continue // ListBuckets at an endpoint of another service: only the host tells them apart
				}
				cases := Cases(svc, op)
				for _, p := range svc.Protocols {
					for _, c := range cases {
						h.check(t, svc, op, p, c)
					}
					if streams(svc, op) {
						continue // its body is the caller's, whatever it is
					}
					for _, c := range bodies {
						h.check(t, svc, op, p, c)
					}
				}
			}
		})
	}
	t.Logf("one of %d of %d requests was sent", share, h.count)
	if h.count < 20_000 {
		t.Errorf("only %d requests: the cases are not what they were", h.count)
	}
}

// streams reports whether an operation's body is data, not a document.
func streams(svc *api.Service, op *api.Operation) bool {
	in := &svc.Shapes[op.Input]
	for i := range in.Members {
		if m := &in.Members[i]; m.Name == in.Payload {
			return svc.Shapes[m.Shape].Kind != api.Structure
		}
	}
	return false
}

type harness struct {
	endpoint string
	client   *http.Client
	count    int
}

func start(t *testing.T) *harness {
	t.Helper()
	ctx := context.Background()
	p, err := platform.New(ctx, platform.Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", Compute: "process", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := p.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return &harness{endpoint: p.Endpoint(), client: &http.Client{}}
}

// archives are Lambda's operations whose documents may hold 50 MB.
var archives = map[string]bool{"CreateFunction": true, "UpdateFunctionCode": true, "PublishLayerVersion": true}

// answer is what came back, and what it took.
type answer struct {
	status int
	header http.Header
	body   []byte
	time   time.Duration
	bytes  uint64
}

func (h *harness) check(t *testing.T, svc *api.Service, op *api.Operation, p api.Protocol, c Case) {
	t.Helper()
	if h.count++; h.count%share != 0 {
		return
	}
	var a answer
	for try := range tries {
		next, err := h.send(svc, op, p, c)
		if err != nil {
			t.Errorf("%s %s, protocol %d, %s: %v", svc.Name, op.Name, p, c.Name, err)
			return
		}
		if try == 0 {
			a = next
		}
		a.time, a.bytes = min(a.time, next.time), min(a.bytes, next.bytes)
		if a.time <= maxTime && (a.bytes <= maxBytes || archives[op.Name]) {
			break
		}
	}
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s %s, protocol %d, %s: %d, %s\n%.300s", svc.Name, op.Name, p, c.Name, a.status, fmt.Sprintf(format, args...), a.body)
	}
	if a.time > maxTime || a.bytes > maxBytes && !archives[op.Name] {
		wrong("took %s and %d bytes", a.time, a.bytes)
	}
	if a.header.Get("X-Amzn-Requestid") == "" && a.header.Get("X-Amz-Request-Id") == "" {
		wrong("has no request id")
	}
	typed := c.Typed && (p == api.AWSJSON10 || p == api.AWSJSON11 || p == api.RPCV2CBOR)
	switch refused := a.status >= 400 && a.status < 500 || a.status == http.StatusNotImplemented; {
	case !refused && a.status >= 500:
		wrong("is the server's fault")
	case !refused && (c.Breaks || typed):
		wrong("was not refused")
	case refused && op.Method != http.MethodHead && !inForm(p, a):
		wrong("is not in the protocol's form")
	}
}

func (h *harness) send(svc *api.Service, op *api.Operation, p api.Protocol, c Case) (answer, error) {
	r, err := c.Request(h.endpoint, svc, op, p)
	if err != nil {
		return answer{}, err
	}
	before, from := allocated(), time.Now()
	w, err := h.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(w.Body)
	if err != nil {
		return answer{}, err
	}
	if err := w.Body.Close(); err != nil {
		return answer{}, err
	}
	return answer{w.StatusCode, w.Header, body, time.Since(from), allocated() - before}, nil
}

// allocated is all that the process has ever taken from its heap, in bytes. The
// client and the platform's loops count in, so that it is a bound from above.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// inForm reports whether a refusal has the form in which clients of a protocol
// look for its code.
func inForm(p api.Protocol, a answer) bool {
	body := a.body
	switch p {
	case api.RESTJSON:
		return json.Valid(body) && a.header.Get("X-Amzn-Errortype") != ""
	case api.AWSQuery:
		return xmlPath(body, "ErrorResponse", "Error", "Code")
	case api.EC2Query:
		return xmlPath(body, "Response", "Errors", "Error", "Code")
	case api.RESTXML:
		return xmlPath(body, "Error", "Code")
	case api.RPCV2CBOR:
		var v struct {
			Type string `cbor:"__type"`
		}
		return cbor.Unmarshal(body, &v) == nil && v.Type != ""
	}
	var v struct {
		Type string `json:"__type"`
	}
	return json.Unmarshal(body, &v) == nil && v.Type != ""
}

// xmlPath reports whether a document has text in the element at a path.
func xmlPath(body []byte, path ...string) bool {
	d := xml.NewDecoder(bytes.NewReader(body))
	var at []string
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		switch token := token.(type) {
		case xml.StartElement:
			at = append(at, token.Name.Local)
		case xml.EndElement:
			at = at[:len(at)-1]
		case xml.CharData:
			if strings.Join(at, "/") == strings.Join(path, "/") && len(bytes.TrimSpace(token)) > 0 {
				return true
			}
		}
	}
}
