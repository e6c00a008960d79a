package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ticks is the unit of /proc's times, which Linux fixes for programs.
const ticks = time.Second / 100

// processorTime is what a process has used of the processors so far, which other
// work on the machine changes less than it does the time that passes. Nothing is
// told where there is no /proc.
func processorTime(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, in parentheses, may hold anything; the state follows it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		tb.Fatalf("/proc shows no times: %s", stat)
	}
	var total time.Duration
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			tb.Fatal(err)
		}
		total += time.Duration(n) * ticks
	}
	return total
}

// rest waits until a process has nothing more to do on its own: what a start leaves
// to be done beside the first calls, such as the sandbox's look at the host's /usr,
// is none of a call's cost.
func rest(tb testing.TB, pid int) {
	tb.Helper()
	const span = 300 * time.Millisecond
	for end := time.Now().Add(time.Minute); ; {
		before := processorTime(tb, pid)
		time.Sleep(span)
		if processorTime(tb, pid)-before <= ticks {
			return
		}
		if time.Now().After(end) {
			tb.Fatal("the server does not come to rest")
		}
	}
}

// familyTime is what a process and all that run below it have used: a Slipway and
// its instances.
func familyTime(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		tb.Fatal(err)
	}
	parent := map[int]int{}
	for _, folder := range folders {
		id, err := strconv.Atoi(filepath.Base(folder))
		stat, readErr := os.ReadFile(folder + "/stat")
		if err != nil || readErr != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		parent[id], _ = strconv.Atoi(fields[1])
	}
	total := time.Duration(0)
	for id := range parent {
		at := id
		for at > 1 && at != pid {
			at = parent[at]
		}
		if at == pid {
			total += processorTime(tb, id)
		}
	}
	return total
}
