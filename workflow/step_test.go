package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

func TestStepGivesItsResultAndToken(t *testing.T) {
	b := newBench(t)
	var token string
	st := b.run(func(f *workflow.Flow, n int) error {
		got, err := workflow.Step(f, "double it", func(_ context.Context, tok string) (int, error) {
			token = tok
			return 2 * n, nil
		})
		if err != nil || got != 14 {
			return fmt.Errorf("got %d, %v", got, err)
		}
		return nil
	})
	if st.State != workflow.Done || st.Err != nil || st.Ended.IsZero() || st.Workflow != "flow" {
		t.Errorf("status %+v", st)
	}
	if token != "run/double%20it" {
		t.Errorf("token %q", token)
	}
}

func TestStepErrors(t *testing.T) {
	flt := fault.New(fault.ValidationError, "bad %s", "name").With("Reason", "R").With("Count", 3)
	tests := []struct {
		name  string
		err   error
		calls int
		is    error
		code  string
	}{
		{"a fault is final", flt, 1, nil, fault.ValidationError},
		{"a wrapped fault is final", fmt.Errorf("create: %w", flt), 1, nil, fault.ValidationError},
		{"permanent is final", workflow.Permanent(errors.New("no")), 1, nil, ""},
		{"not found is final", fmt.Errorf("x: %w", store.ErrNotFound), 1, store.ErrNotFound, ""},
		{"any other is tried again", errors.New("no"), 3, nil, ""},
		{"a transient fault is tried again", workflow.Transient(flt), 3, nil, fault.ValidationError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			calls, txCalls := 0, 0
			st := b.run(func(f *workflow.Flow, _ int) error {
				_, txErr := workflow.Tx(f, "tx", func(tx store.Tx) (int, error) {
					txCalls++
					return 0, errors.Join(tx.Put("effect", []byte("1")), tt.err)
				}, workflow.Attempts(3))
				if txErr == nil {
					return errors.New("the Tx did not fail")
				}
				_, err := workflow.Step(f, "step", func(context.Context, string) (int, error) {
					calls++
					return 0, tt.err
				}, workflow.Attempts(3))
				return err
			})
			if st.State != workflow.Failed || calls != tt.calls || txCalls != tt.calls {
				t.Errorf("status %+v after %d and %d calls, want %d", st, calls, txCalls, tt.calls)
			}
			if tt.is != nil && !errors.Is(st.Err, tt.is) {
				t.Errorf("%v is not %v", st.Err, tt.is)
			}
			if tt.code != "" {
				fe, ok := fault.As(st.Err)
				if !ok || fe.Code != tt.code || fe.Message != "bad name" {
					t.Fatalf("error %#v", st.Err)
				}
				if d := cmp.Diff(map[string]any{"Reason": "R", "Count": int64(3)}, fe.Fields); d != "" {
					t.Error(d)
				}
			}
			err := b.store.View(t.Context(), func(tx store.Tx) error {
				_, err := tx.Get("effect")
				return err
			})
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a failed Tx left its effect: %v", err)
			}
		})
	}
}

func TestPanicsAreTriedAgain(t *testing.T) {
	b := newBench(t)
	calls, txCalls := 0, 0
	st := b.run(func(f *workflow.Flow, _ int) error {
		if _, err := workflow.Step(f, "step", func(context.Context, string) (int, error) {
			if calls++; calls < 3 {
				panic("step")
			}
			return 0, nil
		}); err != nil {
			return err
		}
		_, err := workflow.Tx(f, "tx", func(store.Tx) (int, error) {
			if txCalls++; txCalls < 3 {
				panic("tx")
			}
			return 0, nil
		})
		return err
	})
	if st.State != workflow.Done || calls != 3 || txCalls != 3 {
		t.Errorf("%+v after %d and %d calls", st, calls, txCalls)
	}
}

func TestPanicOfTheFlowFailsIt(t *testing.T) {
	b := newBench(t)
	st := b.run(func(f *workflow.Flow, _ int) error {
		err := f.Parallel(0, workflow.Branch{Name: "a", Run: func(*workflow.Flow) error { panic("branch") }})
		if err == nil {
			return nil
		}
		panic("flow")
	})
	if st.State != workflow.Failed {
		t.Errorf("%+v", st)
	}
}

func TestNamesAreUsedOnce(t *testing.T) {
	step := func(f *workflow.Flow) error {
		_, err := workflow.Step(f, "same", func(context.Context, string) (int, error) { return 0, nil })
		return err
	}
	tests := map[string]func(f *workflow.Flow) error{
		"step": func(f *workflow.Flow) error { return errors.Join(step(f), step(f)) },
		"step and tx": func(f *workflow.Flow) error {
			_, err := workflow.Tx(f, "same", func(store.Tx) (int, error) { return 0, nil })
			return errors.Join(step(f), err)
		},
		"step and sleep": func(f *workflow.Flow) error { return errors.Join(step(f), f.Sleep("same", 1)) },
		"branch": func(f *workflow.Flow) error {
			return f.Parallel(0, workflow.Branch{Name: "b", Run: step}, workflow.Branch{Name: "b", Run: step})
		},
		"scope": func(f *workflow.Flow) error {
			_, err1 := f.Scope("s")
			_, err2 := f.Scope("s")
			return errors.Join(err1, err2)
		},
	}
	for name, fn := range tests {
		t.Run(name, func(t *testing.T) {
			st := newBench(t).run(func(f *workflow.Flow, _ int) error { return fn(f) })
			if !errors.Is(st.Err, workflow.ErrNondeterministic) {
				t.Errorf("error %v", st.Err)
			}
		})
	}
}

func TestParallel(t *testing.T) {
	b := newBench(t)
	var now, most atomic.Int32
	var got [8]int
	st := b.run(func(f *workflow.Flow, _ int) error {
		var branches []workflow.Branch
		for i := range got {
			branches = append(branches, workflow.Branch{Name: fmt.Sprint(i), Run: func(f *workflow.Flow) (err error) {
				got[i], err = workflow.Step(f, "square", func(context.Context, string) (int, error) {
					n := now.Add(1)
					defer now.Add(-1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					return i * i, nil
				})
				if i >= 6 {
					return fault.New(fault.Throttling, "%d", i)
				}
				return err
			}})
		}
		return f.Parallel(3, branches...)
	})
	if !fault.Is(st.Err, fault.Throttling) {
		t.Errorf("error %v", st.Err)
	}
	if most.Load() > 3 {
		t.Errorf("%d branches at a time, want at most 3", most.Load())
	}
	if want := [8]int{0, 1, 4, 9, 16, 25, 36, 49}; got != want {
		t.Errorf("got %v", got)
	}
}

func TestUnwindInReverse(t *testing.T) {
	b := newBench(t)
	var order []string
	undo := func(f *workflow.Flow, name string, err error) {
		f.Undo(name, func(_ context.Context, token string) error {
			order = append(order, name+" "+token)
			return err
		})
	}
	st := b.run(func(f *workflow.Flow, _ int) error {
		undo(f, "a", nil)
		undo(f, "b", fault.New(fault.AccessDenied, "no"))
		if err := f.Parallel(1,
			workflow.Branch{Name: "x", Run: func(f *workflow.Flow) error { undo(f, "c", nil); return nil }},
			workflow.Branch{Name: "y", Run: func(f *workflow.Flow) error { undo(f, "c", nil); return nil }}); err != nil {
			return err
		}
		err := f.Unwind()
		return errors.Join(err, f.Unwind())
	})
	want := []string{"c run/y/!undo!c", "c run/x/!undo!c", "b run/!undo!b", "a run/!undo!a"}
	if !slices.Equal(order, want) {
		t.Errorf("undone: %q", order)
	}
	if !fault.Is(st.Err, fault.AccessDenied) {
		t.Errorf("error %v", st.Err)
	}
}

func TestBegin(t *testing.T) {
	b := newBench(t)
	e := b.engine(b.config("one"), func(e *workflow.Engine) {
		workflow.Register(e, "flow", func(*workflow.Flow, json.RawMessage) error { return nil })
	})
	b.begin(e, "flow", "a/b", nil)
	b.begin(e, "flow", "a", nil)
	tests := []struct {
		name, id string
		params   any
		want     error
	}{
		{"flow", "a/b", nil, store.ErrExists},
		{"nosuch", "b", nil, workflow.ErrUnknown},
		{"flow", "", nil, nil},
		{"flow", string(make([]byte, 600)), nil, nil},
		{"flow", "c", func() {}, nil},
	}
	for _, tt := range tests {
		err := b.store.Update(t.Context(), func(tx store.Tx) error { return e.Begin(tx, tt.name, tt.id, tt.params) })
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("Begin %q %.20q: %v, want %v", tt.name, tt.id, err, tt.want)
		}
	}
	undone := errors.New("undone")
	err := b.store.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(e.Begin(tx, "flow", "gone", nil), undone)
	})
	if !errors.Is(err, undone) {
		t.Fatal(err)
	}
	if _, err := e.Wait(t.Context(), "gone"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a run whose Begin was undone: %v", err)
	}
	for _, id := range []string{"a", "a/b"} {
		if st := b.end(e, id); st.State != workflow.Done {
			t.Errorf("%+v", st)
		}
	}
}

func TestBadParametersFailTheRun(t *testing.T) {
	b := newBench(t)
	e := b.engine(b.config("one"), func(e *workflow.Engine) {
		workflow.Register(e, "flow", func(*workflow.Flow, int) error { return nil })
	})
	b.begin(e, "flow", "run", "seven")
	if st := b.end(e, "run"); st.State != workflow.Failed {
		t.Errorf("%+v", st)
	}
}
