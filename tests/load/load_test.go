// Package load measures a running Slipway, from outside, over HTTP: `make
// bench`. Each figure that has a peer or a limit is told as a ratio against it,
// measured in the same run with the same client. The benchmarks that the issue
// sets a limit for fail when it is passed.
package load

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/tests/server"
)

// Limits of the issues ("First light").
const (
	firstAnswerLimit = 300 * time.Millisecond
	idleMemoryLimit  = 80 << 20
	runningLimit     = 150 * time.Millisecond
)

var binary string

func TestMain(m *testing.M) {
	if os.Getenv(peerEnv) != "" {
		os.Exit(servePeer())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "slipway-load-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = server.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start runs Slipway on a folder for one benchmark, and cleans the host after.
func start(b *testing.B, dir string, flags ...string) *server.Server {
	b.Helper()
	s, err := server.Start(binary, nil, append([]string{"--data", dir, "--listen", "127.0.0.1:0", "--log", "error"}, flags...)...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		s.Kill()
		if out, err := exec.Command(binary, "doctor", "--clean", "--data", dir).CombinedOutput(); err != nil {
			b.Errorf("clean: %v\n%s", err, out)
		}
	})
	return s
}

var credentials = auth.Credentials{AccessKeyID: "000000000000", SecretAccessKey: "local"}

// query calls an operation of a Query service and returns the answer.
func query(b *testing.B, c *http.Client, endpoint, service, version, action string, params ...string) string {
	b.Helper()
	form := url.Values{"Action": {action}, "Version": {version}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	answer, status, err := post(c, endpoint, service, "application/x-www-form-urlencoded", "", []byte(form.Encode()))
	if err != nil || status != http.StatusOK {
		b.Fatalf("%s: status %d, error %v: %s", action, status, err, answer)
	}
	return answer
}

func post(c *http.Client, endpoint, service, contentType, target string, body []byte) (string, int, error) {
	req, err := http.NewRequest(http.MethodPost, endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Content-Type", contentType)
	if target != "" {
		req.Header.Set("X-Amz-Target", target)
	}
	auth.Sign(req, body, credentials, service, "us-east-1", time.Now())
	resp, err := c.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return string(answer), resp.StatusCode, err
}

// median sorts and picks; it also reports the figure in milliseconds.
func median(b *testing.B, name string, took []time.Duration) time.Duration {
	slices.Sort(took)
	m := took[len(took)/2]
	b.ReportMetric(float64(m.Microseconds())/1000, "ms-"+name)
	return m
}

// BenchmarkFirstAnswer measures from fork to the first answered API call.
func BenchmarkFirstAnswer(b *testing.B) {
	dir := b.TempDir()
	start(b, dir).Kill() // the first start makes the folder
	var took []time.Duration
	for b.Loop() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		cmd := exec.Command(binary, "up", "--data", dir, "--listen", addr, "--log", "error")
		began := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		for {
			_, status, err := post(http.DefaultClient, "http://"+addr, "sts", "application/x-www-form-urlencoded", "",
				[]byte("Action=GetCallerIdentity&Version=2011-06-15"))
			if err == nil && status == http.StatusOK {
				break
			}
			if time.Since(began) > time.Minute {
				b.Fatalf("no answer within a minute: status %d, error %v", status, err)
			}
		}
		took = append(took, time.Since(began))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if m := median(b, "first-answer", took); m > firstAnswerLimit {
		b.Errorf("first answer after %s (median), limit %s", m, firstAnswerLimit)
	}
}

// BenchmarkIdleMemory reads the resident memory of a fresh, idle server.
func BenchmarkIdleMemory(b *testing.B) {
	s := start(b, b.TempDir())
	var resident int64
	for b.Loop() {
		resident = residentOf(b, s.PID)
	}
	b.ReportMetric(float64(resident)/(1<<20), "MiB-idle")
	if resident > idleMemoryLimit {
		b.Errorf("idle server takes %d MiB, limit %d MiB", resident>>20, idleMemoryLimit>>20)
	}
}

// residentOf is a process's resident memory in bytes.
func residentOf(b *testing.B, pid int) int64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skipf("resident memory is read from /proc, which this system lacks: %v", err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		b.Fatalf("process %d has no memory", pid)
	}
	kb, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kb << 10
}

var (
	imageID    = regexp.MustCompile(`<imageId>(ami-[0-9a-f]+)</imageId>`)
	instanceID = regexp.MustCompile(`<instanceId>(i-[0-9a-f]+)</instanceId>`)
)

// BenchmarkRunInstances measures from RunInstances to "running".
func BenchmarkRunInstances(b *testing.B) {
	const version = "2016-11-15"
	s := start(b, b.TempDir())
	c := http.DefaultClient
	image := imageID.FindStringSubmatch(query(b, c, s.Endpoint, "ec2", version, "DescribeImages", "Owner.1", "amazon"))
	if image == nil {
		b.Fatal("DescribeImages shows no image")
	}
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		id := instanceID.FindStringSubmatch(query(b, c, s.Endpoint, "ec2", version, "RunInstances",
			"ImageId", image[1], "InstanceType", "t3.micro", "MinCount", "1", "MaxCount", "1"))[1]
		for !strings.Contains(query(b, c, s.Endpoint, "ec2", version, "DescribeInstances", "InstanceId.1", id), "<name>running</name>") {
			if time.Since(began) > time.Minute {
				b.Fatalf("%s does not run after a minute", id)
			}
		}
		took = append(took, time.Since(began))
		query(b, c, s.Endpoint, "ec2", version, "TerminateInstances", "InstanceId.1", id)
	}
	if m := median(b, "to-running", took); m > runningLimit {
		b.Errorf("RunInstances to running took %s (median), limit %s", m, runningLimit)
	}
}
