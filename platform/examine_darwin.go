package platform

import (
	"context"

	"golang.org/x/sys/unix"
)

// macOS runs the process driver only, which needs no volumes and no forwarding,
// and keeps the clock by itself.

func clockState() (string, error) { return "runs", nil }

func nothing(context.Context) (string, error) { return "", nil }

func needs(string) func(context.Context) (string, error) { return nothing }

var memoryFree, loopDevices, forwarding = nothing, nothing, nothing

// fileLimit is the soft limit: Go has raised it to what the kernel allows, which
// may be less than the hard one says (kern.maxfilesperproc).
func fileLimit(context.Context) (string, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return "", err
	}
	return enoughFiles(l.Cur)
}
