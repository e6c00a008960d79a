package agent

import (
	"errors"
	"os/exec"
)

var errWindows = errors.New("not built for Windows yet: use --no-daemon")

func (h *host) startHup([]string) error { return errWindows }

func inheritLock() {}

func (h *host) hupRuns() bool { return false }

func (h *host) stopHup() error { return errWindows }

func (h *host) runAs(*exec.Cmd, string) error {
	return errors.New("runas is not built for Windows yet")
}
