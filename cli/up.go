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
	var logLevel string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the platform",
		Long: `Start the platform and serve until SIGTERM or Ctrl-C. What was under way goes on
at the next start with the same --data; instances keep running in between.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := newLogger(os.Stderr, logLevel)
			if err != nil {
				return err
			}
			cfg.Logger = logger
			return runUp(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	platformFlags(cmd, &cfg)
	cmd.Flags().StringVar(&cfg.Dir, "data", defaultData(), "folder that keeps all state")
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

func newLogger(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usageError{fmt.Errorf("--log %q: want debug, info, warn or error", level)}
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})), nil
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
		fmt.Fprintf(out, "Root access key of account %s. It is shown this once:\n  AWS_ACCESS_KEY_ID=%s\n  AWS_SECRET_ACCESS_KEY=%s\n\n",
			root.Account, root.AccessKeyID, root.SecretAccessKey)
	}
	// Scripts and tests read the endpoint from this line, which comes last.
	fmt.Fprintf(out, "Slipway %s listens on %s (data in %s, instances in %s)\n", cfg.Version, p.Endpoint(), p.Dir(), p.Driver())
	select {
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
