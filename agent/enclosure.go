//go:build linux || darwin

package agent

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute/boot"
)

// Enclosure is the first process of an enclosure: it runs one program, and ends,
// with all that runs there, when the driver's end of its socket closes. That
// happens, too, when Slipway dies.
func Enclosure() int {
	control := os.NewFile(boot.ControlFD, "control")
	unix.CloseOnExec(boot.ControlFD)
	unix.CloseOnExec(boot.OutputFD)
	cfg, err := boot.ReadConfig(control)
	if err != nil {
		return 1
	}
	e := &enclosed{firstProcess: firstProcess{cfg: cfg}, control: control}
	signals := make(chan os.Signal, 32)
	signal.Notify(signals, unix.SIGCHLD, unix.SIGTERM, unix.SIGINT)
	ready := boot.Ready{}
	if err := e.setUp(); err != nil {
		ready.Error = err.Error()
	}
	if sent := boot.Send(control, ready); sent != nil || ready.Error != "" {
		return 1
	}
	shrink() // blank ones wait, and there may be many
	programs, gone := make(chan boot.Program, 1), make(chan struct{})
	go e.listen(programs, gone)
	debug.SetGCPercent(20)
	return e.serve(programs, gone, signals)
}

// enclosed is the state of Enclosure.
type enclosed struct {
	firstProcess
	control *os.File
	main    int // process of the program
}

func (e *enclosed) setUp() error {
	if e.cfg.Kind == boot.Sandbox {
		return e.enterEnclosure()
	}
	return e.becomeRoot()
}

// listen reads what the driver says. It ends with the process.
func (e *enclosed) listen(programs chan<- boot.Program, gone chan<- struct{}) {
	defer close(gone)
	p, err := boot.ReadProgram(e.control)
	if err != nil {
		return
	}
	programs <- p
	_, _ = e.control.Read(make([]byte, 1)) // nothing more comes: it closes
}

// serve runs the program and reaps until the driver is gone.
func (e *enclosed) serve(programs <-chan boot.Program, gone <-chan struct{}, signals <-chan os.Signal) int {
	started := time.NewTimer(0)
	started.Stop()
	for {
		select {
		case p := <-programs:
			if err := e.start(p); err != nil {
				_ = boot.Send(e.control, boot.Ended{Error: err.Error()})
			}
			started.Reset(shrinkAfter)
		case <-started.C:
			shrink()
		case s := <-signals:
			if s == unix.SIGCHLD {
				e.collect()
			}
		case <-gone:
			return e.killAll()
		}
	}
}

// start runs the program as a session of its own.
func (e *enclosed) start(p boot.Program) error {
	if err := limit(); err != nil {
		return err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	output := os.NewFile(boot.OutputFD, "output")
	sys := &syscall.SysProcAttr{Setsid: e.tree == nil, Setpgid: e.tree != nil}
	if e.cfg.Kind == boot.Sandbox {
		sys.Credential = &syscall.Credential{Uid: boot.User, Gid: boot.User}
	}
	e.main, err = withLittleMemory(p.Memory, func() (int, error) {
		child, err := os.StartProcess(p.Args[0], p.Args, &os.ProcAttr{
			Dir: p.Dir, Env: p.Environment, Files: []*os.File{null, output, output}, Sys: sys,
		})
		if err != nil {
			return 0, err
		}
		pid := child.Pid
		return pid, child.Release() // collect reaps it
	})
	return err
}

// limit sets what the program inherits.
func limit() error {
	files := unix.Rlimit{Cur: 1024, Max: 1024} // "Lambda quotas": file descriptors
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("limit files: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no core files: %w", err)
	}
	return nil
}

// collect reaps, and tells of the program's end.
func (e *enclosed) collect() {
	for {
		var st unix.WaitStatus
		pid, err := unix.Wait4(-1, &st, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if pid != e.main {
			continue
		}
		end := boot.Ended{Code: st.ExitStatus()}
		if st.Signaled() {
			end.Signal = int(st.Signal())
		}
		_ = boot.Send(e.control, end)
	}
}

// killAll ends what runs here. In a sandbox the kernel does, with this process.
func (e *enclosed) killAll() int {
	if e.cfg.Kind == boot.Sandbox {
		return 0
	}
	for range 500 {
		e.signalAll(unix.SIGKILL)
		e.collect()
		if !e.left() {
			return 0
		}
		time.Sleep(2 * time.Millisecond)
	}
	return 1
}
