package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway/slipway/agent"
)

// newAgent lists the agent in the help. The binary's main runs the agent
// before any command is built, so this runs only without arguments that fit.
func newAgent() *cobra.Command {
	return &cobra.Command{
		Use:                "agent",
		Short:              "Run inside an instance: its first process and its helper commands",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if status := agent.Main(args); status != 0 {
				return fmt.Errorf("the agent ended with status %d", status)
			}
			return nil
		},
	}
}
