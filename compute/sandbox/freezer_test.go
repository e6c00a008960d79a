//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
)

// frozen reports what the kernel says of a group.
func frozen(t *testing.T, dir string) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), "frozen 1")
}

// TestFreeze: a program and its children stop, and go on; frozen ones end with their
// enclosure, and leave no group.
func TestFreeze(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	made, err := w.Driver.(*Driver).Enclose(t.Context(), compute.EnclosureSpec{ID: "fn-" + fmt.Sprint(time.Now().UnixNano()), Temporary: 64 << 20})
	w.Do(err)
	e := made.(*enclosure)
	defer e.Close()
	if e.freezer == nil {
		if err := e.Freeze(); !errors.Is(err, compute.ErrUnsupported) {
			t.Fatalf("without cgroup v2: %v", err)
		}
		return
	}
	w.Do(e.Show(t.Context(), nil))
	w.Do(e.Run(t.Context(), compute.Program{
		Args: []string{"/bin/bash", "-c", "while :; do echo child; done & while :; do echo parent; done"}, Dir: "/", Environment: []string{"PATH=/usr/bin:/bin"},
	}))
	seen := func(what string) func() bool {
		return func() bool {
			b := make([]byte, 1<<16)
			w.Do(e.Output().SetReadDeadline(time.Now().Add(time.Minute)))
			n, err := e.Output().Read(b)
			w.Do(err)
			return strings.Contains(string(b[:n]), what)
		}
	}
	for range 3 {
		w.Until("the parent runs", seen("parent"))
		w.Until("the child runs", seen("child"))
		w.Do(e.Freeze())
		w.Until("all are frozen", func() bool { return frozen(t, e.freezer.dir) })
		if in, err := groupProcesses(e.freezer.dir); err != nil || len(in) != 2 {
			t.Errorf("%d processes are frozen, %v", len(in), err)
		}
		w.Do(e.Output().SetReadDeadline(time.Now().Add(50 * time.Millisecond)))
		for b := make([]byte, 1<<16); err == nil; { // what was written before
			_, err = e.Output().Read(b)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("frozen, they print: %v", err)
		}
		err = nil
		w.Do(e.Thaw())
	}
	w.Do(e.Freeze())
	w.Do(e.Close())
	if _, err := os.Stat(e.freezer.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its group is left: %v", err)
	}
	if err := e.Thaw(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed one is thawed: %v", err)
	}
}

// TestFreezeOfV2 freezes where the hierarchy of v2 is the only one: the program's group
// is in that of its enclosure.
func TestFreezeOfV2(t *testing.T) {
	requireHost(t)
	found, err := findCgroups("slipway-test-freeze")
	if err != nil || found.unified == "" {
		t.Skipf("no hierarchy of cgroup v2 (%v)", err)
	}
	c := cgroups{v2: true, parents: map[string]string{"": found.unified}, unified: found.unified}
	dirs := append(c.enclosed("fn-1"), found.unified)
	switch err := os.MkdirAll(dirs[0], 0o755); {
	case errors.Is(err, unix.EROFS):
		t.Skipf("the hierarchy of cgroup v2 is there to be seen only: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	defer func() {
		if err := emptyGroups(t.Context(), dirs); err != nil {
			t.Error(err)
		}
	}()
	group, err := os.Open(filepath.Dir(dirs[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	sleep := func() int {
		cmd := exec.Command("sleep", "3600")
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Wait() }) // it was killed
		return cmd.Process.Pid
	}
	first, program := sleep(), sleep()
	f, err := c.freezer("fn-1", first)
	if err != nil || f == nil {
		t.Fatalf("%v, %v", f, err)
	}
	defer f.close()
	defer func() { _ = unix.Kill(first, unix.SIGKILL); _ = unix.Kill(program, unix.SIGKILL) }()
	if err := f.freeze(); err != nil {
		t.Fatal(err)
	}
	if in, err := groupProcesses(f.dir); err != nil || len(in) != 1 || in[0] != program {
		t.Errorf("in the group are %v (%v), want %d", in, err, program)
	}
	if out, err := groupProcesses(f.of); err != nil || len(out) != 1 || out[0] != first {
		t.Errorf("outside are %v (%v), want %d", out, err, first)
	}
	for end := time.Now().Add(20 * time.Second); !frozen(t, f.dir); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not frozen")
		}
	}
	if err := f.thaw(); err != nil || frozen(t, f.dir) {
		t.Errorf("it is not thawed: %v", err)
	}
}
