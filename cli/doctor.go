package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway/slipway/platform"
)

func newDoctor() *cobra.Command {
	var cfg platform.Config
	var clean bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this host can and cannot do, and what to do about it",
		Long: `Check this host for what Slipway needs, and say what to do about what it lacks.
With --clean, remove what a Slipway that no longer runs on the data folder left
on the host: instances, network devices, mounts, control groups. Its records
stay. What is left of data folders that are gone is removed, too; nothing of a
Slipway that runs, or whose folder is there, is touched.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			if clean {
				removed, err := platform.Clean(cmd.Context(), cfg)
				more, hostErr := platform.CleanHost(cmd.Context())
				removed, err = append(removed, more...), errors.Join(err, hostErr)
				for _, r := range removed {
					fmt.Fprintf(out, "removed  %s\n", r)
				}
				if err == nil && len(removed) == 0 {
					fmt.Fprintln(out, "nothing to remove")
				}
				return err
			}
			failed := 0
			for _, f := range platform.Examine(cmd.Context(), cfg) {
				mark := "ok  "
				if !f.OK {
					mark = "LACK"
					if f.Required {
						failed++
					}
				}
				fmt.Fprintf(out, "%s  %-22s %s\n", mark, f.Name, f.Detail)
				if !f.OK && f.Remedy != "" {
					fmt.Fprintf(out, "      %-22s %s\n", "", "-> "+f.Remedy)
				}
			}
			if failed > 0 {
				return fmt.Errorf("%d things that Slipway cannot do without are missing", failed)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&cfg.Dir, "data", defaultData(), "folder that keeps all state")
	cmd.Flags().StringVar(&cfg.Listen, "listen", DefaultListen, "address of the API")
	cmd.Flags().BoolVar(&clean, "clean", false, "remove what a dead Slipway left on this host")
	return cmd
}
