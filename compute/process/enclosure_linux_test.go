package process

import (
	"bufio"
	"io"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
	"github.com/slipway/slipway/compute/proc"
)

// The kernel's lists of children tell the same tree as the table of processes.
func TestTheProcessesBelow(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sh -c 'sleep 60 & echo one; wait' & sleep 60 & echo two; wait")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill := func(pids []int) {
		for _, pid := range pids {
			if id, err := proc.Of(pid); err == nil {
				_ = id.Signal(9)
			}
		}
	}
	t.Cleanup(func() {
		kill(append(proc.Descendants(cmd.Process.Pid), cmd.Process.Pid))
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	for r, n := bufio.NewReader(out), 0; n < 2; n++ { // all of them have begun
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	want, got := proc.Descendants(cmd.Process.Pid), below(cmd.Process.Pid)
	slices.Sort(want)
	slices.Sort(got)
	if len(got) != 3 || !slices.Equal(got, want) {
		t.Errorf("below it are %v, want %v", got, want)
	}
	if treeMemory(cmd.Process.Pid) <= 0 {
		t.Error("they have no memory")
	}
	kill(got)
}

// The program's memory is bounded, and what it starts; not the first process's, which
// would end where a thread of its own gets none.
func TestTheFirstProcessIsNotBounded(t *testing.T) {
	const limit = 512 << 20
	w := computetest.New(t, harness)
	made, err := w.Driver.(*Driver).Enclose(t.Context(), compute.EnclosureSpec{ID: "fn-bounded"})
	w.Do(err)
	e := made.(*enclosure)
	defer e.Close()
	of := func(pid int) (l unix.Rlimit) {
		w.Do(unix.Prlimit(pid, unix.RLIMIT_DATA, nil, &l))
		return l
	}
	bound := unix.Rlimit{Cur: limit, Max: limit} // which no program can lift
	before := of(e.PID())
	w.Do(e.Run(t.Context(), compute.Program{Args: []string{"/bin/sh", "-c", "/bin/sleep 60 & wait"}, Dir: "/", Limits: compute.Limits{Memory: limit}}))
	w.Until("the program runs, bounded, and the first process is as it was", func() bool {
		all := below(e.PID())
		return len(all) == 2 && !slices.ContainsFunc(all, func(pid int) bool { return of(pid) != bound }) && of(e.PID()) == before
	})
	if before == bound {
		t.Error("this host bounds all processes so")
	}
}
