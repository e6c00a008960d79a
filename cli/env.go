package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/platform"
)

func newEnv() *cobra.Command {
	var endpoint, account, region, dir string
	var tls bool
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print the variables that point AWS's tools at Slipway",
		Long: `Print the variables that point AWS's tools at Slipway. Use it as:

  eval "$(slipway env)"

In open mode the access key id only names the account: 12 digits name that one.
Version 1 of the aws command ignores AWS_ENDPOINT_URL for some services (SQS is
one), and Debian's version ignores it for all: give them --endpoint-url.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !arn.IsAccount(account) {
				return usageError{fmt.Errorf("--account %q is not an account id: want 12 digits", account)}
			}
			if tls && !cmd.Flags().Changed("endpoint") {
				endpoint = "https://" + DefaultListen
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), `export AWS_ENDPOINT_URL=%s
export AWS_DEFAULT_REGION=%s
export AWS_REGION=%s
export AWS_ACCESS_KEY_ID=%s
export AWS_SECRET_ACCESS_KEY=local
`, endpoint, region, region, account)
			if err == nil && tls {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "export AWS_CA_BUNDLE=%s\n", platform.CAFile(dir))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&endpoint, "endpoint", "http://"+DefaultListen, "where Slipway listens")
	cmd.Flags().BoolVar(&tls, "tls", false, "for a Slipway that was started with --tls")
	cmd.Flags().StringVar(&dir, "data", defaultData(), "folder that keeps all state, with --tls")
	cmd.Flags().StringVar(&account, "account", arn.DefaultAccount, "account id, 12 digits")
	cmd.Flags().StringVar(&region, "region", arn.DefaultRegion, "region")
	return cmd
}
