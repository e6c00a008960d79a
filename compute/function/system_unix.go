//go:build unix

package function

import (
	"errors"

	"golang.org/x/sys/unix"
)

// readNow reads what is there. again says that there is nothing yet; n is 0 at the
// end.
func readNow(fd uintptr, b []byte) (n int, again bool) {
	for {
		n, err := unix.Read(int(fd), b)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return 0, true
		case err != nil:
			return 0, false
		default:
			return n, false
		}
	}
}

// signalName is a signal as Go words it, which is what AWS tells.
func signalName(n int) string { return unix.Signal(n).String() }
