package process

import (
	"bufio"
	"io"
	"os/exec"
	"slices"
	"testing"

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
