//go:build linux || darwin

package function

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/slipway/slipway/compute/process"
	"github.com/slipway/slipway/compute/sandbox"
)

// bootstrapSource is a custom runtime as a user would write it in Go.
const bootstrapSource = `package main

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
			os.Exit(1)
		}
		event, _ := io.ReadAll(next.Body)
		next.Body.Close()
		resp, err := http.Post(base+next.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", bytes.NewReader(event))
		if err != nil {
			os.Exit(1)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
`

// BenchmarkInvoke measures a cold and a warm invocation of a Go binary, and cold
// ones of the interpreters. Targets on two idle cores: 80 ms and 0.5 ms.
func BenchmarkInvoke(b *testing.B) {
	code := b.TempDir()
	if err := os.Chmod(code, 0o755); err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"bootstrap.go": bootstrapSource,
		"index.py":     "def handler(event, context):\n    return event\n",
		"index.js":     "exports.handler = async (event) => event;\n",
	} {
		if err := os.WriteFile(filepath.Join(code, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", "bootstrap", "bootstrap.go")
	build.Dir, build.Env = code, append(os.Environ(), "CGO_ENABLED=0", "GO111MODULE=off")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for _, driver := range []string{process.Name, sandbox.Name} {
		h := benchHost(b, driver)
		for _, runtime := range []string{"provided.al2023", "python3.12", "nodejs20.x"} {
			if _, err := h.Runtime(runtime); err != nil {
				b.Log(err)
				continue
			}
			b.Run(driver+"/"+runtime+"/cold", func(b *testing.B) { benchCold(b, h, runtime, code) })
			b.Run(driver+"/"+runtime+"/warm", func(b *testing.B) { benchWarm(b, h, runtime, code, func(string) {}) })
			if driver == sandbox.Name {
				b.Run(driver+"/"+runtime+"/frozen", func(b *testing.B) {
					benchWarm(b, h, runtime, code, func(key string) {
						for end := time.Now().Add(30 * time.Second); !h.frozen(key); time.Sleep(time.Millisecond) {
							if time.Now().After(end) {
								b.Fatal("it is not frozen after 30 s")
							}
						}
					})
				})
			}
		}
	}
}

func benchHost(b *testing.B, driver string) *Host {
	d := shared.driver(b, driver)
	h, err := New(Config{Driver: d, Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(h.Stop)
	return h
}

func benchSpec(runtime, code, key string) Spec {
	return Spec{
		Key: key, ARN: "arn:aws:lambda:eu-west-1:000000000000:function:f", Name: "f", Version: "$LATEST",
		Handler: "index.handler", Runtime: runtime, Code: code, Memory: 256 << 20, Timeout: 10 * time.Second,
	}
}

func benchCold(b *testing.B, h *Host, runtime, code string) {
	var took []time.Duration
	ready := func() {
		for end := time.Now().Add(30 * time.Second); h.Ready() == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				b.Fatal("no environment is ready after 30 s")
			}
		}
	}
	h.Prepare()
	ready()
	for b.Loop() {
		spec := benchSpec(runtime, code, fmt.Sprint(runtime, "-cold-", len(took)))
		began := time.Now()
		benchInvoke(b, h, spec)
		took = append(took, time.Since(began))
		b.StopTimer()
		if err := h.Retire(spec.Key)(b.Context()); err != nil {
			b.Fatal(err)
		}
		ready()
		b.StartTimer()
	}
	spread(b, took)
}

// spread tells the least and the median: the mean is what other work on the host
// makes of it.
func spread(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[0].Microseconds()), "least-us")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-us")
}

func benchWarm(b *testing.B, h *Host, runtime, code string, before func(key string)) {
	spec := benchSpec(runtime, code, runtime+"-warm")
	benchInvoke(b, h, spec)
	var took []time.Duration
	for b.Loop() {
		before(spec.Key)
		began := time.Now()
		benchInvoke(b, h, spec)
		took = append(took, time.Since(began))
	}
	spread(b, took)
}

func benchInvoke(b *testing.B, h *Host, spec Spec) {
	r, err := h.Invoke(b.Context(), spec, Invocation{RequestID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd", Payload: []byte(`{"a":1}`)})
	if err != nil || string(r.Payload) != `{"a":1}` && string(r.Payload) != `{"a": 1}` {
		b.Fatalf("%v: %s\n%s", err, r.Payload, r.Tail)
	}
}
