package platform

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/compute/sandbox"
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

// Limits of an invocation through the whole API, of a Go binary.
const (
	warmLimit = 2 * time.Millisecond
	coldLimit = 80 * time.Millisecond
	invokers  = 10 // that call at once
)

// BenchmarkFunctions measures invocations through the whole API, over HTTP, and holds
// each against its limit: the least and the median, as what else the host does makes
// the mean, and the processor time that this process takes for one (the client's, too;
// the function's not). Cold ones change the function before, so that each needs a new
// environment.
func BenchmarkFunctions(b *testing.B) {
	archive := goArchive(b)
	for _, driver := range []string{"process", "sandbox"} {
		b.Run(driver, func(b *testing.B) {
			c := newFunctionCaller(b, driver, archive)
			b.Run("warm", func(b *testing.B) { c.measure(b, warmLimit, func(int) {}) })
			b.Run("ten", c.together)
			b.Run("cold", func(b *testing.B) {
				c.measure(b, coldLimit, func(n int) {
					c.call(b, http.MethodPut, "/2015-03-31/functions/f/configuration", fmt.Sprintf(`{"Environment":{"Variables":{"RUN":"%d"}}}`, n))
					c.settle(b)
					c.until(b, "an environment is ready", func() bool { return c.host.Ready() > 0 })
				})
			})
		})
	}
}

type functionCaller struct {
	p      *Platform
	host   *function.Host
	client *http.Client
	keys   auth.Credentials
}

// newFunctionCaller starts a platform that asks for leave, with the function f.
func newFunctionCaller(b *testing.B, driver string, archive []byte) *functionCaller {
	b.Helper()
	if driver == sandbox.Name {
		if err := lacks(sandbox.Probe()); err != nil {
			b.Skip(err)
		}
	}
	p, err := New(b.Context(), Config{Dir: b.TempDir(), Listen: "127.0.0.1:0", Compute: driver, Auth: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Stop(context.WithoutCancel(b.Context())) })
	if err := p.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	c := &functionCaller{
		p: p, host: p.services.functions.(*function.Host), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: invokers}},
		keys: auth.Credentials{AccessKeyID: p.rootKey.AccessKeyID, SecretAccessKey: p.rootKey.SecretAccessKey},
	}
	b.Cleanup(c.client.CloseIdleConnections)
	c.role(b)
	c.call(b, http.MethodPost, "/2015-03-31/functions", `{"FunctionName":"f","Runtime":"provided.al2023","Handler":"x","Timeout":30,"Role":"arn:aws:iam::000000000000:role/r","Code":{"ZipFile":"`+
		base64.StdEncoding.EncodeToString(archive)+`"}}`)
	c.settle(b)
	c.invoke(b)
	return c
}

// fewest is how many invocations a median is of, at least.
const fewest = 10

// measure invokes one after the other. What comes before each invocation takes of the
// benchmark's time, too: it takes far longer than what is measured, and would have it
// run for minutes.
func (c *functionCaller) measure(b *testing.B, limit time.Duration, before func(n int)) {
	var took []time.Duration
	var spent time.Duration
	once := func() {
		before(len(took))
		began, used := time.Now(), ownTime(b)
		c.invoke(b)
		took, spent = append(took, time.Since(began)), spent+ownTime(b)-used
	}
	for b.Loop() {
		once()
	}
	for len(took) < fewest {
		once()
	}
	tell(b, limit, took)
	b.ReportMetric(float64(spent.Microseconds())/float64(len(took)), "cpu-us")
}

// tell holds what invocations took against a limit, which one at least has to keep:
// others may have the host to themselves for as long as a benchmark takes.
func tell(b *testing.B, limit time.Duration, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	median := took[len(took)/2]
	b.ReportMetric(0, "ns/op") // it would be of what comes before
	b.ReportMetric(float64(took[0].Microseconds()), "least-us")
	b.ReportMetric(float64(median.Microseconds()), "median-us")
	b.ReportMetric(float64(limit.Microseconds()), "limit-us")
	b.ReportMetric(float64(median)/float64(limit), "of-limit")
	if took[0] > limit {
		b.Errorf("the fastest invocation took %v, limit %v", took[0], limit)
	}
}

// together has some invoke at the same time, each in an environment of its own.
func (c *functionCaller) together(b *testing.B) {
	for all := 0; all < invokers; all, _ = c.host.Environments() { // each has one before it counts
		var begun sync.WaitGroup
		for range invokers {
			begun.Go(func() { c.invoke(b) })
		}
		begun.Wait()
		if b.Failed() {
			return
		}
	}
	b.ResetTimer()
	b.SetParallelism((invokers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	var took []time.Duration
	used := ownTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			began := time.Now()
			c.invoke(b)
			d := time.Since(began)
			mu.Lock()
			took = append(took, d)
			mu.Unlock()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "invocations/s")
	b.ReportMetric(float64((ownTime(b)-used).Microseconds())/float64(b.N), "cpu-us")
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-us")
	all, _ := c.host.Environments()
	b.ReportMetric(float64(all), "environments")
}

// ownTime is the processor time of this process until now.
func ownTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (c *functionCaller) send(b *testing.B, service, method, path, kind, body string) string {
	r, err := http.NewRequest(method, c.p.Endpoint()+path, strings.NewReader(body))
	if err != nil {
		b.Error(err)
		return ""
	}
	r.Header.Set("Content-Type", kind)
	auth.Sign(r, []byte(body), c.keys, service, "us-east-1", time.Now())
	w, err := c.client.Do(r)
	if err != nil {
		b.Error(err)
		return ""
	}
	defer w.Body.Close()
	answer, err := io.ReadAll(w.Body)
	if err != nil || w.StatusCode/100 != 2 {
		b.Errorf("%s %s: %d %s, %v", method, path, w.StatusCode, answer, err)
	}
	return string(answer)
}

func (c *functionCaller) call(b *testing.B, method, path, body string) string {
	return c.send(b, "lambda", method, path, "application/json", body)
}

func (c *functionCaller) role(b *testing.B) {
	c.send(b, "iam", http.MethodPost, "/", "application/x-www-form-urlencoded", "Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument="+
		"%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%7D")
}

// until waits for what comes in its own time.
func (c *functionCaller) until(b *testing.B, what string, is func() bool) {
	b.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if b.Failed() || time.Now().After(end) {
			b.Fatal(what + ": not within 20 s")
		}
	}
}

func (c *functionCaller) settle(b *testing.B) {
	b.Helper()
	c.until(b, "the function settles", func() bool {
		shown := c.call(b, http.MethodGet, "/2015-03-31/functions/f/configuration", "")
		return strings.Contains(shown, `"State":"Active"`) && !strings.Contains(shown, `"InProgress"`)
	})
}

// invoke may be called from any goroutine.
func (c *functionCaller) invoke(b *testing.B) {
	if got := c.call(b, http.MethodPost, "/2015-03-31/functions/f/invocations", `{"n":1}`); got != `{"n":1}` {
		b.Errorf("it answers %s", got)
	}
}
