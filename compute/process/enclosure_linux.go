package process

import (
	"os"
	"strconv"
	"strings"

	"github.com/slipway/slipway/compute/proc"
)

// treeMemory is what the processes below the first one have in memory. Pages that
// they share count for each.
func treeMemory(first int) (bytes int64) {
	for _, pid := range proc.Descendants(first) {
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
