package agent

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Logs of the helpers.
const (
	initLog     = "/var/log/cfn-init.log"
	initCmdLog  = "/var/log/cfn-init-cmd.log"
	initState   = "/var/lib/cfn-init/data"
	initKey     = "AWS::CloudFormation::Init"
	initAuthKey = "AWS::CloudFormation::Authentication"
)

// CfnInit brings the instance to what its resource's metadata asks for
// ("cfn-init" and "AWS::CloudFormation::Init", CloudFormation User Guide). It
// exits with 0 when all of it is done. Run again it does what is not done.
func CfnInit(args []string, stderr io.Writer) int {
	err := runInit(args, newHost(), stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(stderr, "Error occurred during build:", err)
	return 1
}

func runInit(args []string, h *host, stderr io.Writer) (err error) {
	var c cfnFlags
	var sets string
	f := flag.NewFlagSet("cfn-init", flag.ContinueOnError)
	f.SetOutput(stderr)
	c.register(f)
	textFlag(f, &sets, "`names` of config sets, apart by commas", "c", "configsets")
	if err := c.parse(f, args); err != nil {
		return err
	}
	if c.stack == "" || c.resource == "" {
		return errors.New("give --stack and --resource")
	}
	log, err := h.openLog(initLog)
	if err != nil {
		return err
	}
	defer log.Close()
	if h.output, err = h.openLog(initCmdLog); err != nil {
		return err
	}
	defer h.output.Close()
	h.log, h.verbose = log, c.verbose
	h.fetcher.region = defaultRegion(c.region)
	defer func() {
		if err != nil {
			logLine(h.log, "ERROR", "Error encountered during build: %v", err)
		}
	}()
	ctx := context.Background()
	read, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	r, err := c.client().describe(read, c.resource)
	if err != nil {
		return err
	}
	return h.build(ctx, r.Metadata, sets)
}

// build does what the metadata says.
func (h *host) build(ctx context.Context, metadata, sets string) error {
	var m struct {
		Init map[string]json.RawMessage `json:"AWS::CloudFormation::Init"`
		Auth map[string]authentication  `json:"AWS::CloudFormation::Authentication"`
	}
	if err := json.Unmarshal([]byte(metadata), &m); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if len(m.Init) == 0 {
		return errors.New("the resource's metadata has no " + initKey)
	}
	if err := h.keepMetadata(metadata); err != nil {
		return err
	}
	h.fetcher.auth = m.Auth
	configs, err := chosenConfigs(m.Init, sets)
	if err != nil {
		return err
	}
	for _, name := range configs {
		var c initConfig
		if err := json.Unmarshal(m.Init[name], &c); err != nil {
			return fmt.Errorf("config %s: %w", name, err)
		}
		h.info("Running config %s", name)
		if err := h.apply(ctx, c); err != nil {
			return fmt.Errorf("config %s: %w", name, err)
		}
	}
	h.info("Done: %s", strings.Join(configs, ", "))
	return nil
}

// keepMetadata leaves the metadata where AWS's helper does. It may hold
// secrets.
func (h *host) keepMetadata(metadata string) error {
	dir := h.path(initState)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "metadata.json"), []byte(metadata), 0o600)
}

// initConfig is one config of the metadata.
type initConfig struct {
	Packages map[string]map[string]scalars     `json:"packages"`
	Groups   map[string]groupSpec              `json:"groups"`
	Users    map[string]userSpec               `json:"users"`
	Sources  map[string]scalar                 `json:"sources"`
	Files    map[string]fileSpec               `json:"files"`
	Commands map[string]commandSpec            `json:"commands"`
	Services map[string]map[string]serviceSpec `json:"services"`
}

// changes are what a config has changed; services restart upon them.
type changes struct {
	packages                 map[string][]string
	sources, files, commands []string
}

// apply does one config in AWS's order.
func (h *host) apply(ctx context.Context, c initConfig) error {
	var did changes
	var err error
	if did.packages, err = h.packages(ctx, c.Packages); err != nil {
		return err
	}
	if err := h.groups(ctx, c.Groups); err != nil {
		return err
	}
	if err := h.users(ctx, c.Users); err != nil {
		return err
	}
	if did.sources, err = h.sources(ctx, c.Sources); err != nil {
		return err
	}
	if did.files, err = h.files(ctx, c.Files); err != nil {
		return err
	}
	if did.commands, err = h.commands(ctx, c.Commands); err != nil {
		return err
	}
	return h.services(ctx, c.Services, did)
}
