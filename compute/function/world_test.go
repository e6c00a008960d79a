//go:build linux || darwin

package function

import (
	"context"
	"errors"
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

// probe looks at the host once: it takes a while.
var probe = sync.OnceValue(sandbox.Probe)

// driver opens a driver, or skips where this host has none.
func (s *stage) driver(t testing.TB, name string) compute.Driver {
	t.Helper()
	if name == sandbox.Name {
		for _, f := range probe() {
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
			cfg := Config{Driver: w.driver, Dir: t.TempDir(), Log: w.log, Ready: -1}
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
