package agent

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// enterSandbox does what is left to do in namespaces of the instance's own.
func (p *firstProcess) enterSandbox() error {
	if err := mountAll(); err != nil {
		return err
	}
	return p.names()
}

// enterEnclosure does what is left to do in an enclosure's namespaces. Its root
// file system is read-only: the resolver's file stands in /run, where the driver's
// link leads.
func (e *enclosed) enterEnclosure() error {
	if err := mountAll(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(e.cfg.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	var resolv strings.Builder
	for _, server := range e.cfg.DNS {
		resolv.WriteString("nameserver " + server.String() + "\n")
	}
	return os.WriteFile("/run/resolv.conf", []byte(resolv.String()), 0o644)
}

// holdDescendants makes this process one that nothing below it leaves.
func holdDescendants() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %w", err)
	}
	return nil
}

// limitMemory bounds each process of the tree; there is no bound for all of them.
func limitMemory(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}); err != nil {
		return fmt.Errorf("limit memory: %w", err)
	}
	return nil
}

// withLittleMemory starts a process whose data is bounded, and that of all that it
// starts. This process is bounded only meanwhile, and softly: it would end where a
// thread of its own gets no memory. The program gets a bound that it cannot lift.
func withLittleMemory(bytes int64, start func() (pid int, err error)) (int, error) {
	if bytes <= 0 {
		return start()
	}
	var own unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_DATA, &own)
	most := min(uint64(bytes), own.Max)
	if err == nil {
		err = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: own.Max})
	}
	if err != nil {
		return 0, fmt.Errorf("limit memory: %w", err)
	}
	pid, err := start()
	if err == nil {
		err = unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most}, nil)
		if errors.Is(err, unix.ESRCH) {
			err = nil // it has ended
		}
		if err != nil {
			err = errors.Join(fmt.Errorf("limit memory: %w", err), unix.Kill(pid, unix.SIGKILL))
		}
	}
	return pid, errors.Join(err, unix.Setrlimit(unix.RLIMIT_DATA, &own))
}

// names gives the instance its host name and resolver.
func (p *firstProcess) names() error {
	if err := unix.Sethostname([]byte(p.cfg.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	short, _, _ := strings.Cut(p.cfg.Hostname, ".")
	hosts := "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
	if p.cfg.Hostname != "" {
		hosts += p.cfg.Address.String() + " " + p.cfg.Hostname + " " + short + "\n"
	}
	// Files that the instance's owner changed stay; the resolver's comes with
	// each boot, as from a DHCP client.
	for name, text := range map[string]string{"/etc/hostname": p.cfg.Hostname + "\n", "/etc/hosts": hosts} {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	var resolv strings.Builder
	_, search, _ := strings.Cut(p.cfg.Hostname, ".")
	if p.cfg.Search != nil {
		search = *p.cfg.Search
	}
	if search != "" {
		resolv.WriteString("search " + search + "\n")
	}
	for _, server := range p.cfg.DNS {
		resolv.WriteString("nameserver " + server.String() + "\n")
	}
	_ = os.Remove("/etc/resolv.conf") // it may be a link into /run
	return os.WriteFile("/etc/resolv.conf", []byte(resolv.String()), 0o644)
}
