package platform

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
)

// shellFunction answers with what it was given: the Runtime API, spoken by a shell.
const shellFunction = `#!/bin/sh
while true; do
	h=$(mktemp); d=$(mktemp)
	curl -sS -o "$d" -D "$h" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next"
	id=$(grep -i lambda-runtime-aws-request-id "$h" | tr -d '\r' | cut -d' ' -f2)
	curl -sS -o /dev/null --data-binary "@$d" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response"
done
`

// makeFunction makes f, whose program echoes, and waits until it is active.
func makeFunction(t *testing.T, p *Platform) {
	t.Helper()
	body := `{"FunctionName":"f","Runtime":"provided.al2023","Handler":"x","Role":"arn:aws:iam::000000000000:role/r","Timeout":30,"Code":{"ZipFile":"` +
		base64.StdEncoding.EncodeToString(zipped(t, "bootstrap", shellFunction)) + `"}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Endpoint()+"/2015-03-31/functions", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	auth.Sign(r, []byte(body), auth.Credentials{AccessKeyID: "000000000000", SecretAccessKey: "local"}, "lambda", "us-east-1", time.Now())
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("create: %d %s, %v", resp.StatusCode, answer, err)
	}
	for end := time.Now().Add(20 * time.Second); !strings.Contains(functionAndCode(t, p), `"State":"Active"`); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("f is not active: %s", functionAndCode(t, p))
		}
	}
}

// functionAndCode is what Lambda shows of f, and its archive.
func functionAndCode(t *testing.T, p *Platform) string {
	t.Helper()
	var shown struct {
		Configuration json.RawMessage
		Code          struct{ Location string }
	}
	if err := json.Unmarshal([]byte(ask(t, p, http.MethodGet, "/2015-03-31/functions/f", "lambda", "")), &shown); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(shown.Code.Location)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	code, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the code: %d %s, %v", resp.StatusCode, code, err)
	}
	return string(shown.Configuration) + base64.StdEncoding.EncodeToString(code)
}

// invokeFunction invokes f, and gives its answer.
func invokeFunction(t testing.TB, p *Platform, payload string) string {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Endpoint()+"/2015-03-31/functions/f/invocations", strings.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	auth.Sign(r, []byte(payload), auth.Credentials{AccessKeyID: "000000000000", SecretAccessKey: "local"}, "lambda", "us-east-1", time.Now())
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("invoke: %d %s, %v", resp.StatusCode, b, err)
	}
	return string(b)
}

// A function runs on a real host, through the real API.
func TestAFunctionRuns(t *testing.T) {
	p := start(t, nil)
	makeFunction(t, p)
	for range 3 {
		if got := invokeFunction(t, p, `{"n":1}`); got != `{"n":1}` {
			t.Fatalf("it answers %s", got)
		}
	}
}
