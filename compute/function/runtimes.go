package function

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slipway/slipway/compute"
)

// programs are what our runtimes run: a client of the Runtime API for each
// language, and the modules that inline code of CloudFormation templates expects.
//
//go:embed runtime
var programs embed.FS

// kind is a family of runtimes.
type kind string

const (
	kindProvided kind = "provided"
	kindPython   kind = "python"
	kindNode     kind = "nodejs"
)

// Names of runtimes that this host can run, given the interpreter.
var (
	pythonName = regexp.MustCompile(`^python(3\.[0-9]+)$`)
	nodeName   = regexp.MustCompile(`^nodejs([0-9]+)\.x$`)
)

// Interpreters older than these lack what our programs use.
const (
	oldestPython = 8  // 3.8
	oldestNode   = 14 // 14.13 imports both kinds of modules
)

// interpreterDirs are where a function sees the host's programs, whatever Slipway's
// own PATH is.
var interpreterDirs = []string{"/usr/local/bin", "/usr/bin", "/bin", "/opt/homebrew/bin"}

// runtimes knows the interpreters of this host.
type runtimes struct {
	dir string // with the programs

	mu    sync.Mutex
	known map[string]found // by the name of a runtime
}

type found struct {
	runtime Runtime
	err     error
	at      time.Time
}

// lookAgain is how long an answer stands: interpreters come and go rarely.
const lookAgain = time.Minute

func newRuntimes(dir string) *runtimes { return &runtimes{dir: dir, known: map[string]found{}} }

// write puts the programs where they can be shown to functions.
func (r *runtimes) write() error {
	return fs.WalkDir(programs, "runtime", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := filepath.Join(r.dir, strings.TrimPrefix(path, "runtime"))
		if e.IsDir() {
			if err := os.MkdirAll(at, 0o755); err != nil {
				return err
			}
			return os.Chmod(at, 0o755) // whatever the mask is: functions are nobody
		}
		b, err := programs.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(at+".tmp", b, 0o644); err != nil {
			return err
		}
		return errors.Join(os.Chmod(at+".tmp", 0o644), os.Rename(at+".tmp", at))
	})
}

// folder is what a runtime's environments see at /var/runtime.
func (r *runtimes) folder(rt Runtime) string {
	switch k := rt.kind(); k {
	case kindPython, kindNode:
		return filepath.Join(r.dir, string(k))
	}
	return ""
}

func (r Runtime) kind() kind {
	switch {
	case pythonName.MatchString(r.Name):
		return kindPython
	case nodeName.MatchString(r.Name):
		return kindNode
	}
	return kindProvided
}

// find looks for what a runtime needs.
func (r *runtimes) find(name string) (Runtime, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, ok := r.known[name]; ok && time.Since(f.at) < lookAgain {
		return f.runtime, f.err
	}
	rt, err := look(name)
	r.known[name] = found{rt, err, time.Now()}
	return rt, err
}

func look(name string) (Runtime, error) {
	rt := Runtime{Name: name}
	switch name {
	case "provided", "provided.al2", "provided.al2023":
		return rt, nil
	}
	if m := pythonName.FindStringSubmatch(name); m != nil {
		return rt.interpreter([]string{"python" + m[1], "python3"}, "Python", 3, oldestPython,
			"import sys;print('%d.%d.%d' % sys.version_info[:3])", "-I", "-c")
	}
	if m := nodeName.FindStringSubmatch(name); m != nil {
		return rt.interpreter([]string{"node" + m[1], "node", "nodejs"}, "Node.js", oldestNode, 0,
			"process.stdout.write(process.versions.node)", "-e")
	}
	return rt, &RuntimeError{Runtime: name, Missing: missingRuntime(name)}
}

// missingRuntime says what there is none of, and what to do.
func missingRuntime(name string) string {
	for prefix, language := range map[string]string{"java": "Java", "dotnet": ".NET", "ruby": "Ruby", "go1": "Go"} {
		if strings.HasPrefix(name, prefix) {
			return "Slipway has no runtime for " + language + ": build the function as an executable named bootstrap, for provided.al2023"
		}
	}
	return "Slipway knows provided, provided.al2, provided.al2023, python3.* and nodejs*.x"
}

// interpreter finds the first of the programs that is there and new enough. One of
// another version than the runtime's name says will do: the log of each environment
// tells which it is.
func (rt Runtime) interpreter(names []string, language string, major, minor int, script string, flags ...string) (Runtime, error) {
	old := ""
	for _, name := range names {
		for _, dir := range interpreterDirs {
			path := filepath.Join(dir, name)
			if st, err := os.Stat(path); err != nil || st.IsDir() || st.Mode()&0o111 == 0 {
				continue
			}
			version, err := versionOf(path, append(flags, script)...)
			if err != nil {
				old = fmt.Sprintf("%s does not run (%v)", path, err)
				continue
			}
			if !atLeast(version, major, minor) {
				old = fmt.Sprintf("%s is version %s, which is too old", path, version)
				continue
			}
			rt.Program, rt.Version = path, version
			return rt, nil
		}
	}
	if old == "" {
		old = fmt.Sprintf("there is no %s on this host (looked for %s in %s)", language, strings.Join(names, ", "), strings.Join(interpreterDirs, ", "))
	}
	return rt, &RuntimeError{Runtime: rt.Name, Missing: old}
}

func versionOf(path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err1 := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (a > major || a == major && b >= minor)
}

// line names the runtime in an environment's log.
func (r Runtime) line() string {
	if r.Program == "" {
		return r.Name
	}
	return fmt.Sprintf("%s\tRuntime Program: %s (version %s)", r.Name, r.Program, r.Version)
}

// command is what an environment runs; or the failure of one with nothing to run.
func (e *environment) command() ([]string, *failure) {
	switch e.runtime.kind() {
	case kindPython:
		return []string{e.runtime.Program, "-s", runtimeRoot + "/bootstrap.py"}, nil
	case kindNode:
		return []string{e.runtime.Program, runtimeRoot + "/bootstrap.js"}, nil
	}
	if isProgram(filepath.Join(e.spec.Code, "bootstrap")) {
		return []string{taskRoot + "/bootstrap"}, nil
	}
	for _, layer := range e.spec.Layers {
		if isProgram(filepath.Join(layer, "bootstrap")) {
			return []string{layerRoot + "/bootstrap"}, nil
		}
	}
	said := "Couldn't find valid bootstrap(s): [" + taskRoot + "/bootstrap " + layerRoot + "/bootstrap]"
	return nil, &failure{kind: "Runtime.InvalidEntrypoint", status: "error", said: said, payload: told("Runtime.InvalidEntrypoint", said)}
}

// isProgram reports whether there is a file; that it can be run is seen when it is.
func isProgram(path string) bool {
	st, err := os.Lstat(path)
	return err == nil && !st.IsDir()
}

// Probe says which runtimes this host's interpreters run.
func Probe() []compute.Finding {
	var found []compute.Finding
	for _, r := range []struct{ name, what, install string }{
		{"python3.13", "Python functions", "install python3, 3.8 or newer, in /usr/bin or /usr/local/bin: functions of python3.* need it"},
		{"nodejs22.x", "Node.js functions", "install nodejs, 14 or newer, in /usr/bin or /usr/local/bin: functions of nodejs*.x need it"},
	} {
		f := compute.Finding{Check: r.what}
		var missing *RuntimeError
		rt, err := look(r.name)
		switch {
		case err == nil:
			f.OK, f.Detail = true, fmt.Sprintf("run with %s (version %s)", rt.Program, rt.Version)
		case errors.As(err, &missing):
			f.Detail, f.Remedy = missing.Missing, r.install
		}
		found = append(found, f)
	}
	return found
}
