package platform

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockState asks the kernel whether something keeps the clock right.
func clockState() (string, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return "cannot be asked: " + err.Error(), nil // as in some containers
	}
	if state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
		return "runs; no NTP client has set it", nil
	}
	return "is kept by NTP", nil
}

func fileLimit(context.Context) (string, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return "", err
	}
	return enoughFiles(l.Max) // Go raises the soft limit to the hard one
}

// minMemory is what Slipway and a few small instances take, in KiB.
const minMemory = 512 << 10

func memoryFree(context.Context) (string, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "", err
	}
	return memoryOf(b)
}

func memoryOf(meminfo []byte) (string, error) {
	for lines := bufio.NewScanner(bytes.NewReader(meminfo)); lines.Scan(); {
		var kb int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kb); n == 1 {
			if kb < minMemory {
				return "", fmt.Errorf("%d MiB are available", kb>>10)
			}
			return fmt.Sprintf("%d MiB are available", kb>>10), nil
		}
	}
	return "", errors.New("the kernel does not tell how much is available")
}

// needs looks for a program.
func needs(program string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		path, err := exec.LookPath(program)
		if err != nil {
			return "", fmt.Errorf("%s is not installed", program)
		}
		return path, nil
	}
}

func loopDevices(context.Context) (string, error) {
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return "", err
	}
	return "can be made", nil
}

// forwarding asks iptables, by which others than Slipway filter, where there is one.
func forwarding(ctx context.Context) (string, error) {
	if os.Geteuid() != 0 {
		return "", nil // only root may ask, and only root's instances are forwarded
	}
	if _, err := exec.LookPath("iptables"); err != nil {
		return "no iptables is in the way", nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	rules, err := exec.CommandContext(ctx, "iptables", "-w", "2", "-S", "FORWARD").Output()
	if err != nil {
		return "iptables has no rules", nil
	}
	return forwardingOf(string(rules))
}

func forwardingOf(rules string) (string, error) {
	if strings.Contains(rules, "-P FORWARD DROP") && !strings.Contains(rules, "-i slw+ -j ACCEPT") {
		return "", errors.New("iptables drops what is forwarded")
	}
	return "iptables lets instances' traffic through", nil
}
