package agent

import (
	"context"
	"os/exec"
	"time"
)

// commandContext is a command that does not outlive its context by much. What
// it starts in the background goes on when it ends by itself.
func commandContext(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
