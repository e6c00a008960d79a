package workflowtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// cloud stands for the outside world: things made by name.
type cloud struct {
	mu    sync.Mutex
	made  map[string]string // name -> token
	extra []string          // things that only a careless step makes
}

func (c *cloud) create(name, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made[name] = token
}

func (c *cloud) remove(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.made, name)
}

func (c *cloud) careless(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.extra = append(c.extra, name)
}

type plan struct {
	Names                   []string
	Fail                    bool
	BadStep, BadUndo, BadTx bool
}

// build makes every name beside the others, waits, counts, and may fail.
func (c *cloud) build(f *workflow.Flow, p plan) error {
	var branches []workflow.Branch
	for _, name := range p.Names {
		branches = append(branches, workflow.Branch{Name: name, Run: func(f *workflow.Flow) error {
			f.Undo("create", func(context.Context, string) error {
				c.remove(name)
				if p.BadUndo {
					c.careless("undo " + name)
				}
				return nil
			})
			_, err := workflow.Step(f, "create", func(_ context.Context, token string) (struct{}, error) {
				c.create(name, token)
				if p.BadStep {
					c.careless(name)
				}
				return struct{}{}, nil
			})
			return err
		}})
	}
	if err := f.Parallel(2, branches...); err != nil {
		return err
	}
	at, err := f.Now("now")
	if err != nil {
		return err
	}
	if err := f.Sleep("settle", time.Hour); err != nil {
		return err
	}
	if _, err := workflow.Tx(f, "count", func(tx store.Tx) (int, error) {
		return count(tx, at)
	}); err != nil {
		return err
	}
	if p.BadTx {
		c.careless("between the steps")
	}
	if err := workflow.Child(f, "child", "child", f.ID()+".child", 1); err != nil {
		return err
	}
	go1, err := workflow.Await[string](f, "go", time.Hour)
	if err != nil || go1 != "ahead" {
		return fmt.Errorf("signal %q: %w", go1, err)
	}
	if p.Fail {
		return errors.Join(f.Unwind(), fault.New(fault.ValidationError, "asked to"))
	}
	return nil
}

func count(tx store.Tx, at time.Time) (int, error) {
	var n int
	doc, err := tx.Get("count")
	if err == nil {
		err = json.Unmarshal(doc.Value, &n)
	} else if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	if err != nil || at.IsZero() {
		return 0, errors.Join(err, errors.New("count"))
	}
	return n + 1, tx.Put("count", fmt.Appendf(nil, "%d", n+1))
}

func buildCase(p plan) Case {
	return Case{Setup: func(t testing.TB, s store.Store) Scenario {
		c := &cloud{made: map[string]string{}}
		return Scenario{
			Register: func(e *workflow.Engine) {
				workflow.Register(e, "build", c.build)
				workflow.Register(e, "child", func(f *workflow.Flow, _ int) error {
					_, err := workflow.Step(f, "hello", func(context.Context, string) (int, error) { return 1, nil })
					return err
				})
			},
			Begin: func(tx store.Tx, e *workflow.Engine) (string, error) {
				return "b", e.Begin(tx, "build", "b", p)
			},
			Drive: func(ctx context.Context, e *workflow.Engine) error {
				return s.Update(ctx, func(tx store.Tx) error { return e.Signal(tx, "b", "go", "ahead") })
			},
			Check: func(t testing.TB, s store.Store, st workflow.Status) {
				c.mu.Lock()
				defer c.mu.Unlock()
				want, state := len(p.Names), workflow.Done
				if p.Fail {
					want, state = 0, workflow.Failed
				}
				if len(c.made) != want || st.State != state || p.Fail != fault.Is(st.Err, fault.ValidationError) {
					t.Errorf("made %v, want %d; run %+v", c.made, want, st)
				}
				extra := map[string]int{}
				for _, e := range c.extra {
					if extra[e]++; extra[e] > 1 {
						t.Errorf("doubled: %s", e)
					}
				}
				err := s.View(context.Background(), func(tx store.Tx) error {
					doc, err := tx.Get("count")
					if err == nil && string(doc.Value) != "1" {
						err = fmt.Errorf("counted %s", doc.Value)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			},
		}
	}}
}

func TestGoodWorkflowsPass(t *testing.T) {
	t.Run("succeeds", func(t *testing.T) { Check(t, buildCase(plan{Names: []string{"a", "b", "c"}})) })
	t.Run("unwinds", func(t *testing.T) { Check(t, buildCase(plan{Names: []string{"a", "b"}, Fail: true})) })
}

func TestEveryPointIsTried(t *testing.T) {
	var j journal
	straight(t, buildCase(plan{Names: []string{"a"}, Fail: true}), &j)
	var got []string
	for _, v := range j.variants() {
		got = append(got, v.String())
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{
		"crash before b a:create", "crash after b a:create", "crash after b now", "crash before b settle",
		"crash before b count", "crash after b child", "crash after b.child hello", "crash after b.child !end",
		"crash after b !await!go!1", "crash before b a:!undo!create", "crash after b !end",
		"repeat b a:create", "repeat b a:!undo!create", "repeat b.child hello",
	} {
		if !strings.Contains(all+"\n", want+"\n") {
			t.Errorf("%q is not tried; these are:\n%s", want, all)
		}
	}
}

// TestCarelessWorkflowsAreCaught shows that the checks can fail.
func TestCarelessWorkflowsAreCaught(t *testing.T) {
	tests := []struct {
		name string
		p    plan
		by   string // the kind of variant that must catch it
		not  string // one that cannot
	}{
		{"a step that is not idempotent", plan{Names: []string{"a"}, BadStep: true}, "repeat", "crash after"},
		{"a step lost before its entry", plan{Names: []string{"a"}, BadStep: true}, "crash before", "crash after"},
		{"an undo that is not idempotent", plan{Names: []string{"a"}, BadUndo: true, Fail: true}, "repeat", "crash after"},
		{"an effect outside of the steps", plan{Names: []string{"a"}, BadTx: true}, "crash after", "repeat"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var j journal
			straight(t, buildCase(tt.p), &j)
			caught := map[string]int{}
			for _, v := range j.variants() {
				if len(record(t, func(t testing.TB) { v.run(t, buildCase(tt.p)) })) > 0 {
					caught[v.what]++
				}
			}
			if caught[tt.by] == 0 || caught[tt.not] != 0 {
				t.Errorf("caught by %v; want some %q and no %q", caught, tt.by, tt.not)
			}
		})
	}
}

// recorder is a testing.TB that keeps failures to itself.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func record(t *testing.T, fn func(t testing.TB)) []string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(r.cleanups) - 1; i >= 0; i-- {
				r.cleanups[i]()
			}
		}()
		fn(r)
	}()
	<-done
	return r.failures
}

func (r *recorder) Cleanup(fn func()) { r.cleanups = append(r.cleanups, fn) }
func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
