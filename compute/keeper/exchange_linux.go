package keeper

import (
	"os"

	"golang.org/x/sys/unix"
)

// exchange puts a new file in the place of an old one. The two change places, so
// that a new file need not be made each time.
func exchange(fresh, name string) error {
	if unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, name, unix.RENAME_EXCHANGE) == nil {
		return nil
	}
	return os.Rename(fresh, name) // the first time, or on a file system that cannot
}
