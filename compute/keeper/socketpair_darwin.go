package keeper

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// socketpair keeps other goroutines from starting a process until the sockets
// are marked as none of its: the call itself cannot mark them here.
func socketpair() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return pair, err
	}
	for _, fd := range pair {
		unix.CloseOnExec(fd)
		if err == nil {
			err = unix.SetNonblock(fd, true)
		}
	}
	if err != nil {
		_ = unix.Close(pair[0])
		_ = unix.Close(pair[1])
	}
	return pair, err
}
