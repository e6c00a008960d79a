package s3

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

const account = "111111111111"

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a service over a store and a folder that a test can reopen.
type fixture struct {
	*Service
	t     testing.TB
	ctx   context.Context
	store store.Store
	dir   string
	clock *clock
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{
		t: t, store: storetest.New(t), dir: filepath.Join(t.TempDir(), "s3"), ctx: as(account, usEast1),
		clock: &clock{now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)},
	}
	f.reopen()
	return f
}

// reopen is what a restart does.
func (f *fixture) reopen() {
	f.t.Helper()
	s, err := New(Config{Store: f.store, Dir: f.dir, Clock: f.clock.Now})
	if err != nil {
		f.t.Fatal(err)
	}
	f.Service = s
}

func as(account, region string) context.Context {
	return auth.With(context.Background(), auth.Call{
		Principal: auth.Principal{Kind: auth.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root"},
		Scope:     arn.Scope{Account: account, Region: region}, Endpoint: "http://127.0.0.1:4566",
	})
}

func (f *fixture) bucket(name string) *fixture {
	f.t.Helper()
	_, err := f.CreateBucket(f.ctx, &api.CreateBucketInput{Bucket: name})
	noError(f.t, err)
	return f
}

func (f *fixture) version(name, status string) {
	f.t.Helper()
	_, err := f.PutBucketVersioning(f.ctx, &api.PutBucketVersioningInput{
		Bucket: name, VersioningConfiguration: &api.VersioningConfiguration{Status: status},
	})
	noError(f.t, err)
}

func (f *fixture) put(bucket, key, body string) *api.PutObjectOutput {
	f.t.Helper()
	out, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: bucket, Key: key, Body: text(body)})
	noError(f.t, err)
	return out
}

// get reads an object, or gives the code of the refusal.
func (f *fixture) get(in *api.GetObjectInput) (string, *api.GetObjectOutput, string) {
	f.t.Helper()
	out, err := f.GetObject(f.ctx, in)
	if err != nil {
		return "", nil, code(f.t, err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	noError(f.t, err)
	return string(b), out, ""
}

func (f *fixture) body(bucket, key string) string {
	f.t.Helper()
	b, _, refused := f.get(&api.GetObjectInput{Bucket: bucket, Key: key})
	if refused != "" {
		return refused
	}
	return b
}

// filesOnDisk counts the files that hold objects.
func (f *fixture) filesOnDisk() int {
	f.t.Helper()
	n := 0
	err := filepath.WalkDir(filepath.Join(f.dir, "objects"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	noError(f.t, err)
	return n
}

func text(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

func large(n int) string { return string(bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n]) }

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func code(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := fault.As(err)
	if !ok {
		t.Fatalf("not a fault: %v", err)
	}
	return e.Code
}

// wantFault checks code and message against what AWS answers.
func wantFault(t testing.TB, err error, code, message string) {
	t.Helper()
	e, ok := fault.As(err)
	if !ok || e.Code != code || message != "" && e.Message != message {
		t.Fatalf("error = %v, want %s: %s", err, code, message)
	}
}
