package process

import (
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute/keeper"
	"github.com/slipway/slipway/compute/proc"
)

// remains looks at what runs of the instance. kill, once its first process has
// ended, kills what is left of that.
func (d *Driver) remains(in *keeper.Instance) (kill func(force bool)) {
	if d.system.bySession {
		return d.sessionRemains(in)
	}
	return marked(in)
}

// marked finds the instance's processes by the mark in their environment.
func marked(in *keeper.Instance) (kill func(force bool)) {
	var tree []int
	if id := in.Record().Process; id.Alive() {
		tree = proc.Descendants(id.PID)
	}
	return func(force bool) {
		if force {
			// They lost their parent just now, and no time to take new numbers passed.
			for _, pid := range tree {
				if belongs(pid, in) {
					_ = unix.Kill(pid, unix.SIGKILL)
				}
			}
		}
		sweepMarked(in)
	}
}

// belongs reports whether the process has the instance's marker.
func belongs(pid int, in *keeper.Instance) bool {
	env, err := proc.Environ(pid)
	return err == nil && slices.Contains(env, marker(in))
}

// sweepMarked kills every process that has the instance's marker.
func sweepMarked(in *keeper.Instance) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for range 3 { // what forks meanwhile is found the next time
		found := false
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil && belongs(pid, in) {
				found = true
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		if !found {
			return
		}
		if entries, err = os.ReadDir("/proc"); err != nil {
			return
		}
	}
}
