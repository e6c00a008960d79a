//go:build unix

package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/platform"
)

// restartSignal tells of SIGUSR2; ignore gives it back.
func restartSignal() (told <-chan os.Signal, ignore func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, unix.SIGUSR2)
	return ch, func() { signal.Stop(ch) }
}

// again puts a new process in this one's place, with its sockets. It returns
// only where that fails.
func again(ctx context.Context, p *platform.Platform) error {
	// The path is looked up before anything stops: an upgrade may have moved it.
	binary, err := os.Executable()
	if err == nil {
		_, err = os.Stat(binary)
	}
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	env, err := p.Handover(ctx)
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	return fmt.Errorf("restart with %s: %w", binary, unix.Exec(binary, os.Args, env))
}
