package platform

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/slipway/slipway/compute/sandbox"
)

// maxLeftShown bounds how much of one folder's leftovers a finding lists.
const maxLeftShown = 6

// examineLeftovers tells of what Slipways whose data folder is gone left on this
// host, and of what somebody should look at.
func examineLeftovers() []Finding {
	if os.Geteuid() != 0 {
		return nil // only root makes any, or sees all of it
	}
	all, err := sandbox.Leftovers()
	if err != nil {
		return []Finding{{Name: "leftovers", OK: true, Detail: "cannot be looked for: " + err.Error()}}
	}
	var out []Finding
	for _, l := range all {
		what := l.Found
		if len(what) > maxLeftShown {
			what = append(what[:maxLeftShown:maxLeftShown], fmt.Sprintf("and %d more", len(l.Found)-maxLeftShown))
		}
		detail := strings.Join(what, ", ")
		switch l.State {
		case sandbox.Lost:
			if l.Dir != "" {
				detail += "; its folder was " + l.Dir
			}
			out = append(out, Finding{Name: "leftovers", Detail: detail + ", and no Slipway runs on it", Remedy: "remove it with 'slipway doctor --clean'"})
		case sandbox.Unknown:
			out = append(out, Finding{
				Name: "leftovers", Detail: detail + "; nothing tells of which data folder",
				Remedy: "where a Slipway of an earlier version has it, start that once; it then says so",
			})
		case sandbox.Idle:
			if l.Dir != "" {
				out = append(out, Finding{Name: "leftovers", OK: true, Detail: "none: what is there of " + l.Dir + " goes on when its Slipway is started"})
			}
		case sandbox.InUse:
		}
	}
	if len(out) == 0 {
		out = append(out, Finding{Name: "leftovers", OK: true, Detail: "none"})
	}
	return out
}

// CleanHost removes what Slipways left on this host whose data folder is gone, and
// nothing of any that runs or may be started again.
func CleanHost(ctx context.Context) ([]string, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	all, err := sandbox.Leftovers()
	if err != nil {
		return nil, fmt.Errorf("look for what other Slipways left: %w", err)
	}
	return sandbox.RemoveLost(ctx, all)
}
