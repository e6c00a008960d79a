package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store/storetest"
)

const (
	account = "111111111111"
	region  = "us-east-1"
	role    = "arn:aws:iam::111111111111:role/runner"
)

// runner stands for the host: it runs Go functions. Its zero value echoes.
type runner struct {
	mu       sync.Mutex
	handle   func(spec function.Spec, inv function.Invocation) (function.Result, error)
	lacking  map[string]string
	specs    []function.Spec
	invs     []function.Invocation
	retired  []string
	prepared int
}

func (r *runner) Runtime(name string) (function.Runtime, error) {
	if m := r.lacking[name]; m != "" {
		return function.Runtime{}, &function.RuntimeError{Runtime: name, Missing: m}
	}
	return function.Runtime{Name: name}, nil
}

func (r *runner) Invoke(_ context.Context, spec function.Spec, inv function.Invocation) (function.Result, error) {
	r.mu.Lock()
	r.specs, r.invs = append(r.specs, spec), append(r.invs, inv)
	handle := r.handle
	r.mu.Unlock()
	if handle != nil {
		return handle(spec, inv)
	}
	return function.Result{Payload: inv.Payload, Version: spec.Version, Tail: []byte("START RequestId: " + inv.RequestID)}, nil
}

func (r *runner) Prepare() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prepared++
}

func (r *runner) Retire(key string) func(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retired = append(r.retired, key)
	return func(context.Context) error { return nil }
}

func (r *runner) last(t testing.TB) (function.Spec, function.Invocation) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.specs) == 0 {
		t.Fatal("nothing has run")
	}
	return r.specs[len(r.specs)-1], r.invs[len(r.invs)-1]
}

func (r *runner) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.specs)
}

// world is a service with a stand-in host, and a caller.
type world struct {
	*Service
	*testing.T
	ctx    context.Context
	runner *runner
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	r := &runner{}
	cfg := Config{
		Store: storetest.New(t), Ring: keyring.Ephemeral(), Dir: t.TempDir(), Runner: r,
		Endpoint: func() string { return "http://10.0.0.1:4566" },
		Credentials: func(_ context.Context, _ arn.Scope, role, session string) (Credentials, error) {
			return Credentials{"ASIAX", "secret of " + role, "token of " + session, time.Now().Add(time.Hour)}, nil
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Start(t.Context())
	t.Cleanup(s.Stop)
	return &world{Service: s, T: t, ctx: as(t.Context(), account), runner: r}
}

// as is a context in which an account's root calls, in open mode.
func as(ctx context.Context, id string) context.Context {
	return auth.With(ctx, auth.Call{
		Principal: auth.RootOf(id), Scope: arn.Scope{Account: id, Region: region}, Service: "lambda", Operation: "Invoke", Endpoint: "http://127.0.0.1:4566",
	})
}

// zipped makes an archive of names and contents, in pairs.
func zipped(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		h := &zip.FileHeader{Name: files[i], Method: zip.Deflate}
		h.SetMode(0o644)
		if target, ok := strings.CutPrefix(files[i+1], "-> "); ok {
			h.SetMode(fs.ModeSymlink | 0o777)
			files[i+1] = target
		}
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(w, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (w *world) creation(name string) *api.CreateFunctionInput {
	return &api.CreateFunctionInput{
		FunctionName: name, Runtime: "python3.12", Handler: "index.handler", Role: role,
		Code: &api.FunctionCode{ZipFile: zipped(w, "index.py", "def handler(e, c): return e")},
	}
}

// make makes a function, and waits until it is active.
func (w *world) make(name string, change ...func(*api.CreateFunctionInput)) *api.CreateFunctionOutput {
	w.Helper()
	in := w.creation(name)
	for _, c := range change {
		c(in)
	}
	out, err := w.CreateFunction(w.ctx, in)
	if err != nil {
		w.Fatal(err)
	}
	w.settled(name)
	return out
}

const patience = 20 * time.Second

// until waits for what comes in its own time.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// settled waits until nothing of a function is under way.
func (w *world) settled(name string) (c *api.GetFunctionConfigurationOutput) {
	w.Helper()
	until(w, name+" settles", func() bool {
		var err error
		if c, err = w.GetFunctionConfiguration(w.ctx, &api.GetFunctionConfigurationInput{FunctionName: name}); err != nil {
			w.Fatal(err)
		}
		return c.State != api.StatePending && c.LastUpdateStatus != api.LastUpdateStatusInProgress
	})
	return c
}

func (w *world) invoke(name, payload string) *api.InvokeOutput {
	w.Helper()
	out, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: name, Payload: []byte(payload)})
	if err != nil {
		w.Fatal(err)
	}
	return out
}

// refused holds an error against its code and a part of its message.
func refused(t testing.TB, err error, code, message string) {
	t.Helper()
	if e, ok := fault.As(err); !ok || e.Code != code || !strings.Contains(e.Message, message) {
		t.Errorf("the error is %v, want %s: %s", err, code, message)
	}
}
