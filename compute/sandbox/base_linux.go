package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute/boot"
)

// skeletonVersion changes whenever what makeBase writes does.
const skeletonVersion = "4"

// hostFiles are the parts of the host's /etc that installed programs need and
// that hold no secrets. Of these, only what every user may read is copied.
var hostFiles = []string{
	"adduser.conf", "alternatives", "apt", "bash.bashrc", "bash_completion.d", "bindresvport.blacklist",
	"ca-certificates", "ca-certificates.conf", "debconf.conf", "debian_version", "deluser.conf", "dpkg",
	"fonts", "gai.conf", "groff", "host.conf", "inputrc", "issue", "issue.net", "kernel", "ld.so.cache",
	"ld.so.conf", "ld.so.conf.d", "locale.alias", "locale.conf", "locale.gen", "localtime", "login.defs",
	"logrotate.d", "magic", "magic.mime", "mailcap", "mime.types", "networks", "os-release", "pam.conf",
	"pam.d", "perl", "pki/ca-trust", "pki/tls/certs", "profile", "profile.d", "protocols", "python3",
	"redhat-release", "rpc", "security", "services", "shells", "skel", "ssl/certs", "ssl/openssl.cnf",
	"system-release", "terminfo", "timezone", "ucf.conf", "xattr.conf", "yum.repos.d",
}

// secretFiles are left out wherever they stand: they may hold credentials.
func secretFile(path string) bool {
	base := filepath.Base(path)
	return strings.HasPrefix(base, "auth.conf") || base == "private" || strings.HasSuffix(base, ".key")
}

// makeBase builds the skeleton of root file systems: all but /usr. It stays on
// disk and is built anew when the host's packages change.
func (d *Driver) makeBase(hidden []string) (string, error) {
	key := skeletonVersion
	for _, p := range []string{"/var/lib/dpkg/status", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ssl/certs", "/etc/passwd", "/etc/group"} {
		if st, err := os.Stat(p); err == nil {
			key += fmt.Sprint(p, st.ModTime().UnixNano())
		}
	}
	key += strings.Join(hidden, "\x00")
	name := filepath.Join("base", arn.Hash(key)[:12])
	if _, err := os.Stat(d.Path(name)); err == nil {
		return name, nil
	}
	if err := os.MkdirAll(d.Path("base"), 0o700); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(d.Path("base"), "tmp-")
	if err != nil {
		return "", err
	}
	err = onOwnThread(func() error {
		// The mode mask is the process's unless the thread has its own.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		unix.Umask(0)
		return writeSkeleton(tmp, hidden)
	})
	if err != nil {
		_ = os.RemoveAll(tmp)
		return "", err
	}
	if err := os.Rename(tmp, d.Path(name)); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, unix.ENOTEMPTY) {
		return "", err
	}
	return name, nil
}

// writeSkeleton fills dir with "root", the lower layer of /, and "usr", a layer
// above the host's /usr.
func writeSkeleton(dir string, hidden []string) error {
	root, usr := filepath.Join(dir, "root"), filepath.Join(dir, "usr")
	if err := makeDirs(root); err != nil {
		return err
	}
	for _, f := range hostFiles {
		if err := copyTree(filepath.Join("/etc", f), filepath.Join(root, "etc", f)); err != nil {
			return err
		}
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		if target, err := os.Readlink("/" + link); err == nil {
			if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
				return err
			}
		}
	}
	if err := writeAccounts(root); err != nil {
		return err
	}
	for name, text := range etcFiles {
		if err := os.WriteFile(filepath.Join(root, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Symlink("/proc/self/mounts", filepath.Join(root, "etc/mtab")); err != nil {
		return err
	}
	if err := writeBinaries(root, usr); err != nil {
		return err
	}
	if err := writeHidden(usr, hidden); err != nil {
		return fmt.Errorf("hide the host's private files: %w", err)
	}
	return errors.Join(writePoints(filepath.Join(dir, "points")), writeEnclosed(filepath.Join(dir, "enclosed")))
}

// writeEnclosed makes the layer above the root of enclosures, which is read-only:
// places to show folders at, and what an instance's first process would write.
func writeEnclosed(dir string) error {
	for _, at := range []string{"etc", "opt", "tmp", "var/runtime", "var/task"} {
		if err := os.MkdirAll(filepath.Join(dir, at), 0o755); err != nil {
			return err
		}
	}
	hosts := "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
	if err := os.WriteFile(filepath.Join(dir, "etc/hosts"), []byte(hosts), 0o644); err != nil {
		return err
	}
	return os.Symlink("/run/resolv.conf", filepath.Join(dir, "etc/resolv.conf"))
}

// writePoints makes the layer above an imported image: what is mounted over in
// every instance, and the slipway binary's names.
func writePoints(points string) error {
	for _, dir := range []string{"dev", "etc", "proc", "root", "run", "sys", "opt/aws/bin"} {
		if err := os.MkdirAll(filepath.Join(points, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(points, "root"), 0o700); err != nil {
		return err
	}
	return writeBinaries(points, filepath.Join(points, "usr"))
}

// etcFiles are written by us rather than copied.
var etcFiles = map[string]string{
	"nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\ngshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\nethers: files\nrpc: files\n",
	"fstab":         "",
	"environment":   "PATH=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\n",
	"machine-id":    "",
	// The environment that Slipway sets is there in login shells, too.
	"profile.d/slipway.sh": "if [ -r " + boot.Environ + " ]; then set -a; . " + boot.Environ + "; set +a; fi\n",
}

func makeDirs(root string) error {
	modes := map[string]fs.FileMode{
		"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777, "var/lib/apt/lists/partial": 0o700,
		"var/cache/apt/archives/partial": 0o700, "etc/slipway": 0o755, "var/lib/slipway": 0o700,
	}
	for _, dir := range []string{
		"boot", "dev", "etc", "etc/apt", "etc/ssl", "etc/pki/tls", "etc/profile.d", "etc/slipway", "home", "media", "mnt", "opt/aws/bin",
		"proc", "root", "run", "srv", "sys", "tmp", "usr", "var/backups", "var/cache/apt/archives/partial", "var/cache/debconf",
		"var/lib/apt/lists/partial", "var/lib/dpkg", "var/lib/misc", "var/lib/slipway", "var/local", "var/log/apt",
		"var/mail", "var/opt", "var/spool", "var/tmp",
	} {
		path := filepath.Join(root, dir)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if m, ok := modes[dir]; ok {
			if err := unix.Chmod(path, uint32(m)); err != nil {
				return err
			}
		}
	}
	if err := os.Symlink("/run", filepath.Join(root, "var/run")); err != nil {
		return err
	}
	return os.Symlink("/run/lock", filepath.Join(root, "var/lock"))
}

// writeBinaries places the mount point of the slipway binary, and the names by
// which the instance's users call it.
func writeBinaries(root, usr string) error {
	placeholder := filepath.Join(usr, strings.TrimPrefix(boot.Binary, "/usr/"))
	if err := os.MkdirAll(filepath.Dir(placeholder), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(placeholder, nil, 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(usr, "bin"), 0o755); err != nil {
		return err
	}
	for _, tool := range boot.Tools {
		for _, link := range []string{filepath.Join(usr, "bin", tool), filepath.Join(root, "opt/aws/bin", tool)} {
			if err := os.Symlink(boot.Binary, link); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyTree copies what every user of the host may read; a missing source is
// nothing to copy.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		info, err := e.Info()
		if err != nil || secretFile(path) {
			return skip(e)
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return copyEntry(path, filepath.Join(to, rel), info)
	})
}

func skip(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func copyEntry(from, to string, info fs.FileInfo) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case mode.Perm()&0o004 == 0:
		if mode.IsDir() {
			return fs.SkipDir
		}
		return nil
	case mode.IsDir():
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
	case mode.IsRegular():
		b, err := os.ReadFile(from)
		if err != nil || hasCredentials(from, b) {
			return err
		}
		if err := os.WriteFile(to, b, mode.Perm()); err != nil {
			return err
		}
	default:
		return nil
	}
	st := info.Sys().(*syscall.Stat_t)
	if st.Uid == 0 && st.Gid == 0 {
		return nil
	}
	return os.Lchown(to, int(st.Uid), int(st.Gid))
}

// hasCredentials finds user:password@ in the URLs of package sources.
func hasCredentials(path string, text []byte) bool {
	if !strings.Contains(path, "/apt/") && !strings.Contains(path, "/yum.repos.d/") {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if _, rest, ok := strings.Cut(line, "://"); ok {
			host, _, _ := strings.Cut(rest, "/")
			if strings.Contains(host, "@") {
				return true
			}
		}
	}
	return false
}

// writeAccounts writes the host's system accounts, which own files below /usr,
// with no password, and ec2-user as on Amazon Linux.
func writeAccounts(root string) error {
	users, err := systemAccounts("/etc/passwd", 7)
	if err != nil {
		return err
	}
	groups, err := systemAccounts("/etc/group", 4)
	if err != nil {
		return err
	}
	var passwd, shadow, group, gshadow strings.Builder
	for _, u := range users {
		if u[0] == "root" {
			u[5], u[6] = "/root", "/bin/bash"
		}
		u[1] = "x"
		passwd.WriteString(strings.Join(u, ":") + "\n")
		shadow.WriteString(u[0] + ":*:19000:0:99999:7:::\n")
	}
	shadowGroup := 0
	for _, g := range groups {
		g[1], g[3] = "x", ""
		if g[0] == "shadow" {
			shadowGroup, _ = strconv.Atoi(g[2])
		}
		group.WriteString(strings.Join(g, ":") + "\n")
		gshadow.WriteString(g[0] + ":*::\n")
	}
	passwd.WriteString("ec2-user:x:1000:1000:EC2 Default User:/home/ec2-user:/bin/bash\n")
	shadow.WriteString("ec2-user:!:19000:0:99999:7:::\n")
	group.WriteString("ec2-user:x:1000:\n")
	gshadow.WriteString("ec2-user:!::\n")
	for name, f := range map[string]struct {
		text string
		mode fs.FileMode
		gid  int
	}{
		"passwd": {passwd.String(), 0o644, 0}, "group": {group.String(), 0o644, 0},
		"shadow": {shadow.String(), 0o640, shadowGroup}, "gshadow": {gshadow.String(), 0o640, shadowGroup},
	} {
		path := filepath.Join(root, "etc", name)
		if err := os.WriteFile(path, []byte(f.text), f.mode); err != nil {
			return err
		}
		if err := os.Chown(path, 0, f.gid); err != nil {
			return err
		}
	}
	home := filepath.Join(root, "home/ec2-user")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	return os.Chown(home, 1000, 1000)
}

// systemAccounts reads the lines whose id is below 1000, or nobody's.
func systemAccounts(path string, fields int) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out [][]string
	for s := bufio.NewScanner(f); s.Scan(); {
		line := strings.Split(s.Text(), ":")
		if len(line) != fields {
			continue
		}
		id, err := strconv.Atoi(line[2])
		if err == nil && (id < 1000 || id == 65534) {
			out = append(out, line)
		}
	}
	return out, nil
}
