//go:build unix

package agent

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHandler has programs answer requests of the Runtime API.
func TestHandler(t *testing.T) {
	for _, c := range []struct {
		name, program, request, path, want string
	}{
		{"an answer", "cat", `{"a":1}`, "response", `{"a":1}`},
		{"its credentials", `printf '{"key":"%s%s%s"}' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN"`,
			`{"requestData":{"callerCredentials":{"accessKeyId":"a","secretAccessKey":"b","sessionToken":"c"}}}`, "response", `{"key":"abc"}`},
		{"no JSON", "echo done", `{}`, "error", "printed no JSON"},
		{"an end", "echo why >&2; exit 3", `{}`, "error", "exit status 3: why"},
		{"much to say", "i=0; while [ $i -lt 300 ]; do echo 0123456789 >&2; i=$((i+1)); done; echo last >&2; exit 1", `{}`, "error", "last"},
		{"too much", "head -c 7000000 /dev/zero", `{}`, "error", "more than 6291456 bytes"},
		{"none", "", `{}`, "error", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "handler")
			if c.program != "" {
				if err := os.WriteFile(program, []byte("#!/bin/sh\n"+c.program+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			var path, body string
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					w.Header().Set("Lambda-Runtime-Aws-Request-Id", "id")
					_, _ = io.WriteString(w, c.request)
					return
				}
				b, _ := io.ReadAll(r.Body)
				path, body = r.URL.Path, string(b)
				w.WriteHeader(http.StatusAccepted)
			}))
			defer api.Close()
			client := &runtimeClient{base: api.URL + "/2018-06-01/runtime", http: api.Client(), program: program}
			var said bytes.Buffer
			if err := client.serve(t.Context(), &said); err != nil {
				t.Fatal(err)
			}
			if path != "/2018-06-01/runtime/invocation/id/"+c.path || !strings.Contains(body, c.want) || len(body) > 2*maxComplaint {
				t.Errorf("%s: %s", path, body)
			}
		})
	}
}
