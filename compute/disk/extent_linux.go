package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// eachExtent calls with each part of a file that is not a hole, in order.
func eachExtent(f *os.File, size int64, call func(Extent) error) error {
	fd := int(f.Fd())
	for at := int64(0); at < size; {
		from, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		to, err := unix.Seek(fd, from, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if to = min(to, size); from >= to {
			return nil
		}
		if err := call(Extent{from, to}); err != nil {
			return err
		}
		at = to
	}
	return nil
}
