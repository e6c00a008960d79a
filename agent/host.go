package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// host is the system that the helpers change: the instance, or in tests a
// folder.
type host struct {
	root string // "/" in a sandbox, the instance's folder in a process instance
	// shared says that accounts, packages and services are those of a host
	// that is not the instance's alone.
	shared  bool
	verbose bool
	log     io.Writer // lines of this helper
	output  *os.File  // output of what it runs
	fetcher *fetcher
}

// newHost is the system that this process runs on.
func newHost() *host {
	h := &host{root: "/", log: io.Discard, fetcher: &fetcher{md: newIMDS(metadataBase())}}
	// The process driver's instances have folders, not file systems, of their own.
	if dir := os.Getenv("SLIPWAY_INSTANCE_DIR"); dir != "" {
		h.root, h.shared = dir, true
	}
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.root, name) }

// openLog opens one of the logs, which users of the instance must not read:
// commands may print secrets.
func (h *host) openLog(name string) (*os.File, error) {
	name = h.path(name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

func logLine(w io.Writer, level, format string, args ...any) {
	fmt.Fprintf(w, "%s [%s] %s\n", time.Now().UTC().Format("2006-01-02 15:04:05,000"), level, fmt.Sprintf(format, args...))
}

func (h *host) info(format string, args ...any) { logLine(h.log, "INFO", format, args...) }

func (h *host) debug(format string, args ...any) {
	if h.verbose {
		logLine(h.log, "DEBUG", format, args...)
	}
}

// run runs a program of the system, with its output in the log.
func (h *host) run(ctx context.Context, name string, args ...string) error {
	if !onPath(name) {
		return fmt.Errorf("this instance has no %s", name)
	}
	cmd := commandContext(ctx, name, args...)
	cmd.Dir = h.root
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if h.output != nil {
		cmd.Stdout, cmd.Stderr = h.output, h.output
	}
	h.debug("run %s %s", name, strings.Join(args, " "))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// account is a line of /etc/passwd or /etc/group.
type account struct {
	name string
	id   int
	gid  int // of a user
}

// lookUpAccount finds a line of a file of accounts by name.
func (h *host) lookUpAccount(file, name string) (account, bool, error) {
	f, err := os.Open(h.path(file))
	if errors.Is(err, fs.ErrNotExist) {
		return account{}, false, nil
	}
	if err != nil {
		return account{}, false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 4 || fields[0] != name {
			continue
		}
		a := account{name: name}
		if a.id, err = strconv.Atoi(fields[2]); err != nil {
			return account{}, false, fmt.Errorf("%s: the id of %s is %q", file, name, fields[2])
		}
		a.gid, _ = strconv.Atoi(fields[3]) // a group has members there
		return a, true, nil
	}
	return account{}, false, lines.Err()
}

// id is that of a user or group by name or number.
func (h *host) id(file, name string) (account, error) {
	if n, err := strconv.Atoi(name); err == nil && n >= 0 {
		return account{name: name, id: n, gid: -1}, nil
	}
	a, ok, err := h.lookUpAccount(file, name)
	if err == nil && !ok {
		err = fmt.Errorf("%s is not in %s", name, file)
	}
	return a, err
}

// ids are those of an owner and a group, -1 where the name is empty.
func (h *host) ids(owner, group string) (uid, gid int, err error) {
	uid, gid = -1, -1
	if owner != "" {
		u, err := h.id("/etc/passwd", owner)
		if err != nil {
			return 0, 0, err
		}
		uid = u.id
	}
	if group != "" {
		g, err := h.id("/etc/group", group)
		if err != nil {
			return 0, 0, err
		}
		gid = g.id
	}
	return uid, gid, nil
}
