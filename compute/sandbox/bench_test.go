//go:build linux

package sandbox

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/compute"
)

// BenchmarkFortyInstances launches 40 at once, each with a disk of its own, and
// fails beyond 5 s on two cores.
func BenchmarkFortyInstances(b *testing.B) {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	d, err := New(Config{Dir: b.TempDir(), Slipway: exe})
	if err != nil {
		b.Skip(err)
	}
	defer d.Close()
	defer d.Clean(b.Context())
	for b.Loop() {
		var all sync.WaitGroup
		start := time.Now()
		address := d.Network().Gateway
		handles := make([]compute.Handle, 40)
		for i := range handles {
			address = address.Next()
			spec := compute.Spec{
				ID: fmt.Sprintf("i-%d", i), Hostname: "bench", Address: address,
				Limits: compute.Limits{MilliCPU: 2000, Memory: 1 << 30, Processes: 500},
			}
			all.Go(func() {
				var err error
				if handles[i], err = d.Launch(b.Context(), spec); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		took := time.Since(start)
		b.ReportMetric(took.Seconds(), "s/40")
		if took > 5*time.Second {
			b.Errorf("40 instances took %v, limit 5 s", took)
		}
		b.StopTimer()
		for _, h := range handles {
			if err := d.Terminate(b.Context(), h); err != nil {
				b.Error(err)
			}
		}
		b.StartTimer()
	}
}
