package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func readBootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// look reads a process's /proc/PID/stat ("proc_pid_stat(5)").
func look(pid int) (Process, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{}, err
	}
	// The command in parentheses may hold spaces and parentheses.
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return Process{}, fmt.Errorf("proc: /proc/%d/stat has no command", pid)
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 20 {
		return Process{}, fmt.Errorf("proc: /proc/%d/stat has %d fields", pid, len(f))
	}
	p := Process{PID: pid, Ended: f[0][0] == 'Z' || f[0][0] == 'X'}
	var errs [3]error
	p.Parent, errs[0] = strconv.Atoi(f[1])
	p.Session, errs[1] = strconv.Atoi(f[3])
	p.Start, errs[2] = strconv.ParseUint(f[19], 10, 64)
	return p, errors.Join(errs[:]...)
}

// Table is all processes that this user may see.
func Table() ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, err := look(pid); err == nil {
			all = append(all, p)
		}
	}
	return all, nil
}

// Environ is the environment that a process was started with.
func Environ(pid int) ([]string, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil, err
	}
	return strings.Split(string(bytes.TrimRight(b, "\x00")), "\x00"), nil
}

// Open returns a pidfd of the process; os.ErrProcessDone where it has ended.
func (id Identity) Open() (int, error) {
	if id.PID <= 0 || id.Boot != bootID() {
		return -1, os.ErrProcessDone
	}
	fd, err := unix.PidfdOpen(id.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return -1, os.ErrProcessDone
	}
	if err != nil {
		return -1, fmt.Errorf("proc: pidfd of %d: %w", id.PID, err)
	}
	// The id may have been taken anew: compare while the pidfd holds it.
	if p, err := look(id.PID); err != nil || p.Start != id.Start {
		_ = unix.Close(fd)
		return -1, os.ErrProcessDone
	}
	return fd, nil
}

// Signal sends a signal to this very process; one that has ended is no error.
func (id Identity) Signal(sig unix.Signal) error {
	fd, err := id.Open()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("proc: signal %v to %d: %w", sig, id.PID, err)
	}
	return nil
}
