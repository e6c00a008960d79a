package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"
)

const zones = "/usr/share/zoneinfo"

// setHostname gives the instance the name that the configuration has; each boot
// does, as the name that EC2 gives comes back with it.
func (b *booter) setHostname(c *cloudConfigFile) error {
	name := c.FQDN
	if name == "" || c.Hostname != "" && !c.PreferFQDN {
		name = c.Hostname
	}
	if name == "" || c.PreserveHostname {
		return nil
	}
	if b.shared() {
		return fmt.Errorf("#cloud-config: hostname: %w", errShared)
	}
	if len(name) > 64 || strings.ContainsAny(name, " \t\n/:") || strings.HasPrefix(name, "-") {
		return fmt.Errorf("#cloud-config: hostname: %q is not a host's name", shorten(name))
	}
	if err := errors.Join(nameHost(name), os.WriteFile(b.path("/etc/hostname"), []byte(name+"\n"), 0o644)); err != nil {
		return fmt.Errorf("#cloud-config: hostname: %w", err)
	}
	line := b.cfg.Address.String() + " " + name
	if c.FQDN != "" && c.FQDN != name {
		line = b.cfg.Address.String() + " " + c.FQDN + " " + name
	}
	return b.addLine("/etc/hosts", line)
}

// addLine adds a line to a file that has it not.
func (b *booter) addLine(file, line string) error {
	have, err := os.ReadFile(b.path(file))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for l := range strings.Lines(string(have)) {
		if strings.TrimSpace(l) == line {
			return nil
		}
	}
	if len(have) > 0 && have[len(have)-1] != '\n' {
		have = append(have, '\n')
	}
	return os.WriteFile(b.path(file), append(have, line+"\n"...), 0o644)
}

func (b *booter) setTimezone(zone string) error {
	if zone == "" {
		return nil
	}
	if b.shared() {
		return fmt.Errorf("#cloud-config: timezone: %w", errShared)
	}
	if !filepath.IsLocal(zone) {
		return fmt.Errorf("#cloud-config: timezone: %q is not a time zone", shorten(zone))
	}
	if st, err := os.Stat(b.path(filepath.Join(zones, zone))); err != nil || !st.Mode().IsRegular() {
		return fmt.Errorf("#cloud-config: timezone: this instance does not know %q", shorten(zone))
	}
	link := b.path("/etc/localtime")
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(os.Symlink(filepath.Join(zones, zone), link), os.WriteFile(b.path("/etc/timezone"), []byte(zone+"\n"), 0o644))
}

// mountAt mounts volumes where the configuration wants them. A volume is a
// directory at its device's name; a mount is another name for it. Each boot does
// it again.
func (b *booter) mountAt(ctx context.Context, mounts [][]yaml.Node) error {
	var errs []error
	for _, m := range mounts {
		if err := b.mountOne(ctx, m); err != nil {
			errs = append(errs, fmt.Errorf("#cloud-config: mounts: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (b *booter) mountOne(ctx context.Context, m []yaml.Node) error {
	if len(m) < 2 || m[1].Tag == "!!null" {
		return nil // cloud-init's way to leave a default out
	}
	device, at := m[0].Value, m[1].Value
	if !strings.HasPrefix(device, "/") {
		device = "/dev/" + device
	}
	device, at = filepath.Clean(device), filepath.Clean(at)
	switch {
	case b.shared():
		return fmt.Errorf("%s: %w", device, errShared)
	case at == "none" || at == "swap":
		return fmt.Errorf("%s: swap is not built: an instance has the memory of its type", device)
	case !strings.HasPrefix(device, "/dev/") || !filepath.IsAbs(at) || at == "/" || strings.ContainsAny(device+at, " \t\n"):
		return fmt.Errorf("%s at %s: only volumes, by their device's name, can be mounted at a directory", shorten(device), shorten(at))
	}
	st, err := os.Stat(b.path(device))
	if err != nil || !st.IsDir() {
		return fmt.Errorf("%s: no volume is attached there", device)
	}
	if err := os.MkdirAll(b.path(at), 0o755); err != nil {
		return err
	}
	if to, err := os.Stat(b.path(at)); err == nil && os.SameFile(st, to) {
		return nil // mounted before
	}
	options := "bind,nofail"
	if len(m) > 3 && strings.Contains(","+m[3].Value+",", ",ro,") {
		options = "bind,ro,nofail"
	}
	if err := b.addLine("/etc/fstab", device+" "+at+" none "+options+",comment=cloudconfig 0 0"); err != nil {
		return err
	}
	if err := b.command(ctx, "mount", "--bind", device, at); err != nil {
		return fmt.Errorf("%s at %s: %w", device, at, err)
	}
	if strings.Contains(options, "ro,") {
		return b.command(ctx, "mount", "-o", "remount,bind,ro", at)
	}
	return nil
}

// finalMessage prints the configuration's last words.
func (b *booter) finalMessage(text string, since time.Duration) {
	if text == "" {
		return
	}
	values := map[string]string{
		"version": "slipway", "datasource": "DataSourceEc2", "timestamp": time.Now().UTC().Format(time.RFC1123Z), "uptime": strconv.FormatFloat(since.Seconds(), 'f', 2, 64),
	}
	b.say("%s", os.Expand(text, func(name string) string {
		if v, ok := values[strings.ToLower(name)]; ok {
			return v
		}
		return "$" + name
	}))
}

// powerState is how the instance is to end once user data has run.
type powerState struct {
	Mode      string    `yaml:"mode"`
	Delay     string    `yaml:"delay"`
	Message   string    `yaml:"message"`
	Condition yaml.Node `yaml:"condition"`
	Timeout   yaml.Node `yaml:"timeout"` // of waiting for user data, which has ended
}

// maxDelay bounds the minutes that a shutdown waits.
const maxDelay = 7 * 24 * 60

// changePower ends the instance, as its owner asked. EC2 then stops or terminates
// it, whichever its shutdown behavior is.
func (b *booter) changePower(ctx context.Context, p *powerState) error {
	if p == nil {
		return nil
	}
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("#cloud-config: power_state: "+format, args...)
	}
	switch p.Mode {
	case "poweroff", "halt":
	case "reboot":
		return refuse("mode reboot is not built: an instance cannot start itself again; call RebootInstances")
	default:
		return refuse("mode %q: want poweroff or halt", shorten(p.Mode))
	}
	minutes := 0
	if d := strings.TrimPrefix(p.Delay, "+"); d != "" && d != "now" {
		n, err := strconv.Atoi(d)
		if err != nil || n < 0 || n > maxDelay {
			return refuse("delay %q: want now or +minutes", shorten(p.Delay))
		}
		minutes = n
	}
	if ok, err := b.condition(ctx, &p.Condition); err != nil || !ok {
		return err
	}
	if p.Message != "" {
		b.say("%s", p.Message)
	}
	b.say("power_state: %s in %d minutes", p.Mode, minutes)
	select {
	case <-time.After(time.Duration(minutes) * time.Minute):
	case <-ctx.Done():
		return ctx.Err()
	}
	first, err := os.FindProcess(os.Getppid())
	if err != nil {
		return refuse("%w", err)
	}
	return first.Signal(syscall.SIGTERM)
}

// condition is true or false, or a command that says so by its exit.
func (b *booter) condition(ctx context.Context, n *yaml.Node) (bool, error) {
	switch {
	case n.Kind == 0:
		return true, nil
	case n.Kind == yaml.ScalarNode && n.Tag == "!!bool":
		return n.Value == "true", nil
	case n.Kind == yaml.ScalarNode:
		return b.command(ctx, "sh", "-c", n.Value) == nil, nil
	}
	var args []string
	if err := n.Decode(&args); err != nil || len(args) == 0 {
		return false, errors.New("#cloud-config: power_state: condition: want true, false, a command or its words")
	}
	return b.command(ctx, args[0], args[1:]...) == nil, nil
}
