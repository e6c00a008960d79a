package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// idmapFD opens a user namespace in which ids 0 to 65535 are the host's from
// base on. A process that stops before its first instruction holds it open.
func idmapFD(base uint32) (int, error) {
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(base), Size: idCount}}
	// The thread that forks is the tracer, so it must stay to collect the child.
	fd := -1
	err := onOwnThread(func() error {
		pid, err := syscall.ForkExec("/proc/self/exe", []string{"slipway-idmap"}, &syscall.ProcAttr{
			Env: []string{},
			Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Ptrace: true, Pdeathsig: unix.SIGKILL},
		})
		if err != nil {
			return fmt.Errorf("user namespace: %w", err)
		}
		defer kill(pid)
		fd, err = unix.Open("/proc/"+strconv.Itoa(pid)+"/ns/user", os.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}
