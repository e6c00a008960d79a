package sandbox

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What no instance may call, whatever capabilities its root has in its own user
// namespace: the kernel refuses most of these to it anyway, and this is the
// second lock. Mounting stays allowed: containers in instances need it, and a
// user namespace mounts no file system from a device. reboot stays, too: it ends
// the instance only.
var forbidden = []uintptr{
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_SYSLOG, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_NFSSERVCTL,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME,
}

// absent are calls that programs do without where the kernel lacks them. They
// have been the way into many a kernel.
var absent = []uintptr{unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER}

// Offsets in struct seccomp_data.
const (
	dataNumber       = 0
	dataArchitecture = 4
)

// filter is the program that the kernel asks about each call. Calls of another
// architecture than the host's, such as those of 32-bit programs, are absent:
// their numbers mean other things.
func filter() []unix.SockFilter {
	const (
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		least  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		answer = unix.BPF_RET | unix.BPF_K
	)
	errno := func(e unix.Errno) unix.SockFilter {
		return unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(e)}
	}
	p := []unix.SockFilter{
		{Code: load, K: dataArchitecture},
		{Code: equal, K: auditArchitecture, Jt: 1},
		errno(unix.ENOSYS),
		{Code: load, K: dataNumber},
	}
	if otherNumbers != 0 {
		p = append(p, unix.SockFilter{Code: least, K: otherNumbers, Jf: 1}, errno(unix.ENOSYS))
	}
	for _, list := range []struct {
		calls []uintptr
		errno unix.Errno
	}{{append(forbiddenHere, forbidden...), unix.EPERM}, {absent, unix.ENOSYS}} {
		for _, call := range list.calls {
			p = append(p, unix.SockFilter{Code: equal, K: uint32(call), Jf: 1}, errno(list.errno))
		}
	}
	return append(p, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
}

// confine puts the filter on the calling thread and on all that it forks. The
// thread has CAP_SYS_ADMIN, so that setuid programs go on to work in the
// instance's own user namespace.
func confine() error {
	p := filter()
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("filter of system calls: %w", errno)
	}
	return nil
}
