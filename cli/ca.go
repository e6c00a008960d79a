package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/slipway/slipway/platform"
)

func newCA() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Print the certificate that clients of --tls trust",
		Long: `Print the certificate of the authority that 'slipway up --tls' made. Clients must
trust it: AWS's tools read the file that AWS_CA_BUNDLE names.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pem, err := os.ReadFile(platform.CAFile(dir))
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s has no certificate authority: 'slipway up --tls' makes one", dir)
			}
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(pem)
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "data", defaultData(), "folder that keeps all state")
	return cmd
}
