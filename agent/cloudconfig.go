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

	// Updating is what installing packages does anyway.
	PackageUpdate  bool `yaml:"package_update"`
	PackageUpgrade bool `yaml:"package_upgrade"`
}

type writeFile struct {
	Path        string    `yaml:"path"`
	Content     string    `yaml:"content"`
	Encoding    string    `yaml:"encoding"`
	Permissions yaml.Node `yaml:"permissions"`
	Owner       string    `yaml:"owner"`
	Append      bool      `yaml:"append"`
}

var knownKeys = []string{"write_files", "packages", "runcmd", "bootcmd", "package_update", "package_upgrade", "output", "merge_how"}

// runCloudConfig does what the configuration says, in cloud-init's order.
func (b *booter) runCloudConfig(ctx context.Context, text []byte) error {
	var c cloudConfigFile
	var keys map[string]yaml.Node
	if err := errors.Join(yaml.Unmarshal(text, &c), yaml.Unmarshal(text, &keys)); err != nil {
		return fmt.Errorf("#cloud-config: %w", err)
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
	var errs []error
	errs = append(errs, b.runCommands(ctx, "bootcmd", c.BootCmd))
	for _, f := range c.WriteFiles {
		if err := b.writeFile(f); err != nil {
			errs = append(errs, fmt.Errorf("#cloud-config: write_files: %s: %w", f.Path, err))
		}
	}
	errs = append(errs, b.installPackages(ctx, c), b.runCommands(ctx, "runcmd", c.RunCmd))
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
func (b *booter) installPackages(ctx context.Context, c cloudConfigFile) error {
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
	if len(names) == 0 {
		return nil
	}
	var run [][]string
	switch {
	case onPath("apt-get"):
		run = [][]string{{"apt-get", "-q", "update"}, append([]string{"apt-get", "-q", "-y", "install", "--"}, names...)}
	case onPath("dnf"):
		run = [][]string{append([]string{"dnf", "-y", "install", "--"}, names...)}
	case onPath("yum"):
		run = [][]string{append([]string{"yum", "-y", "install", "--"}, names...)}
	default:
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
