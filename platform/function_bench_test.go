package platform

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
)

// goFunction echoes by the Runtime API, as a Go binary of provided.al2023.
const goFunction = `package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
)

func main() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(base + "next")
		if err != nil {
			panic(err)
		}
		b, _ := io.ReadAll(next.Body)
		next.Body.Close()
		done, err := http.Post(base+next.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", bytes.NewReader(b))
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, done.Body)
		done.Body.Close()
	}
}
`

// goArchive builds the function, once for a run.
func goArchive(b *testing.B) []byte {
	b.Helper()
	dir := b.TempDir()
	for name, text := range map[string]string{"main.go": goFunction, "go.mod": "module echo\n\ngo 1.24\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", "bootstrap", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	code, err := os.ReadFile(filepath.Join(dir, "bootstrap"))
	if err != nil {
		b.Fatal(err)
	}
	var z bytes.Buffer
	w := zip.NewWriter(&z)
	head := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	head.SetMode(0o755)
	f, err := w.CreateHeader(head)
	if err == nil {
		_, err = f.Write(code)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	return z.Bytes()
}

// BenchmarkFunctions measures invocations through the whole API: from a request's
// head to its answer. Targets on two idle cores: 80 ms cold, 2 ms warm. Cold ones change the function before, so that each needs a new
// environment; only the invocation counts in the least and the median, which are all that is told.
func BenchmarkFunctions(b *testing.B) {
	archive := goArchive(b)
	for _, driver := range []string{"process", "sandbox"} {
		b.Run(driver, func(b *testing.B) {
			p, err := New(b.Context(), Config{Dir: b.TempDir(), Listen: "127.0.0.1:0", Compute: driver, Auth: true})
			if err != nil {
				b.Skip(err)
			}
			b.Cleanup(func() { _ = p.Stop(b.Context()) })
			if err := p.Start(b.Context()); err != nil {
				b.Fatal(err)
			}
			c := &functionCaller{p: p, h: p.handler(true), keys: auth.Credentials{AccessKeyID: p.rootKey.AccessKeyID, SecretAccessKey: p.rootKey.SecretAccessKey}}
			c.role(b)
			c.call(b, http.MethodPost, "/2015-03-31/functions", `{"FunctionName":"f","Runtime":"provided.al2023","Handler":"x","Timeout":30,"Role":"arn:aws:iam::000000000000:role/r","Code":{"ZipFile":"`+
				base64.StdEncoding.EncodeToString(archive)+`"}}`)
			c.settle(b)
			c.invoke(b)
			b.Run("warm", func(b *testing.B) { c.measure(b, func(int) {}) })
			b.Run("cold", func(b *testing.B) {
				c.measure(b, func(n int) {
					c.call(b, http.MethodPut, "/2015-03-31/functions/f/configuration", fmt.Sprintf(`{"Environment":{"Variables":{"RUN":"%d"}}}`, n))
					c.settle(b)
					time.Sleep(200 * time.Millisecond) // what the host keeps ready is made again
				})
			})
		})
	}
}

type functionCaller struct {
	p    *Platform
	h    http.Handler
	keys auth.Credentials
}

// fewest is how many invocations a median is of, at least.
const fewest = 10

// measure tells the least and the median: the mean is what other work on the host
// makes of it. What comes before each invocation takes of the benchmark's time, too:
// it takes far longer than what is measured, and would have it run for minutes.
func (c *functionCaller) measure(b *testing.B, before func(n int)) {
	var took []time.Duration
	once := func() {
		before(len(took))
		began := time.Now()
		c.invoke(b)
		took = append(took, time.Since(began))
	}
	for b.Loop() {
		once()
	}
	for len(took) < fewest {
		once()
	}
	slices.Sort(took)
	b.ReportMetric(0, "ns/op") // it would be of what comes before
	b.ReportMetric(float64(took[0].Microseconds()), "least-us")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-us")
}

func (c *functionCaller) send(b *testing.B, service, method, path, kind, body string) string {
	b.Helper()
	r := httptest.NewRequest(method, c.p.Endpoint()+path, nil)
	r.Header.Set("Content-Type", kind)
	auth.Sign(r, []byte(body), c.keys, service, "us-east-1", time.Now())
	r.Body = io.NopCloser(strings.NewReader(body))
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	if w.Code/100 != 2 {
		b.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.String()
}

func (c *functionCaller) call(b *testing.B, method, path, body string) string {
	b.Helper()
	return c.send(b, "lambda", method, path, "application/json", body)
}

func (c *functionCaller) role(b *testing.B) {
	b.Helper()
	c.send(b, "iam", http.MethodPost, "/", "application/x-www-form-urlencoded", "Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument="+
		"%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%7D")
}

func (c *functionCaller) settle(b *testing.B) {
	b.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		shown := c.call(b, http.MethodGet, "/2015-03-31/functions/f/configuration", "")
		if strings.Contains(shown, `"State":"Active"`) && !strings.Contains(shown, `"InProgress"`) {
			return
		}
		if time.Now().After(end) {
			b.Fatal(shown)
		}
	}
}

func (c *functionCaller) invoke(b *testing.B) {
	b.Helper()
	if got := c.call(b, http.MethodPost, "/2015-03-31/functions/f/invocations", `{"n":1}`); got != `{"n":1}` {
		b.Fatal(got)
	}
}
