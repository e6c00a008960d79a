package agent

import (
	"os"
	"testing"
)

// threads is how many threads this process has.
func threads(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestReserveThreads(t *testing.T) {
	reserveThreads()
	if n := threads(t); n < spareThreads {
		t.Errorf("%d threads, want %d at least", n, spareThreads)
	}
	before := threads(t)
	reserveThreads()
	// The runtime may have begun one for a purpose of its own.
	if n := threads(t); n >= before+spareThreads {
		t.Errorf("%d threads after a second reservation, %d before: they are not kept", n, before)
	}
}
