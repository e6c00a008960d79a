//go:build linux || darwin

package process

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute/keeper"
	"github.com/slipway/slipway/compute/proc"
)

// How long a sweep goes on after processes that fork, or that take their time
// to die.
const (
	sweepFor   = 2 * time.Second
	sweepEvery = 5 * time.Millisecond
)

// sweep kills what is left of an instance whose first process has ended.
func (d *Driver) sweep(in *keeper.Instance) { d.remains(in)(false) }

// sessionRemains finds the instance's processes by the session of the first one
// (proc.Tree). Once none is left of it, the record says so: from then on, its
// number may name another's session.
func (d *Driver) sessionRemains(in *keeper.Instance) (kill func(force bool)) {
	rec := in.Record()
	if rec.Process.PID == 0 {
		return func(bool) {}
	}
	tree := proc.NewTree(rec.Process, !rec.Swept, proc.Marked(d.mark(in)))
	if rec.Process.Alive() {
		_, _ = tree.Members() // for those that lose their parent, and so their place, meanwhile
	}
	return func(bool) {
		deadline := time.NewTimer(sweepFor)
		defer deadline.Stop()
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for in.Record().Process == rec.Process { // else it was started again, and that swept
			left, err := tree.Members()
			if err == nil && len(left) == 0 {
				break
			}
			for _, p := range left {
				_ = unix.Kill(p.PID, unix.SIGKILL)
			}
			select {
			case <-tick.C:
			case <-deadline.C:
				d.Log().Error("processes of an instance do not end", "instance", in.ID, "processes", len(left), "error", err)
				return
			}
		}
		err := in.Change(func(r *keeper.Record) { r.Swept = r.Swept || r.Process == rec.Process })
		if err != nil {
			d.Log().Error("cannot record that an instance's processes are gone", "instance", in.ID, "error", err)
		}
	}
}
