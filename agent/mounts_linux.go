package agent

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mountAll finishes what the sandbox driver's stage began (compute/sandbox): it
// mounts what belongs to this process's own namespaces, makes /new the root and
// lets go of the rest, where the host's proc was.
func mountAll() error {
	if err := unix.Mount("/new", "/new", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind the new root: %w", err)
	}
	if err := unix.Chdir("/new"); err != nil {
		return err
	}
	const quiet = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	for _, m := range []struct {
		kind, at string
		flags    uintptr
		opts     string
		optional bool
	}{
		{"proc", "proc", quiet, "", false},
		{"sysfs", "sys", quiet | unix.MS_RDONLY, "", false},
		{"devpts", "dev/pts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5", false},
		{"tmpfs", "dev/shm", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777", false},
		{"mqueue", "dev/mqueue", quiet, "", true},
		{"tmpfs", "run", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755", false},
	} {
		if err := unix.Mount(m.kind, m.at, m.kind, m.flags, m.opts); err != nil && !m.optional {
			return fmt.Errorf("mount /%s: %w", m.at, err)
		}
	}
	if err := unix.Mkdir("run/lock", 0o1777); err != nil {
		return err
	}
	if err := unix.Chmod("run/lock", 0o1777); err != nil {
		return err
	}
	if err := mask(); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the stage: %w", err)
	}
	return unix.Chdir("/")
}

// mask hides what tells of the host or could act on it. The kernel refuses
// writes to these files, which root of the host owns; this is the second lock.
func mask() error {
	for _, file := range []string{"proc/kcore", "proc/keys", "proc/sysrq-trigger", "proc/timer_list", "proc/kmsg", "proc/latency_stats"} {
		err := unix.Mount("dev/null", file, "", unix.MS_BIND, "")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("mask /%s: %w", file, err)
		}
	}
	for _, dir := range []string{"proc/acpi", "proc/scsi", "sys/firmware", "sys/kernel/debug", "sys/kernel/security", "sys/fs/pstore", "sys/fs/bpf"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=0"); err != nil {
			return fmt.Errorf("mask /%s: %w", dir, err)
		}
	}
	return nil
}
