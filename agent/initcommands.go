package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// commandSpec is one of "commands".
type commandSpec struct {
	Command             json.RawMessage   `json:"command"`
	Env                 map[string]scalar `json:"env"`
	Cwd                 scalar            `json:"cwd"`
	Test                json.RawMessage   `json:"test"`
	IgnoreErrors        scalar            `json:"ignoreErrors"`
	WaitAfterCompletion scalar            `json:"waitAfterCompletion"`
}

// commands runs them by name, and names those that ran.
func (h *host) commands(ctx context.Context, specs map[string]commandSpec) ([]string, error) {
	var ran []string
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		ok, err := h.command(ctx, name, specs[name])
		if err != nil {
			return nil, fmt.Errorf("command %s: %w", name, err)
		}
		if ok {
			ran = append(ran, name)
		}
	}
	return ran, nil
}

func (h *host) command(ctx context.Context, name string, spec commandSpec) (ran bool, err error) {
	ignore, err := spec.IgnoreErrors.truth()
	if err != nil {
		return false, fmt.Errorf("ignoreErrors %w", err)
	}
	if w := spec.WaitAfterCompletion; w != "" && w != "0" {
		return false, errors.New("waitAfterCompletion is for Windows only")
	}
	if len(spec.Test) > 0 {
		test, err := h.program(ctx, spec, spec.Test)
		if err != nil {
			return false, fmt.Errorf("test: %w", err)
		}
		err = test.Run()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			h.info("Test for command %s failed with %s: it is left out", name, exit.ProcessState)
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("test: %w", err)
		}
	}
	cmd, err := h.program(ctx, spec, spec.Command)
	if err != nil {
		return false, err
	}
	if h.output != nil {
		logLine(h.output, "INFO", "Command %s", name)
	}
	err = cmd.Run()
	switch {
	case err == nil:
		h.info("Command %s succeeded", name)
	case ignore && ctx.Err() == nil:
		h.info("Command %s failed (%v); ignoreErrors says to go on", name, err)
	default:
		return false, err
	}
	return true, nil
}

// program is a command that is not started: text is for the shell, a list is
// not. An environment that is given replaces this process's.
func (h *host) program(ctx context.Context, spec commandSpec, raw json.RawMessage) (*exec.Cmd, error) {
	var args scalars
	if err := json.Unmarshal(orNull(raw), &args); err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, errors.New("it has no command")
	}
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = string(a)
	}
	if raw[0] != '[' {
		words = append(slices.Clone(shell), words...)
	}
	cmd := commandContext(ctx, words[0], words[1:]...)
	cmd.Dir = h.root
	if dir := string(spec.Cwd); dir != "" {
		if !filepath.IsAbs(dir) {
			return nil, fmt.Errorf("cwd %q is not absolute", dir)
		}
		cmd.Dir = h.path(dir)
	}
	if info, err := os.Stat(cmd.Dir); err != nil {
		return nil, fmt.Errorf("cwd: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("cwd: %s is not a folder", cmd.Dir)
	}
	if spec.Env != nil {
		cmd.Env = []string{}
		for _, k := range slices.Sorted(maps.Keys(spec.Env)) {
			cmd.Env = append(cmd.Env, k+"="+string(spec.Env[k]))
		}
	}
	// A file, not a pipe: what a command leaves running may hold it.
	if h.output != nil {
		cmd.Stdout, cmd.Stderr = h.output, h.output
	}
	return cmd, nil
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}
