package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/process"
	"github.com/slipway/slipway/compute/sandbox"
	"github.com/slipway/slipway/store/sqlite"
)

// instancesDir holds what the drivers keep, in the data folder.
const instancesDir = "instances"

// lacks joins what a probe found missing and needs.
func lacks(findings []compute.Finding) error {
	var missing []string
	for _, f := range findings {
		if !f.OK && f.Required {
			missing = append(missing, fmt.Sprintf("%s (%s; %s)", f.Check, f.Detail, f.Remedy))
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("this host cannot run sandboxes: %s. Use --compute process, or see 'slipway doctor'", strings.Join(missing, "; "))
}

// chosen is the driver that the configuration and the host lead to. Instances
// of the other one in the data folder would be lost sight of, so a folder keeps
// the driver of its first start.
func chosen(cfg Config) (string, error) {
	path := filepath.Join(cfg.Dir, driverFile)
	kept, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	name := strings.TrimSpace(string(kept))
	switch {
	case name == "":
		name = cfg.Compute
		if name == "auto" {
			name = "process"
			if os.Geteuid() == 0 && lacks(sandbox.Probe()) == nil {
				name = "sandbox"
			}
		}
	case cfg.Compute != "auto" && cfg.Compute != name:
		return "", fmt.Errorf("the instances in %s run in the %s driver: start with --compute %s, or use another data folder", cfg.Dir, name, name)
	}
	if name == "sandbox" {
		if err := lacks(sandbox.Probe()); err != nil {
			return "", err
		}
	}
	if len(kept) > 0 {
		return name, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return name, os.WriteFile(path, []byte(name+"\n"), 0o600)
}

func openDriver(cfg Config) (compute.Driver, error) {
	name, err := chosen(cfg)
	if err != nil {
		return nil, err
	}
	return openNamed(name, cfg)
}

// driverDir is what a driver keeps its instances in.
func driverDir(cfg Config, name string) string { return filepath.Join(cfg.Dir, instancesDir, name) }

func openNamed(name string, cfg Config) (compute.Driver, error) {
	dir := driverDir(cfg, name)
	if name == "sandbox" {
		return sandbox.New(sandbox.Config{Dir: dir, Slipway: cfg.Binary, Logger: cfg.Logger})
	}
	return process.New(process.Config{Dir: dir, Slipway: cfg.Binary, Logger: cfg.Logger})
}

// Clean removes from the host what a Slipway that no longer runs left of its
// instances: processes, network devices, mounts, control groups, files. It
// refuses while one runs on the folder. Records stay.
func Clean(ctx context.Context, cfg Config) (removed []string, err error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	name, err := os.ReadFile(filepath.Join(cfg.Dir, driverFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// The store's lock keeps a running Slipway's instances safe.
	st, err := sqlite.Open(ctx, cfg.Dir, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	d, err := openNamed(strings.TrimSpace(string(name)), cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Clean(ctx)
}
