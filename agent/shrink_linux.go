package agent

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// shrink gives back what only starting needed: the heap's free pages, and the
// pages of the binary, which is large because it is all of Slipway. What is used
// again comes back from the page cache, which all instances share.
func shrink() {
	debug.FreeOSMemory()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	var from, to uintptr
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if a, b, ok := readOnlyFile(line); ok {
			from, to = a, b
			continue
		}
		// Only what is as it is on disk: pages that the loader relocated are not.
		if from != 0 && strings.HasPrefix(line, "Private_Dirty:") {
			if strings.Fields(line)[1] == "0" {
				_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
			}
			from, to = 0, 0
		}
	}
}

// readOnlyFile reads the first line of a mapping: "from-to perms offset dev
// inode path". ok is true for a file that is mapped without the right to write.
func readOnlyFile(line string) (from, to uintptr, ok bool) {
	f := strings.Fields(line)
	if len(f) < 6 || (f[1] != "r-xp" && f[1] != "r--p") || !strings.HasPrefix(f[5], "/") {
		return 0, 0, false
	}
	a, b, found := strings.Cut(f[0], "-")
	first, err1 := strconv.ParseUint(a, 16, 64)
	end, err2 := strconv.ParseUint(b, 16, 64)
	return uintptr(first), uintptr(end), found && err1 == nil && err2 == nil
}
