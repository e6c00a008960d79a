package workflow_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/sqlite"
	"github.com/slipway/slipway/workflow"
)

// BenchmarkSteps runs flows of ten steps, 64 at a time, on a durable store.
func BenchmarkSteps(b *testing.B) {
	const flows, steps = 64, 10
	s, err := sqlite.Open(b.Context(), b.TempDir(), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	e := workflow.New(workflow.Config{Store: s})
	workflow.Register(e, "flow", func(f *workflow.Flow, _ int) error {
		for i := range steps {
			if _, err := workflow.Step(f, fmt.Sprint(i), func(context.Context, string) (int, error) { return i, nil }); err != nil {
				return err
			}
		}
		return nil
	})
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer e.Stop()
	b.ResetTimer()
	for n := range b.N {
		if err := s.Update(b.Context(), func(tx store.Tx) error {
			for i := range flows {
				if err := e.Begin(tx, "flow", fmt.Sprintf("%d-%d", n, i), 0); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		for i := range flows {
			if _, err := e.Wait(b.Context(), fmt.Sprintf("%d-%d", n, i)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*flows*steps)/b.Elapsed().Seconds(), "steps/s")
}

// BenchmarkFirstStep is the time from Begin to the first step.
func BenchmarkFirstStep(b *testing.B) {
	s, err := sqlite.Open(b.Context(), b.TempDir(), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	e := workflow.New(workflow.Config{Store: s})
	at := make(chan struct{})
	workflow.Register(e, "flow", func(*workflow.Flow, int) error { at <- struct{}{}; return nil })
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer e.Stop()
	b.ResetTimer()
	for n := range b.N {
		if err := s.Update(b.Context(), func(tx store.Tx) error { return e.Begin(tx, "flow", fmt.Sprint(n), 0) }); err != nil {
			b.Fatal(err)
		}
		<-at
	}
}
