package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// counting has a flow of n steps that counts how often each ran, and that stops
// at a gate in the middle.
type counting struct {
	ran  [4]atomic.Int32
	gate chan struct{}
	at   chan string // receives the name of the engine that came to the gate
}

func newCounting() *counting {
	return &counting{gate: make(chan struct{}), at: make(chan string, 10)}
}

func (c *counting) register(name string) func(*workflow.Engine) {
	return func(e *workflow.Engine) {
		workflow.Register(e, "count", func(f *workflow.Flow, _ int) error {
			for i := range c.ran {
				got, err := workflow.Step(f, fmt.Sprint("step ", i), func(ctx context.Context, _ string) (int, error) {
					c.ran[i].Add(1)
					if i == 2 {
						c.at <- name
						select {
						case <-c.gate:
						case <-ctx.Done():
							return 0, ctx.Err()
						}
					}
					return i, nil
				})
				if err != nil {
					return err
				}
				if got != i {
					return fmt.Errorf("step %d gave %d", i, got)
				}
			}
			return nil
		})
	}
}

func (c *counting) expect(t *testing.T, want [4]int32) {
	t.Helper()
	var got [4]int32
	for i := range got {
		got[i] = c.ran[i].Load()
	}
	if got != want {
		t.Errorf("the steps ran %v times, want %v", got, want)
	}
}

func (c *counting) arrived(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-c.at:
		if got != want {
			t.Fatalf("%s came to the gate, want %s", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not come to the gate", want)
	}
}

func TestStopAndStartGoOn(t *testing.T) {
	b, c := newBench(t), newCounting()
	first := b.engine(b.config("one"), c.register("first"))
	b.begin(first, "count", "run", 0)
	c.arrived(t, "first")
	first.Stop()
	first.Stop()
	b.check()
	second := b.engine(b.config("one"), c.register("second"))
	c.arrived(t, "second")
	close(c.gate)
	if st := b.end(second, "run"); st.State != workflow.Done {
		t.Errorf("%+v", st)
	}
	c.expect(t, [4]int32{1, 1, 2, 1})
}

func TestStoppedEngineGivesItsRunsAway(t *testing.T) {
	b, c := newBench(t), newCounting()
	cfg := b.config("two")
	cfg.LeaseTTL = 60 * time.Millisecond
	first := b.engine(b.config("one"), c.register("first"))
	b.begin(first, "count", "run", 0)
	c.arrived(t, "first")
	second := b.engine(cfg, c.register("second")) // not before: it is quick to take what nobody runs yet
	first.Stop()
	c.arrived(t, "second")
	close(c.gate)
	b.end(second, "run")
	c.expect(t, [4]int32{1, 1, 2, 1})
}

// TestLapsedLeaseIsTakenOver has the first engine die without a word, in the
// middle of a step, and then come back to write what it did.
func TestLapsedLeaseIsTakenOver(t *testing.T) {
	b, c := newBench(t), newCounting()
	cfg := b.config("one")
	cfg.LeaseTTL = time.Hour // shows no life while the test runs
	var dead atomic.Pointer[workflow.Engine]
	first := b.engine(cfg, c.register("first"))
	dead.Store(first)
	b.begin(first, "count", "run", 0)
	c.arrived(t, "first")
	cfg = b.config("two")
	cfg.LeaseTTL = 60 * time.Millisecond
	second := b.engine(cfg, c.register("second"))
	c.arrived(t, "second")
	c.gate <- struct{}{}
	c.gate <- struct{}{}
	if st := b.end(second, "run"); st.State != workflow.Done {
		t.Errorf("%+v", st)
	}
	// The loser's step returned, but its entry was refused, so it went no further.
	first.Stop()
	c.expect(t, [4]int32{1, 1, 2, 1})
}

// stalled is a store whose updates wait at a gate, as those of a server that
// stands still for a while.
type stalled struct {
	store.Store
	mu   sync.Mutex
	gate chan struct{} // nil: open
}

func (s *stalled) set(gate chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = gate
}

func (s *stalled) Update(ctx context.Context, fn func(store.Tx) error) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return s.Store.Update(ctx, fn)
}

// TestStalledEngineDropsItsRuns has an engine come back after another took its
// run: it notices by itself, while the step that it was in still runs.
func TestStalledEngineDropsItsRuns(t *testing.T) {
	b := newBench(t)
	slow := &stalled{Store: b.store}
	step := make(chan string, 2)
	dropped, leave := make(chan struct{}), make(chan struct{})
	register := func(name string) func(*workflow.Engine) {
		return func(e *workflow.Engine) {
			workflow.Register(e, "flow", func(f *workflow.Flow, _ int) error {
				_, err := workflow.Step(f, "long", func(ctx context.Context, _ string) (int, error) {
					step <- name
					select {
					case <-ctx.Done():
						if name == "first" {
							close(dropped)
						}
					case <-leave:
					}
					return 0, ctx.Err()
				})
				return err
			})
		}
	}
	cfg := b.config("one")
	cfg.Store, cfg.LeaseTTL = slow, 60*time.Millisecond
	first := b.engine(cfg, register("first"))
	b.begin(first, "flow", "run", 0)
	if got := <-step; got != "first" {
		t.Fatal(got)
	}
	gate := make(chan struct{})
	slow.set(gate)
	cfg = b.config("two")
	cfg.LeaseTTL = 200 * time.Millisecond
	second := b.engine(cfg, register("second"))
	if got := <-step; got != "second" {
		t.Fatal(got)
	}
	slow.set(nil)
	close(gate)
	<-dropped
	close(leave)
	if st := b.end(second, "run"); st.State != workflow.Done {
		t.Errorf("%+v", st)
	}
}

func TestLiveLeaseIsLeftAlone(t *testing.T) {
	b, c := newBench(t), newCounting()
	short := func(name string) workflow.Config {
		cfg := b.config(name)
		cfg.LeaseTTL = 300 * time.Millisecond
		return cfg
	}
	first := b.engine(short("one"), c.register("first"))
	b.begin(first, "count", "run", 0)
	c.arrived(t, "first")
	b.engine(short("two"), c.register("second"))
	// Twice the time in which a lease lapses, seen by the engines' own writes.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	beats := b.store.Watch(ctx, "workflow/server/one")
	for range 6 {
		select {
		case <-beats:
		case who := <-c.at:
			t.Fatalf("%s took the run", who)
		case <-time.After(20 * time.Second):
			t.Fatal("no sign of life")
		}
	}
	close(c.gate)
	b.end(first, "run")
	c.expect(t, [4]int32{1, 1, 1, 1})
}

func TestTheLaterOfOneNameWins(t *testing.T) {
	b, c := newBench(t), newCounting()
	cfg := b.config("same")
	cfg.LeaseTTL = 60 * time.Millisecond
	first := b.engine(cfg, c.register("first"))
	b.begin(first, "count", "run", 0)
	c.arrived(t, "first")
	second := b.engine(cfg, c.register("second"))
	c.arrived(t, "second")
	close(c.gate)
	b.end(second, "run")
	first.Stop()
	if n := c.ran[3].Load(); n != 1 {
		t.Errorf("the last step ran %d times", n)
	}
}

func TestUnknownWorkflowWaitsForAnEngineThatKnowsIt(t *testing.T) {
	b, c := newBench(t), newCounting()
	close(c.gate)
	first := workflow.New(b.config("one"))
	c.register("first")(first)
	b.begin(first, "count", "run", 0) // never started
	none := b.engine(b.config("one"), func(*workflow.Engine) {})
	st := workflow.Status{}
	b.update(func(tx store.Tx) (err error) {
		st, err = none.Get(tx, "run")
		return err
	})
	if st.State != workflow.Running {
		t.Fatalf("%+v", st)
	}
	none.Stop()
	b.end(b.engine(b.config("one"), c.register("second")), "run")
}

func TestFailuresReplay(t *testing.T) {
	b := newBench(t)
	var calls, seen atomic.Int32
	register := func(e *workflow.Engine) {
		workflow.Register(e, "flow", func(f *workflow.Flow, _ int) error {
			_, err := workflow.Step(f, "fail", func(context.Context, string) (int, error) {
				calls.Add(1)
				return 0, fault.New(fault.ValidationError, "no").With("N", 1)
			})
			if fe, ok := fault.As(err); !ok || fe.Message != "no" || fe.Fields["N"] != int64(1) {
				return fmt.Errorf("got %#v", err)
			}
			_, err = workflow.Tx(f, "missing", func(tx store.Tx) (int, error) {
				calls.Add(1)
				_, err := tx.Get("nothing")
				return 0, err
			})
			if !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("got %#v", err)
			}
			seen.Add(1)
			_, err = workflow.Await[int](f, "go", 0)
			return err
		})
	}
	first := b.engine(b.config("one"), register)
	b.begin(first, "flow", "run", 0)
	waitFor(t, func() bool { return seen.Load() == 1 })
	first.Stop()
	second := b.engine(b.config("one"), register)
	b.update(func(tx store.Tx) error { return second.Signal(tx, "run", "go", 1) })
	if st := b.end(second, "run"); st.State != workflow.Done {
		t.Errorf("%+v", st)
	}
	if calls.Load() != 2 || seen.Load() != 2 {
		t.Errorf("%d calls in %d runs", calls.Load(), seen.Load())
	}
}

// waitFor polls for what has no signal of its own.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("it did not come about")
		}
	}
}

func TestChangedFlowIsNoticed(t *testing.T) {
	b := newBench(t)
	at := make(chan struct{}, 2)
	flow := func(kind func(f *workflow.Flow) error) func(e *workflow.Engine) {
		return func(e *workflow.Engine) {
			workflow.Register(e, "flow", func(f *workflow.Flow, _ int) error {
				if err := kind(f); err != nil {
					return err
				}
				at <- struct{}{}
				_, err := workflow.Await[int](f, "go", 0)
				return err
			})
		}
	}
	first := b.engine(b.config("one"), flow(func(f *workflow.Flow) error {
		_, err := workflow.Step(f, "x", func(context.Context, string) (int, error) { return 0, nil })
		return err
	}))
	b.begin(first, "flow", "run", 0)
	<-at
	first.Stop()
	second := b.engine(b.config("one"), flow(func(f *workflow.Flow) error { return f.Sleep("x", 0) }))
	if st := b.end(second, "run"); !errors.Is(st.Err, workflow.ErrNondeterministic) {
		t.Errorf("%+v", st)
	}
}
