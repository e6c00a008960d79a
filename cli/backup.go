package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway/slipway/platform"
)

func newBackup() *cobra.Command {
	cfg := platform.Config{Version: Version}
	var with platform.BackupWith
	var without bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a backup of a data folder, while Slipway runs or not",
		Long: `Write the state of a data folder, as it is at one moment, every object of S3, and
the disks of instances, volumes, snapshots and images into one file. Slipway
may be running on the folder, and goes on meanwhile. Each volume is as it is at
one moment of its own, for which those who write to it wait.

The keys that secrets and objects are encrypted under are not in the backup,
so that who finds it reads nothing. Keep copies of keys/master, objects/key
and, with --tls, tls/ca-key.pem of the data folder apart from it; they never
change. Or put them in with --with-keys, and keep the backup as you keep keys.

--without-disks leaves the disks out; of a data folder whose instances have no
volumes (the process driver), their files are copied as they are at their turn.`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			with.Disks = !without
			head, err := platform.Backup(cmd.Context(), cfg, args[0], with)
			if err != nil {
				return err
			}
			note := "without keys: keep them apart ('slipway help backup')"
			if head.Keys {
				note = "with its keys: keep it safe"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "backed up %s to %s, %d files, %s\n", cfg.Dir, args[0], head.Files, note)
			if err == nil && len(head.Held) > 0 {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "in it are the disks of %s\n", counted(head.Held))
			}
			if err == nil && len(head.Disks) > 0 {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "not in it are the disks of %s: only their records are\n", counted(head.Disks))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&cfg.Dir, "data", defaultData(), "folder that keeps all state")
	cmd.Flags().BoolVar(&with.Keys, "with-keys", false, "put the keys into the backup")
	cmd.Flags().BoolVar(&without, "without-disks", false, "leave out what instances, volumes, snapshots and images hold")
	return cmd
}

// counted lists how many there are of each kind: "2 instances, 1 volumes".
func counted(kinds map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		parts = append(parts, fmt.Sprintf("%d %s", kinds[kind], kind))
	}
	return strings.Join(parts, ", ")
}

func newRestore() *cobra.Command {
	cfg := platform.Config{Version: Version}
	var keys string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a data folder of a backup",
		Long: `Make a new data folder of a backup, having checked all of it. A folder that is
there and not empty is left alone.`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := platform.Restore(cmd.Context(), cfg, args[0], keys)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "restored %s: %d records and %d files of %s\n",
				cfg.Dir, found.Documents, found.Files, found.Created.Format(time.RFC3339))
			return err
		},
	}
	cmd.Flags().StringVar(&cfg.Dir, "data", defaultData(), "folder to make")
	cmd.Flags().StringVar(&keys, "keys", "", "folder with keys/master and objects/key, for a backup without keys")
	return cmd
}

func oneArg(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{errors.New("'" + cmd.CommandPath() + "' takes one argument, a file")}
	}
	return nil
}
