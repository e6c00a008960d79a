//go:build linux || darwin

package function

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/compute/sandbox"
)

// frozen reports whether a Key has an idle environment that is frozen.
func (h *Host) frozen(key string) bool {
	h.mu.Lock()
	list := h.idle[key]
	h.mu.Unlock()
	if len(list) == 0 || !list[0].frost.TryLock() {
		return false
	}
	defer list[0].frost.Unlock()
	return list[0].frozen
}

// TestFrozen: what a function leaves running does not run until the next invocation,
// where the driver freezes; elsewhere it goes on.
func TestFrozen(t *testing.T) {
	on(t, nil, func(w *world) {
		spec := w.spec("background")
		n := 0
		count := func() int {
			n++
			r := w.invoke(spec, fmt.Sprint("id-", n), `1`)
			counted, err := strconv.Atoi(string(r.Payload))
			if err != nil || r.FunctionError != "" || r.Cold != (n == 1) {
				w.Fatalf("%s %s, cold %v: %v", r.Payload, r.FunctionError, r.Cold, err)
			}
			return counted
		}
		count()
		if w.driver.Name() != sandbox.Name {
			w.until("it goes on", func() bool { return count() > 50 })
			w.until("the host has tried, and tries no more", func() bool {
				w.host.mu.Lock()
				defer w.host.mu.Unlock()
				return w.host.cold.never
			})
			return
		}
		for range 3 { // and is thawed, and frozen again
			w.until("it is frozen", func() bool { return w.host.frozen(spec.Key) })
			count()
		}
		w.until("it is frozen", func() bool { return w.host.frozen(spec.Key) })
		before := count()
		w.until("it is frozen", func() bool { return w.host.frozen(spec.Key) })
		since := time.Now()
		w.until("some time passes", func() bool { return time.Since(since) > 300*time.Millisecond })
		if ran := count() - before; ran > 200 {
			w.Errorf("it went on for some %d ms", ran)
		}
		w.until("it is frozen", func() bool { return w.host.frozen(spec.Key) })
		if err := w.host.Retire(spec.Key)(w.Context()); err != nil { // which ends what is frozen
			w.Error(err)
		}
	})
}

// TestWhatIdleEnvironmentsCost: few goroutines each, and none once they have ended.
func TestWhatIdleEnvironmentsCost(t *testing.T) {
	on(t, nil, func(w *world) {
		const many, each = 4, 8
		before := runtime.NumGoroutine()
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() { w.invoke(w.spec("wait"), fmt.Sprint("id-", i), `"`+fileName(w.T)+`"`) })
		}
		w.until("all run", func() bool { return strings.Count(w.logged(), "waiting id-") == many })
		w.release(fileName(w.T))
		all.Wait()
		if n, idle := w.host.Environments(); n != many || idle != many {
			w.Errorf("%d environments, %d idle", n, idle)
		}
		w.until("few goroutines are left", func() bool { return runtime.NumGoroutine()-before <= many*each })
		if err := w.host.Retire(w.spec("wait").Key)(w.Context()); err != nil {
			w.Error(err)
		}
		w.until("none of them is left", func() bool { return runtime.NumGoroutine() <= before })
	})
}
