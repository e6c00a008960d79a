package wire

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/api/ssm"
)

// A client that stops in the middle of a body is told so, and lets go.
func TestBodiesThatStopEnd(t *testing.T) {
	a := &answering{}
	objects := (&answering{}).mount(s3.Describe())
	for i := range objects.Desc.Operations {
		objects.Desc.Operations[i].Call = func(_ context.Context, _, in any) (any, error) {
			_, err := io.ReadAll(in.(*s3.PutObjectInput).Body)
			return &s3.PutObjectOutput{}, err
		}
	}
	cfg := testConfig(a.mount(ssm.Describe()), objects)
	cfg.Patience = 20 * time.Millisecond
	server := httptest.NewServer(New(cfg))
	defer server.Close()
	for name, head := range map[string]string{
		"read whole": "POST / HTTP/1.1\r\n" + signed("ssm") + "\r\n" + json11 + "\r\n" + getParameter,
		"streamed":   "PUT /b/k HTTP/1.1\r\n" + signed("s3"),
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "%s\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", head); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusBadRequest || err != nil || !strings.Contains(string(body), "RequestTimeout") {
			t.Errorf("%s: %d %s %v", name, resp.StatusCode, body, err)
		}
	}
	if a.operation != "" {
		t.Errorf("%s was called", a.operation)
	}
}
