package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// defaultUser is the one that "default" and keys without a user are for.
const defaultUser = "ec2-user"

const sudoersFile = "/etc/sudoers.d/90-cloud-init-users"

// words are a list of names, or one text with commas between them.
type words []string

// UnmarshalYAML takes a list or a text.
func (w *words) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return n.Decode((*[]string)(w))
	}
	var text string
	if err := n.Decode(&text); err != nil {
		return err
	}
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			*w = append(*w, name)
		}
	}
	return nil
}

// cloudUser is one of "users".
type cloudUser struct {
	Name          string    `yaml:"name"`
	Gecos         string    `yaml:"gecos"`
	HomeDir       string    `yaml:"homedir"`
	PrimaryGroup  string    `yaml:"primary_group"`
	Groups        words     `yaml:"groups"`
	NoUserGroup   bool      `yaml:"no_user_group"`
	NoCreateHome  bool      `yaml:"no_create_home"`
	System        bool      `yaml:"system"`
	Shell         string    `yaml:"shell"`
	UID           string    `yaml:"uid"`
	Sudo          yaml.Node `yaml:"sudo"`
	Keys          []string  `yaml:"ssh_authorized_keys"`
	KeysDashed    []string  `yaml:"ssh-authorized-keys"`
	LockPassword  *bool     `yaml:"lock_passwd"`
	Password      string    `yaml:"passwd"`
	HashedPasswd  string    `yaml:"hashed_passwd"`
	PlainPassword string    `yaml:"plain_text_passwd"`
}

var userKeys = []string{
	"name", "gecos", "homedir", "primary_group", "groups", "no_user_group", "no_create_home", "system", "shell", "uid", "sudo",
	"ssh_authorized_keys", "ssh-authorized-keys", "lock_passwd", "passwd", "hashed_passwd", "plain_text_passwd",
}

// accounts makes groups and users, and lets their keys in.
func (b *booter) accounts(ctx context.Context, c *cloudConfigFile) error {
	if len(c.Groups)+len(c.Users)+len(c.Keys) == 0 {
		return nil
	}
	if b.shared() {
		return fmt.Errorf("#cloud-config: groups, users, ssh_authorized_keys: %w", errShared)
	}
	var errs []error
	members := map[string][]string{}
	for i := range c.Groups {
		errs = append(errs, b.cloudGroup(ctx, &c.Groups[i], members))
	}
	for i := range c.Users {
		if err := b.cloudUser(ctx, &c.Users[i]); err != nil {
			errs = append(errs, fmt.Errorf("#cloud-config: users: %w", err))
		}
	}
	for group, names := range members {
		for _, name := range names {
			if err := b.command(ctx, "usermod", "-a", "-G", group, "--", name); err != nil {
				errs = append(errs, fmt.Errorf("#cloud-config: groups: %s into %s: %w", name, group, err))
			}
		}
	}
	if err := b.addKeys(defaultUser, c.Keys); err != nil {
		errs = append(errs, fmt.Errorf("#cloud-config: ssh_authorized_keys: %w", err))
	}
	return errors.Join(errs...)
}

// cloudGroup makes one of "groups": a name, or a name with its members.
func (b *booter) cloudGroup(ctx context.Context, n *yaml.Node, members map[string][]string) error {
	named := map[string]words{}
	if n.Kind == yaml.MappingNode {
		if err := n.Decode(&named); err != nil {
			return fmt.Errorf("#cloud-config: groups: %w", err)
		}
	} else {
		named[n.Value] = nil
	}
	h := b.host()
	for name, list := range named {
		there, err := h.there("/etc/group", name, "")
		if err == nil && !there {
			err = b.command(ctx, "groupadd", "--", name)
		}
		if err != nil {
			return fmt.Errorf("#cloud-config: groups: %s: %w", name, err)
		}
		members[name] = append(members[name], list...)
	}
	return nil
}

// cloudUser makes one of "users": "default", a name, or a name with its settings.
func (b *booter) cloudUser(ctx context.Context, n *yaml.Node) error {
	u := cloudUser{Name: n.Value}
	if n.Kind == yaml.MappingNode {
		var keys map[string]yaml.Node
		if err := errors.Join(n.Decode(&u), n.Decode(&keys)); err != nil {
			return err
		}
		for key := range keys {
			if !slices.Contains(userKeys, key) {
				b.say("#cloud-config: users: %s: %q is not built yet and has no effect", u.Name, key)
			}
		}
	}
	if n.Kind == yaml.ScalarNode && u.Name == "default" {
		return nil // the image has it
	}
	h := b.host()
	there, err := h.there("/etc/passwd", u.Name, scalar(u.UID))
	if err != nil {
		return fmt.Errorf("%s: %w", u.Name, err)
	}
	if there {
		if len(u.Groups) > 0 {
			err = b.command(ctx, "usermod", "-a", "-G", strings.Join(u.Groups, ","), "--", u.Name)
		}
	} else {
		err = b.command(ctx, "useradd", u.useradd(h)...)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", u.Name, err)
	}
	if err := errors.Join(b.password(ctx, u, there), b.sudo(u), b.addKeys(u.Name, slices.Concat(u.Keys, u.KeysDashed))); err != nil {
		return fmt.Errorf("%s: %w", u.Name, err)
	}
	return nil
}

// useradd are the arguments that make the user.
func (u cloudUser) useradd(h *host) []string {
	args := []string{"-m"}
	if u.NoCreateHome || u.System {
		args = []string{"-M"}
	}
	for flag, v := range map[string]string{"-c": u.Gecos, "-d": u.HomeDir, "-g": u.PrimaryGroup, "-s": u.Shell, "-u": u.UID, "-G": strings.Join(u.Groups, ",")} {
		if v != "" {
			args = append(args, flag, v)
		}
	}
	if u.System {
		args = append(args, "-r")
	}
	if _, there, _ := h.lookUpAccount("/etc/group", u.Name); there && u.PrimaryGroup == "" {
		args = append(args, "-g", u.Name) // useradd would refuse to make the group again
	} else if u.NoUserGroup {
		args = append(args, "-N")
	}
	return append(args, "--", u.Name)
}

// password sets the password, and locks it unless that is forbidden.
func (b *booter) password(ctx context.Context, u cloudUser, there bool) error {
	hashed := u.HashedPasswd
	if hashed == "" && !there {
		hashed = u.Password
	}
	line, flags := "", []string{}
	switch {
	case hashed != "":
		line, flags = hashed, []string{"-e"}
	case u.PlainPassword != "":
		line = u.PlainPassword
	}
	if strings.ContainsAny(line, "\n\r") {
		return errors.New("the password has more than one line")
	}
	if line != "" {
		cmd := commandContext(ctx, "chpasswd", flags...) // on standard input: arguments are for all to see
		cmd.Stdin = strings.NewReader(u.Name + ":" + line + "\n")
		cmd.Stdout, cmd.Stderr = b.out, b.out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("chpasswd: %w", err)
		}
	}
	if u.LockPassword == nil && (there || line == "") || u.LockPassword != nil && !*u.LockPassword {
		return nil // useradd made it without a password
	}
	return b.command(ctx, "usermod", "-L", "--", u.Name)
}

// sudo gives the user the rules that "sudo" has.
func (b *booter) sudo(u cloudUser) error {
	var rules []string
	switch {
	case u.Sudo.Kind == yaml.SequenceNode:
		if err := u.Sudo.Decode(&rules); err != nil {
			return fmt.Errorf("sudo: %w", err)
		}
	case u.Sudo.Tag == "!!str":
		rules = []string{u.Sudo.Value}
	}
	if len(rules) == 0 {
		return nil
	}
	var text strings.Builder
	text.WriteString("# User rules for " + u.Name + "\n")
	for _, r := range rules {
		if strings.ContainsAny(r, "\n\r") {
			return errors.New("sudo: a rule has more than one line")
		}
		text.WriteString(u.Name + " " + r + "\n")
	}
	name := b.path(sudoersFile)
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	have, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if strings.Contains(string(have), text.String()) {
		return nil
	}
	return os.WriteFile(name, append(have, text.String()...), 0o440)
}

// addKeys adds keys to those that may log in as a user.
func (b *booter) addKeys(user string, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	a, home, err := b.homeOf(user)
	if err != nil {
		return err
	}
	dir := b.path(filepath.Join(home, ".ssh"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name := filepath.Join(dir, "authorized_keys")
	have, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := strings.Split(strings.TrimRight(string(have), "\n"), "\n")
	for _, key := range keys {
		if key = strings.TrimSpace(key); key != "" && !strings.Contains(key, "\n") && !slices.Contains(lines, key) {
			lines = append(lines, key)
		}
	}
	if err := os.WriteFile(name, []byte(strings.TrimLeft(strings.Join(lines, "\n"), "\n")+"\n"), 0o600); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	return errors.Join(os.Chown(dir, a.id, a.gid), os.Chown(name, a.id, a.gid))
}

// homeOf finds a user's ids and home.
func (b *booter) homeOf(user string) (account, string, error) {
	a, there, err := b.host().lookUpAccount("/etc/passwd", user)
	if err == nil && !there {
		err = fmt.Errorf("there is no user %s", user)
	}
	if err != nil {
		return a, "", err
	}
	text, err := os.ReadFile(b.path("/etc/passwd"))
	if err != nil {
		return a, "", err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) >= 7 && f[0] == user && filepath.IsAbs(f[5]) {
			return a, filepath.Clean(f[5]), nil
		}
	}
	return a, "", fmt.Errorf("user %s has no home", user)
}
