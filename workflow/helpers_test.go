package workflow_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/workflow"
)

// bench is a store with the engines of a test on it.
type bench struct {
	t     testing.TB
	store store.Store
	limit time.Duration // of end
}

func newBench(t testing.TB) *bench {
	return &bench{t: t, store: storetest.New(t), limit: 30 * time.Second}
}

// newFakeBench is newBench for a test on fake time, which may pass by the hour.
func newFakeBench(t testing.TB) *bench {
	b := newBench(t)
	b.limit = 24 * time.Hour
	return b
}

func (b *bench) config(name string) workflow.Config {
	return workflow.Config{
		Store:  b.store,
		Server: name,
		Logger: slog.New(slog.NewTextHandler(testWriter{b.t}, &slog.HandlerOptions{Level: slog.LevelError})),
		Retry:  workflow.Retry{First: time.Millisecond, Max: 5 * time.Millisecond},
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Helper()
	w.t.Logf("%s", p)
	return len(p), nil
}

// engine makes and starts an engine; it stops with the test.
func (b *bench) engine(cfg workflow.Config, register func(*workflow.Engine)) *workflow.Engine {
	b.t.Helper()
	e := workflow.New(cfg)
	register(e)
	if err := e.Start(b.t.Context()); err != nil {
		b.t.Fatalf("start: %v", err)
	}
	b.t.Cleanup(e.Stop)
	return e
}

func (b *bench) update(fn func(tx store.Tx) error) {
	b.t.Helper()
	if err := b.store.Update(context.Background(), fn); err != nil {
		b.t.Fatalf("update: %v", err)
	}
}

func (b *bench) begin(e *workflow.Engine, name, id string, params any) {
	b.t.Helper()
	b.update(func(tx store.Tx) error { return e.Begin(tx, name, id, params) })
}

// end waits for a run and checks what must always hold.
func (b *bench) end(e *workflow.Engine, id string) workflow.Status {
	b.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), b.limit)
	defer stop()
	st, err := e.Wait(ctx, id)
	if err != nil {
		b.t.Fatalf("wait for %s: %v (%+v)", id, err, st)
	}
	b.check()
	return st
}

func (b *bench) check() {
	b.t.Helper()
	if err := b.store.View(context.Background(), workflow.CheckInvariants); err != nil {
		b.t.Fatalf("invariants: %v", err)
	}
}

// run begins a workflow of one function and waits for its end.
func (b *bench) run(fn func(f *workflow.Flow, n int) error) workflow.Status {
	b.t.Helper()
	e := b.engine(b.config("one"), func(e *workflow.Engine) { workflow.Register(e, "flow", fn) })
	b.begin(e, "flow", "run", 7)
	return b.end(e, "run")
}
