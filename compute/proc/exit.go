//go:build linux || darwin

package proc

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Exit is how a watched process ended.
type Exit struct {
	Known  bool // false for processes that are not our children
	Status unix.WaitStatus
}

// Code is the exit status as a shell gives it: 128+n for signal n, -1 where
// it is not known.
func (e Exit) Code() int {
	switch {
	case !e.Known:
		return -1
	case e.Status.Signaled():
		return 128 + int(e.Status.Signal())
	default:
		return e.Status.ExitStatus()
	}
}

// Reason tells how the process ended, for people.
func (e Exit) Reason() string {
	switch {
	case !e.Known:
		return "the first process ended while Slipway was not its parent"
	case e.Status.Signaled():
		return fmt.Sprintf("the first process was ended by signal %d (%s)", int(e.Status.Signal()), unix.SignalName(e.Status.Signal()))
	default:
		return fmt.Sprintf("the first process exited with status %d", e.Status.ExitStatus())
	}
}
