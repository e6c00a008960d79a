package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute/proc"
)

// endUsers kills the processes of an instance that use a volume: by open files,
// folders, programs or mapped memory of it, or by mounts of their own.
func (d *Driver) endUsers(first int, volume string) error {
	m, err := d.open(volume)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	err = errors.Join(unix.Fstat(m.Root(), &st), m.Close())
	if err != nil {
		return err
	}
	home, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", first))
	if err != nil {
		return err
	}
	for _, pid := range proc.Descendants(first) {
		if err := endUser(pid, st.Dev, home); err != nil {
			return err
		}
	}
	return nil
}

func endUser(pid int, dev uint64, home string) error {
	// By a descriptor: the number may be another process's by the time of the kill.
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if !uses(pid, dev, home) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("end process %d: %w", pid, err)
	}
	return nil
}

// uses reports whether a process uses a file system. home is the instance's own
// mounts. A process that is gone meanwhile uses nothing.
func uses(pid int, dev uint64, home string) bool {
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	names := []string{"cwd", "root", "exe"}
	if open, err := os.ReadDir(dir + "fd"); err == nil {
		for _, e := range open {
			names = append(names, "fd/"+e.Name())
		}
	}
	for _, name := range names {
		var st unix.Stat_t
		if unix.Stat(dir+name, &st) == nil && st.Dev == dev {
			return true
		}
	}
	major, minor := unix.Major(dev), unix.Minor(dev)
	if maps, err := os.ReadFile(dir + "maps"); err == nil && bytes.Contains(maps, fmt.Appendf(nil, " %02x:%02x ", major, minor)) {
		return true
	}
	if ns, err := os.Readlink(dir + "ns/mnt"); err != nil || ns == home {
		return false
	}
	mounts, err := os.ReadFile(dir + "mountinfo")
	return err == nil && bytes.Contains(mounts, fmt.Appendf(nil, " %d:%d ", major, minor))
}
