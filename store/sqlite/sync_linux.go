package sqlite

import (
	"errors"
	"os"
	"syscall"
)

func dataSync(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var syncErr error
	err = c.Control(func(fd uintptr) {
		for syncErr = syscall.Fdatasync(int(fd)); errors.Is(syncErr, syscall.EINTR); {
			syncErr = syscall.Fdatasync(int(fd))
		}
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("fdatasync", syncErr)
}
