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
	// power is how the instance is to end after its first user data.
	power *powerState
}

// runBoot is `slipway agent boot`: the configuration comes on standard input,
// and what it prints goes to the console.
func runBoot(in io.Reader, out io.Writer) int {
	cfg, err := boot.ReadConfig(in)
	if err != nil {
		fmt.Fprintln(out, "slipway-agent: user data: no configuration:", err)
		return 1
	}
	reserveThreads()
	b := &booter{cfg: cfg, out: out, md: newIMDS(cfg.Metadata)}
	if err := makeExpendable(); err != nil {
		b.say("not marked as what goes first when memory runs out: %v", err)
	}
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

// host is the system that user data changes.
func (b *booter) host() *host {
	return &host{root: b.cfg.Root, shared: b.shared(), log: io.Discard}
}

// shared says that accounts, names and packages are those of a host that is not
// the instance's alone.
func (b *booter) shared() bool { return b.cfg.Kind != boot.Sandbox }

func (b *booter) run(ctx context.Context) error {
	b.host().startEnabled(ctx, b.say)
	marker := filepath.Join(b.stateDir(), "user-data")
	again := false
	if _, err := os.Stat(marker); err == nil {
		b.say("user data has run before; it runs once in an instance's life, but for its parts for each boot")
		again = true
	} else if err := os.MkdirAll(b.stateDir(), 0o700); err != nil {
		return err
	}
	data, err := b.md.wait(ctx, "/latest/user-data")
	if err != nil && !errors.Is(err, errNotFound) {
		return fmt.Errorf("fetch: %w", err)
	}
	if again {
		return b.runAgain(ctx, data)
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
	err = b.runParts(ctx, parts, false)
	b.say("user data finished in %.2f s", time.Since(start).Seconds())
	if power := b.power; power != nil {
		err = errors.Join(err, b.changePower(ctx, power))
	}
	return err
}

// runAgain runs what is for each boot: the scripts that an image or an owner put
// there, and those parts of user data.
func (b *booter) runAgain(ctx context.Context, data []byte) error {
	var parts []part
	var err error
	if len(bytes.TrimSpace(data)) > 0 {
		parts, err = userDataParts(data)
	}
	return errors.Join(err, b.runParts(ctx, parts, true))
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

// perBootScripts are run at each boot, as cloud-init does.
const perBootScripts = "/var/lib/cloud/scripts/per-boot"

// runParts runs boot hooks first, then configurations, then scripts, each in its
// order. A part that fails does not keep the next from running.
func (b *booter) runParts(ctx context.Context, parts []part, again bool) error {
	start := time.Now()
	var errs []error
	for i, p := range parts {
		if p.kind == bootHook {
			text := bytes.TrimLeft(bytes.TrimPrefix(p.text, []byte("#cloud-boothook")), "\r\n")
			errs = append(errs, b.runScript(ctx, fmt.Sprintf("boothook-%03d", i+1), text))
		}
	}
	always := false
	message := ""
	for _, p := range parts {
		if p.kind != cloudConfig {
			continue
		}
		c, err := b.parseCloudConfig(p.text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, b.runCloudConfig(ctx, c, again))
		always = always || c.scriptsAlways()
		if !again && c.PowerState != nil {
			b.power = c.PowerState
		}
		if c.FinalMessage != "" {
			message = c.FinalMessage
		}
	}
	if !b.shared() {
		errs = append(errs, b.runFolder(ctx, perBootScripts))
	}
	for i, p := range parts {
		errs = append(errs, b.runPart(ctx, i+1, p, again && !always))
	}
	b.finalMessage(message, time.Since(start))
	return errors.Join(errs...)
}

// runPart runs one part that is a script. Those that ran before are skipped.
func (b *booter) runPart(ctx context.Context, n int, p part, skip bool) error {
	switch {
	case p.kind == perBoot, p.kind == script && !skip:
		return b.runScript(ctx, fmt.Sprintf("part-%03d", n), p.text)
	case skip:
		return nil
	case p.kind == include:
		return fmt.Errorf("part %d: #include (text/x-include-url) is not built: put what it names into the user data itself", n)
	case p.kind == unknown && bytes.HasPrefix(p.text, []byte("## template: jinja")):
		return fmt.Errorf("part %d: jinja templates are not built", n)
	case p.kind == unknown:
		return fmt.Errorf("part %d is neither a script (#!), #cloud-config nor #cloud-boothook", n)
	}
	return nil
}

// runFolder runs the programs of a folder by name.
func (b *booter) runFolder(ctx context.Context, dir string) error {
	found, err := os.ReadDir(b.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range found {
		if st, err := e.Info(); err != nil || !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
			continue
		}
		name := b.path(filepath.Join(dir, e.Name()))
		if err := b.command(ctx, name); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
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
	cmd.Env = append(os.Environ(), "INSTANCE_ID="+b.cfg.ID)
	cmd.Stdout, cmd.Stderr = b.out, b.out
	return cmd.Run()
}
