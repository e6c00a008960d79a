package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway/slipway/compute/boot"
)

// enabledServices has a file for each service that starts with the instance: a
// sandbox has no init system to tell, but its first process.
const enabledServices = boot.State + "/services"

// serviceSpec is one of "services".
type serviceSpec struct {
	EnsureRunning scalar             `json:"ensureRunning"`
	Enabled       scalar             `json:"enabled"`
	Files         scalars            `json:"files"`
	Sources       scalars            `json:"sources"`
	Commands      scalars            `json:"commands"`
	Packages      map[string]scalars `json:"packages"`
}

// affected says whether what a config changed asks for a restart.
func (s *serviceSpec) affected(did changes) bool {
	among := func(asked scalars, changed []string) bool {
		return slices.ContainsFunc(asked, func(a scalar) bool { return slices.Contains(changed, string(a)) })
	}
	for manager, names := range s.Packages {
		if among(names, did.packages[manager]) {
			return true
		}
	}
	return among(s.Files, did.files) || among(s.Sources, did.sources) || among(s.Commands, did.commands)
}

// services brings them to the state that is asked for, and checks that they
// have reached it.
func (h *host) services(ctx context.Context, specs map[string]map[string]serviceSpec, did changes) error {
	for _, manager := range slices.Sorted(maps.Keys(specs)) {
		for _, name := range slices.Sorted(maps.Keys(specs[manager])) {
			if err := h.service(ctx, manager, name, specs[manager][name], did); err != nil {
				return fmt.Errorf("service %s: %s: %w", manager, name, err)
			}
		}
	}
	return nil
}

func (h *host) service(ctx context.Context, manager, name string, spec serviceSpec, did changes) error {
	s, err := h.manager(manager, name)
	if err != nil {
		return err
	}
	if spec.Enabled != "" {
		on, err := spec.Enabled.truth()
		if err != nil {
			return fmt.Errorf("enabled %w", err)
		}
		if err := s.enable(ctx, on); err != nil {
			return err
		}
	}
	if spec.EnsureRunning == "" {
		return nil
	}
	want, err := spec.EnsureRunning.truth()
	if err != nil {
		return fmt.Errorf("ensureRunning %w", err)
	}
	running := s.running(ctx)
	verb := ""
	switch {
	case want && !running:
		verb = "start"
	case want && spec.affected(did):
		verb = "restart"
	case !want && running:
		verb = "stop"
	default:
		return nil
	}
	h.info("Service %s: %s", name, verb)
	if err := s.do(ctx, verb); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if s.running(ctx) != want {
		return fmt.Errorf("after %s its state is not what was asked for", verb)
	}
	return nil
}

// service is one of a manager that can really run it.
type service interface {
	running(ctx context.Context) bool
	do(ctx context.Context, verb string) error // start, restart or stop
	enable(ctx context.Context, on bool) error
}

func (h *host) manager(manager, name string) (service, error) {
	if name == "" || strings.ContainsAny(name, "/\x00 ") || strings.HasPrefix(name, "-") || strings.HasPrefix(name, ".") {
		return nil, errors.New("this is not the name of a service")
	}
	switch {
	case manager == "windows":
		return nil, errors.New("it is for Windows only")
	case manager != "sysvinit" && manager != "systemd":
		return nil, errors.New("there is no such manager of services")
	case name == "cfn-hup":
		return &hupService{h}, nil // ours, whatever the manager
	case h.shared:
		return nil, errShared
	case h.exists("/run/systemd/system") && onPath("systemctl"):
		return &systemdService{h, name}, nil
	case manager == "sysvinit" && h.exists("/etc/init.d/"+name):
		return &initScript{h, name}, nil
	case manager == "sysvinit":
		return nil, fmt.Errorf("there is no /etc/init.d/%s in this instance", name)
	}
	return nil, errors.New("no systemd runs in this instance, which has no init system: start the program by a command")
}

func (h *host) exists(name string) bool {
	_, err := os.Stat(h.path(name))
	return err == nil
}

// systemdService is a unit of a systemd that runs.
type systemdService struct {
	h    *host
	name string
}

func (s *systemdService) running(ctx context.Context) bool {
	return commandContext(ctx, "systemctl", "is-active", "--quiet", "--", s.name).Run() == nil
}

func (s *systemdService) do(ctx context.Context, verb string) error {
	return s.h.run(ctx, "systemctl", verb, "--", s.name)
}

func (s *systemdService) enable(ctx context.Context, on bool) error {
	if on {
		return s.h.run(ctx, "systemctl", "enable", "--", s.name)
	}
	return s.h.run(ctx, "systemctl", "disable", "--", s.name)
}

// initScript is a script of /etc/init.d.
type initScript struct {
	h    *host
	name string
}

func (s *initScript) command(ctx context.Context, verb string) *exec.Cmd {
	cmd := commandContext(ctx, s.h.path("/etc/init.d/"+s.name), verb)
	cmd.Dir = s.h.root
	if s.h.output != nil {
		cmd.Stdout, cmd.Stderr = s.h.output, s.h.output
	}
	return cmd
}

func (s *initScript) running(ctx context.Context) bool { return s.command(ctx, "status").Run() == nil }

func (s *initScript) do(ctx context.Context, verb string) error {
	return s.command(ctx, verb).Run()
}

func (s *initScript) enable(_ context.Context, on bool) error { return s.h.enable(s.name, on) }

// enable notes that a service starts with the instance, or no more.
func (h *host) enable(name string, on bool) error {
	dir := h.path(enabledServices)
	file := filepath.Join(dir, name)
	if !on {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, nil, 0o600)
}

// startEnabled starts the services that are to run whenever the instance does.
func (h *host) startEnabled(ctx context.Context, say func(format string, args ...any)) {
	found, err := os.ReadDir(h.path(enabledServices))
	if err != nil {
		return // none was ever enabled
	}
	for _, e := range found {
		s, err := h.manager("sysvinit", e.Name())
		if err == nil && s.running(ctx) {
			continue
		}
		if err == nil {
			err = s.do(ctx, "start")
		}
		if err != nil {
			say("service %s does not start: %v", e.Name(), err)
			continue
		}
		say("service %s started", e.Name())
	}
}
