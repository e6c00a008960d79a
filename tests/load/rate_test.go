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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/tests/server"
)

// How rates are measured. Slipway and an empty net/http handler run in a process
// each, and one client asks both: net/http's, over 16 keep-alive connections,
// each with requests that were signed beforehand, so that neither server waits for
// the client's hashing. Slipway runs with --auth: every signature is verified. The
// two take turns of 100 ms, so that what else goes on on the machine hits both
// alike; a figure is a call's requests per second as a part of the handler's.
const (
	rateClients = 16
	rateTurn    = 100 * time.Millisecond
	rateRounds  = 12 // of which the first warms up
)

// Limits of the issue ("The ground floor, whole"), as parts of the empty
// handler's rate.
const smallCallLimit = 0.5

// peerEnv makes the test binary an empty handler, of which it prints the address.
const peerEnv = "SLIPWAY_LOAD_PEER"

func servePeer() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(l.Addr())
	err = http.Serve(l, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// startPeer runs the empty handler for one benchmark and returns its URL.
func startPeer(b *testing.B) string {
	b.Helper()
	url, _ := runPeer(b)
	return url
}

// runPeer is startPeer; pid is the process's.
func runPeer(b *testing.B) (url string, pid int) {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), peerEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil {
		b.Fatal(err)
	}
	return "http://" + strings.TrimSpace(string(line[:n])), cmd.Process.Pid
}

var rootKey = regexp.MustCompile(`AWS_ACCESS_KEY_ID=(\S+)\s+AWS_SECRET_ACCESS_KEY=(\S+)`)

// startClosed runs Slipway with authentication on, and returns its root key.
func startClosed(b *testing.B) (*server.Server, auth.Credentials) {
	b.Helper()
	s := start(b, b.TempDir(), "--auth")
	m := rootKey.FindStringSubmatch(s.Log())
	if m == nil {
		b.Fatalf("the start shows no root key:\n%s", s.Log())
	}
	rest(b, s.PID)
	return s, auth.Credentials{AccessKeyID: m[1], SecretAccessKey: m[2]}
}

// signedCall is a request that can be sent again and again.
type signedCall struct {
	method, url, service string
	header               http.Header
	body                 []byte
}

// sign makes a request of the call; its signature holds for minutes.
func (c signedCall) sign(b *testing.B, keys auth.Credentials) *http.Request {
	b.Helper()
	r, err := http.NewRequest(c.method, c.url, bytes.NewReader(c.body))
	if err != nil {
		b.Fatal(err)
	}
	for name, values := range c.header {
		r.Header[name] = values
	}
	if c.service != "" {
		auth.Sign(r, c.body, keys, c.service, "us-east-1", time.Now())
	}
	return r
}

// rate asks for one turn, from all clients at once, and returns the requests
// answered.
func rate(b *testing.B, c *http.Client, r *http.Request, body []byte) int {
	var wg sync.WaitGroup
	counts := make([]int, rateClients)
	end := time.Now().Add(rateTurn)
	for i := range rateClients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for time.Now().Before(end) {
				again := r.Clone(b.Context())
				again.Body = io.NopCloser(bytes.NewReader(body))
				resp, err := c.Do(again)
				if err != nil {
					b.Error(err)
					return
				}
				answer, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					b.Errorf("status %d, error %v: %s", resp.StatusCode, err, answer)
					return
				}
				counts[i]++
			}
		}()
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}

// BenchmarkRequestRate compares two small calls with an empty net/http handler.
func BenchmarkRequestRate(b *testing.B) {
	s, keys := startClosed(b)
	peer := startPeer(b)
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: rateClients, DisableCompression: true}}
	defer c.CloseIdleConnections()
	json := func(target, body string) signedCall {
		return signedCall{http.MethodPost, s.Endpoint + "/", "ssm",
			http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {target}}, []byte(body)}
	}
	put := json("AmazonSSM.PutParameter", `{"Name":"bench","Type":"String","Value":"v"}`)
	resp, err := c.Do(put.sign(b, keys))
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("PutParameter: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	form := url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}
	identity := signedCall{http.MethodPost, s.Endpoint + "/", "sts",
		http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}, []byte(form.Encode())}
	calls := []struct {
		name string
		call signedCall
	}{
		{"GetCallerIdentity", identity},
		{"GetParameter", json("AmazonSSM.GetParameter", `{"Name":"bench"}`)},
	}
	for b.Loop() {
		for _, call := range calls {
			ours := call.call.sign(b, keys)
			empty := call.call
			empty.url = peer + "/"
			theirs := empty.sign(b, keys)
			var own, other int
			for round := range rateRounds {
				n, m := rate(b, c, ours, call.call.body), rate(b, c, theirs, call.call.body)
				if round > 0 {
					own, other = own+n, other+m
				}
			}
			if b.Failed() {
				return
			}
			ratio := float64(own) / float64(other)
			seconds := (rateRounds - 1) * rateTurn.Seconds()
			b.ReportMetric(float64(own)/seconds, "rps-"+call.name)
			b.ReportMetric(float64(other)/seconds, "rps-empty")
			b.ReportMetric(ratio, "ratio-"+call.name)
			if ratio < smallCallLimit {
				b.Errorf("%s: %.2f of the rate of an empty handler, limit %.2f", call.name, ratio, smallCallLimit)
			}
		}
	}
}
