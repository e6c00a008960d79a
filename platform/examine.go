package platform

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/compute/process"
	"github.com/slipway/slipway/compute/sandbox"
)

// Finding is one thing that Examine looked at.
type Finding struct {
	Name     string
	OK       bool
	Required bool // Slipway does not start without it
	Detail   string
	Remedy   string
}

// minFree is the free space below which the doctor warns, in bytes.
const minFree = 1 << 30

// Examine looks at what this host can and cannot do for Slipway.
func Examine(ctx context.Context, cfg Config) []Finding {
	if err := cfg.complete(); err != nil {
		return []Finding{{Name: "configuration", Required: true, Detail: err.Error()}}
	}
	findings := []Finding{examineDir(cfg.Dir), examineListen(ctx, cfg)}
	for _, c := range checks {
		if detail, err := c.look(ctx); err != nil {
			findings = append(findings, Finding{Name: c.name, Detail: err.Error(), Remedy: c.remedy})
		} else if detail != "" {
			findings = append(findings, Finding{Name: c.name, OK: true, Detail: detail})
		}
	}
	probed := sandbox.Probe()
	// Without sandboxes, instances run in the process driver.
	for _, f := range slices.Concat(probed, process.Probe(driverDir(cfg, process.Name)), function.Probe()) {
		findings = append(findings, Finding{Name: f.Check, OK: f.OK, Detail: f.Detail, Remedy: f.Remedy})
	}
	instances := Finding{Name: "instances", OK: true, Detail: "run in sandboxes"}
	if lacks(probed) != nil {
		instances.Detail = "run in the process driver: as processes of this user, with addresses of 127.0.0.0/8"
	}
	return append(append(findings, instances), examineLeftovers()...)
}

// examineDir finds whether the data folder, or the folder that it would be made
// in, can be written and has room.
func examineDir(dir string) Finding {
	f := Finding{Name: "data folder", Required: true}
	at := dir
	for {
		if _, err := os.Stat(at); err == nil {
			break
		}
		if parent := filepath.Dir(at); parent != at {
			at = parent
			continue
		}
		break
	}
	probe, err := os.CreateTemp(at, ".slipway-doctor-*")
	if err != nil {
		f.Detail, f.Remedy = err.Error(), "give --data a folder that you may write"
		return f
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	free, err := freeBytes(at)
	switch {
	case err != nil:
		f.OK, f.Detail = true, dir+" can be written"
	case free < minFree:
		f.Detail, f.Remedy = fmt.Sprintf("%s has %d MiB free", dir, free>>20), "free some space, or give --data a folder on a larger disk"
	default:
		f.OK, f.Detail = true, fmt.Sprintf("%s can be written and has %d GiB free", dir, free>>30)
	}
	return f
}

func examineListen(ctx context.Context, cfg Config) Finding {
	f := Finding{Name: "API address", Required: true}
	if s, err := ReadStatus(ctx, cfg.Dir); err == nil {
		f.OK, f.Detail = true, "Slipway runs and listens on "+s.Endpoint
		return f
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		f.Detail, f.Remedy = err.Error(), "end what listens there, or give --listen another address"
		return f
	}
	_ = l.Close()
	f.OK, f.Detail = true, cfg.Listen+" is free"
	return f
}

// check is something of the host that parts of Slipway need. look tells what it
// found, "" where the host's system does not have such a thing.
type check struct {
	name, remedy string
	look         func(ctx context.Context) (string, error)
}

// earliest is before any Slipway was built: a clock behind it is wrong.
var earliest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// checks are the host's own; the sandbox driver has those of its kernel features.
var checks = []check{
	{"clock", "set the clock, and keep it so with an NTP client: signatures are refused that are 15 minutes off", func(context.Context) (string, error) {
		if now := time.Now(); now.Before(earliest) {
			return "", fmt.Errorf("it shows %s", now.UTC().Format(time.RFC3339))
		}
		return clockState()
	}},
	{"open files", "raise the limit (ulimit -n 65536; LimitNOFILE=65536 in a systemd unit): each connection and each object that is read takes one", fileLimit},
	{"memory", "free some memory: instances take theirs beside Slipway's 120 MiB", memoryFree},
	{"mkfs.ext4", "install e2fsprogs: without it there are no volumes and no bound on instances' disks", needs("mkfs.ext4")},
	{"loop devices", "load the kernel module loop, and in a container run it privileged: without them there are no volumes", loopDevices},
	{"forwarding", "allow Slipway's bridges to be forwarded (iptables -I FORWARD -i slw+ -j ACCEPT; iptables -I FORWARD -o slw+ -j ACCEPT): Docker, among others, drops all that it does not know, and instances reach the host only", forwarding},
}

// minFiles is what a busy host needs.
const minFiles = 4096

func enoughFiles(limit uint64) (string, error) {
	if limit < minFiles {
		return "", fmt.Errorf("a process may open %d", limit)
	}
	return fmt.Sprintf("a process may open %d", limit), nil
}
