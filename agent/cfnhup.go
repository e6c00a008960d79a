package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	hupLog   = "/var/log/cfn-hup.log"
	hupState = "/var/lib/cfn-hup/data/metadata.json"
	// hupChild marks the daemon, which its parent has started.
	hupChild = "SLIPWAY_CFN_HUP_DAEMON"
)

// CfnHup watches resources of the stack and runs actions when they change
// ("cfn-hup", CloudFormation User Guide): once with --no-daemon, else in the
// background until it is told to end.
func CfnHup(args []string, stderr io.Writer) int {
	err := runHup(args, newHost(), stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(stderr, "cfn-hup:", err)
	return 1
}

func runHup(args []string, h *host, stderr io.Writer) error {
	var dir string
	var once, verbose bool
	f := flag.NewFlagSet("cfn-hup", flag.ContinueOnError)
	f.SetOutput(stderr)
	textFlag(f, &dir, "`folder` of the configuration; /etc/cfn by default", "c", "config")
	f.BoolVar(&once, "no-daemon", false, "look once and end")
	f.BoolVar(&verbose, "v", false, "say more")
	f.BoolVar(&verbose, "verbose", false, "say more")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if dir == "" {
		dir = h.path("/etc/cfn")
	}
	conf, err := readHupConfig(dir)
	if err != nil {
		return err
	}
	child := os.Getenv(hupChild) != ""
	if !once && !child {
		return h.startHup(args)
	}
	log, err := h.openLog(hupLog)
	if err != nil {
		return err
	}
	defer log.Close()
	h.log, h.output, h.verbose = log, log, verbose || conf.verbose
	w := &watcher{host: h, conf: conf, client: &cfnClient{stack: conf.stack, region: conf.region, endpoint: conf.endpoint, md: newIMDS(metadataBase())}}
	if once {
		return w.look(context.Background())
	}
	inheritLock()
	if err := os.Unsetenv(hupChild); err != nil { // it is not for the actions
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	w.watch(ctx)
	return nil
}

// watcher looks at what hooks are about.
type watcher struct {
	host   *host
	conf   hupConfig
	client *cfnClient
}

// watch looks at once and then by the interval, until the context ends.
func (w *watcher) watch(ctx context.Context) {
	w.host.info("cfn-hup watches stack %s every %s", w.conf.stack, w.conf.interval)
	tick := time.NewTicker(w.conf.interval)
	defer tick.Stop()
	for {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			logLine(w.host.log, "ERROR", "%v", err)
		}
		// Until the next look it does nothing, and an instance is small.
		shrink()
		select {
		case <-ctx.Done():
			w.host.info("cfn-hup ends")
			return
		case <-tick.C:
		}
	}
}

// look compares each hook's part of the stack with what it was the last time,
// and runs the actions. One that fails runs again the next time.
func (w *watcher) look(ctx context.Context) error {
	last, err := w.load()
	if err != nil {
		return err
	}
	seen := map[string]*stackResource{}
	var errs []error
	for _, h := range w.conf.hooks {
		if err := w.hook(ctx, h, last, seen); err != nil {
			errs = append(errs, fmt.Errorf("hook %s: %w", h.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (w *watcher) hook(ctx context.Context, h hook, last map[string]json.RawMessage, seen map[string]*stackResource) error {
	p, err := h.resourcePath()
	if err != nil {
		return err
	}
	r := seen[p[1]]
	if r == nil {
		ask, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		if r, err = w.client.describe(ask, p[1]); err != nil {
			return err
		}
		seen[p[1]] = r
	}
	if strings.HasSuffix(r.Status, "_IN_PROGRESS") {
		w.host.debug("%s is %s: hook %s waits", p[1], r.Status, h.name)
		return nil
	}
	now, err := hookData(p, r)
	if err != nil {
		return err
	}
	key := h.name + "|" + h.path
	old := last[key]
	if bytes.Equal(old, now) {
		return nil
	}
	trigger := "post.update"
	if old == nil {
		trigger = "post.add"
	} else if now == nil {
		trigger = "post.remove"
	}
	if slices.Contains(h.triggers, trigger) {
		w.host.info("Running action for %s (%s)", h.name, trigger)
		if err := w.act(ctx, h, p, old, now); err != nil {
			return fmt.Errorf("the action failed and runs again the next time: %w", err)
		}
	}
	if now == nil {
		delete(last, key)
	} else {
		last[key] = now
	}
	return w.save(last)
}

// hookData is the part of the resource that a path is about, nil if it has none.
func hookData(p []string, r *stackResource) (json.RawMessage, error) {
	var v any
	switch {
	case len(p) == 2:
		v = r.LastUpdated
	case strings.EqualFold(p[2], "PhysicalResourceId"):
		v = r.PhysicalID
	default:
		m, err := r.metadata()
		if err != nil {
			return nil, err
		}
		if len(m) == 0 {
			return nil, nil
		}
		key := ""
		if len(p) > 3 {
			key = p[3]
		}
		var ok bool
		if v, ok = lookUp(any(m), key); !ok {
			return nil, nil
		}
	}
	if v == nil || v == "" {
		return nil, nil
	}
	return json.Marshal(v) // keys are in order
}

// act runs a hook's action as its user, told what was and what is.
func (w *watcher) act(ctx context.Context, h hook, p []string, old, now json.RawMessage) error {
	what := "METADATA"
	if len(p) == 2 {
		what = "LAST_UPDATED"
	} else if strings.EqualFold(p[2], "PhysicalResourceId") {
		what = "PHYSICAL_RESOURCE_ID"
	}
	cmd := commandContext(ctx, shell[0], append(slices.Clone(shell[1:]), h.action)...)
	cmd.Dir = w.host.root
	cmd.Env = os.Environ()
	for name, data := range map[string]json.RawMessage{"CFN_OLD_" + what: old, "CFN_NEW_" + what: now} {
		// A program takes only so much from its environment.
		if data != nil && len(data) < 100<<10 {
			cmd.Env = append(cmd.Env, name+"="+asText(data))
		}
	}
	if err := w.host.runAs(cmd, h.runas); err != nil {
		return fmt.Errorf("runas %s: %w", h.runas, err)
	}
	if w.host.output != nil {
		cmd.Stdout, cmd.Stderr = w.host.output, w.host.output
	}
	return cmd.Run()
}

func asText(data json.RawMessage) string {
	var s string
	if json.Unmarshal(data, &s) == nil {
		return s
	}
	return string(data)
}

// load reads what the hooks saw the last time.
func (w *watcher) load() (map[string]json.RawMessage, error) {
	b, err := os.ReadFile(w.host.path(hupState))
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]json.RawMessage{}, nil
	}
	if err != nil {
		return nil, err
	}
	last := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &last); err != nil {
		return nil, fmt.Errorf("%s: %w", hupState, err)
	}
	return last, nil
}

// save keeps it, whole or not at all.
func (w *watcher) save(last map[string]json.RawMessage) error {
	b, err := json.Marshal(last)
	if err != nil {
		return err
	}
	name := w.host.path(hupState)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".metadata-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// hupService is cfn-hup as a service of the instance.
type hupService struct{ h *host }

func (s *hupService) running(context.Context) bool { return s.h.hupRuns() }

func (s *hupService) do(_ context.Context, verb string) error {
	if verb != "start" {
		if err := s.h.stopHup(); err != nil || verb == "stop" {
			return err
		}
	}
	if _, err := readHupConfig(s.h.path("/etc/cfn")); err != nil {
		return err
	}
	return s.h.startHup(nil)
}

func (s *hupService) enable(_ context.Context, on bool) error { return s.h.enable("cfn-hup", on) }
