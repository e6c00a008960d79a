//go:build linux || darwin

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute/boot"
	"github.com/slipway/slipway/compute/proc"
)

// Init is an instance's first process. It returns the status to exit with when
// it was told to end, and everything below it has.
func Init() int {
	control, console := os.NewFile(boot.ControlFD, "control"), os.NewFile(boot.ConsoleFD, "console")
	unix.CloseOnExec(boot.ControlFD)
	unix.CloseOnExec(boot.ConsoleFD)
	cfg, err := boot.ReadConfig(control)
	if err != nil {
		fmt.Fprintln(os.Stderr, "slipway agent init: no configuration:", err)
		return 1
	}
	signals := make(chan os.Signal, 32)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGCHLD)
	in, err := newInit(cfg, console)
	if err == nil {
		err = in.setUp()
	}
	ready := boot.Ready{}
	if err != nil {
		ready.Error = err.Error()
	}
	if sent := boot.Send(control, ready); err != nil || sent != nil {
		return 1
	}
	_ = control.Close()
	reserveThreads()
	if err := in.startBoot(); err != nil {
		in.logf("cannot start user data: %v", err)
		shrink()
	}
	// It lives as long as the instance and does next to nothing: stay small from
	// here on. Until now it was faster without (boot.NoCollection).
	debug.SetGCPercent(20)
	return in.serve(signals)
}

// firstProcess is the state of Init.
type firstProcess struct {
	cfg     boot.Config
	console *boot.Ring
	output  *os.File      // write end of the pipe to the console
	copied  chan struct{} // closed when nobody holds that end any more
	boot    int           // process that runs user data; 0 when done
	tree    *proc.Tree    // where the processes are found by their session; else nil
}

func newInit(cfg boot.Config, console *os.File) (*firstProcess, error) {
	ring, err := boot.OpenRing(console)
	if err != nil {
		return nil, err
	}
	return &firstProcess{cfg: cfg, console: ring}, nil
}

func (p *firstProcess) logf(format string, args ...any) {
	line := fmt.Sprintf("slipway-agent: %s: %s\n", time.Now().UTC().Format(time.RFC3339), fmt.Sprintf(format, args...))
	if p.console == nil { // of an enclosure, which has none
		fmt.Fprint(os.Stderr, line)
		return
	}
	_, _ = p.console.Write([]byte(line))
}

// setUp does what is left to do from inside, and opens the console.
func (p *firstProcess) setUp() error {
	if p.cfg.Kind == boot.Sandbox {
		if err := p.enterSandbox(); err != nil {
			return err
		}
	} else if err := p.becomeRoot(); err != nil {
		return err
	}
	if err := p.writeEnvironment(); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	p.output, p.copied = w, make(chan struct{})
	go p.copyOutput(r)
	p.logf("instance %s starts as %s at %s", p.cfg.ID, p.cfg.Hostname, p.cfg.Address)
	return nil
}

// writeEnvironment keeps Slipway's variables where login shells load them.
func (p *firstProcess) writeEnvironment() error {
	vars := p.variables()
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		b.WriteString(k + "='" + strings.ReplaceAll(vars[k], "'", `'\''`) + "'\n")
	}
	name := filepath.Join(p.cfg.Root, boot.Environ)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(b.String()), 0o644)
}

// variables are Slipway's own: the same in every kind of instance, so that one
// user data works in all of them.
func (p *firstProcess) variables() map[string]string {
	vars := map[string]string{
		"SLIPWAY_INSTANCE_ID": p.cfg.ID,
		"SLIPWAY_INSTANCE_IP": p.cfg.Address.String(),
	}
	maps.Copy(vars, p.cfg.Environment)
	return vars
}

// environ is what user data and all that it starts find in their environment.
func (p *firstProcess) environ() []string {
	env := os.Environ()
	if p.cfg.Kind == boot.Sandbox {
		env = []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/aws/bin",
			"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8", "TERM=linux",
		}
	} else {
		env = slices.DeleteFunc(env, func(kv string) bool {
			return strings.HasPrefix(kv, "GOGC=") || strings.HasPrefix(kv, "GOMAXPROCS=")
		})
	}
	for k, v := range p.variables() {
		env = append(env, k+"="+v)
	}
	return env
}

// copyOutput brings what user data and its daemons print to the console and
// to cloud-init's log, for as long as anyone holds the pipe.
func (p *firstProcess) copyOutput(r *os.File) {
	defer close(p.copied)
	var log io.WriteCloser
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			_, _ = p.console.Write(buf[:n])
			if log == nil {
				name := filepath.Join(p.cfg.Root, boot.Log)
				_ = os.MkdirAll(filepath.Dir(name), 0o755)
				if f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640); err == nil {
					log = f
				}
			}
			if log != nil {
				_, _ = log.Write(buf[:n])
			}
		}
		if err != nil {
			return
		}
	}
}

// startBoot runs user data in a process of its own, so that what it takes to
// fetch and read it is not in this process's memory for good.
func (p *firstProcess) startBoot() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	dir := p.cfg.Root
	self := boot.Binary
	if p.cfg.Kind != boot.Sandbox {
		if self, err = os.Executable(); err != nil {
			return err
		}
	}
	// A session of its own is one that the instance's is not told by.
	apart := &unix.SysProcAttr{Setsid: true}
	if p.tree != nil {
		apart = &unix.SysProcAttr{Setpgid: true}
	}
	child, err := os.StartProcess(self, []string{"slipway", "agent", "boot"}, &os.ProcAttr{
		Dir: dir, Env: p.environ(), Files: []*os.File{r, p.output, p.output}, Sys: apart,
	})
	if err != nil {
		return err
	}
	p.boot = child.Pid
	_ = child.Release()
	b, err := json.Marshal(p.cfg)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n')) // one line, less than a pipe holds
	return err
}

// becomeRoot makes this process the root of a tree, with the limits that a
// process without privileges can set.
func (p *firstProcess) becomeRoot() error {
	if p.cfg.BySession {
		self, err := proc.Of(os.Getpid())
		if err != nil {
			return fmt.Errorf("find this process: %w", err)
		}
		p.tree = proc.NewTree(self, true, proc.Marked(p.cfg.Mark))
	} else if err := holdDescendants(); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no core files: %w", err)
	}
	return limitMemory(p.cfg.Memory)
}

// shrinkAfter is how long user data may take before the first process shrinks
// beside it. Most has none that takes as long: it shrinks once, when that ends.
const shrinkAfter = 2 * time.Second

// serve reaps until it is told to end.
func (p *firstProcess) serve(signals <-chan os.Signal) int {
	long := time.NewTimer(shrinkAfter)
	defer long.Stop()
	for {
		var s os.Signal
		select {
		case s = <-signals:
		case <-long.C:
			if p.boot != 0 {
				shrink()
			}
			continue
		}
		if s == unix.SIGCHLD {
			p.reap()
			continue
		}
		p.logf("instance stops (%s)", s)
		p.endAll(signals)
		_ = p.output.Close()
		select { // what they printed last
		case <-p.copied:
		case <-time.After(time.Second):
		}
		p.logf("instance stopped")
		return 0
	}
}

// reap collects ended children and reports whether any is left.
func (p *firstProcess) reap() (left bool) {
	for {
		var st unix.WaitStatus
		pid, err := unix.Wait4(-1, &st, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return false
		case pid == 0:
			return true
		case pid == p.boot:
			p.boot = 0
			shrink()
			if st.Signaled() {
				p.logf("user data was ended by signal %d", int(st.Signal()))
			}
		}
	}
}

// endAll asks everything to end, and kills what has not after the grace.
func (p *firstProcess) endAll(signals <-chan os.Signal) {
	grace := time.NewTimer(time.Duration(p.cfg.Grace) * time.Second)
	defer grace.Stop()
	force := time.NewTicker(50 * time.Millisecond)
	defer force.Stop()
	sig, killing := unix.SIGTERM, false
	p.signalAll(sig)
	for p.left() {
		select {
		case <-signals:
			// A process that was being forked missed the signal: ask again when killing.
		case <-grace.C:
			p.logf("killing what has not ended within %d s", p.cfg.Grace)
			killing, sig = true, unix.SIGKILL
			p.signalAll(sig)
		case <-force.C:
			if killing {
				p.signalAll(sig)
			}
		}
	}
}

// left reports whether anything below this process runs. It collects children.
func (p *firstProcess) left() bool {
	children := p.reap()
	return children || len(p.members()) > 0
}

// members is who of the tree runs, where it is found by its session.
func (p *firstProcess) members() []proc.Process {
	if p.tree == nil {
		return nil
	}
	all, err := p.tree.Members()
	if err != nil {
		p.logf("cannot find the instance's processes: %v", err)
	}
	return all
}

// signalAll signals everything below this process.
func (p *firstProcess) signalAll(sig unix.Signal) {
	if p.cfg.Kind == boot.Sandbox {
		_ = unix.Kill(-1, sig)
		return
	}
	tell := func(pid int) {
		_ = unix.Kill(pid, sig)
		if sig == unix.SIGTERM {
			_ = unix.Kill(pid, unix.SIGCONT)
		}
	}
	if p.tree != nil {
		for _, m := range p.members() {
			tell(m.PID)
		}
		return
	}
	for _, pid := range proc.Descendants(os.Getpid()) {
		tell(pid)
	}
}
