//go:build linux || darwin

package function

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute/proc"
	"github.com/slipway/slipway/compute/sandbox"
)

// crashArgument has the test binary be a Slipway that is killed.
const crashArgument = "run-functions-until-killed"

// holdUntilKilled runs functions in a folder: one environment idles, frozen where the
// driver freezes, one is busy. It says so, and waits.
func holdUntilKilled(driver, dir string) int {
	exe, err := os.Executable()
	if err != nil {
		return 1
	}
	open := openers[driver]
	d, err := open(filepath.Join(dir, "driver"), exe)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	running := make(chan struct{}, 1)
	h, err := New(Config{Driver: d, Dir: filepath.Join(dir, "functions"), Log: func(_ Spec, _ string, _ time.Time, line []byte) {
		if string(line) == "hanging" {
			running <- struct{}{}
		}
	}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	w := &world{code: filepath.Join(dir, "code")}
	if _, err := h.Invoke(context.Background(), w.spec("leave a child"), Invocation{RequestID: "id-1", Payload: []byte("1")}); err != nil {
		fmt.Println(err)
		return 1
	}
	if driver == sandbox.Name {
		for !h.frozen(w.spec("leave a child").Key) {
			time.Sleep(time.Millisecond)
		}
	}
	done := make(chan error)
	go func() {
		_, err := h.Invoke(context.Background(), w.spec("hang"), Invocation{RequestID: "id-2", Payload: []byte("1")})
		done <- err
	}()
	<-running
	fmt.Println("running")
	fmt.Println(<-done)
	return 1
}

// TestKilled: what a Slipway that is killed was running ends by itself, and the next
// one on the folder removes the rest.
func TestKilled(t *testing.T) {
	on(t, nil, func(w *world) {
		dir := w.TempDir()
		if err := os.Symlink(w.code, filepath.Join(dir, "code")); err != nil {
			w.Fatal(err)
		}
		cmd := exec.CommandContext(w.Context(), os.Args[0], crashArgument, w.driver.Name(), dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			w.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			w.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "running\n" {
			w.Fatalf("%q: %v", line, err)
		}
		var ran []proc.Identity
		for _, pid := range proc.Descendants(cmd.Process.Pid) {
			if id, err := proc.Of(pid); err == nil {
				ran = append(ran, id)
			}
		}
		if len(ran) < 5 { // two first processes, two bootstraps, and a child of one
			w.Errorf("only %d processes run", len(ran))
		}
		if err := cmd.Process.Signal(unix.SIGKILL); err != nil {
			w.Fatal(err)
		}
		_ = cmd.Wait() // killed
		w.until("its functions end", func() bool { return !slices.ContainsFunc(ran, proc.Identity.Alive) })

		exe, err := os.Executable()
		if err != nil {
			w.Fatal(err)
		}
		d, err := openers[w.driver.Name()](filepath.Join(dir, "driver"), exe)
		if err != nil {
			w.Fatal(err)
		}
		defer d.Close()
		if left, err := filepath.Glob(filepath.Join(dir, "driver", "enclosures", "*")); err != nil || len(left) > 0 {
			w.Errorf("left are %v (%v)", left, err)
		}
		if _, err := d.Clean(w.Context()); err != nil {
			w.Error(err)
		}
	})
}
