package process

import (
	"os"
	"slices"
	"strconv"
	"time"

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
	var tree []proc.Identity
	if first := in.Record().Process; first.Alive() {
		for _, pid := range proc.Descendants(first.PID) {
			if id, err := proc.Of(pid); err == nil && belongs(pid, in) {
				tree = append(tree, id)
			}
		}
	}
	return func(force bool) {
		var killed []proc.Identity
		if force { // they lost their parent, and so their place, just now
			killed = tree
			for _, id := range tree {
				_ = id.Signal(unix.SIGKILL)
			}
		}
		awaitEnds(append(killed, sweepMarked(in)...))
	}
}

// awaitEnds waits for processes that were killed: one that is dying has lost its
// environment, and with it its mark, before it lets go of its files and addresses.
func awaitEnds(killed []proc.Identity) {
	for deadline := time.Now().Add(sweepFor); time.Now().Before(deadline); time.Sleep(sweepEvery) {
		if !slices.ContainsFunc(killed, proc.Identity.Alive) {
			return
		}
	}
}

// belongs reports whether the process has the instance's marker.
func belongs(pid int, in *keeper.Instance) bool {
	env, err := proc.Environ(pid)
	return err == nil && slices.Contains(env, marker(in))
}

// sweepMarked kills every process that has the instance's marker.
func sweepMarked(in *keeper.Instance) (killed []proc.Identity) {
	for range 3 { // what forks meanwhile is found the next time
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return killed
		}
		found := false
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			// The identity first: the number may be another's by the time of the signal.
			if id, err := proc.Of(pid); err == nil && belongs(pid, in) {
				found = true
				_ = id.Signal(unix.SIGKILL)
				killed = append(killed, id)
			}
		}
		if !found {
			break
		}
	}
	return killed
}
