//go:build linux || darwin

package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway/slipway/compute/proc"
	"github.com/slipway/slipway/compute/process"
	"github.com/slipway/slipway/compute/sandbox"
)

func TestInvoke(t *testing.T) {
	on(t, nil, func(w *world) {
		r := w.invoke(w.spec("echo"), "id-1", `{"a":1}`)
		if string(r.Payload) != `{"a":1}` || r.FunctionError != "" || !r.Cold || r.Init <= 0 {
			w.Fatalf("%s %+v", r.Payload, r)
		}
		again := w.invoke(w.spec("echo"), "id-2", `2`)
		if string(again.Payload) != `2` || again.Cold || again.Stream != r.Stream || again.Init != 0 {
			w.Fatalf("%s %+v", again.Payload, again)
		}
		tail := strings.Split(strings.TrimSuffix(string(again.Tail), "\n"), "\n")
		if len(tail) != 4 || tail[0] != "START RequestId: id-2 Version: $LATEST" || tail[1] != "event 2" || tail[2] != "END RequestId: id-2" {
			w.Errorf("tail %q", tail)
		}
		if !strings.HasPrefix(tail[3], "REPORT RequestId: id-2\tDuration: ") || !strings.Contains(tail[3], "\tMemory Size: 512 MB\tMax Memory Used: ") {
			w.Errorf("report %q", tail[3])
		}
		log := w.logged()
		for _, want := range []string{"INIT_START Runtime Version: provided.al2023\n", "init of echo\n", "\tInit Duration: "} {
			if !strings.Contains(log, want) {
				w.Errorf("log lacks %q:\n%s", want, log)
			}
		}
		if strings.Count(log, "init of echo") != 1 {
			w.Errorf("initialized twice:\n%s", log)
		}
	})
}

// TestReady: blank environments are made once one was needed, used, and let go.
func TestReady(t *testing.T) {
	on(t, func(c *Config) { c.Ready, c.Idle = 1, 2*time.Second }, func(w *world) {
		if w.host.Ready() != 0 {
			w.Error("there is one before any is needed")
		}
		wanted := func() bool { // again and again: it may take longer than it is wanted for
			w.host.Prepare()
			return w.host.Ready() == 1
		}
		w.until("one is ready", wanted)
		if r := w.invoke(w.spec("echo"), "id-1", `1`); string(r.Payload) != `1` {
			w.Errorf("%s", r.Payload)
		}
		w.until("another is ready", wanted)
		w.until("none is wanted any more", func() bool { return w.host.Ready() == 0 })
	})
}

func TestTmpStaysWithinAnEnvironment(t *testing.T) {
	on(t, nil, func(w *world) {
		for i := 1; i <= 3; i++ {
			if r := w.invoke(w.spec("count"), fmt.Sprint("id-", i), `{}`); string(r.Payload) != fmt.Sprintf("[%d,%d]", i, i) {
				w.Errorf("invocation %d: %s", i, r.Payload)
			}
		}
	})
}

// failures are the ways in which functions fail, and what callers and logs see.
var failures = []struct {
	handler string
	change  func(*Spec)
	payload string // what it has
	process string // with the process driver, where that differs
	sandbox string // what the log has with the sandbox driver
	log     []string
	reused  bool
}{
	{handler: "error", payload: `{"errorType":"Broken","errorMessage":"it broke"}`, reused: true},
	{
		handler: "exit", payload: `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id-1 Error: Runtime exited with error: exit status 3"}`,
		log: []string{"about to exit\nRequestId: id-1 Error: Runtime exited with error: exit status 3\nRuntime.ExitError\nEND RequestId: id-1\n", "\tStatus: error\tError Type: Runtime.ExitError\t"},
	},
	{handler: "exit well", payload: `RequestId: id-1 Error: Runtime exited without providing a reason`},
	{handler: "segv", payload: `Runtime exited with error: `},
	{
		handler: "hang", change: func(s *Spec) { s.Timeout = 300 * time.Millisecond },
		payload: `"errorMessage":"RequestId: id-1 Error: Task timed out after 0.30 seconds"`,
		log:     []string{" id-1 Task timed out after 0.30 seconds\nEND RequestId: id-1\n", "\tDuration: 300.00 ms\t", "\tStatus: timeout\t"},
	},
	{
		handler: "init error", payload: `{"errorType":"Bad.Config","errorMessage":"no config"}`,
		log: []string{"INIT_REPORT Init Duration: ", "\tPhase: init\tStatus: error\tError Type: Bad.Config\n"},
	},
	{handler: "init exit", payload: `RequestId: id-1 Error: Runtime exited with error: exit status 7`, log: []string{"\tPhase: init\tStatus: error\tError Type: Runtime.ExitError\n"}},
	{handler: "large", payload: `"errorType":"Function.ResponseSizeTooLarge"`, reused: true},
	{
		handler: "no bootstrap", change: func(s *Spec) { s.Code = filepath.Dir(s.Code) },
		payload: `{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: id-1 Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"}`,
	},
	{
		handler: "memory", change: func(s *Spec) { s.Memory = 192 << 20 },
		payload: `"errorMessage":"RequestId: id-1 Error: Runtime exited with error: signal: killed"`,
		// Without control groups each process's memory is limited: allocations fail.
		process: `"errorMessage":"RequestId: id-1 Error: Runtime exited with error: `,
		sandbox: "\tStatus: error\tError Type: Runtime.OutOfMemory\t",
	},
}

func TestFailures(t *testing.T) {
	on(t, nil, func(w *world) {
		for _, tt := range failures {
			w.Run(tt.handler, func(t *testing.T) {
				if w.driver.Name() == process.Name && tt.process != "" {
					tt.payload = tt.process
				}
				if w.driver.Name() == sandbox.Name && tt.sandbox != "" {
					tt.log = append(tt.log, tt.sandbox)
				}
				v := &world{T: t, host: w.host, driver: w.driver, code: w.code}
				spec := v.spec(tt.handler)
				spec.Key = t.Name()
				if tt.change != nil {
					tt.change(&spec)
				}
				from := len(w.logged())
				r := v.invoke(spec, "id-1", `{}`)
				if r.FunctionError != "Unhandled" || !strings.Contains(string(r.Payload), tt.payload) {
					t.Errorf("error %q, payload %s, want %s", r.FunctionError, r.Payload, tt.payload)
				}
				log := w.logged()[from:]
				for _, want := range tt.log {
					if !strings.Contains(log, want) {
						t.Errorf("log lacks %q:\n%s", want, log)
					}
				}
				w.host.mu.Lock()
				kept := len(w.host.idle[spec.Key]) == 1
				w.host.mu.Unlock()
				if kept != tt.reused {
					t.Errorf("the next one may have the environment: %v", kept)
				}
			})
		}
	})
}

func TestRefusals(t *testing.T) {
	on(t, nil, func(w *world) {
		r := w.invoke(w.spec("wrong id"), "id-1", `{}`)
		want := `[400,"{\"errorType\":\"InvalidRequestID\",\"errorMessage\":\"Invalid request ID\"}",403,501,"{\"errorType\":\"NotImplemented\",\"errorMessage\":\"the Extensions API is not built\"}"]`
		if string(r.Payload) != want {
			w.Errorf("%s, want %s", r.Payload, want)
		}
		spec := w.spec("echo")
		spec.Key, spec.Runtime = "k-java", "java21"
		var missing *RuntimeError
		if _, err := w.host.Invoke(w.Context(), spec, Invocation{RequestID: "id-2", Payload: []byte("1")}); !errors.As(err, &missing) || missing.Runtime != "java21" {
			w.Errorf("error %v, want that java21 is missing", err)
		}
		if err := w.host.Retire(spec.Key)(w.Context()); err != nil {
			w.Error(err)
		}
		if n, _ := w.host.Environments(); n != 1 {
			w.Errorf("%d environments, want that of the first invocation", n)
		}
	})
}

// release lets functions go on that wait for a file.
func (w *world) release(file string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.code, file), nil, 0o644); err != nil {
		w.Fatal(err)
	}
}

// fileName is one that no other test has.
func fileName(t *testing.T) string { return strings.ReplaceAll(t.Name(), "/", "-") }

// TestManyConnections: a runtime that opens more than it needs waits for itself.
func TestManyConnections(t *testing.T) {
	on(t, nil, func(w *world) {
		for i := range 2 {
			if r := w.invoke(w.spec("connections"), fmt.Sprint("id-", i), `1`); string(r.Payload) != "100" || r.FunctionError != "" {
				w.Errorf("%s %s", r.Payload, r.FunctionError)
			}
		}
	})
}

func TestParallel(t *testing.T) {
	on(t, nil, func(w *world) {
		var all sync.WaitGroup
		streams := make([]string, 4)
		for i := range streams {
			all.Go(func() {
				id := fmt.Sprint("id-", i)
				r := w.invoke(w.spec("wait"), id, `"`+fileName(w.T)+`"`)
				streams[i] = r.Stream
				if string(r.Payload) != `"`+id+`"` {
					w.Errorf("%s got %s", id, r.Payload)
				}
			})
		}
		w.until("all run", func() bool { return strings.Count(w.logged(), "waiting id-") == 4 })
		w.release(fileName(w.T))
		all.Wait()
		seen := map[string]bool{}
		for _, s := range streams {
			seen[s] = true
		}
		if n, idle := w.host.Environments(); len(seen) != 4 || n != 4 || idle != 4 {
			w.Errorf("4 at once ran in %d environments; now there are %d, %d idle", len(seen), n, idle)
		}
	})
}

// TestCrowd: more callers than there may be environments get an answer or are
// throttled, while versions retire, and nothing is left.
func TestCrowd(t *testing.T) {
	on(t, func(c *Config) { c.Environments = 3 }, func(w *world) {
		var all sync.WaitGroup
		var answered, throttled atomic.Int32
		for caller := range 4 {
			all.Go(func() {
				for i := range 8 {
					spec := w.spec("echo")
					spec.Key = fmt.Sprint("crowd-", (caller+i)%3)
					want := fmt.Sprint(caller*100 + i)
					r, err := w.host.Invoke(w.Context(), spec, Invocation{RequestID: "id-" + want, Payload: []byte(want)})
					switch {
					case errors.Is(err, ErrThrottled):
						throttled.Add(1)
					case err != nil:
						w.Error(err)
					case string(r.Payload) != want || r.FunctionError != "":
						w.Errorf("%s got %s", want, r.Payload)
					default:
						answered.Add(1)
					}
					if i == 4 {
						if err := w.host.Retire(spec.Key)(w.Context()); err != nil {
							w.Error(err)
						}
					}
				}
			})
		}
		all.Wait()
		if answered.Load() == 0 || answered.Load()+throttled.Load() != 32 {
			w.Errorf("%d were answered, %d throttled", answered.Load(), throttled.Load())
		}
	})
}

func TestBounds(t *testing.T) {
	on(t, func(c *Config) { c.Environments = 1 }, func(w *world) {
		w.invoke(w.spec("echo"), "id-1", `1`)
		w.invoke(w.spec("count"), "id-2", `1`) // makes room
		if n, idle := w.host.Environments(); n != 1 || idle != 1 {
			w.Errorf("%d environments, %d idle", n, idle)
		}
		ctx, cancel := context.WithCancel(w.Context())
		spec := w.spec("hang")
		done := make(chan error)
		go func() {
			_, err := w.host.Invoke(ctx, spec, Invocation{RequestID: "id-3", Payload: []byte("1")})
			done <- err
		}()
		w.until("the function runs", func() bool { return strings.Contains(w.logged(), "hanging") })
		if _, err := w.host.Invoke(w.Context(), w.spec("echo"), Invocation{RequestID: "id-4"}); !errors.Is(err, ErrThrottled) {
			w.Errorf("error %v, want ErrThrottled", err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			w.Errorf("error %v", err)
		}
	})
}

func TestRetire(t *testing.T) {
	on(t, nil, func(w *world) {
		spec := w.spec("wait")
		w.invoke(spec, "id-1", `""`)
		done := make(chan string, 1)
		go func() {
			r, err := w.host.Invoke(w.Context(), spec, Invocation{RequestID: "id-2", Payload: []byte(`"` + fileName(w.T) + `"`)})
			done <- fmt.Sprintf("%s %s %v", r.Payload, r.FunctionError, err)
		}()
		w.until("it runs", func() bool { return strings.Contains(w.logged(), "waiting id-2") })
		wait := w.host.Retire(spec.Key)
		w.release(fileName(w.T))
		if got := <-done; got != `"id-2"  <nil>` {
			w.Errorf("the one under way: %s", got)
		}
		if err := wait(w.Context()); err != nil {
			w.Error(err)
		}
		if n, _ := w.host.Environments(); n != 0 {
			w.Errorf("%d environments are left", n)
		}
		if r := w.invoke(spec, "id-3", `""`); !r.Cold {
			w.Error("a retired environment was used again")
		}
	})
}

// TestInitTimeout: an init phase that takes too long is tried again on the
// invocation's time.
func TestInitTimeout(t *testing.T) {
	on(t, nil, func(w *world) {
		w.host.initTimeout = 100 * time.Millisecond
		r := w.invoke(w.spec("init slow"), "id-1", `1`)
		if string(r.Payload) != `"at last"` || r.Duration < time.Second {
			w.Errorf("%s after %v, error %q", r.Payload, r.Duration, r.FunctionError)
		}
		spec := w.spec("init hang")
		spec.Timeout = 200 * time.Millisecond
		r = w.invoke(spec, "id-2", `1`)
		if r.FunctionError == "" || !strings.Contains(string(r.Payload), "RequestId: id-2 Error: Task timed out after 0.20 seconds") {
			w.Errorf("%s, error %q", r.Payload, r.FunctionError)
		}
		for _, want := range []string{" ms\tPhase: init\tStatus: timeout\n", " ms\tPhase: invoke\tStatus: timeout\n", "\tStatus: timeout\t\n"} {
			if !strings.Contains(w.logged(), want) {
				w.Errorf("log lacks %q:\n%s", want, w.logged())
			}
		}
	})
}

// TestWhatARuntimeIsTold: headers of an invocation, and the environment.
func TestWhatARuntimeIsTold(t *testing.T) {
	on(t, nil, func(w *world) {
		began := time.Now()
		r, err := w.host.Invoke(w.Context(), w.spec("headers"), Invocation{
			RequestID: "id-1", InvokedARN: "arn:x:live", Payload: []byte("{}"), ClientContext: `{"custom":{}}`, Identity: `{"cognitoIdentityId":"c"}`, Trace: "Root=1-2-3",
		})
		if err != nil {
			w.Fatal(err)
		}
		var headers map[string][]string
		if err := json.Unmarshal(r.Payload, &headers); err != nil {
			w.Fatal(err)
		}
		for name, want := range map[string]string{
			"Lambda-Runtime-Aws-Request-Id": "id-1", "Lambda-Runtime-Invoked-Function-Arn": "arn:x:live", "Lambda-Runtime-Trace-Id": "Root=1-2-3",
			"Lambda-Runtime-Client-Context": `{"custom":{}}`, "Lambda-Runtime-Cognito-Identity": `{"cognitoIdentityId":"c"}`, "Content-Type": "application/json",
		} {
			if got := headers[name]; len(got) != 1 || got[0] != want {
				w.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		var deadline int64
		if _, err := fmt.Sscan(strings.Join(headers["Lambda-Runtime-Deadline-Ms"], ""), &deadline); err != nil {
			w.Error(err)
		}
		if left := time.UnixMilli(deadline).Sub(began); left < 29*time.Second || left > 60*time.Second {
			w.Errorf("the deadline is %v away", left)
		}
		spec := w.spec("environment")
		spec.Environment = map[string]string{"MINE": "a=b\nc", "AWS_LAMBDA_FUNCTION_NAME": "other", "AWS_ENDPOINT_URL": "http://x"}
		var vars []string
		if err := json.Unmarshal(w.invoke(spec, "id-2", "{}").Payload, &vars); err != nil {
			w.Fatal(err)
		}
		for _, want := range []string{
			"MINE=a=b\nc", "AWS_ENDPOINT_URL=http://x", "AWS_LAMBDA_FUNCTION_NAME=f", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_REGION=eu-west-1",
			"AWS_DEFAULT_REGION=eu-west-1", "_HANDLER=environment", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512", "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/f", "TZ=:UTC",
		} {
			if !slices.Contains(vars, want) {
				w.Errorf("%q lacks %q", vars, want)
			}
		}
	})
}

// TestLayers: a bootstrap may come from one.
func TestLayers(t *testing.T) {
	on(t, nil, func(w *world) {
		spec := w.spec("echo")
		spec.Layers = []string{w.TempDir(), shared.code}
		spec.Code = w.TempDir()
		for _, dir := range []string{spec.Code, spec.Layers[0]} {
			if err := os.Chmod(dir, 0o755); err != nil {
				w.Fatal(err)
			}
		}
		if r := w.invoke(spec, "id-1", `1`); string(r.Payload) != `1` || r.FunctionError != "" {
			w.Errorf("%s %s", r.Payload, r.FunctionError)
		}
	})
}

func TestIdleExpires(t *testing.T) {
	on(t, func(c *Config) { c.Idle = 50 * time.Millisecond }, func(w *world) {
		w.invoke(w.spec("echo"), "id-1", `1`)
		w.until("it expires", func() bool { n, _ := w.host.Environments(); return n == 0 })
	})
}

func TestStop(t *testing.T) {
	on(t, nil, func(w *world) {
		before := proc.Descendants(os.Getpid())
		w.invoke(w.spec("leave a child"), "id-1", `1`)
		done := make(chan error)
		go func() {
			_, err := w.host.Invoke(w.Context(), w.spec("hang"), Invocation{RequestID: "id-2", Payload: []byte("1")})
			done <- err
		}()
		w.until("the function runs", func() bool { return strings.Contains(w.logged(), "hanging") })
		list := ran(before)
		if len(list) < 5 { // two first processes, two bootstraps, and a child of one
			w.Errorf("only %d processes run", len(list))
		}
		w.host.Stop()
		if err := <-done; !errors.Is(err, ErrStopped) {
			w.Errorf("error %v, want ErrStopped", err)
		}
		if _, err := w.host.Invoke(w.Context(), w.spec("echo"), Invocation{}); !errors.Is(err, ErrStopped) {
			w.Errorf("error %v, want ErrStopped", err)
		}
		w.host.Stop()
		for _, id := range list {
			if id.Alive() {
				w.Errorf("process %d is left", id.PID)
			}
		}
	})
}

// ran are the processes below this one that were not there before.
func ran(before []int) (list []proc.Identity) {
	for _, pid := range proc.Descendants(os.Getpid()) {
		if id, err := proc.Of(pid); err == nil && !slices.Contains(before, pid) {
			list = append(list, id)
		}
	}
	return list
}

func TestLines(t *testing.T) {
	on(t, nil, func(w *world) {
		w.invoke(w.spec("lines"), "id-1", `1`)
		want := "Version: $LATEST\none\ntwo\r\nthree without an end\nEND RequestId: id-1\n"
		if log := w.logged(); !strings.Contains(log, want) {
			w.Errorf("log lacks %q:\n%q", want, log)
		}
		r := w.invoke(w.spec("flood"), "id-2", `1`)
		if len(r.Tail) != maxTail || !strings.Contains(string(r.Tail), "line 1999\nEND RequestId: id-2\nREPORT ") {
			w.Errorf("tail of %d bytes: %s", len(r.Tail), r.Tail)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, line := range w.lines {
			if len(line) > maxLine {
				w.Errorf("a line of %d bytes", len(line))
			}
		}
	})
}
