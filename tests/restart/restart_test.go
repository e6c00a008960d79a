// Package restart restarts a Slipway in place while clients call it: none is
// refused, and none gets anything but an answer.
package restart

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/tests/server"
)

// started runs Slipway for one test, in the process driver.
func started(t *testing.T, flags ...string) (s *server.Server, dir string) {
	t.Helper()
	bin, err := server.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	s, err = server.Start(bin, nil, append([]string{"--data", dir, "--listen", "127.0.0.1:0", "--compute", "process"}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		if out, err := exec.Command(bin, "doctor", "--clean", "--data", dir).CombinedOutput(); err != nil {
			t.Errorf("clean: %v\n%s", err, out)
		}
	})
	return s, dir
}

// call makes a call of the Query protocol and returns the answer.
func call(ctx context.Context, c *http.Client, endpoint, service, version, action string, params ...string) (int, string, error) {
	form := url.Values{"Action": {action}, "Version": {version}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	body := []byte(form.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/", nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	auth.Sign(req, body, auth.Credentials{AccessKeyID: "000000000000", SecretAccessKey: "local"}, service, "us-east-1", time.Now())
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

// serving waits until the server has said so often that it listens.
func serving(t *testing.T, s *server.Server, times int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); strings.Count(s.Log(), "listens on") < times; {
		if time.Now().After(deadline) {
			t.Fatalf("not restarted within a minute:\n%s", s.Log())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestRestartInPlaceRefusesNobody(t *testing.T) {
	s, _ := started(t)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var answered atomic.Int64
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			// Half of the clients keep their connections, half open one per call.
			c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: i%2 == 1}}
			defer c.CloseIdleConnections()
			for ctx.Err() == nil {
				status, answer, err := call(context.Background(), c, s.Endpoint, "sqs", "2012-11-05", "CreateQueue", "QueueName", "q")
				if err != nil || status != http.StatusOK {
					t.Errorf("client %d: status %d, error %v: %s", i, status, err, answer)
					return
				}
				answered.Add(1)
			}
		}()
	}
	for restart := range 3 {
		more(t, &answered)
		if err := syscall.Kill(s.PID, syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		serving(t, s, restart+2)
		more(t, &answered)
	}
	stop()
	wg.Wait()
	if t.Failed() {
		t.Log(s.Log())
	}
	if err := s.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// more waits until further calls were answered.
func more(t *testing.T, answered *atomic.Int64) {
	t.Helper()
	want := answered.Load() + 50
	for deadline := time.Now().Add(time.Minute); answered.Load() < want && !t.Failed(); {
		if time.Now().After(deadline) {
			t.Fatal("no calls are answered for a minute")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRestartKeepsInstancesAndCertificates(t *testing.T) {
	s, dir := started(t, "--tls")
	pem, err := os.ReadFile(filepath.Join(dir, "tls", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	if info, err := os.Stat(filepath.Join(dir, "tls", "ca-key.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key: %v, %v", info, err)
	}
	c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	const version = "2016-11-15"
	ask := func(action string, params ...string) string {
		t.Helper()
		status, answer, err := call(t.Context(), c, s.Endpoint, "ec2", version, action, params...)
		if err != nil || status != http.StatusOK {
			t.Fatalf("%s: status %d, error %v: %s", action, status, err, answer)
		}
		return answer
	}
	between := func(text, from, to string) string {
		_, rest, _ := strings.Cut(text, from)
		found, _, _ := strings.Cut(rest, to)
		return found
	}
	image := between(ask("DescribeImages", "Owner.1", "amazon"), "<imageId>", "</imageId>")
	id := between(ask("RunInstances", "ImageId", image, "InstanceType", "t3.micro", "MinCount", "1", "MaxCount", "1"), "<instanceId>", "</instanceId>")
	await := func() string {
		for deadline := time.Now().Add(time.Minute); ; {
			answer := ask("DescribeInstances", "InstanceId.1", id)
			if strings.Contains(answer, "<name>running</name>") {
				return between(answer, "<launchTime>", "</launchTime>")
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s does not run:\n%s", id, answer)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	launched := await()
	if err := syscall.Kill(s.PID, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	serving(t, s, 2)
	if got := await(); got != launched {
		t.Errorf("the instance was launched at %s, after the restart at %s", launched, got)
	}
}
