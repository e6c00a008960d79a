package session

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// awsCommand is Debian's client where it is installed (make test installs it):
// it speaks the oldest protocols. SLIPWAY_TEST_AWS names another one.
func awsCommand() (string, error) {
	for _, name := range []string{os.Getenv("SLIPWAY_TEST_AWS"), "/usr/bin/aws", "aws"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("the aws command is missing: make test installs it")
}

// awsServer is a process that imported the aws command's modules and forks for
// each call (aws.py): the start of one takes longer than all that it does.
type awsServer struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	python string
	socket string
}

// serveAWS starts one for the command at path, if that is a script of a Python
// that has the command's modules. nil: each call runs the command itself.
func serveAWS(path, dir string) (*awsServer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	line, _ := bufio.NewReader(io.LimitReader(f, 256)).ReadString('\n')
	python, ok := strings.CutPrefix(strings.TrimSpace(line), "#!")
	if !ok || !strings.HasPrefix(filepath.Base(python), "python") || exec.Command(python, "-c", "import awscli.clidriver").Run() != nil {
		return nil, nil
	}
	s := &awsServer{cmd: exec.Command(python, "aws.py", "serve", filepath.Join(dir, "aws")), python: python, socket: filepath.Join(dir, "aws")}
	s.cmd.Stderr = os.Stderr
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		return nil, errors.Join(fmt.Errorf("aws.py says %q: %w", line, err), s.stop())
	}
	return s, nil
}

// stop ends the process and waits for it.
func (s *awsServer) stop() error {
	return errors.Join(s.stdin.Close(), s.cmd.Wait())
}

// command is how an aws command with args is run, as a process of its own that
// has the caller's environment, folder and streams.
func (s *session) command(args []string) (name string, all []string) {
	client := clientCommand(s.aws)
	return client[0], slices.Concat(client[1:], []string{"--endpoint-url", s.endpoint}, args)
}

// clientCommand is what the command at path is run by.
func clientCommand(path string) []string {
	if served == nil {
		return []string{path}
	}
	// Without site and environment, this Python starts in a tenth of the time.
	return []string{served.python, "-I", "-S", filepath.Join(scriptsDir, "aws.py"), "call", served.socket}
}

// installClient puts the command at path into a folder, as aws.
func installClient(dir, path string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s \"$@\"\n", strings.Join(clientCommand(path), " "))
	return os.WriteFile(filepath.Join(dir, "aws"), []byte(script), 0o755)
}
