package platform

import (
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"
)

// The room counts for the collector, and takes no memory.
func TestGarbageRoom(t *testing.T) {
	before := residentNow(t)
	leaveGarbage()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.NextGC < 2*garbageRoom {
		t.Errorf("the heap is collected at %d bytes", m.NextGC)
	}
	if grown := residentNow(t) - before; before > 0 && grown > garbageRoom/2 {
		t.Errorf("the process grew by %d bytes", grown)
	}
}

// residentNow is 0 where the system does not tell.
func residentNow(t *testing.T) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no resident memory in %s", status)
	}
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
