package agent

import (
	"os"
	"strconv"

	"github.com/slipway/slipway/compute/boot"
)

// makeExpendable has this process, and what it starts, killed before the
// instance's first process when memory runs out: many small processes are each
// less than that one, whose end is the instance's. Everybody may raise his own
// score, so that it fails only where /proc is not there.
func makeExpendable() error {
	return os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(boot.Expendable)), 0)
}
