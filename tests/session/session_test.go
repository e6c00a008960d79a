// Package session runs the scripts in testdata: each reads as a user's shell
// session against a Slipway of its own, with the real aws command.
package session

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/slipway/slipway/tests/server"
)

var (
	binary     string
	served     *awsServer // nil: the aws command cannot be served
	scriptsDir string     // this folder
)

// scripts is how many run at a time: most of their time is the client's own
// waits, the rest its start-up.
const scripts = "6"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", scripts); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "slipway-session-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if served != nil {
		defer func() {
			if err := served.stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	return m.Run()
}

// prepare builds the binary and starts what serves the aws command.
func prepare(dir string) (err error) {
	if binary, err = server.Build(dir); err != nil {
		return err
	}
	if scriptsDir, err = os.Getwd(); err != nil {
		return err
	}
	aws, err := awsCommand()
	if err == nil {
		served, err = serveAWS(aws, dir)
	}
	return err
}

func TestSessions(t *testing.T) {
	t.Parallel() // with the README's session
	aws, err := awsCommand()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			s := &session{aws: aws, data: filepath.Join(env.WorkDir, "data"), compute: "auto"}
			env.Values[sessionKey{}] = s
			env.Defer(s.end)
			env.Setenv("ROOT", server.Root())
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("DATA", s.data)
			env.Setenv("AWS_ACCESS_KEY_ID", "000000000000")
			env.Setenv("AWS_SECRET_ACCESS_KEY", "local")
			env.Setenv("AWS_DEFAULT_REGION", "us-east-1")
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			env.Setenv("AWS_PAGER", "")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"slipway":  cmdSlipway,
			"up":       cmdUp,
			"down":     cmdDown,
			"kill9":    cmdKill9,
			"aws":      cmdAWS,
			"let":      cmdLet,
			"until":    cmdUntil,
			"contains": cmdContains,
			"assume":   cmdAssume,
			"commands": cmdCommands,
			"query":    cmdQuery,
		},
	})
}

type sessionKey struct{}

// session is the Slipway that one script talks to.
type session struct {
	aws, data, compute string
	endpoint           string
	srv                *server.Server
}

func of(ts *testscript.TestScript) *session { return ts.Value(sessionKey{}).(*session) }

// end stops the script's Slipway and removes what runs on the host.
func (s *session) end() {
	if s.srv != nil {
		s.srv.Kill()
	}
	if _, err := os.Stat(s.data); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if out, err := exec.CommandContext(ctx, binary, "doctor", "--clean", "--data", s.data).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "clean %s: %v\n%s", s.data, err, out)
		}
	}
}

// up [FLAG ...] starts Slipway, at its earlier address if it ran before.
func cmdUp(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if s.srv != nil {
		ts.Fatalf("slipway runs already")
	}
	listen := "127.0.0.1:0"
	if s.endpoint != "" {
		listen = address(s.endpoint)
	}
	srv, err := server.Start(binary, nil, append([]string{"--data", s.data, "--listen", listen, "--wait-scale", "0.01"}, args...)...)
	if neg {
		if err == nil {
			s.srv = srv
			ts.Fatalf("slipway up succeeded, and should not have")
		}
		ts.Check(os.WriteFile(ts.MkAbs("up.err"), []byte(err.Error()), 0o644))
		return
	}
	ts.Check(err)
	s.srv, s.endpoint = srv, srv.Endpoint
	ts.Setenv("ENDPOINT", srv.Endpoint)
	ts.Setenv("ADDRESS", address(srv.Endpoint))
	ts.Setenv("SLIPWAY_PID", fmt.Sprint(srv.PID))
	ts.Check(os.WriteFile(ts.MkAbs("up.log"), []byte(srv.Log()), 0o644))
}

// address is an endpoint's host and port.
func address(endpoint string) string {
	_, after, _ := strings.Cut(endpoint, "://")
	return after
}

// down ends Slipway with SIGTERM; it must end well.
func cmdDown(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if s.srv == nil || neg || len(args) > 0 {
		ts.Fatalf("usage: down, after up")
	}
	err := s.srv.Stop()
	s.srv = nil
	ts.Check(err)
}

// kill9 ends Slipway with SIGKILL.
func cmdKill9(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if s.srv == nil || neg || len(args) > 0 {
		ts.Fatalf("usage: kill9, after up")
	}
	s.srv.Kill()
	s.srv = nil
}

func report(ts *testscript.TestScript, neg bool, err error) {
	switch {
	case err != nil && !neg:
		if s := of(ts); s.srv != nil {
			ts.Logf("[slipway's log]\n%s", s.srv.Log())
		}
		ts.Fatalf("unexpected failure: %v", err)
	case err == nil && neg:
		ts.Fatalf("unexpected success")
	}
}

// aws ARG ... runs the real client against the script's Slipway.
func cmdAWS(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	name, all := s.command(args)
	report(ts, neg, ts.Exec(name, all...))
}

// query OPERATION[/ELEMENT] [NAME=VALUE ...] calls an operation of CloudFormation
// that the client is too old to know.
func cmdQuery(ts *testscript.TestScript, neg bool, args []string) {
	name, all := of(ts).query(args)
	report(ts, neg, ts.Exec(name, all...))
}

func (s *session) query(args []string) (name string, all []string) {
	return "python3", slices.Concat([]string{filepath.Join(scriptsDir, "query.py"), s.endpoint}, args)
}

// slipway ARG ... runs the binary.
func cmdSlipway(ts *testscript.TestScript, neg bool, args []string) {
	report(ts, neg, ts.Exec(binary, args...))
}

// let NAME keeps the last command's output, trimmed, as a variable.
func cmdLet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: let NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// contains TEXT checks the last command's output for a literal text.
func cmdContains(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: contains TEXT")
	}
	if strings.Contains(ts.ReadFile("stdout"), args[0]) == neg {
		ts.Fatalf("output contains %q: %v", args[0], !neg)
	}
}

// assume ROLE makes the role's credentials those of the commands that follow.
func cmdAssume(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: assume ROLE-ARN")
	}
	cmdAWS(ts, false, []string{"sts", "assume-role", "--role-arn", args[0], "--role-session-name", "session",
		"--query", "Credentials.[AccessKeyId,SecretAccessKey,SessionToken]", "--output", "text"})
	fields := strings.Fields(ts.ReadFile("stdout"))
	if len(fields) != 3 {
		ts.Fatalf("assume-role printed %d fields, not 3", len(fields))
	}
	for i, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		ts.Setenv(name, fields[i])
	}
}

// until PATTERN COMMAND ARG ... repeats a command (aws, query, slipway or a program)
// until its output matches, for a minute at most.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND [ARG ...]")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	s := of(ts)
	command, rest := args[1], args[2:]
	switch command {
	case "aws":
		command, rest = s.command(rest)
	case "query":
		command, rest = s.query(rest)
	case "slipway":
		command = binary
	}
	deadline := time.Now().Add(time.Minute)
	for {
		err := ts.Exec(command, rest...)
		// Trimmed, so that ^$ finds an empty output and not the end of any.
		if out := strings.TrimSpace(ts.ReadFile("stdout")); err == nil && pattern.MatchString(out) {
			return
		} else if time.Now().After(deadline) {
			if s.srv != nil {
				ts.Logf("[slipway's log]\n%s", s.srv.Log())
			}
			ts.Fatalf("after a minute the output still does not match %q (error %v):\n%s", args[0], err, out)
		}
	}
}
