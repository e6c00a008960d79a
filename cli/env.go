package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway/slipway/arn"
)

func newEnv() *cobra.Command {
	var endpoint, account, region string
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
			_, err := fmt.Fprintf(cmd.OutOrStdout(), `export AWS_ENDPOINT_URL=%s
export AWS_DEFAULT_REGION=%s
export AWS_REGION=%s
export AWS_ACCESS_KEY_ID=%s
export AWS_SECRET_ACCESS_KEY=local
`, endpoint, region, region, account)
			return err
		},
	}
	cmd.Flags().StringVar(&endpoint, "endpoint", "http://"+DefaultListen, "where Slipway listens")
	cmd.Flags().StringVar(&account, "account", arn.DefaultAccount, "account id, 12 digits")
	cmd.Flags().StringVar(&region, "region", arn.DefaultRegion, "region")
	return cmd
}
