package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway/slipway/platform"
)

func newStatus() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether Slipway runs and what it holds",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := platform.ReadStatus(cmd.Context(), dir)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(status)
			}
			return printStatus(cmd.OutOrStdout(), status)
		},
	}
	cmd.Flags().StringVar(&dir, "data", defaultData(), "folder that keeps all state")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printStatus(out io.Writer, s platform.Status) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "version\t%s\n", s.Version)
	fmt.Fprintf(w, "endpoint\t%s\n", s.Endpoint)
	fmt.Fprintf(w, "process\t%d, up %s\n", s.PID, time.Since(s.Started).Round(time.Second))
	fmt.Fprintf(w, "data\t%s\n", s.Dir)
	fmt.Fprintf(w, "instances run in\t%s\n", s.Driver)
	fmt.Fprintf(w, "authentication\t%s\n", map[bool]string{true: "on", false: "off (loopback only)"}[s.Auth])
	kinds := make([]string, 0, len(s.Records))
	for kind := range s.Records {
		kinds = append(kinds, kind)
	}
	sort.Strings(kinds)
	for _, kind := range kinds {
		fmt.Fprintf(w, "%s\t%d\n", kind, s.Records[kind])
	}
	return w.Flush()
}
