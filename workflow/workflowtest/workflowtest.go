// Package workflowtest proves by construction that a workflow survives: it runs
// it once to learn its journal, and then again for every entry with a crash
// before it, with a crash after it, and with its step or undo done twice. After
// each the caller's check must pass and the workflow records must be sound.
//
// It may import workflow and store. What it starts it stops with the test.
package workflowtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/workflow"
)

// Scenario is one run of a workflow in a world of its own.
type Scenario struct {
	// Register registers the workflow. It is called for every engine, also for
	// the one after the crash, so what is made in it has lost its memory then;
	// what stands for the outside world, such as a fake driver, is made in Setup.
	Register func(e *workflow.Engine)
	// Begin begins the run and gives its id.
	Begin func(tx store.Tx, e *workflow.Engine) (id string, err error)
	// Drive, where it is set, runs once beside the workflow: it sends signals or
	// cancels, in transactions of its own, with e of Begin, which may have died.
	Drive func(ctx context.Context, e *workflow.Engine) error
	// Check looks at the world after the end. It runs in every case, so it must
	// hold however often the run was interrupted: nothing lost, nothing doubled.
	Check func(t testing.TB, s store.Store, st workflow.Status)
	// Config, where it is set, changes the engine's configuration.
	Config func(c *workflow.Config)
}

// Case makes scenarios: Setup is called for each with a fresh store.
type Case struct {
	Setup func(t testing.TB, s store.Store) Scenario
	// Only, where it is set, chooses what goes wrong: "crash before", "crash after" or
	// "repeat", and the key of the entry. It is for flows of which other cases show the
	// rest.
	Only func(what, key string) bool
}

// timeLimit ends a run that does not end; a healthy one takes milliseconds.
const timeLimit = 30 * time.Second

// Check runs the case straight, and then with every crash and repetition.
func Check(t *testing.T, c Case) {
	t.Helper()
	var found journal
	if !t.Run("straight", func(t *testing.T) { straight(t, c, &found) }) {
		return
	}
	for _, v := range found.variants() {
		if c.Only != nil && !c.Only(v.what, v.at.key) {
			continue
		}
		t.Run(v.String(), func(t *testing.T) { v.run(t, c) })
	}
}

// point is an entry of the journal of a run.
type point struct{ id, key string }

// journal is the points of a straight run, in their order.
type journal struct {
	mu      sync.Mutex
	written []point // entries
	acted   []point // steps and undos that ran
}

func (j *journal) variants() []variant {
	var out []variant
	for _, p := range unique(j.written) {
		out = append(out, variant{"crash before", p}, variant{"crash after", p})
	}
	for _, p := range unique(j.acted) {
		out = append(out, variant{"repeat", p})
	}
	return out
}

func unique(in []point) (out []point) {
	seen := map[point]bool{}
	for _, p := range in {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

func straight(t testing.TB, c Case, found *journal) {
	note := func(list *[]point, id, key string) bool {
		found.mu.Lock()
		defer found.mu.Unlock()
		*list = append(*list, point{id, key})
		return false
	}
	w := newWorld(t, c)
	e := w.start(&workflow.Probe{
		AfterJournal: func(id, key string) bool { return note(&found.written, id, key) },
		Repeat:       func(id, key string) bool { return note(&found.acted, id, key) },
	})
	w.begin(e)
	w.finish(e)
	e.Stop() // the last entry is noted after its run has ended for all others
}

// variant is one thing that goes wrong.
type variant struct {
	what string
	at   point
}

func (v variant) String() string {
	return fmt.Sprintf("%s %s %s", v.what, v.at.id, strings.ReplaceAll(v.at.key, "/", ":"))
}

func (v variant) run(t testing.TB, c Case) {
	w := newWorld(t, c)
	var once sync.Once
	reached := make(chan struct{})
	hit := func(id, key string) (yes bool) {
		if (point{id, key}) == v.at {
			once.Do(func() { yes = true; close(reached) })
		}
		return yes
	}
	var p workflow.Probe
	switch v.what {
	case "crash before":
		p.BeforeJournal = hit
	case "crash after":
		p.AfterJournal = hit
	case "repeat":
		p.Repeat = hit
	}
	e := w.start(&p)
	w.begin(e)
	select {
	case <-reached:
	case <-w.ctx.Done():
		t.Fatalf("%s: the run did not come there within %s: is the flow deterministic?", v, timeLimit)
	}
	if v.what != "repeat" {
		e.Stop()
		e = w.start(nil)
	}
	w.finish(e)
}

// world is a scenario with its store.
type world struct {
	t     testing.TB
	ctx   context.Context
	store store.Store
	sc    Scenario
	id    string
	drive chan error
}

func newWorld(t testing.TB, c Case) *world {
	ctx, stop := context.WithTimeout(context.Background(), timeLimit)
	t.Cleanup(stop)
	w := &world{t: t, ctx: ctx, store: storetest.New(t), drive: make(chan error, 1)}
	w.sc = c.Setup(t, w.store)
	return w
}

func (w *world) start(p *workflow.Probe) *workflow.Engine {
	cfg := workflow.Config{
		Store:     w.store,
		Server:    "workflowtest",
		WaitScale: 1e-6,
		Logger:    slog.New(slog.DiscardHandler),
		Retry:     workflow.Retry{Attempts: 5, First: time.Millisecond, Max: 5 * time.Millisecond},
	}
	if w.sc.Config != nil {
		w.sc.Config(&cfg)
	}
	cfg.Probe = p
	e := workflow.New(cfg)
	w.sc.Register(e)
	if err := e.Start(w.ctx); err != nil {
		w.t.Fatalf("start the engine: %v", err)
	}
	w.t.Cleanup(e.Stop)
	return e
}

func (w *world) begin(e *workflow.Engine) {
	err := w.store.Update(w.ctx, func(tx store.Tx) (err error) {
		w.id, err = w.sc.Begin(tx, e)
		return err
	})
	if err != nil {
		w.t.Fatalf("begin: %v", err)
	}
	if w.sc.Drive == nil {
		w.drive <- nil
		return
	}
	go func() { w.drive <- w.sc.Drive(w.ctx, e) }()
	w.t.Cleanup(func() {
		if w.drive != nil {
			<-w.drive
		}
	})
}

func (w *world) finish(e *workflow.Engine) {
	st, err := e.Wait(w.ctx, w.id)
	if err != nil {
		w.t.Fatalf("the run did not end: %v", err)
	}
	err, w.drive = <-w.drive, nil
	if err != nil && !errors.Is(err, workflow.ErrEnded) {
		w.t.Errorf("drive: %v", err)
	}
	if err := w.store.View(w.ctx, workflow.CheckInvariants); err != nil {
		w.t.Errorf("the workflow records are not sound: %v", err)
	}
	w.sc.Check(w.t, w.store, st)
}
