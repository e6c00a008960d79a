package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// In these tests the clock is synctest's: a day passes in no time.

func TestSleepIsDurableAndScaled(t *testing.T) {
	tests := []struct {
		scale float64
		want  time.Duration
	}{{0, time.Hour}, {1, time.Hour}, {0.01, 36 * time.Second}}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.scale), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFakeBench(t)
				cfg := b.config("one")
				cfg.WaitScale = tt.scale
				register := func(e *workflow.Engine) {
					workflow.Register(e, "flow", func(f *workflow.Flow, _ int) error { return f.Sleep("nap", time.Hour) })
				}
				first := b.engine(cfg, register)
				start := time.Now()
				b.begin(first, "flow", "run", 0)
				time.Sleep(tt.want / 2) // of fake time
				first.Stop()
				time.Sleep(tt.want / 4)
				second := b.engine(cfg, register)
				b.end(second, "run")
				if got := time.Since(start); got != tt.want {
					t.Errorf("slept %s, want %s", got, tt.want)
				}
			})
		})
	}
}

func TestAwait(t *testing.T) {
	b := newBench(t)
	var got []string
	e := b.engine(b.config("one"), func(e *workflow.Engine) {
		workflow.Register(e, "flow", func(f *workflow.Flow, _ int) error {
			for range 3 {
				s, err := workflow.Await[string](f, "a/b", time.Hour)
				if err != nil {
					return err
				}
				got = append(got, s)
			}
			return nil
		})
	})
	b.update(func(tx store.Tx) error {
		err := e.Begin(tx, "flow", "run", 0)
		return errors.Join(err, e.Signal(tx, "run", "a/b", "1"), e.Signal(tx, "run", "a/b", "2"), e.Signal(tx, "run", "a", "other"))
	})
	b.update(func(tx store.Tx) error { return e.Signal(tx, "run", "a/b", "3") })
	if st := b.end(e, "run"); st.State != workflow.Done || fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("%+v, got %q", st, got)
	}
	err := b.store.Update(t.Context(), func(tx store.Tx) error { return e.Signal(tx, "run", "a/b", "4") })
	if !errors.Is(err, workflow.ErrEnded) {
		t.Errorf("signal after the end: %v", err)
	}
	err = b.store.Update(t.Context(), func(tx store.Tx) error { return e.Signal(tx, "nosuch", "a/b", "4") })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("signal to no run: %v", err)
	}
}

func TestSignalsAreBounded(t *testing.T) {
	b := newBench(t)
	e := workflow.New(b.config("one"))
	workflow.Register(e, "flow", func(*workflow.Flow, int) error { return nil })
	b.begin(e, "flow", "run", 0)
	err := b.store.Update(t.Context(), func(tx store.Tx) error {
		for i := range 1000 {
			if err := e.Signal(tx, "run", "s", i); err != nil {
				return fmt.Errorf("signal %d: %v", i, err)
			}
		}
		return e.Signal(tx, "run", "s", 1000)
	})
	if !errors.Is(err, workflow.ErrTooManySignals) {
		t.Error(err)
	}
}

func TestAwaitTimesOutAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBench(t)
		cfg := b.config("one")
		cfg.WaitScale = 0.01 // leaves time-outs alone
		register := func(e *workflow.Engine) {
			workflow.Register(e, "flow", func(f *workflow.Flow, _ int) error {
				_, err := workflow.Await[string](f, "never", time.Hour)
				return err
			})
		}
		first := b.engine(cfg, register)
		start := time.Now()
		b.begin(first, "flow", "run", 0)
		time.Sleep(40 * time.Minute)
		first.Stop()
		st := b.end(b.engine(cfg, register), "run")
		if !errors.Is(st.Err, workflow.ErrTimeout) || time.Since(start) != time.Hour {
			t.Errorf("%+v after %s", st, time.Since(start))
		}
	})
}

func TestCancel(t *testing.T) {
	waits := map[string]func(f *workflow.Flow) error{
		"sleep": func(f *workflow.Flow) error { return f.Sleep("s", time.Hour) },
		"await": func(f *workflow.Flow) error {
			_, err := workflow.Await[int](f, "s", time.Hour)
			return err
		},
		"await without end": func(f *workflow.Flow) error {
			_, err := workflow.Await[int](f, "s", 0)
			return err
		},
		"child": func(f *workflow.Flow) error { return workflow.Child(f, "c", "sleeper", "child", 0) },
	}
	for name, wait := range waits {
		for _, early := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, before it waits: %v", name, early), func(t *testing.T) {
				b := newBench(t)
				undone := false
				var before, after bool
				e := b.engine(b.config("one"), func(e *workflow.Engine) {
					workflow.Register(e, "sleeper", func(f *workflow.Flow, _ int) error { return f.Sleep("s", time.Hour) })
					workflow.Register(e, "flow", func(f *workflow.Flow, _ int) error {
						before = f.Cancelled()
						f.Undo("it", func(context.Context, string) error { undone = true; return nil })
						err := wait(f)
						after = f.Cancelled()
						f.IgnoreCancel()
						return errors.Join(f.Sleep("drain", time.Millisecond), f.Unwind(), err)
					})
				})
				b.update(func(tx store.Tx) error {
					err := e.Begin(tx, "flow", "run", 0)
					if early {
						err = errors.Join(err, e.Cancel(tx, "run"), e.Cancel(tx, "run"))
					}
					return err
				})
				if !early {
					waitFor(t, func() bool { return b.has("workflow/journal/run/") })
					b.update(func(tx store.Tx) error { return e.Cancel(tx, "run") })
				}
				st := b.end(e, "run")
				if st.State != workflow.Cancelled || !errors.Is(st.Err, workflow.ErrCancelled) || !undone || !after || early != before {
					t.Errorf("%+v, undone %v, cancelled before %v, after %v", st, undone, before, after)
				}
			})
		}
	}
}

// has says whether any key has the prefix.
func (b *bench) has(prefix string) (found bool) {
	err := b.store.View(context.Background(), func(tx store.Tx) error {
		for _, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
			found = err == nil
			return err
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

func TestChild(t *testing.T) {
	b := newBench(t)
	e := b.engine(b.config("one"), func(e *workflow.Engine) {
		workflow.Register(e, "child", func(f *workflow.Flow, n int) error {
			if n < 0 {
				return fault.New(fault.ValidationError, "below zero")
			}
			return nil
		})
		workflow.Register(e, "flow", func(f *workflow.Flow, _ int) error {
			if err := workflow.Child(f, "good", "child", "good", 1); err != nil {
				return err
			}
			if err := workflow.Child(f, "again", "child", "good", 1); !errors.Is(err, store.ErrExists) {
				return fmt.Errorf("a second child of one id: %w", err)
			}
			if err := workflow.Child(f, "nosuch", "nosuch", "nosuch", 1); !errors.Is(err, workflow.ErrUnknown) {
				return fmt.Errorf("a child of no workflow: %w", err)
			}
			return workflow.Child(f, "bad", "child", "bad", -1)
		})
	})
	b.begin(e, "flow", "run", 0)
	if st := b.end(e, "run"); !fault.Is(st.Err, fault.ValidationError) {
		t.Errorf("%+v", st)
	}
}

func TestEndedRunsArePurged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBench(t)
		cfg := b.config("one")
		cfg.Retention = 10 * time.Minute
		e := b.engine(cfg, func(e *workflow.Engine) {
			workflow.Register(e, "quick", func(*workflow.Flow, int) error { return nil })
			workflow.Register(e, "parent", func(f *workflow.Flow, _ int) error {
				if err := workflow.Child(f, "c", "quick", "child", 0); err != nil {
					return err
				}
				return f.Sleep("s", time.Hour)
			})
		})
		b.begin(e, "parent", "parent", 0)
		b.begin(e, "quick", "quick", 0)
		b.end(e, "quick")
		time.Sleep(11 * time.Minute)
		if b.has("workflow/run/quick") || !b.has("workflow/run/child") || !b.has("workflow/run/parent") {
			t.Error("want quick purged, and the child kept while its parent runs")
		}
		b.end(e, "parent")
		time.Sleep(11 * time.Minute)
		if b.has("workflow/run/") || b.has("workflow/ended/") {
			t.Error("not everything was purged")
		}
		b.check()
	})
}

func TestManyParkedFlowsAreCheap(t *testing.T) {
	const n = 1000
	b := newBench(t)
	var parked atomic.Int32
	e := b.engine(b.config("one"), func(e *workflow.Engine) {
		workflow.Register(e, "flow", func(f *workflow.Flow, _ int) error {
			parked.Add(1)
			_, err := workflow.Await[int](f, "go", 0)
			return err
		})
	})
	for at := 0; at < n; at += 500 {
		b.update(func(tx store.Tx) error {
			for i := at; i < at+500; i++ {
				if err := e.Begin(tx, "flow", fmt.Sprint("run", i), 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	waitFor(t, func() bool { return parked.Load() == n })
	// Parked flows write nothing: the revision stands still but for the beat.
	rev := func() (r int64) {
		b.update(func(tx store.Tx) error { r = tx.Revision(); return nil })
		return r
	}
	before := rev()
	for range 100 {
		runtime.Gosched()
	}
	if after := rev(); after-before > 2 {
		t.Errorf("%d updates while all are parked", after-before)
	}
	for at := 0; at < n; at += 500 {
		b.update(func(tx store.Tx) error {
			for i := at; i < at+500; i++ {
				if err := e.Signal(tx, fmt.Sprint("run", i), "go", 1); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for i := range n {
		if st, err := e.Wait(t.Context(), fmt.Sprint("run", i)); err != nil || st.State != workflow.Done {
			t.Fatalf("%+v, %v", st, err)
		}
	}
	b.check()
}

func TestWaitEndsWithItsContextAndItsStore(t *testing.T) {
	b := newBench(t)
	e := workflow.New(b.config("one"))
	workflow.Register(e, "flow", func(*workflow.Flow, int) error { return nil })
	b.begin(e, "flow", "run", 0)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := e.Wait(ctx, "run"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	done := make(chan error)
	go func() {
		_, err := e.Wait(t.Context(), "run")
		done <- err
	}()
	if err := b.store.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
}
