package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hupConfig is cfn-hup.conf.
type hupConfig struct {
	stack, region, endpoint string
	verbose                 bool
	interval                time.Duration
	hooks                   []hook
}

// hook is a section of hooks.conf or of a file of hooks.d.
type hook struct {
	name, path, action, runas string
	triggers                  []string
}

// maxConf bounds a file of configuration.
const maxConf = 1 << 20

// readHupConfig reads a folder such as /etc/cfn.
func readHupConfig(dir string) (hupConfig, error) {
	c := hupConfig{interval: 15 * time.Minute}
	sections, err := readINI(filepath.Join(dir, "cfn-hup.conf"))
	if err != nil {
		return c, err
	}
	for _, s := range sections {
		if s.name != "main" {
			continue
		}
		c.stack, c.region, c.endpoint = s.values["stack"], s.values["region"], s.values["url"]
		if c.verbose, err = scalar(s.values["verbose"]).truth(); err != nil {
			return c, fmt.Errorf("verbose %w", err)
		}
		if text := s.values["interval"]; text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > 525600 {
				return c, fmt.Errorf("interval %q: want minutes, 1 or more", text)
			}
			c.interval = time.Duration(n) * time.Minute
		}
	}
	if c.stack == "" {
		return c, errors.New("[main] section must contain stack option")
	}
	names, err := filepath.Glob(filepath.Join(dir, "hooks.d", "*.conf"))
	if err != nil {
		return c, err
	}
	slices.Sort(names)
	for _, name := range append([]string{filepath.Join(dir, "hooks.conf")}, names...) {
		sections, err := readINI(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return c, err
		}
		for _, s := range sections {
			h, err := s.hook()
			if err != nil {
				return c, fmt.Errorf("%s: hook %s: %w", name, s.name, err)
			}
			c.hooks = append(c.hooks, h)
		}
	}
	if len(c.hooks) == 0 {
		return c, fmt.Errorf("no hooks in %s", dir)
	}
	return c, nil
}

func (s *iniSection) hook() (hook, error) {
	h := hook{name: s.name, path: s.values["path"], action: s.values["action"], runas: s.values["runas"]}
	for t := range strings.SplitSeq(s.values["triggers"], ",") {
		switch t = strings.TrimSpace(t); t {
		case "post.add", "post.update", "post.remove":
			h.triggers = append(h.triggers, t)
		case "":
		case "on.command":
			return h, errors.New("the trigger on.command is not built yet")
		default:
			return h, fmt.Errorf("there is no trigger %q", t)
		}
	}
	switch {
	case len(h.triggers) == 0:
		return h, errors.New("it has no triggers")
	case h.action == "":
		return h, errors.New("it has no action")
	case h.runas == "":
		return h, errors.New("it has no runas: name the user whose rights the action has")
	}
	_, err := h.resourcePath()
	return h, err
}

// resourcePath are the parts of "Resources.ID", "Resources.ID.Metadata.KEY" or
// "Resources.ID.PhysicalResourceId".
func (h *hook) resourcePath() ([]string, error) {
	p := strings.SplitN(h.path, ".", 4)
	if len(p) < 2 || !strings.EqualFold(p[0], "Resources") || p[1] == "" {
		return nil, fmt.Errorf("path %q: want Resources.LOGICAL-ID and more", h.path)
	}
	if len(p) > 2 && !strings.EqualFold(p[2], "Metadata") && !strings.EqualFold(p[2], "PhysicalResourceId") {
		return nil, fmt.Errorf("path %q: want Metadata or PhysicalResourceId of the resource", h.path)
	}
	return p, nil
}

type iniSection struct {
	name   string
	values map[string]string
}

// readINI reads sections of "key=value" or "key: value"; a line that is
// indented goes on with the value before it.
func readINI(name string) ([]iniSection, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []iniSection
	key := ""
	lines := bufio.NewScanner(io.LimitReader(f, maxConf))
	lines.Buffer(nil, maxConf)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		text := strings.TrimSpace(line)
		switch {
		case text == "" || text[0] == '#' || text[0] == ';':
			continue
		case text[0] == '[' && strings.HasSuffix(text, "]"):
			out = append(out, iniSection{text[1 : len(text)-1], map[string]string{}})
			key = ""
			continue
		case len(out) == 0:
			return nil, fmt.Errorf("%s:%d: no section has begun", name, n)
		}
		values := out[len(out)-1].values
		if (line[0] == ' ' || line[0] == '\t') && key != "" {
			values[key] += "\n" + text
			continue
		}
		at := strings.IndexAny(text, "=:")
		if at < 1 {
			return nil, fmt.Errorf("%s:%d: want key=value", name, n)
		}
		key = strings.ToLower(strings.TrimSpace(text[:at]))
		values[key] = strings.TrimSpace(text[at+1:])
	}
	return out, lines.Err()
}
