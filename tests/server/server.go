// Package server runs the real slipway binary for end-to-end tests: session
// scripts, the crash harness, load programs. It builds the binary once per test
// process. It uses nothing of ours. A Server's process and its reader end
// with Stop or Kill.
package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	// The tests run the product as a process, which go test does not see. This
	// import makes results that it kept end with any change of the product.
	_ "github.com/slipway/slipway/cli"
)

// Root is the top folder of the checkout that the tests run in.
func Root() string {
	dir, err := os.Getwd()
	for ; err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if mod, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && bytes.HasPrefix(mod, []byte("module github.com/slipway/slipway\n")) {
			return dir
		}
	}
	panic("the tests run outside of a checkout")
}

// Build builds the binary into dir, with the flags of `make build` so that both
// share the build cache, and returns its path.
func Build(dir string) (string, error) {
	bin := filepath.Join(dir, "slipway")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "./cmd/slipway")
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build slipway: %w\n%s", err, out)
	}
	return bin, nil
}

// Server is one run of `slipway up` on a data folder.
type Server struct {
	Endpoint string // http://127.0.0.1:PORT
	PID      int

	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu  sync.Mutex
	log bytes.Buffer
}

var listens = regexp.MustCompile(`listens on (https?://\S+)`)

// startTimeout bounds a start on a machine that is busy with other tests.
const startTimeout = 60 * time.Second

// Start runs `slipway up` with the flags, which must name --data and --listen,
// and returns once it serves. extra is added to the environment.
func Start(bin string, extra []string, flags ...string) (*Server, error) {
	s := &Server{cmd: exec.Command(bin, append([]string{"up"}, flags...)...), done: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), extra...)
	s.cmd.Stderr = writerFunc(s.write)
	// The pipe is ours, not StdoutPipe's, so that Wait may run beside reading.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stdout = w
	err = s.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	s.PID = s.cmd.Process.Pid
	ready := make(chan string, 1)
	go s.follow(r, ready)
	select {
	case s.Endpoint = <-ready:
		if s.Endpoint == "" {
			<-s.done
			return nil, fmt.Errorf("slipway up ended before it served: %w\n%s", s.err, s.Log())
		}
		return s, nil
	case <-time.After(startTimeout):
		s.Kill()
		return nil, fmt.Errorf("slipway up did not serve within %s\n%s", startTimeout, s.Log())
	}
}

// follow reads standard output until the process has ended and been reaped.
func (s *Server) follow(r io.ReadCloser, ready chan<- string) {
	defer close(s.done)
	lines := bufio.NewScanner(r)
	told := false
	for lines.Scan() {
		s.write(append(lines.Bytes(), '\n'))
		if m := listens.FindStringSubmatch(lines.Text()); m != nil && !told {
			ready <- m[1]
			told = true
		}
	}
	r.Close()
	s.err = s.cmd.Wait()
	if !told {
		ready <- ""
	}
}

// Stop ends the server with SIGTERM and returns how it ended.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.done:
		return s.err
	case <-time.After(startTimeout):
		s.Kill()
		return fmt.Errorf("slipway did not stop within %s of SIGTERM\n%s", startTimeout, s.Log())
	}
}

// Kill ends the server with SIGKILL and waits until it is gone.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Log is what the server printed so far.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *Server) write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Write(p)
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }
