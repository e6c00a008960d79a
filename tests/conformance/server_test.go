// Package conformance drives Slipway with the clients that AWS makes: the SDK
// for Go, the SDK for JavaScript and both command lines. It has a module of its
// own, because those are large: `make conformance` builds Slipway and runs it. The
// server that the tests share ends with the test process's TestMain.
package conformance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
)

// slipway is the server that all tests use: with signatures and policies on, as
// they are where others can reach it.
var slipway struct{ endpoint, keyID, secret string }

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var (
	keyIDLine  = regexp.MustCompile(`AWS_ACCESS_KEY_ID=(\S+)`)
	secretLine = regexp.MustCompile(`AWS_SECRET_ACCESS_KEY=(\S+)`)
	listens    = regexp.MustCompile(`listens on (http://\S+)`)
)

// run starts `slipway up`, runs the tests and stops it.
func run(m *testing.M) (code int, err error) {
	binary, err := filepath.Abs("../../bin/slipway")
	if err != nil {
		return 0, err
	}
	data, err := os.MkdirTemp("", "slipway-conformance-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	cmd := exec.Command(binary, "up", "--auth", "--compute", "process", "--wait-scale", "0.05", "--listen", "127.0.0.1:0", "--data", data)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	log := &bounded{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%w: run 'make conformance', which builds it", err)
	}
	defer func() {
		stopErr := cmd.Process.Signal(syscall.SIGTERM)
		if waitErr := cmd.Wait(); stopErr == nil {
			stopErr = waitErr
		}
		if stopErr != nil || code != 0 {
			fmt.Fprintf(os.Stderr, "the end of Slipway's log:\n%s\n", log.Bytes())
		}
		err = errors.Join(err, stopErr)
	}()
	for lines := bufio.NewScanner(out); slipway.endpoint == "" && lines.Scan(); {
		for from, to := range map[*regexp.Regexp]*string{keyIDLine: &slipway.keyID, secretLine: &slipway.secret, listens: &slipway.endpoint} {
			if found := from.FindStringSubmatch(lines.Text()); found != nil {
				*to = found[1]
			}
		}
	}
	if slipway.endpoint == "" || slipway.secret == "" {
		return 1, fmt.Errorf("slipway up did not tell where it listens, or its root key")
	}
	return m.Run(), nil
}

// bounded keeps the last of what is written to it.
type bounded struct {
	mu   sync.Mutex
	text []byte
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	if extra := len(b.text) - 16<<10; extra > 0 {
		b.text = b.text[extra:]
	}
	return len(p), nil
}

// Bytes is what was kept.
func (b *bounded) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.text)
}

// environment is what a client finds in its shell.
func environment(t *testing.T) []string {
	home := t.TempDir()
	return append(os.Environ(),
		"HOME="+home, "AWS_CONFIG_FILE="+home+"/config", "AWS_SHARED_CREDENTIALS_FILE="+home+"/credentials",
		"AWS_ENDPOINT_URL="+slipway.endpoint, "AWS_ACCESS_KEY_ID="+slipway.keyID, "AWS_SECRET_ACCESS_KEY="+slipway.secret,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1")
}

// configured is the Go SDK's configuration as the root of the account.
func configured(t *testing.T) aws.Config {
	t.Helper()
	return as(t, slipway.keyID, slipway.secret, "")
}

// as is the Go SDK's configuration with the credentials.
func as(t *testing.T, keyID, secret, token string) aws.Config {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(context.Background(),
		config.WithRegion("us-east-1"), config.WithBaseEndpoint(slipway.endpoint), config.WithRetryMaxAttempts(4),
		config.WithSharedConfigFiles(nil), config.WithSharedCredentialsFiles(nil),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(keyID, secret, token)))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// ok ends the test where a call failed.
func ok[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refused checks the code with which a call was refused, as the SDK reads it.
func refused(t *testing.T, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Errorf("%v, want the code %s", err, code)
	}
}

// typed checks that the SDK made its own type of a refusal.
func typed[E error](t *testing.T, err error) {
	t.Helper()
	var e E
	if !errors.As(err, &e) {
		t.Errorf("%v, want a %T", err, e)
	}
}
