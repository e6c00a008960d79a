//go:build unix

package rootfs

import (
	"math"

	"golang.org/x/sys/unix"
)

// free is the bytes that are free on a folder's disk.
func free(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return math.MaxInt64
	}
	return int64(st.Bavail) * int64(st.Bsize)
}
