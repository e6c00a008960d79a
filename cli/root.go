// Package cli is the command line: one file per command. It wires nothing
// itself; package platform does. It may import everything but services'
// insides. Goroutines that a command starts end before the command returns.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

// Version is set by the build: a tag, or a tag and the commits since.
var Version = "unknown"

// DefaultListen is where the ecosystem's tools look by convention.
const DefaultListen = "127.0.0.1:4566"

// Main runs the command line and returns the exit status: 0, 1 for a failure,
// 2 for unusable arguments.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "slipway: %v\nSee 'slipway help'.\n", err)
		return 2
	default:
		fmt.Fprintf(os.Stderr, "slipway: %v\n", err)
		return 1
	}
}

// usageError is a mistake in the arguments.
type usageError struct{ error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "slipway",
		Short: "The deployment and instance-management cloud on your own machines",
		Long: `Slipway speaks AWS's wire protocols and does the work for real, on this machine.
Start it with 'slipway up' and point the tools you have at it:

  aws --endpoint-url http://127.0.0.1:4566 cloudformation list-stacks`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newUp(), newDemo(), newAgent(), newEnv(), newStatus(), newDoctor(), newVersion(), newImage(), newBackup(), newRestore(), newCA())
	return root
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("'%s' takes no argument, got %q", cmd.CommandPath(), args[0])}
	}
	return nil
}

// defaultData is where state is kept: the system's place for root, the user's
// own for anyone else (XDG Base Directory Specification).
func defaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/slipway"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "slipway")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "slipway-data"
	}
	return filepath.Join(home, ".local", "share", "slipway")
}
