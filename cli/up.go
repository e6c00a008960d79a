package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway/slipway/platform"
)

// drainTimeout bounds how long SIGTERM waits for requests that are under way.
const drainTimeout = 30 * time.Second

func newUp() *cobra.Command {
	cfg := platform.Config{Version: Version}
	var logLevel, logFormat string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the platform",
		Long: `Start the platform and serve until SIGTERM or Ctrl-C. What was under way goes on
at the next start with the same --data; instances keep running in between.

SIGUSR2 restarts it in place, under the same process id, with the binary that
stands at its path by then: requests under way are answered, and clients that
connect meanwhile wait. No connection is refused.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := newLogger(os.Stderr, logLevel, logFormat)
			if err != nil {
				return err
			}
			cfg.Logger = logger
			return runUp(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	platformFlags(cmd, &cfg)
	cmd.Flags().StringVar(&cfg.Dir, "data", defaultData(), "folder that keeps all state")
	cmd.Flags().BoolVar(&cfg.TLS, "tls", false, "serve the API over TLS, under a certificate authority of the data folder's own (see 'slipway ca')")
	cmd.Flags().StringVar(&cfg.TLSCert, "tls-cert", "", "serve the API over TLS with the certificate chain of this PEM file, read anew when it changes")
	cmd.Flags().StringVar(&cfg.TLSKey, "tls-key", "", "PEM file of the key that belongs to --tls-cert")
	cmd.Flags().IntVar(&cfg.MaxConnections, "max-connections", 4096, "open connections to the API that one remote address may have")
	cmd.Flags().Float64Var(&cfg.Quota.Rate, "account-rate", 0, "requests per second that each account may make; 0 sets no limit")
	cmd.Flags().IntVar(&cfg.Quota.Concurrent, "account-concurrency", 0, "requests that each account may have under way; 0 sets no limit")
	cmd.Flags().StringVar(&logFormat, "log-format", "text", "form of the log: text or json")
	cmd.Flags().StringVar(&logLevel, "log", "info", "what to log: debug, info, warn or error")
	return cmd
}

// platformFlags are the flags that up and demo share.
func platformFlags(cmd *cobra.Command, cfg *platform.Config) {
	cmd.Flags().StringVar(&cfg.Listen, "listen", DefaultListen, "address of the API; port 0 takes a free one")
	cmd.Flags().StringVar(&cfg.Compute, "compute", "auto", "where instances run: auto, sandbox (Linux, root) or process")
	cmd.Flags().BoolVar(&cfg.Auth, "auth", false, "check signatures and policies on loopback too")
	cmd.Flags().Float64Var(&cfg.WaitScale, "wait-scale", 1, "factor for deliberate waits (bake times, drain delays), more than 0 and at most 1")
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usageError{fmt.Errorf("--log %q: want debug, info, warn or error", level)}
	}
	switch o := (&slog.HandlerOptions{Level: l}); format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, usageError{fmt.Errorf("--log-format %q: want text or json", format)}
}

func runUp(ctx context.Context, cfg platform.Config, out io.Writer) error {
	p, err := platform.New(ctx, cfg)
	if err != nil {
		return err
	}
	if err := p.Start(ctx); err != nil {
		_ = p.Stop(context.WithoutCancel(ctx))
		return err
	}
	if root := p.NewRootKey(); root != nil {
		_, err := fmt.Fprintf(out, "Root access key of account %s. It is shown this once:\n  AWS_ACCESS_KEY_ID=%s\n  AWS_SECRET_ACCESS_KEY=%s\n\n",
			root.Account, root.AccessKeyID, root.SecretAccessKey)
		if err == nil {
			err = p.RootKeyShown(ctx)
		}
		if err != nil { // the next start shows it
			cfg.Logger.Warn("the root access key may not have been seen", "error", err)
		}
	}
	// Scripts and tests read the endpoint from this line, which comes last.
	fmt.Fprintf(out, "Slipway %s listens on %s (data in %s, instances in %s)\n", cfg.Version, p.Endpoint(), p.Dir(), p.Driver())
	restart, ignore := restartSignal()
	defer ignore()
	select {
	case <-restart:
		cfg.Logger.Info("restarting in place: finishing the requests that are under way")
		err = again(ctx, p) // returns where it fails only
	case <-ctx.Done():
		cfg.Logger.Info("stopping: finishing the requests that are under way")
	case err = <-p.Failed():
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if stopErr := p.Stop(stopCtx); err == nil {
		err = stopErr
	}
	return err
}
