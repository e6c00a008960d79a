//go:build linux || darwin

package proc

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

func start(t *testing.T, args ...string) (*exec.Cmd, Identity) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, id
}

func TestWatcherTellsHowAProcessEnded(t *testing.T) {
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, tt := range []struct {
		name string
		sig  unix.Signal
		code int
	}{
		{"killed", unix.SIGKILL, 137},
		{"terminated", unix.SIGTERM, 143},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, id := start(t, "sleep", "1000")
			ended := make(chan Exit, 1)
			if err := w.Watch(id, func(e Exit) { ended <- e }); err != nil {
				t.Fatal(err)
			}
			if !id.Alive() {
				t.Error("the process is not alive before the signal")
			}
			if err := id.Signal(tt.sig); err != nil {
				t.Fatal(err)
			}
			if e := <-ended; e.Code() != tt.code || !e.Known {
				t.Errorf("code %d (%s), want %d", e.Code(), e.Reason(), tt.code)
			}
			if id.Alive() {
				t.Error("the process is alive after its end")
			}
			if err := id.Signal(unix.SIGTERM); err != nil {
				t.Errorf("signal after the end: %v", err)
			}
			if err := w.Watch(id, func(Exit) {}); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("watch after the end: %v, want ErrProcessDone", err)
			}
		})
	}
}

func TestIdentityOfAReusedNumberIsNotAlive(t *testing.T) {
	id, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	other, rebooted := id, id
	other.Start++
	rebooted.Boot = "another"
	if !id.Alive() || other.Alive() || rebooted.Alive() {
		t.Errorf("alive: %v %v %v, want true false false", id.Alive(), other.Alive(), rebooted.Alive())
	}
}

func TestWatcherClosesTwice(t *testing.T) {
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	w.Close()
	id, _ := Of(os.Getpid())
	if err := w.Watch(id, func(Exit) {}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("watch after close: %v", err)
	}
}
