package agent

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// cloudConfigFile is the common part of #cloud-config ("Module reference",
// cloud-init). Other keys are named on the console and left alone.
type cloudConfigFile struct {
	WriteFiles []writeFile `yaml:"write_files"`
	Packages   []yaml.Node `yaml:"packages"`
	RunCmd     []yaml.Node `yaml:"runcmd"`
	BootCmd    []yaml.Node `yaml:"bootcmd"`

	PackageUpdate  bool `yaml:"package_update"`
	PackageUpgrade bool `yaml:"package_upgrade"`

	Groups groupList   `yaml:"groups"`
	Users  []yaml.Node `yaml:"users"`
	Keys   []string    `yaml:"ssh_authorized_keys"`

	Hostname         string        `yaml:"hostname"`
	FQDN             string        `yaml:"fqdn"`
	PreferFQDN       bool          `yaml:"prefer_fqdn_over_hostname"`
	PreserveHostname bool          `yaml:"preserve_hostname"`
	Timezone         string        `yaml:"timezone"`
	Mounts           [][]yaml.Node `yaml:"mounts"`
	NTP              yaml.Node     `yaml:"ntp"`

	FinalMessage string      `yaml:"final_message"`
	PowerState   *powerState `yaml:"power_state"`

	// FinalModules is how AWS's documents have scripts run at each boot.
	FinalModules []yaml.Node `yaml:"cloud_final_modules"`
}

// groupList is a list of groups, or one mapping of them.
type groupList []yaml.Node

// UnmarshalYAML takes a list, a mapping or a text with commas.
func (g *groupList) UnmarshalYAML(n *yaml.Node) error {
	switch n.Kind {
	case yaml.SequenceNode:
		return n.Decode((*[]yaml.Node)(g))
	case yaml.ScalarNode:
		for name := range strings.SplitSeq(n.Value, ",") {
			*g = append(*g, yaml.Node{Kind: yaml.ScalarNode, Value: strings.TrimSpace(name)})
		}
		return nil
	}
	*g = groupList{*n}
	return nil
}

type writeFile struct {
	Path        string    `yaml:"path"`
	Content     string    `yaml:"content"`
	Encoding    string    `yaml:"encoding"`
	Permissions yaml.Node `yaml:"permissions"`
	Owner       string    `yaml:"owner"`
	Append      bool      `yaml:"append"`
	Defer       bool      `yaml:"defer"` // until users and packages are there
}

var knownKeys = []string{
	"write_files", "packages", "runcmd", "bootcmd", "package_update", "package_upgrade", "output", "merge_how", "groups", "users",
	"ssh_authorized_keys", "hostname", "fqdn", "prefer_fqdn_over_hostname", "preserve_hostname", "timezone", "mounts", "ntp",
	"final_message", "power_state", "cloud_final_modules",
}

// parseCloudConfig reads a configuration, and names on the console what of it
// has no effect.
func (b *booter) parseCloudConfig(text []byte) (*cloudConfigFile, error) {
	c := &cloudConfigFile{}
	var keys map[string]yaml.Node
	if err := errors.Join(yaml.Unmarshal(text, c), yaml.Unmarshal(text, &keys)); err != nil {
		return nil, fmt.Errorf("#cloud-config: %w", err)
	}
	var others []string
	for key := range keys {
		if !slices.Contains(knownKeys, key) {
			others = append(others, key)
		}
	}
	slices.Sort(others)
	for _, key := range others {
		b.say("#cloud-config: %q is not built yet and has no effect", key)
	}
	if c.NTP.Kind != 0 {
		b.say("#cloud-config: ntp has no effect: the clock is the host's, which keeps it")
	}
	return c, nil
}

// scriptsAlways says whether the configuration has scripts run at each boot.
func (c *cloudConfigFile) scriptsAlways() bool {
	for _, n := range c.FinalModules {
		var pair []string
		if n.Kind == yaml.SequenceNode && n.Decode(&pair) == nil && len(pair) == 2 && pair[0] == "scripts-user" && pair[1] == "always" {
			return true
		}
	}
	return false
}

// runCloudConfig does what the configuration says, in cloud-init's order. What
// is for each boot is done again; the rest once in the instance's life.
func (b *booter) runCloudConfig(ctx context.Context, c *cloudConfigFile, again bool) error {
	errs := []error{b.runCommands(ctx, "bootcmd", c.BootCmd)}
	if again {
		errs = append(errs, b.mountAt(ctx, c.Mounts), b.setHostname(c))
		if c.scriptsAlways() {
			errs = append(errs, b.runCommands(ctx, "runcmd", c.RunCmd))
		}
		return errors.Join(errs...)
	}
	errs = append(errs, b.writeFiles(c, false), b.mountAt(ctx, c.Mounts), b.setHostname(c), b.accounts(ctx, c), b.setTimezone(c.Timezone),
		b.installPackages(ctx, c), b.writeFiles(c, true), b.runCommands(ctx, "runcmd", c.RunCmd))
	return errors.Join(errs...)
}

func (b *booter) writeFiles(c *cloudConfigFile, deferred bool) error {
	var errs []error
	for _, f := range c.WriteFiles {
		if f.Defer != deferred {
			continue
		}
		if err := b.writeFile(f); err != nil {
			errs = append(errs, fmt.Errorf("#cloud-config: write_files: %s: %w", f.Path, err))
		}
	}
	return errors.Join(errs...)
}

func (b *booter) writeFile(f writeFile) error {
	content, err := decodeContent(f.Content, f.Encoding)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if p := f.Permissions.Value; p != "" {
		n, err := strconv.ParseUint(strings.TrimPrefix(p, "0o"), 8, 12)
		if err != nil {
			return fmt.Errorf("permissions %q: want octal digits such as '0644'", p)
		}
		mode = fs.FileMode(n)
	}
	if !filepath.IsAbs(f.Path) {
		return errors.New("path is not absolute")
	}
	name := b.path(f.Path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	flag := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if f.Append {
		flag = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	file, err := os.OpenFile(name, flag, mode.Perm())
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Chmod(mode.Perm()), file.Close()); err != nil {
		return err
	}
	return chown(name, f.Owner)
}

func decodeContent(content, encoding string) ([]byte, error) {
	data := []byte(content)
	packed := false
	for e := range strings.SplitSeq(strings.ToLower(encoding), "+") {
		switch strings.TrimSpace(e) {
		case "", "text/plain":
		case "b64", "base64":
			plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), ""))
			if err != nil {
				return nil, fmt.Errorf("content is not base64: %w", err)
			}
			data = plain
		case "gz", "gzip":
			packed = true
		default:
			return nil, fmt.Errorf("encoding %q is unknown", encoding)
		}
	}
	if packed {
		return gunzip(data)
	}
	return data, nil
}

// chown takes "user:group" or "user".
func chown(name, owner string) error {
	if owner == "" || owner == "root:root" {
		return nil
	}
	userName, groupName, hasGroup := strings.Cut(owner, ":")
	u, err := user.Lookup(userName)
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if hasGroup {
		g, err := user.LookupGroup(groupName)
		if err != nil {
			return err
		}
		gid, _ = strconv.Atoi(g.Gid)
	}
	return os.Chown(name, uid, gid)
}

// installPackages uses the package manager of the instance's system. It needs
// the network, and says so plainly when there is none.
func (b *booter) installPackages(ctx context.Context, c *cloudConfigFile) error {
	var names []string
	for _, n := range c.Packages {
		switch n.Kind {
		case yaml.ScalarNode:
			names = append(names, n.Value)
		case yaml.SequenceNode: // [name, version]
			if len(n.Content) == 2 {
				names = append(names, n.Content[0].Value+"="+n.Content[1].Value)
			}
		}
	}
	if len(names) == 0 && !c.PackageUpdate && !c.PackageUpgrade {
		return nil
	}
	if b.shared() {
		return fmt.Errorf("#cloud-config: packages: %w", errShared)
	}
	run := packageCommands(c, names)
	if run == nil {
		return fmt.Errorf("#cloud-config: packages %s: this instance has no package manager that Slipway knows", strings.Join(names, ", "))
	}
	for _, args := range run {
		env := append([]string{"DEBIAN_FRONTEND=noninteractive"}, args...)
		if err := b.command(ctx, "env", env...); err != nil {
			return fmt.Errorf("#cloud-config: packages %s: %s: %w", strings.Join(names, ", "), args[0], err)
		}
	}
	return nil
}

// packageCommands update, upgrade and install, nil without a package manager.
func packageCommands(c *cloudConfigFile, names []string) (run [][]string) {
	if onPath("apt-get") {
		run = append(run, []string{"apt-get", "-q", "update"})
		if c.PackageUpgrade {
			run = append(run, []string{"apt-get", "-q", "-y", "dist-upgrade"})
		}
		if len(names) > 0 {
			run = append(run, append([]string{"apt-get", "-q", "-y", "install", "--"}, names...))
		}
		return run
	}
	for _, manager := range []string{"dnf", "yum"} {
		if !onPath(manager) {
			continue
		}
		run = append(run, []string{manager, "-y", "makecache"})
		if c.PackageUpgrade {
			run = append(run, []string{manager, "-y", "upgrade"})
		}
		if len(names) > 0 {
			run = append(run, append([]string{manager, "-y", "install", "--"}, names...))
		}
		return run
	}
	return nil
}

func onPath(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

// runCommands writes the commands as one script, as cloud-init does: a string is
// a line of shell, a list is quoted word by word.
func (b *booter) runCommands(ctx context.Context, name string, commands []yaml.Node) error {
	if len(commands) == 0 {
		return nil
	}
	lines := []string{"#!/bin/sh"}
	for _, n := range commands {
		switch n.Kind {
		case yaml.ScalarNode:
			lines = append(lines, n.Value)
		case yaml.SequenceNode:
			var words []string
			for _, w := range n.Content {
				words = append(words, "'"+strings.ReplaceAll(w.Value, "'", `'\''`)+"'")
			}
			lines = append(lines, strings.Join(words, " "))
		default:
			return fmt.Errorf("#cloud-config: %s: line %d is neither a string nor a list", name, n.Line)
		}
	}
	return b.runScript(ctx, name, []byte(strings.Join(lines, "\n")+"\n"))
}
