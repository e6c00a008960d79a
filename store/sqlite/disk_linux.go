package sqlite

import "golang.org/x/sys/unix"

// diskState says whether the folder's file system is full or read-only.
func diskState(dir string) (full, readOnly bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return false, false
	}
	return st.Bavail == 0, st.Flags&unix.ST_RDONLY != 0
}
