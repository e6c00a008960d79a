// Package proc finds processes again and notices their end: a process is named
// by its id, its start time and the host's boot, so that an id that was used
// anew is not taken for it. It imports nothing of ours. A Watcher owns one
// goroutine, which Close ends.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Identity names one process of one boot of this host.
type Identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot, field 22 of /proc/PID/stat
	Boot  string `json:"boot"`  // /proc/sys/kernel/random/boot_id
}

var bootID = sync.OnceValue(func() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
})

// Of names a process that runs now, or is a zombie.
func Of(pid int) (Identity, error) {
	start, _, err := stat(pid)
	return Identity{PID: pid, Start: start, Boot: bootID()}, err
}

// stat reads the start time and the state of a process.
func stat(pid int) (start uint64, state byte, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	// The command in parentheses may hold spaces and parentheses.
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return 0, 0, fmt.Errorf("proc: /proc/%d/stat has no command", pid)
	}
	fields := strings.Fields(string(b[i+1:]))
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("proc: /proc/%d/stat has %d fields", pid, len(fields))
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return start, fields[0][0], err
}

// Alive reports whether the process runs. A zombie does not.
func (id Identity) Alive() bool {
	if id.PID <= 0 || id.Boot != bootID() {
		return false
	}
	start, state, err := stat(id.PID)
	return err == nil && start == id.Start && state != 'Z' && state != 'X'
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
	if start, _, err := stat(id.PID); err != nil || start != id.Start {
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
