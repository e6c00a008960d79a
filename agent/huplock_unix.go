//go:build unix

package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hupPID is held locked by the daemon for as long as it lives.
const hupPID = "/var/run/cfn-hup.pid"

// errRuns says that a daemon has the lock.
var errRuns = errors.New("cfn-hup runs already")

// lockHup takes the daemon's lock. It is free again when all who have the file
// have closed it.
func (h *host) lockHup() (*os.File, error) {
	name := h.path(hupPID)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errRuns
		}
		return nil, err
	}
	return f, nil
}

// startHup starts the daemon, which inherits the lock.
func (h *host) startHup(args []string) error {
	lock, err := h.lockHup()
	if err != nil {
		return err
	}
	defer lock.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	p, err := os.StartProcess(self, append([]string{"cfn-hup"}, args...), &os.ProcAttr{
		Dir: h.root, Env: append(os.Environ(), hupChild+"=1"),
		Files: []*os.File{null, null, null, lock}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	defer func() { _ = p.Release() }()
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err = lock.WriteAt([]byte(strconv.Itoa(p.Pid)+"\n"), 0)
	return err
}

// inheritLock keeps the lock that this process was started with from those that
// it starts.
func inheritLock() { unix.CloseOnExec(3) }

// hupRuns says whether a daemon has the lock.
func (h *host) hupRuns() bool {
	lock, err := h.lockHup()
	if err == nil {
		_ = lock.Close()
	}
	return errors.Is(err, errRuns)
}

// stopHup asks the daemon to end and waits until it has.
func (h *host) stopHup() error {
	b, err := os.ReadFile(h.path(hupPID))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return fmt.Errorf("%s has no process id", hupPID)
	}
	if !h.hupRuns() {
		return nil
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); h.hupRuns(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("cfn-hup has not ended within 30 s")
		}
	}
	return nil
}

// runAs makes a command another user's.
func (h *host) runAs(cmd *exec.Cmd, name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, "HOME="+u.HomeDir, "USER="+name, "LOGNAME="+name)
	if int(uid) == os.Geteuid() {
		return nil
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return err
	}
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			c.Groups = append(c.Groups, uint32(n))
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c}
	return nil
}
