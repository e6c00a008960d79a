package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/slipway/slipway/compute/boot"
)

// booter runs an instance's user data once in the instance's life, as
// cloud-init does on Amazon Linux ("User data formats", cloud-init).
type booter struct {
	cfg boot.Config
	out io.Writer
	md  *imds
}

// runBoot is `slipway agent boot`: the configuration comes on standard input,
// and what it prints goes to the console.
func runBoot(in io.Reader, out io.Writer) int {
	cfg, err := boot.ReadConfig(in)
	if err != nil {
		fmt.Fprintln(out, "slipway-agent: user data: no configuration:", err)
		return 1
	}
	b := &booter{cfg: cfg, out: out, md: newIMDS(cfg.Metadata)}
	if err := b.run(context.Background()); err != nil {
		b.say("user data failed: %v", err)
		return 1
	}
	return 0
}

func (b *booter) say(format string, args ...any) {
	fmt.Fprintf(b.out, "slipway-agent: %s\n", fmt.Sprintf(format, args...))
}

// path is a place in the instance's file system.
func (b *booter) path(name string) string { return filepath.Join(b.cfg.Root, name) }

func (b *booter) stateDir() string {
	return b.path(filepath.Join(boot.State, "instances", filepath.Base(b.cfg.ID)))
}

func (b *booter) run(ctx context.Context) error {
	h := &host{root: b.cfg.Root, shared: b.cfg.Kind != boot.Sandbox, log: io.Discard}
	h.startEnabled(ctx, b.say)
	marker := filepath.Join(b.stateDir(), "user-data")
	if _, err := os.Stat(marker); err == nil {
		b.say("user data has run before; it runs once in an instance's life")
		return nil
	}
	if err := os.MkdirAll(b.stateDir(), 0o700); err != nil {
		return err
	}
	data, err := b.md.wait(ctx, "/latest/user-data")
	if err != nil && !errors.Is(err, errNotFound) {
		return fmt.Errorf("fetch: %w", err)
	}
	if err := b.authorizeKey(ctx); err != nil {
		b.say("the key pair's public key is not installed: %v", err)
	}
	// Before the first command runs: twice is worse than not at all.
	if err := mark(marker); err != nil {
		return err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		b.say("no user data")
		return nil
	}
	parts, err := userDataParts(data)
	if err != nil {
		return err
	}
	start := time.Now()
	err = b.runParts(ctx, parts)
	b.say("user data finished in %.2f s", time.Since(start).Seconds())
	return err
}

// mark makes the marker and has it on disk when it returns.
func mark(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(time.Now().UTC().Format(time.RFC3339) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if dir, openErr := os.Open(filepath.Dir(name)); openErr == nil {
		err = errors.Join(err, dir.Sync(), dir.Close())
	}
	return err
}

// authorizeKey lets the key pair's owner in as ec2-user.
func (b *booter) authorizeKey(ctx context.Context) error {
	if b.cfg.Kind != boot.Sandbox {
		return nil
	}
	key, err := b.md.get(ctx, "/latest/meta-data/public-keys/0/openssh-key")
	if errors.Is(err, errNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	dir := "/home/ec2-user/.ssh"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name := filepath.Join(dir, "authorized_keys")
	if err := os.WriteFile(name, append(bytes.TrimSpace(key), '\n'), 0o600); err != nil {
		return err
	}
	const user = 1000
	return errors.Join(os.Chown(dir, user, user), os.Chown(name, user, user))
}

// runParts runs configurations first and scripts after, each in its order. A
// part that fails does not keep the next from running.
func (b *booter) runParts(ctx context.Context, parts []part) error {
	var errs []error
	for _, p := range parts {
		if p.kind == cloudConfig {
			errs = append(errs, b.runCloudConfig(ctx, p.text))
		}
	}
	for i, p := range parts {
		switch p.kind {
		case script:
			errs = append(errs, b.runScript(ctx, fmt.Sprintf("part-%03d", i+1), p.text))
		case unknown:
			errs = append(errs, fmt.Errorf("part %d is neither a script (#!) nor #cloud-config; formats such as #include and jinja templates are not built yet", i+1))
		}
	}
	return errors.Join(errs...)
}

// runScript keeps a script in the instance's state and runs it to its end.
// Processes that it leaves behind go on.
func (b *booter) runScript(ctx context.Context, name string, text []byte) error {
	dir := filepath.Join(b.stateDir(), "scripts")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, text, 0o700); err != nil {
		return err
	}
	err := b.command(ctx, file)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return fmt.Errorf("%s: %s", name, exit.ProcessState)
	case errors.Is(err, fs.ErrNotExist):
		first, _, _ := strings.Cut(string(text), "\n")
		return fmt.Errorf("%s: its interpreter is not there: %s", name, first)
	}
	return err
}

// command runs a program with the console as output.
func (b *booter) command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = b.cfg.Root
	cmd.Stdout, cmd.Stderr = b.out, b.out
	return cmd.Run()
}
