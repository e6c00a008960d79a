package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slipway/slipway/tests/server"
)

// What the README's commands name and this test puts elsewhere.
const (
	readmeData    = "/tmp/slipway-first"
	readmeAddress = "127.0.0.1:4566"
)

// TestReadme runs the commands of the README's first session as they stand
// there: the first block in one terminal, the others in another. Only the folder,
// the address and the home are the test's own.
func TestReadme(t *testing.T) {
	t.Parallel()
	blocks, err := documentedBlocks("README.md", "## A first session")
	if err != nil {
		t.Fatal(err)
	}
	if len(blocks) < 4 {
		t.Fatalf("the README's first session has %d blocks of commands; want build and start, deploy, change, remove", len(blocks))
	}
	dir := checkout(t)
	data := filepath.Join(dir, "data")
	env := readmeEnv(t, dir)
	up := strings.ReplaceAll(blocks[0], readmeData, data)
	if !strings.Contains(up, "slipway up --data "+data) {
		t.Fatalf("the first block does not start Slipway on %s:\n%s", readmeData, blocks[0])
	}
	up = strings.Replace(up, "slipway up ", "slipway up --listen 127.0.0.1:0 ", 1)
	first := start(t, dir, env, up)
	t.Cleanup(func() {
		first.end(t)
		if out, err := exec.Command(filepath.Join(dir, "bin", "slipway"), "doctor", "--clean", "--data", data).CombinedOutput(); err != nil {
			t.Errorf("clean: %v\n%s", err, out)
		}
	})
	address := first.address(t)

	var script strings.Builder
	script.WriteString("set -euo pipefail\nshopt -s expand_aliases\n") // as a terminal does
	for i, b := range blocks[1:] {
		script.WriteString(b)
		fmt.Fprintf(&script, "echo block %d has run\n", i+2)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	second := exec.CommandContext(ctx, "bash")
	second.Dir, second.Env = dir, env
	second.Stdin = strings.NewReader(strings.ReplaceAll(script.String(), readmeAddress, address))
	out, err := second.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nSlipway:\n%s", err, out, first.output())
	}
	for _, want := range []string{
		"Successfully created/updated stack - web", "<h1>Hello from Slipway</h1>", "block 2 has run",
		"UPDATE_COMPLETE\tweb", "block 3 has run", "block 4 has run",
	} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
	if status, err := exec.Command(filepath.Join(dir, "bin", "slipway"), "status", "--data", data).CombinedOutput(); err != nil || !regexp.MustCompile(`stacks +0\n`).Match(status) {
		t.Errorf("a stack is left, or status fails (%v):\n%s", err, status)
	}
}

// checkout is a folder that looks like the checkout and has a bin of its own.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	entries, err := os.ReadDir(server.Root())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "bin" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := os.Symlink(filepath.Join(server.Root(), e.Name()), filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// readmeEnv is a new user's environment: an own home and nothing about AWS. Go's
// caches stay, so that the build is quick.
func readmeEnv(t *testing.T, dir string) []string {
	t.Helper()
	aws, err := awsCommand()
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	tools := filepath.Join(home, "bin")
	if err := installClient(tools, aws); err != nil {
		t.Fatal(err)
	}
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	gocache, modcache, _ := strings.Cut(strings.TrimSpace(string(caches)), "\n")
	return []string{
		"HOME=" + home, "PATH=" + tools + ":" + os.Getenv("PATH"), "GOCACHE=" + gocache, "GOMODCACHE=" + modcache,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// terminal is a shell that runs in a process group of its own.
type terminal struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (w *terminal) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
	return w.text.Write(b)
}

func (w *terminal) output() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func start(t *testing.T, dir string, env []string, script string) *terminal {
	t.Helper()
	w := &terminal{cmd: exec.Command("bash", "-euo", "pipefail", "-c", script), done: make(chan struct{}), more: make(chan struct{}, 1)}
	w.cmd.Dir, w.cmd.Env, w.cmd.Stdout, w.cmd.Stderr = dir, env, w, w
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.done)
		w.err = w.cmd.Wait()
	}()
	return w
}

// address waits until Slipway says where it listens.
func (w *terminal) address(t *testing.T) string {
	t.Helper()
	deadline := time.After(3 * time.Minute) // it is built first
	for {
		if m := regexp.MustCompile(`listens on http://(\S+)`).FindStringSubmatch(w.output()); m != nil {
			return m[1]
		}
		select {
		case <-w.more:
		case <-w.done:
			t.Fatalf("the first terminal ended: %v\n%s", w.err, w.output())
		case <-deadline:
			t.Fatalf("Slipway does not listen:\n%s", w.output())
		}
	}
}

// end presses Ctrl-C.
func (w *terminal) end(t *testing.T) {
	if err := syscall.Kill(-w.cmd.Process.Pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Error(err)
	}
	select {
	case <-w.done:
	case <-time.After(time.Minute):
		_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL)
		<-w.done
		t.Errorf("Slipway did not end on Ctrl-C:\n%s", w.output())
	}
}
