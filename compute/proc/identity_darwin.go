package proc

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// readBootID is a UUID that the kernel makes at each boot.
func readBootID() string {
	id, _ := unix.Sysctl("kern.bootsessionuuid")
	return id
}

// From <sys/proc.h>: the state of a zombie, and the flag of a process that exits
// and is none yet.
const (
	stateZombie = 5
	flagExiting = 0x2000
)

// look asks the kernel for one process (sysctl(3), KERN_PROC_PID), zombie or not.
func look(pid int) (Process, error) {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.ESRCH) { // EIO: nothing came back
		return Process{}, os.ErrProcessDone
	}
	if err != nil {
		return Process{}, fmt.Errorf("proc: look at %d: %w", pid, err)
	}
	if int(k.Proc.P_pid) != pid {
		return Process{}, os.ErrProcessDone
	}
	return fromKernel(k), nil
}

// fromKernel leaves the session out, which the kernel tells by another call.
func fromKernel(k *unix.KinfoProc) Process {
	start := k.Proc.P_starttime
	return Process{
		PID: int(k.Proc.P_pid), Parent: int(k.Eproc.Ppid), Start: uint64(start.Sec)*1e6 + uint64(start.Usec),
		Ended: k.Proc.P_stat == stateZombie || k.Proc.P_flag&flagExiting != 0,
	}
}

// Table is all processes of this user.
func Table() ([]Process, error) {
	rows, err := unix.SysctlKinfoProcSlice("kern.proc.uid", os.Geteuid())
	if err != nil {
		return nil, fmt.Errorf("proc: list processes: %w", err)
	}
	all := make([]Process, 0, len(rows))
	for i := range rows {
		p := fromKernel(&rows[i])
		if sid, err := unix.Getsid(p.PID); err == nil {
			p.Session = sid
		}
		all = append(all, p)
	}
	return all, nil
}

// Environ is the environment that a process was started with. macOS keeps that
// of the programs that come with it to itself, and tells an empty one.
func Environ(pid int) ([]string, error) {
	b, err := unix.SysctlRaw("kern.procargs2", pid)
	if err != nil {
		return nil, fmt.Errorf("proc: environment of %d: %w", pid, err)
	}
	return environOf(b)
}

// Signal sends a signal to this very process; one that has ended is no error.
// There are no pidfds here: a number that is taken anew between the look and the
// signal, within microseconds, would go unnoticed.
func (id Identity) Signal(sig unix.Signal) error {
	if !id.Alive() {
		return nil
	}
	if err := unix.Kill(id.PID, sig); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("proc: signal %v to %d: %w", sig, id.PID, err)
	}
	return nil
}
