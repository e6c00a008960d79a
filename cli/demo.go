package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway/slipway/examples"
	"github.com/slipway/slipway/platform"
)

const (
	demoStack   = "web"
	demoTimeout = 3 * time.Minute
)

func newDemo() *cobra.Command {
	cfg := platform.Config{Version: Version}
	var exit bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start, deploy an example for real, and leave it up until Ctrl-C",
		Long: `Start the platform in a folder of its own, deploy the example of examples/web
through CloudFormation, fetch its page from the running instance, and stay up
until Ctrl-C. Then the stack is deleted and the folder removed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), cfg, cmd.OutOrStdout(), exit)
		},
	}
	platformFlags(cmd, &cfg)
	cmd.Flags().BoolVar(&exit, "exit", false, "end once the page was fetched, as a check")
	return cmd
}

func runDemo(ctx context.Context, cfg platform.Config, out io.Writer, exit bool) (err error) {
	if cfg.Auth {
		return usageError{errors.New("the demo calls with open keys: leave --auth to 'slipway up'")}
	}
	if cfg.Dir, err = os.MkdirTemp("", "slipway-demo-"); err != nil {
		return err
	}
	// MkdirTemp's 0700 keeps the folder from other users.
	// It stays where the clean-up failed: another one needs it.
	cleaned := true
	defer func() {
		if !cleaned {
			err = errors.Join(err, fmt.Errorf("remove the rest with 'slipway doctor --clean --data %s'", cfg.Dir))
			return
		}
		err = errors.Join(err, os.RemoveAll(cfg.Dir))
	}()
	log, err := os.Create(cfg.Dir + "/slipway.log")
	if err != nil {
		return err
	}
	defer log.Close()
	if cfg.Logger, err = newLogger(log, "info", "text"); err != nil {
		return err
	}
	p, err := platform.New(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		// What a failed clean-up left is named by Clean.
		_, cleanErr := p.StopAndClean(stopCtx)
		cleaned = cleanErr == nil
		err = errors.Join(err, cleanErr)
	}()
	if err := p.Start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "Slipway %s listens on %s; instances run in the %s driver.\n", Version, p.Endpoint(), p.Driver())
	return demoSession(ctx, newClient(p.Endpoint()), p, out, exit)
}

func demoSession(ctx context.Context, c *client, p *platform.Platform, out io.Writer, exit bool) error {
	fmt.Fprintf(out, "\nDeploying examples/web/template.yaml as stack %q:\n", demoStack)
	began := time.Now()
	id, err := c.createStack(ctx, demoStack, examples.Web)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	s, err := follow(ctx, c, id, seen, out)
	if err != nil {
		return err
	}
	if s.Status != "CREATE_COMPLETE" {
		return fmt.Errorf("stack %s ended in %s: %s", demoStack, s.Status, s.Reason)
	}
	page, err := fetchPage(ctx, s.output("URL"))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nDeployed in %s. The instance answers: %s\n", time.Since(began).Round(time.Millisecond), page)
	if !exit {
		fmt.Fprint(out, nextSteps(p.Endpoint(), s))
		select {
		case <-ctx.Done():
		case err := <-p.Failed():
			return err
		}
	}
	fmt.Fprintf(out, "\nDeleting stack %q:\n", demoStack)
	endCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), demoTimeout)
	defer cancel()
	if err := c.deleteStack(endCtx, id); err != nil {
		return err
	}
	s, err = follow(endCtx, c, id, seen, out)
	if err == nil && s.Status != "DELETE_COMPLETE" {
		err = fmt.Errorf("stack %s ended in %s: %s", demoStack, s.Status, s.Reason)
	}
	return err
}

// follow prints a stack's events that were not seen yet until its operation has
// ended.
func follow(ctx context.Context, c *client, id string, seen map[string]bool, out io.Writer) (stack, error) {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	began := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := c.stack(ctx, id)
		if err != nil {
			return s, err
		}
		events, err := c.events(ctx, id)
		if err != nil {
			return s, err
		}
		for i := len(events) - 1; i >= 0; i-- {
			e := events[i]
			if seen[e.ID] {
				continue
			}
			seen[e.ID] = true
			line := fmt.Sprintf("  %6.2fs  %-18s  %-30s %s", time.Since(began).Seconds(), e.Status, e.Type, e.Logical)
			if e.Reason != "" {
				line += "  (" + e.Reason + ")"
			}
			fmt.Fprintln(out, line)
		}
		if !strings.HasSuffix(s.Status, "_IN_PROGRESS") {
			return s, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s, fmt.Errorf("stack %s is still in %s: %w", demoStack, s.Status, ctx.Err())
		}
	}
}

var headline = regexp.MustCompile(`<h1>([^<]*)</h1>`)

// fetchPage gets the page from the instance and returns its headline.
func fetchPage(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("fetch the page from the instance: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", err
	}
	found := headline.FindSubmatch(body)
	if resp.StatusCode != http.StatusOK || found == nil {
		return "", fmt.Errorf("the page at %s is not the example's: HTTP %d", url, resp.StatusCode)
	}
	return string(found[1]), nil
}

func nextSteps(endpoint string, s stack) string {
	return fmt.Sprintf(`
  page       %s
  API        %s
  instance   %s
  queue      %s

Try, in another terminal:

  export AWS_ACCESS_KEY_ID=000000000000 AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1
  curl %s
  aws --endpoint-url %s cloudformation describe-stack-resources --stack-name %s
  aws --endpoint-url %s ec2 get-console-output --instance-id %s --output text
  aws --endpoint-url %s sqs send-message --queue-url %s --message-body hello

Ctrl-C deletes the stack and ends the demo.
`, s.output("URL"), endpoint, s.output("InstanceId"), s.output("QueueUrl"),
		s.output("URL"), endpoint, demoStack, endpoint, s.output("InstanceId"), endpoint, s.output("QueueUrl"))
}
