package process

import (
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/slipway/slipway/compute/proc"
)

// treeMemory is what the processes below the first one have in memory. Pages that
// they share count for each.
func treeMemory(first int) (bytes int64) {
	for _, pid := range below(first) {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		if err != nil {
			continue
		}
		if f := strings.Fields(string(b)); len(f) > 1 {
			pages, _ := strconv.ParseInt(f[1], 10, 64)
			bytes += pages * int64(os.Getpagesize())
		}
	}
	return bytes
}

// listsChildren tells whether this kernel lists the children of a thread, as all but
// the smallest do (CONFIG_PROC_CHILDREN).
var listsChildren = sync.OnceValue(func() bool {
	_, err := os.Stat("/proc/thread-self/children")
	return err == nil
})

// below is the processes below one, as the kernel lists them for each of its threads
// ("proc_tid_children(5)"): each invocation asks, and the table of all of the host's
// processes takes longer than many a function. One that comes or goes meanwhile may
// be missed; whoever must find all of them takes proc.Descendants.
func below(pid int) (all []int) {
	if !listsChildren() {
		return proc.Descendants(pid)
	}
	dir := "/proc/" + strconv.Itoa(pid) + "/task/"
	threads, _ := os.ReadDir(dir) // of a process that has ended there are none
	for _, t := range threads {
		b, err := os.ReadFile(dir + t.Name() + "/children")
		if err != nil {
			continue
		}
		for _, child := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(child); err == nil {
				all = append(append(all, n), below(n)...)
			}
		}
	}
	return all
}
