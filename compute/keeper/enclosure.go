//go:build linux || darwin

package keeper

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/boot"
	"github.com/slipway/slipway/compute/proc"
)

// Enclosed is the first process of an enclosure, and the driver's ends of what it
// inherits: as an instance's, but for the output in the place of the console. It
// owns the goroutine that reads what the process says; Stop ends it.
type Enclosed struct {
	Streams
	output *os.File // ours

	id      proc.Identity
	exited  chan struct{} // the first process has ended
	exit    proc.Exit     // how; valid once exited is closed
	done    chan struct{} // the program has, or the first process
	reading sync.WaitGroup

	mu    sync.Mutex
	began bool
	over  bool // done is closed
	ended compute.Ended
}

// OpenEnclosed opens what the first process will inherit.
func OpenEnclosed() (*Enclosed, error) {
	e := &Enclosed{exited: make(chan struct{}), done: make(chan struct{})}
	pair, err := socketpair()
	if err != nil {
		return nil, err
	}
	e.Control = os.NewFile(uintptr(pair[0]), "control")
	theirs := os.NewFile(uintptr(pair[1]), "control of the enclosure")
	null, err1 := os.Open(os.DevNull)
	r, w, err2 := os.Pipe()
	e.output = r
	e.files = []*os.File{null, w, w, theirs, w}
	if err := errors.Join(err1, err2); err != nil {
		e.Discard()
		return nil, err
	}
	return e, nil
}

// Enclosed takes the process that was forked with the files, and watches it. It
// is killed where that fails.
func (k *Keeper) Enclosed(e *Enclosed, pid int) error {
	e.Release()
	id, err := proc.Of(pid)
	if err == nil {
		e.id = id
		err = k.watcher.Watch(id, func(exit proc.Exit) {
			e.exit = exit
			e.end(compute.Ended{Lost: true})
			close(e.exited)
		})
	}
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
		e.Discard()
	}
	return err
}

// Discard closes what was opened for a process that never was.
func (e *Enclosed) Discard() {
	e.Close()
	_ = e.output.Close()
}

// Run has the program started. Its end, and that it did not start, is told by Done.
func (e *Enclosed) Run(p boot.Program) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.began {
		return compute.ErrEnclosureUsed
	}
	e.began = true
	if err := e.Control.SetDeadline(time.Now().Add(readyTimeout)); err != nil {
		return err
	}
	if err := boot.Send(e.Control, p); err != nil {
		return fmt.Errorf("tell the first process: %w", err)
	}
	if err := e.Control.SetDeadline(time.Time{}); err != nil {
		return err
	}
	e.reading.Go(func() {
		m, err := boot.ReadEnded(e.Control)
		if err != nil {
			return // it has ended, and the watcher tells so
		}
		end := compute.Ended{Code: m.Code, Signal: m.Signal, Failed: m.Error}
		e.end(end)
	})
	return nil
}

func (e *Enclosed) end(how compute.Ended) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		e.over, e.ended = true, how
		close(e.done)
	}
}

// Done closes when the program or the first process has ended.
func (e *Enclosed) Done() <-chan struct{} { return e.done }

// Ended is how.
func (e *Enclosed) Ended() compute.Ended {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ended
}

// Output is what processes print.
func (e *Enclosed) Output() *os.File { return e.output }

// PID is the first process's.
func (e *Enclosed) PID() int { return e.id.PID }

// Stop has the first process end all others and itself, and waits for it. After the
// grace it is killed. Where clean is false it may have left some: it was killed, ended
// before it was told to, or says that it could not end them all.
func (e *Enclosed) Stop(grace time.Duration) (clean bool) {
	_ = e.Control.Close()
	e.reading.Wait()
	if grace > 0 {
		patience := time.NewTimer(grace)
		defer patience.Stop()
		select {
		case <-e.exited:
			return e.exit.Code() == 0
		case <-patience.C:
		}
	}
	_ = e.id.Signal(unix.SIGKILL)
	<-e.exited
	return false
}
