package reconcile_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway/slipway/reconcile"
)

func TestRunsAtStartWhenWokenAndToResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		l := reconcile.New("test", func(context.Context) error { runs.Add(1); return nil }, reconcile.Options{Resync: time.Minute})
		l.Wake() // before Start: seen by its first run, or by a second
		l.Start(t.Context())
		l.Start(t.Context())
		synctest.Wait()
		base := runs.Load()
		if base < 1 || base > 2 {
			t.Fatalf("%d runs at start", base)
		}
		l.Wake()
		synctest.Wait()
		if runs.Load() != base+1 {
			t.Errorf("%d runs after a wake, want %d", runs.Load(), base+1)
		}
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if runs.Load() != base+2 {
			t.Errorf("%d runs after the resync interval, want %d", runs.Load(), base+2)
		}
		l.Stop()
		l.Stop()
		l.Wake()
		l.Start(t.Context())
		time.Sleep(time.Hour)
		synctest.Wait()
		if runs.Load() != base+2 {
			t.Errorf("%d runs after Stop", runs.Load())
		}
	})
}

func TestWakesDuringARunMergeIntoOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		gate := make(chan struct{})
		l := reconcile.New("test", func(context.Context) error { runs.Add(1); <-gate; return nil }, reconcile.Options{Resync: -1})
		l.Start(t.Context())
		synctest.Wait()
		for range 10 {
			l.Wake()
		}
		close(gate)
		synctest.Wait()
		if runs.Load() != 2 {
			t.Errorf("%d runs, want 2", runs.Load())
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if runs.Load() != 2 {
			t.Errorf("%d runs without a resync interval, want 2", runs.Load())
		}
		l.Stop()
	})
}

func TestBacksOffAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		start, failing := time.Now(), true
		var l *reconcile.Loop
		l = reconcile.New("test", func(context.Context) error {
			at = append(at, time.Since(start))
			l.Wake() // does not shorten the wait
			switch {
			case len(at) == 3:
				panic("oops")
			case failing:
				return errors.New("oops")
			}
			return nil
		}, reconcile.Options{Resync: -1, Backoff: time.Second, MaxBackoff: 8 * time.Second})
		l.Start(t.Context())
		time.Sleep(time.Minute)
		l.Stop()
		want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second, 8 * time.Second}
		if len(at) <= len(want) {
			t.Fatalf("runs at %v", at)
		}
		for i, w := range want {
			if d := at[i+1] - at[i]; d < w/2 || d > w {
				t.Errorf("wait %d was %s, want %s to %s", i, d, w/2, w)
			}
		}
	})
}

func TestStopEndsARunAndWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		l := reconcile.New("test", func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second) // tidies up
			ended = true
			return ctx.Err()
		}, reconcile.Options{})
		l.Start(t.Context())
		synctest.Wait()
		l.Stop()
		if !ended {
			t.Error("Stop did not wait")
		}
	})
}

func TestStopWithoutStart(t *testing.T) {
	l := reconcile.New("test", func(context.Context) error { t.Error("it ran"); return nil }, reconcile.Options{})
	l.Stop()
	l.Start(t.Context())
	l.Stop()
}

func TestWatchWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		changes := make(chan struct{}, 1)
		l := reconcile.New("test", func(context.Context) error { runs.Add(1); return nil }, reconcile.Options{
			Resync: -1,
			Watch:  func(context.Context) <-chan struct{} { return changes },
		})
		l.Start(t.Context())
		synctest.Wait()
		changes <- struct{}{}
		synctest.Wait()
		if runs.Load() != 2 {
			t.Errorf("%d runs, want 2", runs.Load())
		}
		close(changes) // the store has closed: no spinning
		synctest.Wait()
		if runs.Load() > 3 {
			t.Errorf("%d runs after the watch closed", runs.Load())
		}
		l.Wake()
		before := runs.Load()
		synctest.Wait()
		if runs.Load() != before+1 {
			t.Errorf("%d runs after a wake, want %d", runs.Load(), before+1)
		}
		l.Stop()
	})
}
