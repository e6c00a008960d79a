//go:build linux || darwin

package function

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/process"
	"github.com/slipway/slipway/compute/sandbox"
)

// world is a host on one driver, and what its functions printed.
type world struct {
	*testing.T
	host   *Host
	driver compute.Driver
	code   string // with the bootstrap

	mu    sync.Mutex
	lines []string
}

// stage is what all tests use: drivers, and a folder with the bootstrap.
type stage struct {
	dir, code string

	mu   sync.Mutex
	open map[string]compute.Driver
}

var shared = stage{open: map[string]compute.Driver{}}

// setUp makes the folder. The function's user must be able to read the program.
func (s *stage) setUp() (err error) {
	if s.dir, err = os.MkdirTemp("", "function-test-"); err != nil {
		return err
	}
	s.code = filepath.Join(s.dir, "code")
	if err := os.Mkdir(s.code, 0o755); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.code, "bootstrap"), b, 0o755)
}

// tearDown removes all, and tells what cannot be.
func (s *stage) tearDown() error {
	var errs []error
	for _, d := range s.open {
		_, err := d.Clean(context.Background())
		errs = append(errs, err, d.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// driver opens a driver, or skips where this host has none.
func (s *stage) driver(t testing.TB, name string) compute.Driver {
	t.Helper()
	if name == sandbox.Name {
		for _, f := range sandbox.Probe() {
			if f.Required && !f.OK {
				t.Skipf("this host cannot run sandboxes: %s: %s", f.Check, f.Detail)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[name] == nil {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		d, err := openers[name](filepath.Join(s.dir, name), exe)
		if err != nil {
			t.Fatal(err)
		}
		s.open[name] = d
	}
	return s.open[name]
}

// openers open the drivers by their names.
var openers = map[string]func(dir, exe string) (compute.Driver, error){
	process.Name: func(dir, exe string) (compute.Driver, error) {
		return process.New(process.Config{Dir: dir, Slipway: exe})
	},
	sandbox.Name: func(dir, exe string) (compute.Driver, error) {
		return sandbox.New(sandbox.Config{Dir: dir, Slipway: exe})
	},
}

// on runs a test with a host on each driver. Afterwards nothing of it is left.
func on(t *testing.T, change func(*Config), run func(w *world)) {
	t.Helper()
	for _, name := range []string{process.Name, sandbox.Name} {
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, driver: shared.driver(t, name), code: shared.code}
			cfg := Config{Driver: w.driver, Dir: t.TempDir(), Log: w.log}
			if change != nil {
				change(&cfg)
			}
			h, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			w.host = h
			t.Cleanup(func() {
				h.Stop()
				left, err := os.ReadDir(filepath.Join(shared.dir, name, "enclosures"))
				if err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) > 0 {
					t.Errorf("left are %v (%v)", left, err)
				}
			})
			run(w)
		})
	}
}

func (w *world) log(spec Spec, stream string, _ time.Time, line []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, string(line))
}

// logged is all that was logged until now.
func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n") + "\n"
}

// spec is a function of the test's bootstrap.
func (w *world) spec(handler string) Spec {
	return Spec{
		Key: "k-" + handler, ARN: "arn:aws:lambda:eu-west-1:000000000000:function:f", Account: "000000000000", Region: "eu-west-1",
		Name: "f", Version: "$LATEST", Handler: handler, Runtime: "provided.al2023", Code: w.code,
		Memory: 512 << 20, Timeout: 30 * time.Second,
	}
}

func (w *world) invoke(spec Spec, id, payload string) Result {
	w.Helper()
	r, err := w.host.Invoke(w.Context(), spec, Invocation{RequestID: id, InvokedARN: spec.ARN + ":$LATEST", Payload: []byte(payload)})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

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
	handler    string
	change     func(*Spec)
	payload    string // what it has
	log        []string
	reused     bool
	sandboxed  bool // the other driver has no such limit
	executable bool
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
		log:     []string{"\tStatus: error\tError Type: Runtime.OutOfMemory\t"}, sandboxed: true,
	},
}

func TestFailures(t *testing.T) {
	on(t, nil, func(w *world) {
		for _, tt := range failures {
			w.Run(tt.handler, func(t *testing.T) {
				if tt.sandboxed && w.driver.Name() != sandbox.Name {
					t.Skip("without control groups each process's memory is limited: allocations fail")
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
				if again := v.invoke(spec, "id-2", `{}`); again.Cold == tt.reused {
					t.Errorf("the next one is cold: %v", again.Cold)
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
	})
}

func TestParallel(t *testing.T) {
	on(t, nil, func(w *world) {
		var all sync.WaitGroup
		streams := make([]string, 4)
		for i := range streams {
			all.Go(func() {
				id := fmt.Sprint("id-", i)
				r := w.invoke(w.spec("slow"), id, `{"Millis":400}`)
				streams[i] = r.Stream
				if string(r.Payload) != `"`+id+`"` {
					w.Errorf("%s got %s", id, r.Payload)
				}
			})
		}
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

func (w *world) until(what string, is func() bool) {
	w.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			w.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestRetire(t *testing.T) {
	on(t, nil, func(w *world) {
		spec := w.spec("slow")
		w.invoke(spec, "id-1", `{}`)
		done := make(chan Result, 1)
		go func() { done <- w.invoke(spec, "id-2", `{"Millis":300}`) }()
		w.until("it runs", func() bool { _, idle := w.host.Environments(); return idle == 0 })
		wait := w.host.Retire(spec.Key)
		if r := <-done; string(r.Payload) != `"id-2"` {
			w.Errorf("the one under way: %s %s", r.Payload, r.FunctionError)
		}
		if err := wait(w.Context()); err != nil {
			w.Error(err)
		}
		if n, _ := w.host.Environments(); n != 0 {
			w.Errorf("%d environments are left", n)
		}
		if r := w.invoke(spec, "id-3", `{}`); !r.Cold {
			w.Error("a retired environment was used again")
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
		w.invoke(w.spec("leave a child"), "id-1", `1`)
		done := make(chan error)
		go func() {
			_, err := w.host.Invoke(w.Context(), w.spec("hang"), Invocation{RequestID: "id-2", Payload: []byte("1")})
			done <- err
		}()
		w.until("the function runs", func() bool { return strings.Contains(w.logged(), "hanging") })
		w.host.Stop()
		if err := <-done; !errors.Is(err, ErrStopped) {
			w.Errorf("error %v, want ErrStopped", err)
		}
		if _, err := w.host.Invoke(w.Context(), w.spec("echo"), Invocation{}); !errors.Is(err, ErrStopped) {
			w.Errorf("error %v, want ErrStopped", err)
		}
		w.host.Stop()
		w.nothingLeft()
	})
}

// nothingLeft checks that no process runs with the test's folder in its
// environment or its root.
func (w *world) nothingLeft() {
	w.Helper()
	cmdlines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		w.Fatal(err)
	}
	for _, name := range cmdlines {
		b, _ := os.ReadFile(name)
		if strings.Contains(string(b), "sleep\x003333") || strings.Contains(string(b), w.code) {
			w.Errorf("%s is left: %q", name, b)
		}
	}
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
