package function

import "golang.org/x/sys/unix"

// hostMemory is what all environments together may be promised.
func hostMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return memoryIfUnknown
	}
	return int64(info.Totalram) * int64(info.Unit) / 4 * 3
}
